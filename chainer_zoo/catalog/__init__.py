"""The catalog: what there is to know about each row of the article, and how to build its model.

One :class:`Entry` per row, in ``rows.py``, is the only place where a model's name, paper, options,
recipe and published figures stand. Flags, tables and tests are made from it.
"""

import difflib

from chainer_zoo.catalog.entry import Entry
from chainer_zoo.catalog.entry import N_CLASS
from chainer_zoo.catalog.entry import Option
from chainer_zoo.catalog.entry import Recipe
from chainer_zoo.catalog.rows import ENTRIES
from chainer_zoo.errors import UserError

__all__ = ['Entry', 'N_CLASS', 'Option', 'Recipe', 'build', 'entry', 'names']


def names():
    """Return the names of all models, in the article's order."""
    return list(ENTRIES)


def entry(name):
    """Return the :class:`Entry` of a model.

    Args:
        name (str): one of :func:`names`.

    Raises:
        UserError: there is no such model; the message names the closest ones.
    """
    if name not in ENTRIES:
        close = difflib.get_close_matches(name, ENTRIES, n=3, cutoff=0.5)
        raise UserError(
            'there is no model {!r}; {}'.format(
                name,
                'did you mean {}?'.format(' or '.join(close))
                if close
                else 'the models are {}'.format(' '.join(ENTRIES)),
            )
        )
    return ENTRIES[name]


def build(name, n_class=10, **options):
    """Build a model with the article's initialization.

    Args:
        name (str): one of :func:`names`.
        n_class (int): number of classes.
        options: the model's own, see its entry.

    Returns:
        chainer.Chain: takes float32 images (B, 3, H, W), gives float32 logits (B, n_class).

    Raises:
        UserError: an unknown model or option, or a value that makes no sense.
    """
    return entry(name).build(n_class=n_class, **options)
