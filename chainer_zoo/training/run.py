"""A whole training run, from its settings to its files."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import json
import os
from collections.abc import Iterator
from typing import Any

import chainer
import numpy as np

from chainer_zoo import catalog
from chainer_zoo import files
from chainer_zoo import terminal
from chainer_zoo.data import Dataset
from chainer_zoo.data.sources import read
from chainer_zoo.engines import devices
from chainer_zoo.errors import UserError
from chainer_zoo.functions import noise
from chainer_zoo.legacy.log import Log
from chainer_zoo.legacy.log import MAX_CLASSES
from chainer_zoo.training import record
from chainer_zoo.training.assembly import assemble
from chainer_zoo.training.assembly import Assembly
from chainer_zoo.training.folder import RunFolder
from chainer_zoo.training.settings import Settings
from chainer_zoo.training.snapshots import Snapshot


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a run.

    Attributes:
        out: its folder.
        model: the trained model.
        log: what each epoch reached, a dict of numbers an epoch: ``epoch``, ``iteration``,
            ``elapsed_time`` (seconds), ``lr``, ``main/loss`` (the mean training loss),
            ``validation/main/loss``, ``validation/main/accuracy`` (0 to 1) and that of each class.
        source: where the images came from, in words.
        updates: the last update.
        stopped_by: the signal that stopped it before its end, or None.
    """

    out: str
    model: chainer.Chain
    log: list[dict[str, float]]
    source: str
    updates: int
    stopped_by: int | None = None

    @property
    def accuracy(self) -> float:
        """Accuracy on the test images after the last epoch, 0 to 1; NaN where none is over."""
        return self.log[-1]['validation/main/accuracy'] if self.log else float('nan')

    @property
    def plots(self) -> tuple[str, str]:
        """The files of both plots, loss and accuracy."""
        return os.path.join(self.out, 'loss.png'), os.path.join(self.out, 'accuracy.png')


def train(model: str = 'resnext', **settings: Any) -> Outcome:
    """Train a model of the article, and leave models, logs, plots and snapshots in a folder.

    This does what ``train_cifar10.py`` does. Ctrl-C stops it after the current update, with a
    snapshot; ``resume=True`` goes on from there with the same bits.

    Args:
        model: one of :func:`chainer_zoo.names`.
        settings: fields of :class:`~chainer_zoo.training.settings.Settings`, which are called as
            the flags of ``train_cifar10.py``, and options of the model, as for
            :func:`chainer_zoo.build`.

    Returns:
        What came of it.

    Raises:
        UserError: something that makes no sense, or cannot be done; its message is one line.

    Example:
        >>> outcome = chainer_zoo.train('resnext', d=4, epoch=1, dataset='shapes', out='results/a')
        >>> outcome.accuracy
    """
    fields = {field.name for field in dataclasses.fields(Settings)}
    options = {'n_class', *catalog.entry(model).defaults}
    for name in settings.keys() - fields - options:
        close = difflib.get_close_matches(name, sorted(fields | options), n=1)
        advice = f'; did you mean {close[0]}?' if close else ''
        raise UserError(f'there is no setting {name}, and {model} has no such option{advice}')
    given = {name: settings.pop(name) for name in settings.keys() & options}
    return run(Settings(model=model, options={**settings.pop('options', {}), **given}, **settings))


def run(settings: Settings) -> Outcome:
    """Train as the settings say.

    Whatever becomes of the terminal, the run goes on and writes its files. What it changes for the
    whole process, such as NumPy's generator, is as before when it is over.

    Args:
        settings: what the run is asked to do.

    Returns:
        What came of it.

    Raises:
        UserError: anything that whoever runs it can fix. Nothing is written then, unless the run
            had begun.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(terminal.lasting())
        stack.enter_context(_restored())
        folder = stack.enter_context(RunFolder(settings.out))
        snapshot = _snapshot(settings, folder)
        if snapshot is not None:
            stack.enter_context(snapshot)
        log = None if snapshot is not None else _given_log(settings)
        _require_given_files(settings)
        device = devices.find(settings.gpu)
        engine = devices.choose_engine(settings.cpu, settings.gpu)
        data = read(settings.dataset, settings.data, settings.limit_train, settings.limit_test)
        options = _options(settings, data)
        this = record.make(settings, options, data, engine)
        if snapshot is not None:
            for note in record.require_match(snapshot.record, this, snapshot.path):
                print(note)
        mixed16 = settings.dtype == 'mixed16'
        stack.enter_context(
            chainer.using_config('dtype', chainer.mixed16 if mixed16 else np.float32)
        )
        try:
            assembly = assemble(
                settings, options, data, device, folder, this, log, snapshot is not None
            )
            if snapshot is not None:
                snapshot.load(assembly.trainer)
                assembly.require_consistent(settings, data)
            folder.make()
            if snapshot is None:
                folder.require_new()
            return _train(assembly, data, this)
        except MemoryError as e:
            raise UserError(
                'out of memory: choose a smaller batch (-b) or more micro-batches (-trb, -teb)'
            ) from e


@contextlib.contextmanager
def _restored() -> Iterator[None]:
    """Give back what a run changes for the whole process: its generators, device and engine."""
    numpy_state, noise_state = np.random.get_state(), noise.generator.state()
    try:
        with devices.restored():
            yield
    finally:
        np.random.set_state(numpy_state)
        noise.generator.restore(noise_state)


def _snapshot(settings: Settings, folder: RunFolder) -> Snapshot | None:
    """Return the snapshot to resume from, or None for a fresh start."""
    if not settings.resume:
        folder.require_new()
        return None
    if settings.resume is not True:
        return Snapshot(settings.resume)
    if not folder.snapshots:
        # a run killed before its first snapshot has nothing to go on from but the seed
        print(f'{folder.path} has no snapshot yet: starting from the beginning')
        return None
    return Snapshot(folder.snapshots[0])


def _given_log(settings: Settings) -> Log | None:
    return None if settings.load_log is None else Log.load(settings.load_log)


def _require_given_files(settings: Settings) -> None:
    """Notice now, before anything is downloaded, that a file is missing."""
    if settings.load_model is not None:
        files.open_regular(settings.load_model).close()
    if settings.load_optimizer is not None:
        print(
            f'-o {settings.load_optimizer} is not read: the original accepts it and never reads it'
        )


def _options(settings: Settings, data: Dataset) -> dict[str, Any]:
    """Return all options of the model; the number of classes is the data's if none is given."""
    options = settings.entry.complete({'n_class': len(data.label_names), **settings.options})
    n_class = options['n_class']
    if n_class < len(data.label_names):
        raise UserError(
            f'--n_class {n_class} is less than the {len(data.label_names)} classes of the data'
        )
    if n_class > MAX_CLASSES:
        raise UserError(
            f'--n_class {n_class} is more than {MAX_CLASSES:,}: after each epoch, log.json gets a '
            'count for each pair of classes'
        )
    return options


def _train(assembly: Assembly, data: Dataset, this: dict[str, Any]) -> Outcome:
    """Run the trainer, and return what came of it."""
    trainer, stop = assembly.trainer, assembly.stop
    with files.write_whole(os.path.join(trainer.out, 'arguments.json')) as f:
        f.write(json.dumps(this, indent=4, sort_keys=True).encode())
    # What overflows shows in the loss, where it becomes one line; NumPy need not warn as well.
    with stop.listening(), np.errstate(over='ignore', invalid='ignore'):
        trainer.run(show_loop_exception_msg=False)
    return Outcome(
        out=trainer.out,
        model=trainer.updater.get_optimizer('main').target,
        log=trainer.get_extension('LogReport').log,
        source=data.source,
        updates=trainer.updater.iteration,
        stopped_by=stop.asked if stop.saved else None,
    )
