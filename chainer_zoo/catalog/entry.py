"""What a row of the catalog says: :class:`Entry`, with its :class:`Option` s and :class:`Recipe`."""

import dataclasses
from typing import Any
from typing import Callable
from typing import Optional

import chainer

from chainer_zoo.errors import UserError


@dataclasses.dataclass(frozen=True)
class Option:
    """One choice that a model leaves open.

    Attributes:
        name: keyword of the model class and long flag of the command line.
        default: the article's value.
        help: what it is, in the field's words.
        allowed: which values make sense, in words that complete "must be ...".
        check: returns whether a value makes sense.
        flags: the original's flags for it, short and long.
        from_flag: turns the value of an original flag into the option's; None if they are the same.
    """

    name: str
    default: Any
    help: str
    allowed: str
    check: Callable[[Any], bool]
    flags: tuple[str, ...] = ()
    from_flag: Optional[Callable[[Any], Any]] = None

    @property
    def type(self):
        return type(self.default)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How the article trains a model.

    Attributes:
        lr: learning rate after warm-up.
        epochs: how many epochs (fact: int(N / batch) random batches each).
        batch: images per update.
        divide: parts into which a batch is split; gradients are summed, BN sees one part.
        weight_decay: added to every gradient as weight_decay * parameter.
        drop_after: the rate drops once each of these epochs is over.
        drop_every: the rate drops each time so many epochs are over, if not 0.
        divide_by, times: at a drop the rate is divided by the one and multiplied by the other.
        warm_up: the rate of the first epoch, if not None.
        optimizer: name of Chainer's optimizer.
        momentum: of MomentumSGD.
        clip: largest L2 norm of all gradients together, after weight decay, if not None.
        skip_dropped: leave a parameter alone in an update in which it has no gradient.
        alpha_lr: rate of the (1, 1, 1, 1) weights of weighted residuals, if not None.
        source: where this comes from, if not from the original's code.
    """

    lr: float
    epochs: int
    batch: int = 128
    divide: int = 4
    weight_decay: float = 1e-4
    drop_after: tuple[int, ...] = ()
    drop_every: int = 0
    divide_by: float = 10
    times: float = 1
    warm_up: Optional[float] = None
    optimizer: str = 'MomentumSGD'
    momentum: float = 0.9
    clip: Optional[float] = None
    skip_dropped: bool = False
    alpha_lr: Optional[float] = None
    source: Optional[str] = None

    def lr_at(self, epoch, lr=None):
        """Return the learning rate of an epoch.

        Args:
            epoch (int): from 1 on.
            lr (float): the rate to start from, if not the recipe's.

        Returns:
            float: the rate, by the same divisions and products in the same order as the original.
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

    def alpha_lr_at(self, epoch):
        """Return the rate of the weights of weighted residuals: it drops as the other does."""
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
        original: repository of the original code, or None.
        file_stem: function of all options: what the original calls its model files.
        weights: the article's count for the options' defaults, as the original's code returns it
            (W of convolutions and linear layers), or None where there is no original code.
        article_millions: that count as the article prints it, or None.
        paper_accuracy, article_accuracy: on CIFAR-10, in percent, or None.
        paper_note, article_note: what the figure belongs to, if not to this very model.
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
    images: Any = 'small'
    options: tuple[Option, ...] = ()
    original: Optional[str] = None
    file_stem: Optional[Callable[[dict[str, Any]], str]] = None
    weights: Optional[int] = None
    article_millions: Optional[float] = None
    paper_accuracy: Optional[float] = None
    paper_note: str = ''
    article_accuracy: Optional[float] = None
    article_note: str = ''
    status: str = ''
    top5_error: Optional[str] = None
    note: str = ''

    @property
    def defaults(self):
        """Dict of the options' defaults."""
        return {option.name: option.default for option in self.options}

    @property
    def year(self):
        return int(self.date[:4])

    def complete(self, options):
        """Return all options, checked: those given, and the others' defaults.

        Args:
            options (dict): values by option name; ``n_class`` may be among them.

        Returns:
            dict: every option's value.

        Raises:
            UserError: an option that the model lacks, or a value that makes no sense.
        """
        known = {option.name: option for option in (N_CLASS,) + self.options}
        for name, value in options.items():
            if name not in known:
                raise UserError(
                    '{} has no option {}; it has {}'.format(
                        self.name, name, ', '.join(sorted(known))
                    )
                )
            option = known[name]
            right = isinstance(value, option.type) and (
                option.type is bool or not isinstance(value, bool)
            )
            if not right or not option.check(value):
                raise UserError(f'{self.name}: {name} must be {option.allowed}, not {value!r}')
        return dict({name: option.default for name, option in known.items()}, **options)

    def build(self, **options):
        """Return the model, a :class:`chainer.Chain`; see :func:`build`."""
        return self.model(**self.complete(options))

    def image_class(self, options):
        """Return the size class of the images for completed ``options``."""
        return self.images(options) if callable(self.images) else self.images

    def model_file(self, options, epoch):
        """Return the file name that the original gives the model after ``epoch``."""
        stem = (
            self.file_stem(options)
            if self.file_stem
            else '{}_{}'.format(self.name, options['n_class'])
        )
        return f'{stem}_{epoch}.model'


N_CLASS = Option(
    'n_class', 10, 'number of classes', 'a whole number of at least 1', lambda n: n >= 1
)
