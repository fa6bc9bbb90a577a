"""The catalog: what there is to know about each row of the article, and how to build its model.

One :class:`Entry` per row, in ``rows.py``, is the only place where a model's name, paper, options,
recipe and published figures stand. Flags, tables and tests are made from it.
"""

from __future__ import annotations

import difflib
from typing import Any

import chainer

from chainer_zoo.catalog.entry import Entry
from chainer_zoo.catalog.entry import N_CLASS
from chainer_zoo.catalog.entry import Option
from chainer_zoo.catalog.entry import Recipe
from chainer_zoo.catalog.results import Doubt
from chainer_zoo.catalog.results import Result
from chainer_zoo.catalog.rows import ENTRIES
from chainer_zoo.errors import UserError
from chainer_zoo.records import shown

__all__ = [
    'Doubt',
    'Entry',
    'N_CLASS',
    'Option',
    'Recipe',
    'Result',
    'build',
    'entry',
    'names',
]


def names() -> list[str]:
    """Return the names of all models, in the article's order."""
    return list(ENTRIES)


def entry(name: str) -> Entry:
    """Return the :class:`Entry` of a model.

    Args:
        name: one of :func:`names`.

    Raises:
        UserError: there is no such model; the message names the closest ones.
    """
    if isinstance(name, str) and name in ENTRIES:
        return ENTRIES[name]
    close = difflib.get_close_matches(str(name)[:100], ENTRIES, n=3, cutoff=0.5)
    if close:
        advice = f'did you mean {" or ".join(close)}?'
    else:
        advice = f'the models are {" ".join(ENTRIES)}'
    raise UserError(f'there is no model {shown(name)}; {advice}')


def build(name: str, n_class: int = 10, **options: Any) -> chainer.Chain:
    """Build a model with the article's initialization.

    Args:
        name: one of :func:`names`.
        n_class: number of classes.
        options: the model's own, see its entry.

    Returns:
        The model. It takes float32 images (B, 3, H, W) and gives float32 logits (B, n_class).

    Raises:
        UserError: an unknown model or option, or a value that makes no sense.
    """
    return entry(name).build(n_class=n_class, **options)
