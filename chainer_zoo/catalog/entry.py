"""What a row of the catalog says: :class:`Entry`, its :class:`Option` s and :class:`Recipe`."""

from __future__ import annotations

import dataclasses
from typing import Any
from typing import Callable

import chainer

from chainer_zoo import initializers
from chainer_zoo import memory
from chainer_zoo.catalog.results import Result
from chainer_zoo.catalog.results import results_of
from chainer_zoo.data.images import SIZE_CLASSES
from chainer_zoo.errors import UserError
from chainer_zoo.memory import Budget
from chainer_zoo.records import shown

#: The optimizers that a recipe may name; each is one of Chainer's.
OPTIMIZERS = ('MomentumSGD', 'RMSprop')


@dataclasses.dataclass(frozen=True)
class Option:
    """One choice that a model leaves open.

    Attributes:
        name: keyword of the model class and long flag of the command line.
        default: the article's value.
        help: what it is, in the field's words.
        allowed: which values make sense, bounds included, in words that complete "must be ...".
        check: returns whether a value of the right type makes sense.
        flags: the original's flags for it, short and long.
        from_flag: turns the value of an original flag into the option's; None if they are the same.
    """

    name: str
    default: Any
    help: str
    allowed: str
    check: Callable[[Any], bool]
    flags: tuple[str, ...] = ()
    from_flag: Callable[[Any], Any] | None = None

    @property
    def type(self) -> type:
        """The type of its values."""
        return type(self.default)

    def allows(self, value: object) -> bool:
        """Return whether a value has the right type and makes sense."""
        kinds = (int, float) if self.type is float else self.type
        if not isinstance(value, kinds):
            return False
        if isinstance(value, bool) and self.type is not bool:  # Python counts True as 1
            return False
        return self.check(value)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How the article trains a model.

    Attributes:
        lr: learning rate after warm-up.
        epochs: number of epochs; each is int(N / batch) batches drawn at random from N images.
        batch: batch size, the images of one update.
        micro_batches: micro-batches that a batch is split into. Their gradients are summed; batch
            normalization sees one at a time.
        weight_decay: added to every gradient as weight_decay * parameter.
        drop_after: the learning rate drops after each of these epochs.
        drop_every: the learning rate drops after every so many epochs, if not 0.
        divide_by: at a drop the learning rate is divided by this...
        times: ...and multiplied by this.
        warm_up: learning rate of the first epoch, if not None.
        optimizer: name of Chainer's optimizer, one of :data:`OPTIMIZERS`.
        momentum: of MomentumSGD.
        rms_decay: RMSprop's decay of the mean square gradient.
        rms_epsilon: RMSprop's epsilon, added to the mean square inside the root.
        clip: largest L2 norm of all gradients together, after weight decay, if not None.
        skip_dropped: leave a parameter alone in an update in which it has no gradient.
        alpha_lr: learning rate of the parameters that the model's ``alphas()`` yields, if not None.
        source: where this comes from, if not from the original's code.

    Raises:
        ValueError: an optimizer that is not known, or whose constants are missing.
    """

    lr: float
    epochs: int
    batch: int = 128
    micro_batches: int = 4
    weight_decay: float = 1e-4
    drop_after: tuple[int, ...] = ()
    drop_every: int = 0
    divide_by: float = 10
    times: float = 1
    warm_up: float | None = None
    optimizer: str = 'MomentumSGD'
    momentum: float = 0.9
    rms_decay: float | None = None
    rms_epsilon: float | None = None
    clip: float | None = None
    skip_dropped: bool = False
    alpha_lr: float | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(
                f'the optimizer must be {" or ".join(OPTIMIZERS)}, not {self.optimizer!r}'
            )
        constants = (self.rms_decay, self.rms_epsilon)
        if self.optimizer == 'RMSprop':
            if None in constants:
                raise ValueError('RMSprop needs rms_decay and rms_epsilon')
            if self.skip_dropped:
                raise ValueError('skip_dropped is for MomentumSGD only')
        elif constants != (None, None):
            raise ValueError('rms_decay and rms_epsilon are for RMSprop only')

    def lr_at(self, epoch: int, lr: float | None = None) -> float:
        """Return the learning rate of an epoch.

        Args:
            epoch: from 1 on.
            lr: the learning rate to start from, if not the recipe's.

        Returns:
            The learning rate, by the same divisions and products in the same order as the original.
        """
        if epoch < 1:
            raise ValueError(f'epochs count from 1, not {epoch}')
        if self.warm_up is not None and epoch == 1:
            return self.warm_up
        rate = self.lr if lr is None else lr
        for over in range(1, epoch):
            if over in self.drop_after or (self.drop_every and over % self.drop_every == 0):
                rate = rate / self.divide_by * self.times
        return rate

    def alpha_lr_at(self, epoch: int) -> float:
        """Return the learning rate of the model's alphas, which drops as the other one does."""
        return self.lr_at(epoch, self.alpha_lr)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One row of the article.

    Attributes:
        name: what the command line calls the model.
        number: the paper's number in the article.
        date: the paper's first version, YYYY-MM-DD.
        paper: its title.
        arxiv: its number on arXiv.
        row: what the row is called in the article's table.
        model: the Chain's class.
        recipe: how it is trained.
        images: size class of the images, a name or a function of the options.
        options: what can be chosen, apart from ``n_class``.
        averaged_by: the option with which the model samples in test mode, and gives the average
            of the samples' probabilities instead of logits; None if it has none.
        original: repository of the original code, or None.
        commit: its last state, which "as the original" refers to, or None.
        original_module: module of the original's class, by which its logs name the model, or None.
        file_stem: takes all options as keywords and returns what the original calls its model
            files, without the epoch.
        weights: the article's count for the options' defaults, as the original's code returns it
            (W of convolutions and linear layers), or None where there is no original code.
        article_millions: that count as the article prints it, or None.
        paper_accuracy: on CIFAR-10, in percent, or None.
        paper_note: what the paper's figure belongs to, if not to this very model.
        article_note: what the article's figure belongs to, if not to this very model.
        status: what the article says of its result.
        top5_error: on ImageNet, in percent, as the article prints it, or None.
        note: what a reader should know about the figures.
    """

    name: str
    number: int
    date: str
    paper: str
    arxiv: str
    row: str
    model: type[chainer.Chain]
    recipe: Recipe
    images: str | Callable[[dict[str, Any]], str] = 'small'
    options: tuple[Option, ...] = ()
    averaged_by: str | None = None
    original: str | None = None
    commit: str | None = None
    original_module: str | None = None
    file_stem: Callable[..., str] | None = None
    weights: int | None = None
    article_millions: float | None = None
    paper_accuracy: float | None = None
    paper_note: str = ''
    article_note: str = ''
    status: str = ''
    top5_error: str | None = None
    note: str = ''

    @property
    def defaults(self) -> dict[str, Any]:
        """The options' defaults by name."""
        return {option.name: option.default for option in self.options}

    def gives_probabilities(self, options: dict[str, Any]) -> bool:
        """Return whether the model gives probabilities in test mode, not logits.

        Args:
            options: completed options.
        """
        return self.averaged_by is not None and options[self.averaged_by]

    @property
    def results(self) -> tuple[Result, ...]:
        """What the original published of this model, in the order of the dates."""
        return results_of(self.name)

    @property
    def article_result(self) -> Result | None:
        """The result that the article prints, or None."""
        return next((result for result in self.results if result.in_article), None)

    @property
    def article_accuracy(self) -> float | None:
        """On CIFAR-10, in percent, as the article prints it, or None."""
        result = self.article_result
        return None if result is None else result.accuracy

    def result(self, figure: str | None = None) -> Result:
        """Return a published result.

        Args:
            figure: the accuracy in percent, as it was printed; the article's result if None.

        Raises:
            UserError: nothing was published of this model, or no such figure.
        """
        if not self.results:
            raise UserError(f'the original published no accuracy of {self.name}')
        if figure is None:
            figure = next(result.figure for result in self.results if result.in_article)
        for result in self.results:
            if result.figure == figure:
                return result
        known = ', '.join(result.figure for result in self.results)
        raise UserError(f'{self.name} has no figure {shown(figure)}; its figures are {known}')

    @property
    def year(self) -> int:
        """The year of the paper's first version."""
        return int(self.date[:4])

    def complete(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return all options, checked: those given, and the others' defaults.

        Args:
            options: values by option name; ``n_class`` may be among them.

        Returns:
            Every option's value.

        Raises:
            UserError: an option that the model lacks, or a value that makes no sense.
        """
        known = {option.name: option for option in (N_CLASS,) + self.options}
        for name, value in options.items():
            if name not in known:
                raise UserError(
                    f'{self.name} has no option {name}; it has {", ".join(sorted(known))}'
                )
            if not known[name].allows(value):
                raise UserError(
                    f'{self.name}: {name} must be {known[name].allowed}, not {shown(value)}'
                )
        return {name: options.get(name, option.default) for name, option in known.items()}

    def build(self, **options: Any) -> chainer.Chain:
        """Return the model; see :func:`chainer_zoo.build`.

        Raises:
            UserError: an option that makes no sense, or a model that the memory cannot hold.
        """
        options = self.complete(options)
        budget = Budget(f'{self.name} of these options', memory.available())
        with initializers.outline(budget):  # before anything large is allocated
            self.model(**options)
        try:
            return self.model(**options)
        except MemoryError as e:
            raise UserError(
                f'{budget.what} takes more memory than the system gives: choose a smaller one'
            ) from e

    def image_class(self, options: dict[str, Any], images: str = 'original') -> str:
        """Return the size class of the images.

        Args:
            options: all options of the model.
            images: ``original``; or ``article``, as the original prepared them until 2016-10-31.

        Raises:
            UserError: there is no older way of preparing images of this size.
        """
        name = self.images(options) if callable(self.images) else self.images
        if images == 'original':
            return name
        if f'{name}-article' not in SIZE_CLASSES:
            raise UserError(
                f'--images article: the images of {self.name}, of the class {name}, were prepared '
                'in one way only; leave it out'
            )
        return f'{name}-article'

    def model_file(self, options: dict[str, Any], epoch: int) -> str:
        """Return the file name that the original gives the model after ``epoch``."""
        if self.file_stem is None:
            stem = f'{self.name}_{options["n_class"]}'
        else:
            stem = self.file_stem(**options)
        return f'{stem}_{epoch}.model'


_MOST_CLASSES = 100_000
N_CLASS = Option(
    'n_class',
    10,
    'number of classes',
    f'a whole number from 1 to {_MOST_CLASSES:,}',
    lambda n: 1 <= n <= _MOST_CLASSES,
)
