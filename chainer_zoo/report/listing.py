"""The table of all models, one line each."""

import collections

from chainer_zoo.report import summary
from chainer_zoo.report import table

Row = collections.namedtuple('Row', 'entry weights multiply_adds size')
Row.__doc__ = """A model with the article's options.

``weights`` and ``multiply_adds`` are counted in the model itself, as
:class:`~chainer_zoo.report.summary.Summary` says, ``size`` is the side of its images."""


def count(entry):
    """Return the :class:`Row` of a model."""
    options = entry.complete({})
    found = summary.summarize(summary.build(entry, options), summary.image_size(entry, options))
    return Row(entry, found.weights, found.multiply_adds, found.size)


def _accuracy(value, note):
    if value is None:
        return ''
    return f'{value:g}' + (f' ({note})' if note else '')


def render(rows, style):
    """Return the table.

    Weights are the code's count and, beside it, what the article prints, in millions; accuracies
    are on CIFAR-10, in percent.

    Args:
        rows (iterable of Row): the lines.
        style (str): ``text``, ``csv`` or ``markdown``.
    """
    if style == 'csv':
        return table.render(
            [
                'model',
                'paper',
                'arxiv',
                'year',
                'weights',
                'article_millions',
                'multiply_adds',
                'image_size',
                'paper_accuracy',
                'paper_note',
                'article_accuracy',
                'article_note',
                'status',
                'note',
            ],
            [
                [
                    '' if value is None else value
                    for value in (
                        e.name,
                        e.paper,
                        e.arxiv,
                        e.year,
                        row.weights,
                        e.article_millions,
                        row.multiply_adds,
                        row.size,
                        e.paper_accuracy,
                        e.paper_note,
                        e.article_accuracy,
                        e.article_note,
                        e.status,
                        e.note,
                    )
                ]
                for row in rows
                for e in (row.entry,)
            ],
            style,
        )
    paper = '[{}](https://arxiv.org/abs/{})' if style == 'markdown' else '{}'
    model = '`{}`' if style == 'markdown' else '{}'
    return table.render(
        [
            'model',
            'year',
            'weights',
            'article says',
            'multiply-adds',
            'pixels',
            'paper %',
            'article %',
            'paper',
        ],
        [
            [
                model.format(e.name),
                e.year,
                f'{row.weights:,}',
                '' if e.article_millions is None else f'{e.article_millions:g} M',
                summary.with_unit(row.multiply_adds),
                row.size,
                _accuracy(e.paper_accuracy, e.paper_note),
                _accuracy(e.article_accuracy, e.article_note),
                paper.format(e.paper, e.arxiv),
            ]
            for row in rows
            for e in (row.entry,)
        ],
        style,
        ('year', 'weights', 'article says', 'multiply-adds', 'pixels'),
    )
