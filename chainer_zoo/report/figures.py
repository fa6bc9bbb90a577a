"""The original's published accuracies: what each was measured with, one line each."""

from __future__ import annotations

from typing import Any

from chainer_zoo import catalog
from chainer_zoo.catalog import Entry
from chainer_zoo.catalog import Result
from chainer_zoo.report import provenance
from chainer_zoo.report import table

_HEADER = (
    'model',
    'figure %',
    'in the article',
    'best epoch',
    'date',
    'commit',
    "other than the original's last state",
    'only likely or unclear',
    'how to run it',
)


def render(style: str) -> str:
    """Return the table of all published accuracies.

    Args:
        style: ``text``, ``csv`` or ``markdown``.
    """
    results = [
        (catalog.entry(name), result)
        for name in catalog.names()
        for result in catalog.entry(name).results
    ]
    rows = [list(_cells(entry, result, style)) for entry, result in results]
    return table.render(_HEADER, rows, style, ('figure %', 'best epoch'))


def _cells(entry: Entry, result: Result, style: str) -> list[Any]:
    code = '`{}`' if style == 'markdown' else '{}'
    doubts = [f'{doubt.about} ({doubt.certainty})' for doubt in result.doubts]
    argument = '' if result.in_article else f' {result.figure}'
    return [
        code.format(entry.name),
        result.figure,
        'yes' if result.in_article else '',
        f'{result.epoch} of {result.of(entry.recipe).epochs}',
        result.date,
        code.format(f'{entry.original}@{result.commits["result"]}'),
        ', '.join(differences(entry, result)),
        ', '.join(doubts),
        code.format(f'--model {entry.name} --as-article{argument}'),
    ]


def differences(entry: Entry, result: Result) -> list[str]:
    """Return what a result was measured with that is not the original's last state."""
    recipe, then = entry.recipe, result.of(entry.recipe)
    defaults = entry.defaults
    found = [f'{name}={value}' for name, value in result.options.items() if value != defaults[name]]
    found += [
        f'{words} {getattr(then, field):g} instead of {getattr(recipe, field):g}'
        for field, words in (
            ('lr', 'learning rate'),
            ('weight_decay', 'weight decay'),
            ('batch', 'batch'),
            ('micro_batches', 'micro-batches'),
            ('epochs', 'epochs'),
        )
        if getattr(then, field) != getattr(recipe, field)
    ]
    if provenance.schedule(then) != provenance.schedule(recipe):
        found.append(f'learning rate {provenance.schedule(then)}')
    if result.images != 'original':
        found.append('crops of before 2016-10-31')
    if result.init != 'per_channel':
        found.append(f'initialization {result.init}')
    return found


def reasons() -> list[str]:
    """Return why what is not certain is not, one sentence each, and what else should be known."""
    found = []
    for name in catalog.names():
        for result in catalog.entry(name).results:
            label = f'{name} {result.figure}'
            found += [
                f'{label}: {doubt.about} {doubt.certainty}: {doubt.why}.'
                for doubt in result.doubts
                if not doubt.why.startswith(tuple('0123456789')) or doubt.certainty != 'likely'
            ]
            if result.note:
                found.append(f'{label}: {result.note}')
    return found
