"""How each published figure came about: ``results.json``, read and checked.

The figures are those of the article and of the original repositories' READMEs and commit messages.
What they were measured with was read from the repositories' histories, their plots and their
READMEs. A :class:`Result` says only what differs from its row of the catalog, which follows the
repository's last state; the rest is as there.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any
from typing import TypeVar

FILE = pathlib.Path(__file__).with_suffix('.json')

CERTAINTIES = ('likely', 'unclear')

_Recipe = TypeVar('_Recipe')


@dataclasses.dataclass(frozen=True)
class Doubt:
    """What is not certain about a result.

    Attributes:
        about: what it is about, as ``'learning rate'``.
        certainty: one of :data:`CERTAINTIES`.
        why: the reason, with what speaks for another value.

    Raises:
        ValueError: another certainty, or no reason.
    """

    about: str
    certainty: str
    why: str

    def __post_init__(self) -> None:
        if self.certainty not in CERTAINTIES:
            raise ValueError(f'must be {" or ".join(CERTAINTIES)}, not {self.certainty!r}')
        if not self.about or not self.why:
            raise ValueError('a doubt needs what it is about, and why')


@dataclasses.dataclass(frozen=True)
class Result:
    """A published accuracy on CIFAR-10, and what it was measured with.

    It is always the best epoch's accuracy on the test images: choosing by them flatters it.

    Attributes:
        model: the catalog's name of the model.
        figure: the accuracy in percent, as it was printed; names the result among its model's.
        accuracy: the accuracy as a number, in percent.
        epoch: the epoch that it was reached in, counted from 1.
        epoch_from: where that epoch is known from.
        date: of the commit that brought the result, YYYY-MM-DD.
        commits: short hashes by what they are commits of: ``result``, ``model``, ``main`` and
            ``optimizer`` in the model's repository, ``trainer`` in nutszebra/trainer.
        in_article: whether the article prints it.
        options: the model's options, where they are not the row's defaults.
        recipe: fields of the recipe, where they are not the row's.
        images: ``'article'`` for the crops of before 2016-10-31, else ``'original'``.
        init: the rule of initialization, a key of :data:`chainer_zoo.initializers.RULES`.
        doubts: what is not certain; the rest is.
        note: what else a reader should know.
    """

    model: str
    figure: str
    accuracy: float
    epoch: int
    epoch_from: str
    date: str
    commits: Mapping[str, str]
    in_article: bool = False
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    recipe: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    images: str = 'original'
    init: str = 'per_channel'
    doubts: tuple[Doubt, ...] = ()
    note: str = ''

    def doubt(self, about: str) -> Doubt | None:
        """Return what is not certain about something, or None."""
        return next((doubt for doubt in self.doubts if doubt.about == about), None)

    def of(self, recipe: _Recipe) -> _Recipe:
        """Return the recipe that this result was trained with.

        Args:
            recipe: the row's, a :class:`~chainer_zoo.catalog.Recipe`.
        """
        return dataclasses.replace(recipe, **self.recipe)  # type: ignore[type-var]


@dataclasses.dataclass(frozen=True)
class ConvertedResult:
    """Errors on ImageNet of weights that the original converted from Torch; it trained nothing.

    Attributes:
        model: the catalog's name of the model.
        options: which network it is, in words.
        top1_error: in percent, as the original measured it.
        top5_error: likewise.
        original_top1_error: in percent, as the weights' authors give it.
        original_top5_error: likewise.
        commit: of the README that prints them.
    """

    model: str
    options: str
    top1_error: float
    top5_error: float
    original_top1_error: float
    original_top5_error: float
    commit: str


def _result(record: dict[str, Any]) -> Result:
    record = dict(record)
    record['doubts'] = tuple(
        Doubt(about, *rest) for about, rest in record.get('doubts', {}).items()
    )
    record['recipe'] = {
        # a recipe is hashable, so its sequences are tuples
        field: tuple(value) if isinstance(value, list) else value
        for field, value in record.get('recipe', {}).items()
    }
    return Result(**record)


def _read() -> tuple[dict[str, tuple[Result, ...]], tuple[ConvertedResult, ...]]:
    with open(FILE, encoding='utf-8') as file:
        records = json.load(file)
    by_model = collections.defaultdict(list)
    for record in records['cifar10']:
        by_model[record['model']].append(_result(record))
    return (
        {model: tuple(results) for model, results in by_model.items()},
        tuple(ConvertedResult(**record) for record in records['imagenet']),
    )


_RESULTS, CONVERTED = _read()


def results_of(model: str) -> tuple[Result, ...]:
    """Return the published results of a model in the order of their dates; often there is one."""
    return _RESULTS.get(model, ())
