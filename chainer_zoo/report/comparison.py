"""Tables and plots of runs beside the article's and the papers' figures."""

import sys

import tqdm

from chainer_zoo import catalog
from chainer_zoo.report import plots
from chainer_zoo.report import summary

_NOT_RUN = 'not run'
_NONE = '-'


def costs(runs):
    """Return weights and work of all models of the catalog and of all runs.

    Args:
        runs (list of chainer_zoo.report.runs.Run): the runs.

    Returns:
        dict: :class:`~chainer_zoo.report.summary.Summary` by :func:`_key`.
    """
    wanted = {}
    for name in catalog.names():
        entry = catalog.entry(name)
        wanted[_key(entry, entry.complete({}))] = entry, entry.complete({})
    for run in runs:
        if run.options is not None:
            wanted[_key(run.entry, run.options)] = run.entry, run.options
    bar = tqdm.tqdm(
        wanted.items(), desc='counting', unit='model', file=sys.stderr, leave=False, disable=None
    )
    return {
        key: summary.summarize(summary.build(entry, options), summary.image_size(entry, options))
        for key, (entry, options) in bar
    }


def _key(entry, options):
    return (entry.name,) + tuple(sorted(options.items()))


def add_runs(page, runs, found):
    """Add tables and plots of runs to a page.

    Args:
        page (chainer_zoo.report.page.Page): the page.
        runs (list of chainer_zoo.report.runs.Run): the runs.
        found (dict): what :func:`costs` returned.
    """
    rows = []  # every model in the article's order, once or once a run
    for name in catalog.names():
        entry = catalog.entry(name)
        rows += [(entry, run) for run in runs if run.entry is entry] or [(entry, None)]
    rows += [(None, run) for run in runs if run.entry is None]
    with_log = any(run.original for run in runs)

    page.heading('Accuracy on the test images (%)')
    page.paragraph(
        'Ours: runs of this project, at the last epoch and at the best one (@), which is chosen on the '
        'test images: that flatters it. Original (article): what the original code reached, as '
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

    page.heading('Runs')
    page.table(
        [
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
        ],
        [_run_row(run) for run in runs],
        ('epochs', 'time', 'time an epoch', 'seed'),
    )

    page.heading('Plots')
    divided = [run.label for run in runs if run.train_loss_divided]
    page.figure(
        'curves',
        plots.curves(runs),
        'Loss and accuracy over the epochs.'
        + (
            ' The original logs the training loss divided by the parts of a batch, a number that its '
            'log does not hold: so for ' + ', '.join(divided) + '.'
            if divided
            else ''
        ),
    )
    left_out = [run.label for run in runs if run.options is None]
    for name, label, x_of in (
        ('accuracy-work', 'multiply-adds for one image', lambda c: c.multiply_adds),
        ('accuracy-weights', 'weights of convolution and linear layers', lambda c: c.weights),
    ):
        page.figure(
            name,
            plots.scatter(_points(runs, found, x_of), label),
            f'Accuracy against {label}: all rows of the article, and the runs given.'
            + (
                ' Left out, because a log does not say the options: {}.'.format(', '.join(left_out))
                if left_out
                else ''
            ),
        )


def _points(runs, found, x_of):
    points = []
    for name in catalog.names():
        entry = catalog.entry(name)
        kind, y = (
            ('article', entry.article_accuracy)
            if entry.article_accuracy is not None
            else ('paper', entry.paper_accuracy)
            if entry.paper_accuracy is not None
            else ('none', None)
        )
        points.append(plots.Point(name, x_of(found[_key(entry, entry.complete({}))]), y, kind))
    for run in runs:
        if run.options is not None:
            points.append(
                plots.Point(
                    run.label,
                    x_of(found[_key(run.entry, run.options)]),
                    run.accuracy[-1],
                    'log' if run.original else 'ours',
                )
            )
    return points


def _percent(value):
    return _NONE if value is None else f'{value:.2f}'


def _accuracies(entry, run, with_log):
    """Return the cells of one row of the table of accuracies."""
    if run is None:
        ours, log = [_NOT_RUN] * 3, [_NONE] * 3
    else:
        values = [
            _percent(run.accuracy[-1]),
            f'{run.accuracy[run.best]:.2f} @{run.epochs[run.best]}',
            _percent(100 - run.accuracy[-1]),
        ]
        ours, log = ([_NONE] * 3, values) if run.original else (values, [_NONE] * 3)
    published, notes = [None, None], []
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


def _sizes(entry, run, found):
    """Return the cells of one row of the table of weights and work."""
    options = entry.complete({}) if run is None else run.options
    first = [entry.name, _NONE if run is None else run.label]
    says = _NONE if entry.article_millions is None else f'{entry.article_millions:g} M'
    if options is None:
        unknown = 'not in the log'
        return first + [unknown, unknown, says, unknown, unknown, unknown]
    cost = found[_key(entry, options)]
    return first + [
        _options(entry, options),
        f'{cost.weights:,}',
        says,
        f'{cost.parameters:,}',
        summary.with_unit(cost.multiply_adds),
        cost.size,
    ]


def _options(entry, options):
    return ', '.join(f'{option.name}={options[option.name]}' for option in entry.options) or _NONE


def _run_row(run):
    """Return the cells of one row of the table of runs."""
    unknown = 'not in the log' if run.original else _NONE
    record = run.record
    versions = record.get('versions') or {}
    words = [f'{name} {version}' for name, version in sorted(versions.items())]
    if record.get('commit'):
        words.append('commit {}'.format(record['commit'][:10]))
    machine = [str(record[key]) for key in ('machine', 'engine') if record.get(key)]
    return [
        run.label,
        'original' if run.original else 'ours',
        run.epochs[-1],
        unknown if run.seconds is None else _time(run.seconds),
        unknown if run.seconds is None else _time(run.seconds / len(run.epochs)),
        record.get('seed', unknown),
        '{}{:,} + {:,} images'.format(
            '{}: '.format(record['data']) if 'data' in record else '', run.n_train, run.n_test
        ),
        ', '.join(words) or unknown,
        ', '.join(machine) or unknown,
        '; '.join(run.remarks) or _NONE,
    ]


def _time(seconds):
    if seconds < 100:
        return f'{seconds:.1f} s'
    if seconds < 6000:
        return f'{seconds / 60:.0f} min'
    return f'{seconds / 3600:.1f} h'
