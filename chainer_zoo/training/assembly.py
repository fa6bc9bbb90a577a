"""Putting a run together: model, updater, what is written, what is shown."""

from __future__ import annotations

import dataclasses
from typing import Any

import chainer
import numpy as np
from chainer import training

from chainer_zoo import initializers
from chainer_zoo import memory
from chainer_zoo.data import Dataset
from chainer_zoo.data.images import ImagePipeline
from chainer_zoo.data.images import SIZE_CLASSES
from chainer_zoo.data.sampler import RandomBatches
from chainer_zoo.errors import UserError
from chainer_zoo.functions import noise
from chainer_zoo.legacy import model_file
from chainer_zoo.legacy.log import Log
from chainer_zoo.training import extensions
from chainer_zoo.training.folder import RunFolder
from chainer_zoo.training.optimizer import make_optimizer
from chainer_zoo.training.progress import Progress
from chainer_zoo.training.settings import Settings
from chainer_zoo.training.stopping import Stop
from chainer_zoo.training.updater import MicroBatchUpdater


@dataclasses.dataclass
class Assembly:
    """All that a run consists of.

    Attributes:
        trainer: runs it.
        stop: says when it is over.
        legacy_log: the original's records.
    """

    trainer: training.Trainer
    stop: Stop
    legacy_log: Log

    def require_consistent(self, settings: Settings, data: Dataset) -> None:
        """Check what was loaded from a snapshot against itself.

        Raises:
            UserError: it contradicts itself, or is of other data.
        """
        updater = self.trainer.updater
        done = (settings.start_epoch - 1) * _updates_per_epoch(settings, data) + updater.iteration
        drawn = updater.get_iterator('main').iteration
        if drawn != done:
            raise UserError(
                f'the snapshot is damaged: {drawn} batches were drawn for {done} updates'
            )
        _require_counts(self.legacy_log, data)


def assemble(
    settings: Settings,
    options: dict[str, Any],
    data: Dataset,
    device: chainer.backend.Device,
    folder: RunFolder,
    record: dict[str, Any],
    log: Log | None = None,
    resumed: bool = False,
) -> Assembly:
    """Put a run together. NumPy's generator and the noise's start from the run's seed.

    Args:
        settings: what the run is asked to do.
        options: all options of the model.
        data: the images.
        device: where to compute.
        folder: where everything goes.
        record: what identifies the run.
        log: the original's log to continue, if not None.
        resumed: whether a snapshot will bring all values.

    Returns:
        The run; nothing has been written.

    Raises:
        UserError: what was asked for cannot be done with these images, or in this memory.
    """
    np.random.seed(settings.seed)
    noise.generator.seed(settings.seed)
    draw_images = np.random.RandomState(settings.seed + 1)
    draw_batches = np.random.RandomState(settings.seed + 2)

    if log is None:
        model_repr = f'{settings.model}{options}'
        log = Log(range(options['n_class']), data.train_y, data.test_y, model_repr)
    _require_counts(log, data, options['n_class'])
    iterator = RandomBatches(len(data.train_x), settings.batch, draw_batches)
    iterator.iteration = (settings.start_epoch - 1) * _updates_per_epoch(settings, data)

    model = _make_model(settings, options, device, filled=not resumed)
    optimizer = make_optimizer(settings.recipe, model, settings.lr, settings.dtype == 'mixed16')
    images = ImagePipeline(
        settings.image_class(options), dtype=chainer.get_dtype(map_mixed16=np.float16)
    )
    updater = MicroBatchUpdater(
        iterator,
        optimizer,
        device.send(data.train_x),
        device.send(data.train_y),
        images,
        draw_images,
        settings.train_batch_divide,
    )
    seconds = None if settings.minutes is None else 60 * settings.minutes
    stop = Stop(settings.epoch, settings.iterations, seconds)
    trainer = training.Trainer(updater, stop, folder.path)
    label_names = _label_names(data, options['n_class'])
    evaluation = extensions.EvaluateModel(
        device.send(data.test_x),
        data.test_y,
        images,
        settings.batch // settings.test_batch_divide,
        label_names,
    )
    _add_learning_rate(trainer, settings, stop)
    _add_files(trainer, settings, options, folder, stop, evaluation, log)
    trainer.extend(Progress(_last_update(settings, data), label_names, seconds))
    trainer.extend(extensions.RandomState(draw_images))
    if settings.dtype == 'mixed16':
        trainer.extend(extensions.Mixed16State(optimizer))
    trainer.extend(extensions.Snapshots(record, stop, settings.snapshot_every, settings.keep))
    return Assembly(trainer, stop, log)


def _make_model(
    settings: Settings, options: dict[str, Any], device: chainer.backend.Device, filled: bool
) -> chainer.Chain:
    """Return the model on its device, started as the settings say, if it is to be filled at all."""
    drawn = filled and settings.load_model is None
    with initializers.using_rule(settings.init) if drawn else initializers.unfilled():
        model = settings.entry.build(**options)
    _require_memory(settings, options, model)
    if settings.load_model is not None:
        model_file.load(settings.load_model, model)
    model.to_device(device)
    return model


def _require_memory(settings: Settings, options: dict[str, Any], model: chainer.Chain) -> None:
    """Refuse a run whose momentum and images alone exceed the memory of a computer without GPU."""
    available = memory.available()
    if settings.gpu >= 0 or available is None:
        return
    size = SIZE_CLASSES[settings.image_class(options)]
    trained = settings.batch // settings.train_batch_divide * size.crop**2
    tested = settings.batch // settings.test_batch_divide * size.test**2
    floats = sum(param.size for param in model.params()) + 3 * max(trained, tested)
    needed = floats * np.dtype(np.float32).itemsize
    if needed > available:
        raise UserError(
            f'this run takes more than {memory.in_words(needed)} of memory and '
            f'{memory.in_words(available)} are free: choose a smaller batch (-b) or more '
            'micro-batches (-trb, -teb)'
        )


def _add_learning_rate(trainer: training.Trainer, settings: Settings, stop: Stop) -> None:
    recipe, lr = settings.recipe, settings.lr
    trainer.extend(extensions.ReportRate())
    trainer.extend(
        extensions.WholeSchedule(recipe, lr, stop)
        if settings.whole_schedule
        else extensions.Rate(recipe, lr)
    )


def _add_files(
    trainer: training.Trainer,
    settings: Settings,
    options: dict[str, Any],
    folder: RunFolder,
    stop: Stop,
    evaluation: extensions.EvaluateModel,
    log: Log,
) -> None:
    """Add what happens at the end of an epoch: test the model, write logs, plots and models."""
    end = stop.end_of_epoch
    log_report = extensions.LogReport(end)
    trainer.extend(evaluation, trigger=end)
    trainer.extend(log_report)
    trainer.extend(
        extensions.RunLog(log_report, log, evaluation, settings.train_batch_divide), trigger=end
    )
    trainer.extend(
        extensions.SaveModels(
            folder.models,
            lambda epoch: settings.entry.model_file(options, epoch),
            evaluation,
            settings.keep,
        ),
        trigger=end,
    )


def _require_counts(log: Log, data: Dataset, n_class: int | None = None) -> None:
    """Refuse a log of other data than the run's."""
    classes = len(log.history().categories) if n_class is None else n_class
    log.must_count(classes, len(data.train_y), len(data.test_y))


def _label_names(data: Dataset, n_class: int) -> tuple[str, ...]:
    """Return the names of the model's classes; it may have more than the data."""
    return data.label_names + tuple(f'class {i}' for i in range(len(data.label_names), n_class))


def _updates_per_epoch(settings: Settings, data: Dataset) -> int:
    return len(data.train_x) // settings.batch


def _last_update(settings: Settings, data: Dataset) -> int:
    epochs = settings.epoch - settings.start_epoch + 1
    updates = epochs * _updates_per_epoch(settings, data)
    return updates if settings.iterations is None else min(updates, settings.iterations)
