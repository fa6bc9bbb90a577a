"""``profile NAME``: where the time of a training step goes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainer_zoo.catalog import Entry
from chainer_zoo.catalog import N_CLASS
from chainer_zoo.commands import console
from chainer_zoo.commands import flags
from chainer_zoo.commands.memory_check import check_memory
from chainer_zoo.data.images import SIZE_CLASSES
from chainer_zoo.engines import devices
from chainer_zoo.errors import UserError
from chainer_zoo.report import profiling
from chainer_zoo.training import optimizer as optimizers

_MOST_STEPS = 10_000


def add_arguments(parser: flags.Parser, argv: Sequence[str]) -> None:
    """Add the command's flags, and those of the model that ``argv`` names."""
    parser.add_argument(
        '--option',
        metavar='NAME=VALUE',
        action='append',
        default=None,
        help='--option depth=20 is the older way to say --depth 20; the next version removes it',
    )
    parser.add_argument(
        '-b',
        '--batch',
        metavar='N',
        type=flags.whole(1, flags.LARGEST_BATCH),
        default=32,
        help='batch size',
    )
    parser.add_argument(
        '--steps',
        metavar='N',
        type=flags.whole(1, _MOST_STEPS),
        default=3,
        help='how many steps to average',
    )
    flags.add_device(parser)
    flags.add_style(parser)
    parser.set_defaults(entry=flags.add_model(parser, argv))


def run(args: argparse.Namespace) -> int:
    """Print the profile; return the exit status.

    Raises:
        UserError: there is no such option or device.
    """
    entry = args.entry
    if args.option:
        vars(args).update(_options(entry, args.option))
        console.complain(
            args.prog, 'write --NAME VALUE: the next version removes --option NAME=VALUE'
        )
    options = flags.options_of(args, entry)
    device = devices.find(args.gpu)
    engine = devices.choose_engine(args.cpu, args.gpu)
    size = SIZE_CLASSES[entry.image_class(options)].crop
    check_memory(entry, options, args.batch, size, train=True, gpu=args.gpu)
    model = entry.build(**options)
    model.to_device(device)
    optimizer = optimizers.make_optimizer(entry.recipe, model)
    random = np.random.RandomState(0)
    x = device.send(random.uniform(-1, 1, (args.batch, 3, size, size)).astype(np.float32))
    t = device.send(random.randint(0, options['n_class'], args.batch).astype(np.int32))
    found = profiling.profile(model, optimizer, x, t, args.steps)
    print(profiling.render(found, args.style, 'CuPy' if args.gpu >= 0 else 'NumPy'))
    if args.style != 'csv':
        print(f'\n{entry.name} batch {args.batch} on {engine}: {profiling.totals(found)}')
        if engine == 'onednn':
            print(profiling.render_copies(found))
            print('\nThe same steps without a look at functions, which takes time itself:\n')
            print(profiling.render_inside(model, optimizer, x, t, args.steps, args.style))
    return 0


def _options(entry: Entry, given: Iterable[str]) -> dict[str, Any]:
    """Return the options that NAME=VALUE strings say, of the types that the model wants."""
    kinds = {option.name: option.type for option in (N_CLASS, *entry.options)}
    options = {}
    for text in given:
        name, equals, value = text.partition('=')
        if name not in kinds or not equals:
            raise UserError(
                f'--option {text}: {entry.name} has {", ".join(sorted(kinds))}; '
                'write --option NAME=VALUE'
            )
        try:
            options[name] = value == 'True' if kinds[name] is bool else kinds[name](value)
        except ValueError as error:
            raise UserError(f'--option {text}: {error}') from error
    return options
