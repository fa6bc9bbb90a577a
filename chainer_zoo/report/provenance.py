"""What a published accuracy was measured with, in words."""

from __future__ import annotations

from typing import NamedTuple

from chainer_zoo import initializers
from chainer_zoo.catalog import Doubt
from chainer_zoo.catalog import Entry
from chainer_zoo.catalog import Recipe
from chainer_zoo.catalog import Result
from chainer_zoo.data.images import SIZE_CLASSES


class Fact(NamedTuple):
    """One thing that a result was measured with.

    Attributes:
        what: as ``'learning rate'``.
        value: in words.
        doubt: why it is not certain, or None.
    """

    what: str
    value: str
    doubt: Doubt | None

    def __str__(self) -> str:
        text = f'{self.what}: {self.value}'
        return text if self.doubt is None else f'{text} ({self.doubt.certainty}: {self.doubt.why})'


def headline(entry: Entry, result: Result) -> str:
    """Return what a result is and where it comes from, in one sentence."""
    whose = "the article's" if result.in_article else 'not in the article'
    epochs = result.of(entry.recipe).epochs
    return (
        f'{entry.name} {result.figure}% ({whose}): the best of {epochs} epochs on the test images, '
        f'epoch {result.epoch} ({result.epoch_from}); nutszebra/{entry.original} at '
        f'{result.commits["result"]}, {result.date}'
    )


def facts(entry: Entry, result: Result) -> list[Fact]:
    """Return what a result was measured with, all that a run can be given."""
    recipe = result.of(entry.recipe)
    options = entry.complete(dict(result.options))
    commits = ', '.join(
        f'{what} {commit}' for what, commit in result.commits.items() if what != 'result'
    )
    values = {
        'accuracy': f'{result.figure}%',
        'options': ', '.join(f'{option.name}={options[option.name]}' for option in entry.options),
        'learning rate': f'{recipe.lr:g}',
        'schedule': schedule(recipe),
        'optimizer': f'{recipe.optimizer}, momentum {recipe.momentum:g}',
        'weight decay': f'{recipe.weight_decay:g}' if recipe.weight_decay else 'none',
        'clipping': 'none' if recipe.clip is None else f'L2 norm {recipe.clip:g}',
        'batch': str(recipe.batch),
        'micro-batches': f'{recipe.micro_batches}, so BN sees {_seen(recipe)} images',
        'epochs': str(recipe.epochs),
        'images': _images(entry.image_class(options, result.images)),
        'initialization': f'{result.init}: {initializers.RULES[result.init]}',
        'code': commits,
        'trainer': result.commits['trainer'],
    }
    shown = {'accuracy', 'trainer'}  # only where there is a doubt
    return [
        Fact(what, value, result.doubt(what))
        for what, value in values.items()
        if value and (what not in shown or result.doubt(what) is not None)
    ]


def schedule(recipe: Recipe) -> str:
    """Return how the learning rate of a recipe changes, in words."""
    if recipe.divide_by != 1:
        change = f'divided by {recipe.divide_by:g}'
    else:
        change = f'times {recipe.times:g}'
    parts = [] if recipe.warm_up is None else [f'{recipe.warm_up:g} in epoch 1']
    if recipe.drop_after:
        parts.append(f'{change} after epochs {", ".join(map(str, recipe.drop_after))}')
    if recipe.drop_every:
        parts.append(f'{change} after every {recipe.drop_every} epochs')
    return '; '.join(parts) or 'constant'


def _seen(recipe: Recipe) -> str:
    size, rest = divmod(recipe.batch, recipe.micro_batches)
    return str(size) if not rest else f'about {size}'


def _images(name: str) -> str:
    sizes = SIZE_CLASSES[name]
    return (
        f'resized to {sizes.low} to {sizes.high} pixels and cropped to {sizes.crop}, tested at '
        f'{sizes.test}, {sizes.variance_floor:g} added to the variance'
    )
