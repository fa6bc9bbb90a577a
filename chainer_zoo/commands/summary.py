"""``python -m chainer_zoo summary NAME``: a model's layers, weights, multiply-adds and memory."""

import argparse

from chainer_zoo import catalog
from chainer_zoo.report import table
from chainer_zoo.report.summary import build
from chainer_zoo.report.summary import image_size
from chainer_zoo.report.summary import summarize
from chainer_zoo.report.summary import with_unit


def add_arguments(parser):
    """Add the model, every option that some model has, and the table's style."""
    parser.add_argument('name', metavar='NAME', help='one of ' + ' '.join(catalog.names()))
    table.add_style(parser)
    group = parser.add_argument_group('options of the models')
    options = {}
    for name in catalog.names():
        for option in (catalog.N_CLASS,) + catalog.entry(name).options:
            options.setdefault(option.name, []).append((name, option))
    for name, owners in options.items():
        option = owners[0][1]
        help = (
            option.help
            if option is catalog.N_CLASS
            else '{} ({})'.format(option.help, ', '.join(owner for owner, _ in owners))
        )
        if option.type is bool:
            group.add_argument(
                '--' + name,
                action=argparse.BooleanOptionalAction,
                default=argparse.SUPPRESS,
                help=help,
            )
        else:
            group.add_argument('--' + name, type=option.type, default=argparse.SUPPRESS, help=help)


def run(args):
    """Print the summary; return the exit status.

    Args:
        args (argparse.Namespace): what :func:`add_arguments` asked for.

    Raises:
        UserError: there is no such model, or it lacks an option.
    """
    entry = catalog.entry(args.name)
    options = entry.complete(
        {
            name: value
            for name, value in vars(args).items()
            if name not in ('name', 'style', 'command', 'run')
        }
    )
    found = summarize(build(entry, options), image_size(entry, options))
    exact = args.style == 'csv'
    header = ['layer', 'output', 'weights', 'parameters', 'multiply-adds']
    rows = [
        [layer.path, ' x '.join(str(size) for size in layer.shape) or 'not called']
        + [number if exact else f'{number:,}' for number in layer[2:]]
        for layer in found.layers
    ]
    print(table.render(header, rows, args.style, header[2:]))
    if not exact:
        item = '- ' if args.style == 'markdown' else ''
        print('\n'.join([''] + [item + line for line in _totals(entry, options, found)]))
    return 0


def _totals(entry, options, found):
    lines = [
        '{} ({}), {}'.format(
            entry.name,
            entry.year,
            ', '.join('{} {}'.format(*item) for item in sorted(options.items())),
        ),
        f'Weights of convolution and linear layers, as the article counts: {found.weights:,}',
        f'All parameters: {found.parameters:,}',
        f'Multiply-adds of convolution and linear layers for an image of {found.size} x {found.size}: {found.multiply_adds:,} '
        f'({with_unit(found.multiply_adds)})',
        f'Activation memory, the results of all functions for that image: {found.activation_bytes / 2.0**20:.1f} MiB',
    ]
    if entry.article_millions is not None:
        lines.insert(
            2, f'The article gives {entry.article_millions:g} million. {entry.note}'.rstrip()
        )
    return lines
