"""What happens around the updates: learning rate, testing, files, snapshots.

Extensions with a state are found in snapshots by their class's name, so these names stay.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import chainer
import numpy as np
from chainer import reporter
from chainer import training
from chainer.training import extension
from chainer.training import extensions as chainer_extensions

from chainer_zoo import records
from chainer_zoo.catalog import Recipe
from chainer_zoo.data.images import ImagePipeline
from chainer_zoo.data.sampler import serialize_rng
from chainer_zoo.errors import UserError
from chainer_zoo.files import remove
from chainer_zoo.files import write_whole
from chainer_zoo.functions import noise
from chainer_zoo.legacy import model_file
from chainer_zoo.legacy.log import Log
from chainer_zoo.training import plots
from chainer_zoo.training import snapshots
from chainer_zoo.training.evaluation import evaluate
from chainer_zoo.training.evaluation import Evaluation
from chainer_zoo.training.optimizer import set_lr
from chainer_zoo.training.settings import LAST_EPOCH
from chainer_zoo.training.settings import MOST
from chainer_zoo.training.stopping import Stop
from chainer_zoo.training.updater import epoch_of
from chainer_zoo.training.updater import weights_must_be_finite

#: The model that did best on the test images; choosing by them flatters it, hence the name.
BEST_MODEL = 'best-on-test.model'
_NUMBER = records.number(-MOST, float('inf'), finite=False)
_LOG = records.list_of(records.dict_of(_NUMBER, 2000), LAST_EPOCH)
#: What each record of Chainer's log has, beside the accuracy of each class.
_EPOCH = records.fields(
    {
        'epoch': _NUMBER,
        'iteration': _NUMBER,
        'elapsed_time': _NUMBER,
        'lr': _NUMBER,
        'main/loss': _NUMBER,
        'validation/main/loss': _NUMBER,
        'validation/main/accuracy': _NUMBER,
    }
)
_SAVED = records.list_of(records.text(300), MOST)


class Rate(extension.Extension):
    """Sets the learning rate of the epoch to come.

    Args:
        recipe: has the schedule.
        lr: the learning rate to start from, if not the recipe's.
    """

    priority = 50
    trigger = (1, 'epoch')

    def __init__(self, recipe: Recipe, lr: float | None = None) -> None:
        self.recipe = recipe
        self.lr = lr

    def initialize(self, trainer: training.Trainer) -> None:
        self(trainer)

    def __call__(self, trainer: training.Trainer) -> None:
        optimizer = trainer.updater.get_optimizer('main')
        set_lr(optimizer, self.recipe, trainer.updater.epoch + 1, self.lr)


class WholeSchedule(extension.Extension):
    """Goes through the recipe's whole schedule of learning rates, however short the run is.

    Args:
        recipe: has the schedule.
        lr: the learning rate to start from.
        stop: knows how much of the run is over.
    """

    priority = 50
    trigger = (1, 'iteration')

    def __init__(self, recipe: Recipe, lr: float, stop: Stop) -> None:
        self.recipe = recipe
        self.lr = lr
        self.stop = stop

    def initialize(self, trainer: training.Trainer) -> None:
        self(trainer)

    def __call__(self, trainer: training.Trainer) -> None:
        # rounding must not keep an epoch's learning rate for one update more
        over = int(self.stop.progress(trainer) * self.recipe.epochs + 1e-6)
        optimizer = trainer.updater.get_optimizer('main')
        set_lr(optimizer, self.recipe, min(1 + over, self.recipe.epochs), self.lr)


class ReportRate(extension.Extension):
    """Reports the learning rate that an update was made with."""

    priority = extension.PRIORITY_EDITOR
    trigger = (1, 'iteration')

    def __call__(self, trainer: training.Trainer) -> None:
        reporter.report({'lr': trainer.updater.get_optimizer('main').lr})


class EvaluateModel(extension.Extension):
    """Tests the model and reports loss, accuracy and accuracy per class.

    Args:
        x: the test images, on the model's device.
        y: their labels, on the CPU.
        images: prepares them.
        batch: images at a time, which bounds the memory.
        label_names: names of the model's classes.

    Attributes:
        last: the newest result.
    """

    priority = extension.PRIORITY_WRITER

    def __init__(
        self,
        x: Any,
        y: np.ndarray,
        images: ImagePipeline,
        batch: int,
        label_names: Sequence[str],
    ) -> None:
        self.x, self.y = x, y
        self.images = images
        self.batch = batch
        self.label_names = label_names
        self.last: Evaluation | None = None

    def __call__(self, trainer: training.Trainer) -> None:
        weights_must_be_finite(trainer.updater)  # before anything is tested, logged or saved
        model = trainer.updater.get_optimizer('main').target
        result = evaluate(model, self.x, self.y, self.images, self.batch, len(self.label_names))
        reporter.report(
            {'validation/main/loss': result.loss, 'validation/main/accuracy': result.accuracy}
        )
        for name, accuracy in zip(self.label_names, result.per_class):
            reporter.report({f'validation/main/accuracy/{name}': accuracy})
        self.last = result


class LogReport(chainer_extensions.LogReport):
    """Chainer's log, kept in memory: :class:`RunLog` writes it.

    Args:
        trigger: fires at the end of an epoch.
    """

    def __init__(self, trigger: Callable[[training.Trainer], bool]) -> None:
        super().__init__(trigger=trigger, log_name=None)  # Chainer's own file is not written whole

    def __call__(self, trainer: training.Trainer) -> None:
        epochs = len(self.log)
        super().__call__(trainer)
        for record in self.log[epochs:]:
            record['epoch'] = epoch_of(trainer.updater)

    def serialize(self, serializer: chainer.AbstractSerializer) -> None:
        super().serialize(serializer)
        if isinstance(serializer, chainer.Deserializer):
            for record in _LOG(self.log, 'the log in the snapshot'):
                _EPOCH(record, 'an epoch of the log in the snapshot')


class RunLog(extension.Extension):
    """Writes Chainer's ``log``, the original's ``log.json`` and both plots after each epoch.

    Args:
        log_report: collects the numbers.
        legacy_log: the original's records.
        evaluation: has the newest confusion matrix.
        micro_batches: micro-batches of a batch.
    """

    priority = 40

    def __init__(
        self, log_report: LogReport, legacy_log: Log, evaluation: EvaluateModel, micro_batches: int
    ) -> None:
        self.log_report = log_report
        self.legacy_log = legacy_log
        self.evaluation = evaluation
        self.micro_batches = micro_batches

    def __call__(self, trainer: training.Trainer) -> None:
        log = self.log_report.log
        updates = log[-1]['iteration'] - (log[-2]['iteration'] if len(log) > 1 else 0)
        images = updates * trainer.updater.get_iterator('main').batch_size
        last = self.evaluation.last
        assert last is not None  # testing has a higher priority, and the same trigger
        self.legacy_log.add_epoch(
            # as the original: what it sums has been divided by the number of micro-batches
            log[-1]['main/loss'] * images / self.micro_batches,
            last.loss * last.n,
            last.confusion,
        )
        with write_whole(os.path.join(trainer.out, 'log')) as f:
            f.write(json.dumps(_as_json(log), indent=4, allow_nan=False).encode())
        self.legacy_log.save(os.path.join(trainer.out, 'log.json'))
        plots.save(log, trainer.out)

    def serialize(self, serializer: chainer.AbstractSerializer) -> None:
        text = serializer('records', json.dumps(self.legacy_log.records))
        self.legacy_log.records = _json(text, 'the records of log.json in the snapshot')


class SaveModels(extension.Extension):
    """Saves the model after each epoch under the original's name, and the best one so far.

    Args:
        folder: where to.
        name_of: gives the file name for an epoch.
        evaluation: has the newest accuracy.
        keep: how many to keep, beside the best.
    """

    priority = 30

    def __init__(
        self, folder: str, name_of: Callable[[int], str], evaluation: EvaluateModel, keep: int
    ) -> None:
        self.folder = folder
        self.name_of = name_of
        self.evaluation = evaluation
        self.keep = keep
        self.best = -1.0
        self.saved: list[str] = []

    def __call__(self, trainer: training.Trainer) -> None:
        model = trainer.updater.get_optimizer('main').target
        name = self.name_of(epoch_of(trainer.updater))
        model_file.save(os.path.join(self.folder, name), model)
        assert (
            self.evaluation.last is not None
        )  # testing has a higher priority, and the same trigger
        if self.evaluation.last.accuracy > self.best:
            self.best = self.evaluation.last.accuracy
            model_file.save(os.path.join(self.folder, BEST_MODEL), model)
        self.saved = [old for old in self.saved if old != name] + [name]
        # unlike the original: it keeps the models of all epochs
        for old in self.saved[: -self.keep]:
            remove(os.path.join(self.folder, old))
        self.saved = self.saved[-self.keep :]

    def serialize(self, serializer: chainer.AbstractSerializer) -> None:
        self.best = serializer('best', self.best)
        what = 'the list of saved models in the snapshot'
        self.saved = _SAVED(_json(serializer('saved', json.dumps(self.saved)), what), what)
        for name in self.saved:
            # they are removed in time, so a damaged list must not name anything else
            if name != os.path.basename(name) or not name.endswith('.model') or '\0' in name:
                raise UserError(f'{what} names {records.shown(name)}')


class RandomState(extension.Extension):
    """Carries the random generators into snapshots and back.

    Args:
        rng: draws sizes, crops and flips of images.
    """

    trigger = (1, 'epoch')

    def __init__(self, rng: np.random.RandomState) -> None:
        self.rng = rng

    def __call__(self, trainer: training.Trainer) -> None:
        """Do nothing: this is here for its state."""

    def serialize(self, serializer: chainer.AbstractSerializer) -> None:
        noise.generator.serialize(serializer['noise'])
        for name, rng in (('images', self.rng), ('numpy', np.random.mtrand._rand)):
            serialize_rng(serializer[name], rng)


class Mixed16State(extension.Extension):
    """Carries what Chainer leaves out of snapshots: float32 parameters and the loss scale.

    Args:
        optimizer: updates float16 parameters in float32.
    """

    trigger = (1, 'epoch')

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer

    def __call__(self, trainer: training.Trainer) -> None:
        """Do nothing: this is here for its state."""

    def serialize(self, serializer: chainer.AbstractSerializer) -> None:
        optimizer = self.optimizer
        optimizer._loss_scale = float(serializer('loss_scale', float(optimizer._loss_scale)))
        optimizer._loss_scaling_isnan_ever = bool(
            serializer('was_too_large', int(optimizer._loss_scaling_isnan_ever))
        )
        for path, param in optimizer.target.namedparams():
            if param.dtype != np.float16:
                continue
            # Chainer makes them at the first update, out of the float16 ones
            master = param.update_rule._fp32_param
            if master is None:
                master = chainer.Parameter(param.array.astype(np.float32), name=param.name)
                param.update_rule._fp32_param = master
            serializer(path, master.array)


class Snapshots(extension.Extension):
    """Writes a snapshot at each epoch's end, every so many updates if asked, and when stopped.

    Args:
        record: what identifies the run.
        stop: knows whether a stop was asked for.
        every: updates between snapshots, or 0 for epochs only.
        keep: how many to keep.
    """

    priority = -100

    def __init__(self, record: dict[str, Any], stop: Stop, every: int, keep: int) -> None:
        self.record = record
        self.stop = stop
        self.every = every
        self.keep = keep
        self.trigger: Any = self._is_due

    def _is_due(self, trainer: training.Trainer) -> bool:
        if self.stop.asked is not None or self.stop.end_of_epoch(trainer):
            return True
        return self.every > 0 and trainer.updater.iteration % self.every == 0

    def __call__(self, trainer: training.Trainer) -> None:
        stopping = self.stop.asked is not None  # before writing: a signal may come in between
        weights_must_be_finite(trainer.updater)
        snapshots.save(
            snapshots.path_of(trainer.out, trainer.updater.iteration), trainer, self.record
        )
        snapshots.keep_newest(trainer.out, self.keep)
        if stopping:
            self.stop.saved = True


def _as_json(log: list[dict[str, float]]) -> list[dict[str, float | None]]:
    """Return Chainer's log without what JSON has no word for, such as NaN: null stands for it."""
    return [
        {key: value if math.isfinite(value) else None for key, value in record.items()}
        for record in log
    ]


def _json(text: object, what: str) -> Any:
    """Return the JSON value that a snapshot holds as text.

    Raises:
        UserError: it is no JSON.
    """
    try:
        return json.loads(str(text))
    except (ValueError, RecursionError) as e:
        raise UserError(f'{what} is no JSON') from e
