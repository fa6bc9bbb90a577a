"""Reading finished runs: folders of this project and logs of the original."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainer_zoo import catalog
from chainer_zoo import records
from chainer_zoo.catalog import Entry
from chainer_zoo.errors import UserError
from chainer_zoo.files import printable
from chainer_zoo.legacy.log import Log

_MAX_RUNS = 200
_MAX_LABEL = 40  # characters
_MAX_EPOCHS = 100_000
_MAX_DIGITS = 20  # of an option's value on the command line
_MAX_DIVIDE = 10**6

_LOSS = records.number(-1e50, 1e50, finite=False)  # NaN where a run has diverged

# What is read of ``arguments.json`` and of Chainer's ``log``; there is more in both.
_RECORD = records.fields(
    {'model': records.text(100), 'options': records.dict_of(records.scalar(100), 100)},
    {
        'commit': records.optional(records.text(100)),
        'data': records.optional(records.text(10_000)),
        'engine': records.optional(records.text(1000)),
        'machine': records.optional(records.text(1000)),
        'seed': records.optional(records.whole(0, 2**64)),
        'versions': records.optional(records.dict_of(records.text(100), 100)),
    },
)
_EPOCH = {
    'epoch': records.whole(0, 10**9),
    'main/loss': _LOSS,
    'validation/main/loss': _LOSS,
    'validation/main/accuracy': records.number(0, 1),
    'elapsed_time': records.number(0, 1e10),
}
_LOG = records.list_of(records.fields(_EPOCH), _MAX_EPOCHS)
_DIVIDE = records.whole(1, _MAX_DIVIDE)


@dataclasses.dataclass(eq=False)
class Run:
    """One training run, ours or the original's.

    Attributes:
        label: a short name; :func:`read_all` makes it differ between runs.
        original: whether the original's code ran.
        entry: the model's row in the catalog, or None where a log does not say.
        options: all options of the model, or None where a log does not say.
        epochs: (E,) numbers of the epochs.
        train_loss: (E,) mean softmax cross entropy (nats) on the training images.
        test_loss: (E,) the same on the test images.
        accuracy: (E,) on the test images, in percent.
        n_train: number of training images.
        n_test: number of test images.
        seconds: from start to the last epoch's end, or None.
        record: what ``arguments.json`` says; empty for the original.
        train_loss_divided: whether ``train_loss`` is as the original logs it, divided by the number
            of micro-batches, because that number is not known.
    """

    label: str
    original: bool
    entry: Entry | None
    options: dict[str, Any] | None
    epochs: np.ndarray
    train_loss: np.ndarray
    test_loss: np.ndarray
    accuracy: np.ndarray
    n_train: int
    n_test: int
    seconds: float | None = None
    record: dict[str, Any] = dataclasses.field(default_factory=dict)
    train_loss_divided: bool = False

    @property
    def best(self) -> int:
        """Index of the epoch with the best accuracy on the test images, the first of equals."""
        return int(np.argmax(self.accuracy))

    @property
    def remarks(self) -> list[str]:
        """Why the result is not to be held against the article's."""
        if self.entry is None:
            return ['the log is of a model that is not in the catalog']
        found = []
        if self.options is None:
            found.append('the log does not say the options')
        else:
            other = [
                f'{name}={self.options[name]}'
                for name, value in self.entry.complete({}).items()
                if self.options[name] != value
            ]
            if other:
                found.append('other options than the article: ' + ', '.join(other))
        if self.epochs[-1] < self.entry.recipe.epochs:
            found.append(f'{self.epochs[-1]} of {self.entry.recipe.epochs} epochs')
        if (self.n_train, self.n_test) != (50000, 10000):
            found.append(
                f'{self.n_train:,} of 50,000 training and {self.n_test:,} of 10,000 test images'
            )
        return found


def read_all(texts: Sequence[str]) -> list[Run]:
    """Return the :class:`Run` of each command-line argument, with labels that differ.

    Raises:
        UserError: one of them cannot be read (see :func:`read`), or there are too many.
    """
    if len(texts) > _MAX_RUNS:
        raise UserError(f'{len(texts):,} runs are given: at most {_MAX_RUNS} can be compared')
    runs = [read(text) for text in texts]
    for run in runs:
        if run.original:
            run.label += ' (original)'
    for label in {run.label for run in runs}:
        same = [run for run in runs if run.label == label]
        if len(same) > 1:
            for number, run in enumerate(same, 1):
                run.label = f'{label} #{number}'
    return runs


def read(text: str) -> Run:
    """Read a run.

    Args:
        text: a folder of this project, or a log.json of the original. A log does not say the
            options and the number of micro-batches; they can be written after it:
            ``log.json:C=2,d=4``, and ``divide=4`` for the micro-batches.

    Returns:
        What it reached, epoch by epoch.

    Raises:
        UserError: there is no such run, or its files make no sense.
    """
    name, given = _split(text)
    path = pathlib.Path(name)
    if os.path.isdir(path) and os.path.exists(path / 'arguments.json'):
        if given:
            raise UserError(f'{text}: a folder has its options in arguments.json')
        return _ours(path)
    if os.path.isdir(path):
        if not os.path.exists(path / 'log.json'):
            raise UserError(
                f'{path} is no run: a folder with arguments.json and log, or a log.json of '
                'the original, is expected'
            )
        path = path / 'log.json'
    return _originals(path, given)


def _split(text: str) -> tuple[str, dict[str, int]]:
    """Return the path and the options that are written after it."""
    name, colon, options = text.rpartition(':')
    if not colon or '=' not in options or os.path.exists(text):
        return text, {}
    pairs = [pair.partition('=') for pair in options.split(',')]
    try:
        if any(len(value) > _MAX_DIGITS for _, _, value in pairs):
            raise ValueError
        return name, {name.strip(): int(value) for name, _, value in pairs}
    except ValueError as error:
        raise UserError(
            f'{text}: options are written as C=2,d=4 with whole numbers, not {options}'
        ) from error


def _label(folder: pathlib.Path) -> str:
    """Return a folder's name as it can be shown, shortened in the middle if it is long."""
    folder = pathlib.Path(os.path.abspath(folder))
    name = printable(folder.name or str(folder))
    if len(name) <= _MAX_LABEL:
        return name
    return f'{name[: _MAX_LABEL // 2]}\N{HORIZONTAL ELLIPSIS}{name[1 - _MAX_LABEL // 2 :]}'


def _ours(folder: pathlib.Path) -> Run:
    path = folder / 'arguments.json'
    record = _RECORD(records.read(path), str(path))
    try:
        entry = catalog.entry(record['model'])
        options = entry.complete(record['options'])
    except UserError as error:
        raise UserError(f'{path}: {error}') from error
    path = folder / 'log'
    log = _LOG(records.read(path, keep=_EPOCH), str(path))
    if not log:
        raise UserError(f'{folder} has no finished epoch yet')
    history = Log.load(folder / 'log.json').history()
    column = {key: np.array([epoch[key] for epoch in log]) for key in _EPOCH}
    return Run(
        label=_label(folder),
        original=False,
        entry=entry,
        options=options,
        epochs=column['epoch'],
        train_loss=column['main/loss'],
        test_loss=column['validation/main/loss'],
        accuracy=100 * column['validation/main/accuracy'],
        n_train=history.n_train,
        n_test=history.n_test,
        seconds=log[-1]['elapsed_time'],
        record=record,
    )


def _originals(path: pathlib.Path, given: dict[str, int]) -> Run:
    history = Log.load(path).history()
    if not len(history.accuracy):
        raise UserError(f'{path} has no finished epoch yet')
    if len(history.accuracy) > _MAX_EPOCHS:
        raise UserError(f'{path} has more than {_MAX_EPOCHS:,} epochs')
    divide = given.pop('divide', None)
    if divide is not None:
        _DIVIDE(divide, f'{path}: divide')
    entry = options = None
    if history.model_name is not None:
        entry = catalog.entry(history.model_name)
        if given or not entry.options:
            options = entry.complete(given)
    elif given:
        raise UserError(f'{path}: options {given}, but the log does not say of which model')
    return Run(
        label=_label(path.parent),
        original=True,
        entry=entry,
        options=options,
        epochs=np.arange(1, len(history.accuracy) + 1),
        train_loss=history.train_loss * (divide or 1),
        test_loss=history.test_loss,
        accuracy=100 * history.accuracy,
        n_train=history.n_train,
        n_test=history.n_test,
        train_loss_divided=divide is None,
    )
