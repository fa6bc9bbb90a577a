"""What a training run is asked to do."""

from __future__ import annotations

import dataclasses
import numbers
import os
from typing import Any

from chainer_zoo import catalog
from chainer_zoo import initializers
from chainer_zoo.errors import UserError
from chainer_zoo.records import shown

#: Upper bounds of numbers: far beyond use, and small enough to count to.
MOST = 10**9  # images, updates, files
LARGEST_BATCH = 10**6
LAST_EPOCH = 10**5
LARGEST_LR = 1e30
LARGEST_SEED = 2**32 - 3  # a run has three generators, with this seed and the two after it
LAST_GPU = 255
LONGEST_RUN = 1e7  # minutes, which is 19 years

DATASETS = ('cifar10', 'shapes', 'auto')
CPU_ENGINES = ('auto', 'onednn', 'numpy')
DTYPES = ('float32', 'mixed16')
IMAGES = ('original', 'article')
INITS = tuple(initializers.RULES)
LARGEST_DECAY = 1e6

_OF_RECIPE: Any = None  # stands for the value of the model's recipe
_CHOICES = {
    'dataset': DATASETS,
    'cpu': CPU_ENGINES,
    'dtype': DTYPES,
    'images': IMAGES,
    'init': INITS,
}
_PATHS = {
    'out': '--out',
    'data': '--data',
    'load_model': '-m',
    'load_log': '-l',
    'load_optimizer': '-o',
    'resume': '--resume',
}


@dataclasses.dataclass(frozen=True)
class _Number:
    """What a number may be.

    Attributes:
        flag: what messages call it, as on the command line.
        least: the least that is allowed.
        most: the largest that is allowed.
        whole: whether it must be a whole number.
        optional: whether it may be None.
        above: whether it must be larger than ``least``.
    """

    flag: str
    least: int
    most: float
    whole: bool = True
    optional: bool = False
    above: bool = False

    def check(self, value: object) -> None:
        """Raise UserError unless ``value`` is such a number."""
        if value is None and self.optional:
            return
        kind = numbers.Integral if self.whole else numbers.Real
        right = isinstance(value, kind) and not isinstance(value, bool)
        if self.whole:
            if not right or not self.least <= value <= self.most:  # type: ignore[operator]
                raise UserError(
                    f'{self.flag} must be a whole number from {self.least} to {self.most:,}, '
                    f'not {shown(value)}'
                )
            return
        in_bounds = right and self.least <= value <= self.most  # type: ignore[operator]
        if not in_bounds or (self.above and value == self.least):
            least = 'larger than' if self.above else 'of at least'
            raise UserError(
                f'{self.flag} must be a number {least} {self.least} and at most {self.most:g}, '
                f'not {shown(value)}'
            )


_NUMBERS = {
    'batch': _Number('-b', 1, LARGEST_BATCH),
    'epoch': _Number('-e', 1, LAST_EPOCH),
    'start_epoch': _Number('-s', 1, LAST_EPOCH),
    'lr': _Number('-lr', 0, LARGEST_LR, whole=False, above=True),
    'weight_decay': _Number('--weight_decay', 0, LARGEST_DECAY, whole=False),
    'train_batch_divide': _Number('-trb', 1, LARGEST_BATCH),
    'test_batch_divide': _Number('-teb', 1, LARGEST_BATCH),
    'seed': _Number('--seed', 0, LARGEST_SEED),
    'iterations': _Number('--iterations', 1, MOST, optional=True),
    'minutes': _Number('--minutes', 0, LONGEST_RUN, whole=False, optional=True, above=True),
    'gpu': _Number('-g', -1, LAST_GPU),
    'limit_train': _Number('--limit_train', 1, MOST, optional=True),
    'limit_test': _Number('--limit_test', 1, MOST, optional=True),
    'keep': _Number('--keep', 1, MOST),
    'snapshot_every': _Number('--snapshot_every', 0, MOST),
}


@dataclasses.dataclass
class Settings:
    """What a training run is asked to do.

    The fields are called as the flags of ``train_cifar10.py``. Where a default is said to be the
    recipe's, it is that of the original's last state, or that of a published figure if ``figure``
    names one.

    Attributes:
        model: one of :func:`chainer_zoo.names`.
        options: the model's own, by name; ``n_class`` may be among them and is the number of the
            data's classes if not.
        figure: a published accuracy in percent, as it was printed, like ``'93.77'``: options,
            recipe, images and initialization are then those that it was measured with, where they
            are not given; None: those of the original's last state.
        batch: batch size (default: the recipe's).
        epoch: the last epoch, from 1 on (default: the recipe's number of epochs).
        start_epoch: the first epoch, whose learning rate the run starts with.
        lr: the learning rate that the schedule starts from (default: the recipe's).
        weight_decay: added to every gradient as weight_decay * parameter (default: the recipe's).
        train_batch_divide: micro-batches of a batch: their gradients are summed, and batch
            normalization sees one at a time (default: the recipe's).
        test_batch_divide: testing takes batch / test_batch_divide images at a time, which bounds
            the memory (default: the recipe's micro-batches).
        init: the rule that weights start by, a key of :data:`chainer_zoo.initializers.RULES`
            (default: ``per_channel``, or the figure's).
        images: how images are prepared: ``original``; or ``article``: as the original did until
            2016-10-31, when some figures were measured (default: ``original``, or the figure's).
        seed: the same seed gives the same numbers.
        iterations: stop after so many updates, if not None.
        minutes: stop after so many minutes, if not None.
        whole_schedule: go through the recipe's whole schedule of learning rates by the end that
            ``iterations`` or ``minutes`` set.
        dtype: ``float32``; or ``mixed16``: float16 with float32 parameters and loss scaling.
        gpu: number of the GPU; -1 is the CPU.
        cpu: what computes on a CPU: ``onednn``, ``numpy``, or ``auto``: oneDNN where it loads.
        dataset: ``cifar10``, ``shapes`` (drawn, without a network) or ``auto``: shapes where there
            is no copy of CIFAR-10.
        data: where CIFAR-10 is; None: a copy in Chainer's dataset folder, else a download.
        limit_train: only the first so many training images, if not None.
        limit_test: only the first so many test images, if not None.
        out: the folder of the run's files (default: ``results/`` and the model's name).
        load_model: model file to start from, if not None.
        load_log: an original ``log.json`` to continue, if not None.
        load_optimizer: as the original, accepted and not read.
        resume: True: go on from the newest snapshot in ``out``; a path: from that snapshot.
        keep: snapshots and models to keep, beside the best model.
        snapshot_every: also take a snapshot after every so many updates, if not 0.

    Raises:
        UserError: a value that makes no sense, or values that do not go together.
    """

    model: str = 'resnext'
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    figure: str | None = None
    batch: int = _OF_RECIPE
    epoch: int = _OF_RECIPE
    start_epoch: int = 1
    lr: float = _OF_RECIPE
    weight_decay: float = _OF_RECIPE
    train_batch_divide: int = _OF_RECIPE
    test_batch_divide: int = _OF_RECIPE
    init: str = _OF_RECIPE
    images: str = _OF_RECIPE
    seed: int = 0
    iterations: int | None = None
    minutes: float | None = None
    whole_schedule: bool = False
    dtype: str = 'float32'
    gpu: int = -1
    cpu: str = 'auto'
    dataset: str = 'cifar10'
    data: str | None = None
    limit_train: int | None = None
    limit_test: int | None = None
    out: str = _OF_RECIPE
    load_model: str | None = None
    load_log: str | None = None
    load_optimizer: str | None = None
    resume: bool | str = False
    keep: int = 2
    snapshot_every: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.options, dict):
            raise UserError(f'options must be a dict by name, not {shown(self.options)}')
        recipe, result = self.entry.recipe, self.result
        if result is not None:
            recipe = result.of(recipe)
            self.options = {**result.options, **self.options}
        defaults = {
            'batch': recipe.batch,
            'epoch': recipe.epochs,
            'lr': recipe.lr,
            'weight_decay': recipe.weight_decay,
            'train_batch_divide': recipe.micro_batches,
            'test_batch_divide': recipe.micro_batches,
            'init': 'per_channel' if result is None else result.init,
            'images': 'original' if result is None else result.images,
            'out': f'results/{self.model}',
        }
        for name, value in defaults.items():
            if getattr(self, name) is None:
                setattr(self, name, value)
        self._check_values()
        self._check_combinations()

    @property
    def entry(self) -> catalog.Entry:
        """The model's entry in the catalog."""
        return catalog.entry(self.model)

    @property
    def result(self) -> catalog.Result | None:
        """The published result that :attr:`figure` names, or None."""
        return None if self.figure is None else self.entry.result(self.figure)

    @property
    def recipe(self) -> catalog.Recipe:
        """How the run trains; batch, epochs and learning rate are in fields of their own."""
        recipe = self.entry.recipe
        if self.result is not None:
            recipe = self.result.of(recipe)
        return dataclasses.replace(recipe, weight_decay=self.weight_decay)

    def image_class(self, options: dict[str, Any]) -> str:
        """Return the size class of the images for the model's completed options.

        Raises:
            UserError: there is no older way of preparing images of this size.
        """
        return self.entry.image_class(options, self.images)

    def _check_values(self) -> None:
        self.entry.complete(self.options)
        for name, number in _NUMBERS.items():
            value = getattr(self, name)
            number.check(value)
            if value is not None:  # NumPy's numbers are no JSON
                setattr(self, name, int(value) if number.whole else float(value))
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise UserError(
                    f'--{name} must be one of {", ".join(choices)}, '
                    f'not {shown(getattr(self, name))}'
                )
        for name, flag in _PATHS.items():
            setattr(self, name, _path(flag, getattr(self, name)))

    def _check_combinations(self) -> None:
        for flag, divide in (('-trb', self.train_batch_divide), ('-teb', self.test_batch_divide)):
            if divide > self.batch:
                raise UserError(f'{flag} {divide} is more than the {self.batch} images of a batch')
        self.image_class(self.entry.complete(self.options))
        if self.start_epoch > self.epoch:
            raise UserError(f'-s {self.start_epoch} comes after the last epoch, -e {self.epoch}')
        if self.whole_schedule and self.iterations is None and self.minutes is None:
            raise UserError(
                '--whole_schedule must know when the run ends: give --iterations or --minutes'
            )
        if self.resume and self.load_model is not None:
            raise UserError('--resume brings its own weights: leave out -m')


def _path(flag: str, value: object) -> Any:
    """Return a path as str; None, and True and False of ``--resume``, stay what they are."""
    if value is None or (flag == '--resume' and isinstance(value, bool)):
        return value
    try:
        path = os.fsdecode(value)  # type: ignore[arg-type]
    except TypeError:
        raise UserError(f'{flag} must be a path, not {shown(value)}') from None
    if not path or '\0' in path:
        raise UserError(f'{flag} must be a path, not {shown(path)}')
    return path
