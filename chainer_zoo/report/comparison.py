"""Tables and plots of runs beside the article's and the papers' figures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any
from typing import Callable

import tqdm

from chainer_zoo import catalog
from chainer_zoo.catalog import Entry
from chainer_zoo.report import plots
from chainer_zoo.report import summary
from chainer_zoo.report.page import Page
from chainer_zoo.report.runs import Run
from chainer_zoo.report.summary import Summary

_NOT_RUN = 'not run'
_NONE = '-'
_NOT_IN_LOG = 'not in the log'

#: A model with its options.
Key = tuple[Any, ...]


def costs(runs: Sequence[Run]) -> dict[Key, Summary]:
    """Return weights and work of all models of the catalog and of all runs.

    Args:
        runs: the runs.

    Returns:
        Summaries by model and options.
    """
    wanted = {}
    for name in catalog.names():
        entry = catalog.entry(name)
        wanted[_key(entry, entry.complete({}))] = entry, entry.complete({})
    for run in runs:
        if run.entry is not None and run.options is not None:
            wanted[_key(run.entry, run.options)] = run.entry, run.options
    bar = tqdm.tqdm(
        wanted.items(), desc='counting', unit='model', file=sys.stderr, leave=False, disable=None
    )
    return {
        key: summary.summarize(summary.build(entry, options), summary.image_size(entry, options))
        for key, (entry, options) in bar
    }


def _key(entry: Entry, options: dict[str, Any]) -> Key:
    return (entry.name,) + tuple(sorted(options.items()))


def add_runs(page: Page, runs: Sequence[Run], found: dict[Key, Summary]) -> None:
    """Add tables and plots of runs to a page.

    Args:
        page: the page.
        runs: the runs.
        found: what :func:`costs` returned.
    """
    rows: list[tuple[Entry | None, Run | None]] = []  # in the article's order
    for name in catalog.names():
        entry = catalog.entry(name)
        # once for each run, or once if there is none
        rows += [(entry, run) for run in runs if run.entry is entry] or [(entry, None)]
    rows += [(None, run) for run in runs if run.entry is None]
    _add_accuracies(page, rows, any(run.original for run in runs))
    _add_sizes(page, rows, found)
    page.heading('Runs')
    page.table(_RUN_HEADER, [_run_row(run) for run in runs], _RUN_HEADER[2:6])
    page.heading('Plots')
    _add_curves(page, runs)
    for name, label, x_of in (
        ('accuracy-work', 'multiply-adds for one image', lambda cost: cost.multiply_adds),
        ('accuracy-weights', 'weights of convolution and linear layers', lambda cost: cost.weights),
    ):
        _add_scatter(page, runs, found, name, label, x_of)


def _add_accuracies(
    page: Page, rows: Sequence[tuple[Entry | None, Run | None]], with_log: bool
) -> None:
    page.heading('Accuracy on the test images (%)')
    page.paragraph(
        'Ours: runs of this project, at the last epoch and at the best one (@), which is chosen on '
        'the test images: that flatters it. Original (article): what the original code reached, as '
        'the article gives it. Paper: as the article quotes it. Error: 100 minus the accuracy at '
        'the last epoch.'
        + (" Its log: the original's log.json files given here." if with_log else '')
    )
    header = ['model', 'run', 'ours: last', 'ours: best']
    header += ['its log: last', 'its log: best'] if with_log else []
    header += ['original (article)', 'paper', 'error: ours']
    header += ['error: its log'] if with_log else []
    header += ['error: article', 'error: paper']
    page.table(
        header + ['figures belong to'],
        [_accuracies(entry, run, with_log) for entry, run in rows],
        header[2:],
    )


def _add_sizes(
    page: Page, rows: Sequence[tuple[Entry | None, Run | None]], found: dict[Key, Summary]
) -> None:
    page.heading('Weights and work')
    page.paragraph(
        'Weights: W of convolution and linear layers, as the article counts. Parameters: all that '
        'is trained. Multiply-adds: of convolution and linear layers, for one image of the size '
        'that the model is trained with. Where nothing was run, the numbers are those of the '
        "article's options."
    )
    header = [
        'model',
        'run',
        'options',
        'weights, ours',
        'weights, original (article)',
        'parameters, ours',
        'multiply-adds, ours',
        'pixels',
    ]
    page.table(header, [_sizes(entry, run, found) for entry, run in rows if entry], header[3:])


def _add_curves(page: Page, runs: Sequence[Run]) -> None:
    caption = 'Loss and accuracy over the epochs.'
    divided = [run.label for run in runs if run.train_loss_divided]
    if divided:
        caption += (
            ' The original logs the training loss divided by the number of micro-batches, which '
            f'its log does not hold: so for {", ".join(divided)}.'
        )
    page.figure('curves', plots.curves(runs), caption)


def _add_scatter(
    page: Page,
    runs: Sequence[Run],
    found: dict[Key, Summary],
    name: str,
    label: str,
    x_of: Callable[[Summary], float],
) -> None:
    caption = f'Accuracy against {label}: all rows of the article, and the runs given.'
    left_out = [run.label for run in runs if run.options is None]
    if left_out:
        caption += f' Left out, because a log does not say the options: {", ".join(left_out)}.'
    page.figure(name, plots.scatter(_points(runs, found, x_of), label), caption)


def _points(
    runs: Sequence[Run], found: dict[Key, Summary], x_of: Callable[[Summary], float]
) -> list[plots.Point]:
    points = []
    for name in catalog.names():
        entry = catalog.entry(name)
        if entry.article_accuracy is not None:
            kind, y = 'article', entry.article_accuracy
        elif entry.paper_accuracy is not None:
            kind, y = 'paper', entry.paper_accuracy
        else:
            kind, y = 'none', None
        points.append(plots.Point(name, x_of(found[_key(entry, entry.complete({}))]), y, kind))
    for run in runs:
        if run.entry is not None and run.options is not None:
            x = x_of(found[_key(run.entry, run.options)])
            kind = 'log' if run.original else 'ours'
            points.append(plots.Point(run.label, x, run.accuracy[-1], kind))
    return points


def _percent(value: float | None) -> str:
    return _NONE if value is None else f'{value:.2f}'


def _accuracies(entry: Entry | None, run: Run | None, with_log: bool) -> list[str]:
    """Return the cells of one row of the table of accuracies."""
    ours, log = [_NOT_RUN] * 3, [_NONE] * 3
    if run is not None:
        values = [
            _percent(run.accuracy[-1]),
            f'{run.accuracy[run.best]:.2f} @{run.epochs[run.best]}',
            _percent(100 - run.accuracy[-1]),
        ]
        ours, log = ([_NONE] * 3, values) if run.original else (values, log)
    published: list[float | None] = [None, None]
    notes = []
    if entry is not None:
        published = [entry.article_accuracy, entry.paper_accuracy]
        notes = [
            f'{whose}: {note}'
            for whose, note in (('article', entry.article_note), ('paper', entry.paper_note))
            if note
        ]
    return (
        ['?' if entry is None else entry.name, _NONE if run is None else run.label]
        + ours[:2]
        + (log[:2] if with_log else [])
        + [_percent(value) for value in published]
        + ours[2:]
        + (log[2:] if with_log else [])
        + [_percent(None if value is None else 100 - value) for value in published]
        + ['; '.join(notes)]
    )


def _sizes(entry: Entry, run: Run | None, found: dict[Key, Summary]) -> list[str]:
    """Return the cells of one row of the table of weights and work."""
    options = entry.complete({}) if run is None else run.options
    first = [entry.name, _NONE if run is None else run.label]
    says = _NONE if entry.article_millions is None else f'{entry.article_millions:g} M'
    if options is None:
        return first + [_NOT_IN_LOG] * 2 + [says] + [_NOT_IN_LOG] * 3
    cost = found[_key(entry, options)]
    return first + [
        ', '.join(f'{option.name}={options[option.name]}' for option in entry.options) or _NONE,
        f'{cost.weights:,}',
        says,
        f'{cost.parameters:,}',
        summary.with_unit(cost.multiply_adds),
        str(cost.size),
    ]


_RUN_HEADER = [
    'run',
    'code',
    'epochs',
    'time',
    'time an epoch',
    'seed',
    'data',
    'versions',
    'machine',
    'not comparable with the article because of',
]


def _run_row(run: Run) -> list[object]:
    """Return the cells of one row of the table of runs."""
    unknown = _NOT_IN_LOG if run.original else _NONE
    record = run.record
    versions = record.get('versions') or {}
    words = [f'{name} {version}' for name, version in sorted(versions.items())]
    if record.get('commit'):
        words.append(f'commit {record["commit"][:10]}')
    machine = [record[key] for key in ('machine', 'engine') if record.get(key)]
    images = f'{run.n_train:,} + {run.n_test:,} images'
    seed = record.get('seed')
    return [
        run.label,
        'original' if run.original else 'ours',
        run.epochs[-1],
        unknown if run.seconds is None else _time(run.seconds),
        unknown if run.seconds is None else _time(run.seconds / len(run.epochs)),
        unknown if seed is None else seed,
        f'{record["data"]}: {images}' if record.get('data') else images,
        ', '.join(words) or unknown,
        ', '.join(machine) or unknown,
        '; '.join(run.remarks) or _NONE,
    ]


def _time(seconds: float) -> str:
    if seconds < 100:
        return f'{seconds:.1f} s'
    if seconds < 6000:
        return f'{seconds / 60:.0f} min'
    return f'{seconds / 3600:.1f} h'
