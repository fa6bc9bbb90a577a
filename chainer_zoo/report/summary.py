"""``python -m chainer_zoo summary NAME``: a model's layers, weights, multiply-adds and memory."""
import argparse
import collections

import numpy as np

from chainer_zoo import catalog
from chainer_zoo import initializers
from chainer_zoo.data.pictures import SIZE_CLASSES
from chainer_zoo.report import golden
from chainer_zoo.report import shapes
from chainer_zoo.report import table

Layer = collections.namedtuple('Layer', 'path shape weights parameters multiply_adds')
Layer.__doc__ = """One call of a layer.

``path`` is the link's, ``shape`` the result's without its first axis, empty for a layer that is
never called. ``weights`` are those that the article counts and ``parameters`` all of them; both are
0 at a further call of the same layer. ``multiply_adds`` are those for one picture."""

Summary = collections.namedtuple(
    'Summary', 'layers weights parameters multiply_adds activation_bytes size')
Summary.__doc__ = """What :func:`summarize` finds.

``weights`` is the article's count: W of convolutions and linear layers. ``parameters`` is the full
count, with biases, BN's gamma and beta, slopes of PReLU. ``multiply_adds`` are those of
convolutions and linear layers, for one picture; adding a bias, BN, ReLU, pooling and additions are
not counted. ``activation_bytes`` are the bytes of all results of all functions of one training pass
(noise off) for one float32 picture, views of others left out: the most that can be alive before
backward starts. ``size`` is the picture's side in pixels, that of training."""


def build(entry, options):
    """Return a model's structure: its weights are not filled.

    Args:
        entry (chainer_zoo.catalog.Entry): the model's.
        options (dict): completed options.
    """
    with initializers.unfilled():
        return entry.build(**options)


def picture_size(entry, options):
    """Return the side in pixels of the pictures that the model is trained with."""
    return SIZE_CLASSES[entry.picture_class(options)].crop


def _link(path):
    """Return the path of the link that has the parameter at ``path``."""
    return path.rsplit('/', 1)[0].lstrip('/')


def summarize(model, size):
    """Return the :class:`Summary` of a model.

    Nothing is convolved: see :mod:`chainer_zoo.report.shapes`.

    Args:
        model (chainer.Chain): the model, on the CPU; weights need not be filled.
        size (int): side of the pictures in pixels.
    """
    params = {id(param.array): (path, param) for path, param in model.namedparams()}
    calls = shapes.trace(model, (1, 3, size, size))
    layers = []

    def add(path, shape, new, multiply_adds):
        layers.append(Layer(path, shape, sum(p.size for p in new if golden.is_weight(p)),
                            sum(p.size for p in new), multiply_adds))

    waiting = dict(params)
    for call in calls:
        arrays = [id(array) for array in call.arrays if id(array) in params]
        if arrays or call.multiply_adds:
            path = _link(params[arrays[0]][0]) if arrays else '({})'.format(call.label)
            new = [waiting.pop(array)[1] for array in arrays if array in waiting]
            add(path, call.shape[1:], new, call.multiply_adds)
    for path, param in waiting.values():
        add(_link(path), (), [param], 0)
    return Summary(layers, golden.count_weights(model), sum(param.size for param in model.params()),
                   sum(call.multiply_adds for call in calls), sum(call.nbytes for call in calls),
                   size)


def with_unit(number):
    """Return a count in three digits, as ``1.30 G``."""
    for unit, factor in (('G', 10 ** 9), ('M', 10 ** 6), ('k', 10 ** 3)):
        if number >= 0.9995 * factor:
            digits = max(0, 2 - int(np.log10(number / factor * 1.0005)))
            return '{:.{}f} {}'.format(number / factor, digits, unit)
    return str(number)


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
        help = option.help if option is catalog.N_CLASS else '{} ({})'.format(
            option.help, ', '.join(owner for owner, _ in owners))
        if option.type is bool:
            group.add_argument('--' + name, action=argparse.BooleanOptionalAction,
                               default=argparse.SUPPRESS, help=help)
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
    options = entry.complete({name: value for name, value in vars(args).items()
                              if name not in ('name', 'style', 'command', 'run')})
    found = summarize(build(entry, options), picture_size(entry, options))
    exact = args.style == 'csv'
    header = ['layer', 'output', 'weights', 'parameters', 'multiply-adds']
    rows = [[layer.path, ' x '.join(str(size) for size in layer.shape) or 'not called'] + [
        number if exact else '{:,}'.format(number) for number in layer[2:]]
        for layer in found.layers]
    print(table.render(header, rows, args.style, header[2:]))
    if not exact:
        item = '- ' if args.style == 'markdown' else ''
        print('\n'.join([''] + [item + line for line in _totals(entry, options, found)]))
    return 0


def _totals(entry, options, found):
    lines = [
        '{} ({}), {}'.format(entry.name, entry.year, ', '.join(
            '{} {}'.format(*item) for item in sorted(options.items()))),
        'Weights of convolution and linear layers, as the article counts: {:,}'.format(
            found.weights),
        'All parameters: {:,}'.format(found.parameters),
        'Multiply-adds of convolution and linear layers for a picture of {0} x {0}: {1:,} '
        '({2})'.format(found.size, found.multiply_adds, with_unit(found.multiply_adds)),
        'Activation memory, the results of all functions for that picture: {:.1f} MiB'.format(
            found.activation_bytes / 2. ** 20),
    ]
    if entry.article_millions is not None:
        lines.insert(2, 'The article gives {:g} million. {}'.format(
            entry.article_millions, entry.note).rstrip())
    return lines
