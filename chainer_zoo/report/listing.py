"""The table of all models, one line each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from chainer_zoo.catalog import Entry
from chainer_zoo.report import summary
from chainer_zoo.report import table


class Row(NamedTuple):
    """A model with the article's options.

    Attributes:
        entry: its row in the catalog.
        weights: counted in the model itself, as :class:`~chainer_zoo.report.summary.Summary` says.
        multiply_adds: likewise.
        size: the side of its images in pixels.
    """

    entry: Entry
    weights: int
    multiply_adds: int
    size: int


def count(entry: Entry) -> Row:
    """Return the :class:`Row` of a model."""
    options = entry.complete({})
    found = summary.summarize(summary.build(entry, options), summary.image_size(entry, options))
    return Row(entry, found.weights, found.multiply_adds, found.size)


def _accuracy(value: float | None, note: str) -> str:
    if value is None:
        return ''
    return f'{value:g}' + (f' ({note})' if note else '')


def render(rows: Iterable[Row], style: str) -> str:
    """Return the table.

    Weights are the code's count and, beside it, what the article prints, in millions; accuracies
    are on CIFAR-10, in percent, the article's that of the best epoch on the test images; its
    verdict is what it says of that beside the paper; the top-5 error is the paper's on ImageNet, as
    the article prints it.

    Args:
        rows: the lines.
        style: ``text``, ``csv`` or ``markdown``.
    """
    if style == 'csv':
        columns = [_csv_columns(row) for row in rows]
        header = list(columns[0]) if columns else []
        cells = [['' if value is None else value for value in c.values()] for c in columns]
        return table.render(header, cells, style)
    columns = [_columns(row, style) for row in rows]
    header = list(columns[0]) if columns else []
    return table.render(
        header,
        [list(c.values()) for c in columns],
        style,
        ('year', 'weights', 'article says', 'multiply-adds', 'pixels'),
    )


def _csv_columns(row: Row) -> dict[str, object]:
    """Return the cells of a line by column, exact."""
    entry = row.entry
    return {
        'model': entry.name,
        'paper': entry.paper,
        'arxiv': entry.arxiv,
        'year': entry.year,
        'weights': row.weights,
        'article_millions': entry.article_millions,
        'multiply_adds': row.multiply_adds,
        'image_size': row.size,
        'paper_accuracy': entry.paper_accuracy,
        'paper_note': entry.paper_note,
        'article_accuracy': entry.article_accuracy,
        'article_note': entry.article_note,
        'status': entry.status,
        'top5_error': entry.top5_error,
        'note': entry.note,
    }


def _columns(row: Row, style: str) -> dict[str, object]:
    """Return the cells of a line by column, for people."""
    entry = row.entry
    markdown = style == 'markdown'
    millions = entry.article_millions
    return {
        'model': f'`{entry.name}`' if markdown else entry.name,
        'year': entry.year,
        'weights': f'{row.weights:,}',
        'article says': '' if millions is None else f'{millions:g} M',
        'multiply-adds': summary.with_unit(row.multiply_adds),
        'pixels': row.size,
        'paper %': _accuracy(entry.paper_accuracy, entry.paper_note),
        'article %': _accuracy(entry.article_accuracy, entry.article_note),
        'its verdict': entry.status,
        'top-5 error %': entry.top5_error or '',
        'paper': f'[{entry.paper}](https://arxiv.org/abs/{entry.arxiv})'
        if markdown
        else entry.paper,
    }
