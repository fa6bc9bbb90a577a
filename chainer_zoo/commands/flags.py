"""Every flag of the command line: the original's, and this project's own."""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections.abc import Sequence
from typing import Any
from typing import Callable
from typing import NoReturn

from chainer_zoo import catalog
from chainer_zoo.catalog import Entry
from chainer_zoo.catalog import Result
from chainer_zoo.files import one_line
from chainer_zoo.training.settings import CPU_ENGINES
from chainer_zoo.training.settings import DATASETS
from chainer_zoo.training.settings import DTYPES
from chainer_zoo.training.settings import IMAGES
from chainer_zoo.training.settings import INITS
from chainer_zoo.training.settings import LARGEST_BATCH
from chainer_zoo.training.settings import LARGEST_DECAY
from chainer_zoo.training.settings import LARGEST_LR
from chainer_zoo.training.settings import LARGEST_SEED
from chainer_zoo.training.settings import LAST_EPOCH
from chainer_zoo.training.settings import LAST_GPU
from chainer_zoo.training.settings import LONGEST_RUN
from chainer_zoo.training.settings import MOST

_LACKS_VALUE = re.compile('-[^=]*=--|-[^-=]--', re.DOTALL)
_SHOWN = 40  # characters of a wrong value that a message repeats


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Says each flag's default, where it has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None:
            return action.help
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and status 2."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault('formatter_class', _Help)
        # a shortened flag would change its meaning with the model that is named
        super().__init__(allow_abbrev=False, **kwargs)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse words as argparse does, and refuse ``--flag=--``, for which it gives no value."""
        for word in sys.argv[1:] if args is None else args:
            if _LACKS_VALUE.fullmatch(word):
                self.error(f'argument {word[:-2].rstrip("=")}: expected one argument')
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print an error on one line, and exit with status 2, also where nothing can be printed."""
        with contextlib.suppress(AttributeError, OSError, ValueError):  # a closed or full stream
            sys.stderr.write(f'{self.prog}: {one_line(message)} (--help lists all flags)\n')
        self.exit(2)

    def print_help(self, file: Any = None) -> None:
        """Print all flags. Where that fails it is an error; argparse would hide it."""
        (sys.stdout if file is None else file).write(self.format_help())


def whole(at_least: int, at_most: int = MOST) -> Callable[[str], int]:
    """Return an argparse type: a whole number from ``at_least`` to ``at_most``."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = at_least - 1
        if not at_least <= value <= at_most:
            raise argparse.ArgumentTypeError(
                f'must be a whole number of at least {at_least} and at most {at_most:,}, '
                f'not {_short(text)}'
            )
        return value

    return parse


def positive(at_most: float) -> Callable[[str], float]:
    """Return an argparse type: a number larger than 0 and at most ``at_most``."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value <= at_most:
            raise argparse.ArgumentTypeError(
                f'must be a number larger than 0 and at most {at_most:g}, not {_short(text)}'
            )
        return value

    return parse


def at_least_0(at_most: float) -> Callable[[str], float]:
    """Return an argparse type: a number from 0 to ``at_most``."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= at_most:
            raise argparse.ArgumentTypeError(
                f'must be a number of at least 0 and at most {at_most:g}, not {_short(text)}'
            )
        return value

    return parse


def path(text: str) -> str:
    """Return ``text``, a path: an argparse type that refuses the empty one."""
    if not text:
        raise argparse.ArgumentTypeError('must not be empty')
    return text


def _short(text: str) -> str:
    """Return a wrong value as a message repeats it."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + '...')


def add_model(
    parser: Parser, argv: Sequence[str], default: str | None = None, name_first: bool = True
) -> Entry:
    """Add ``--model NAME`` and the options of the model that it names.

    Which options there are depends on the model, so its name is looked for before parsing.

    Args:
        parser: a command's parser, with all its other flags if there is no ``default``.
        argv: the words that it will parse.
        default: the model that is meant if none is named; one must be named if this is None.
        name_first: whether the first word may be the name, without ``--model``.

    Returns:
        The model's entry.

    Raises:
        UserError: there is no such model.
        SystemExit: no model is named though one must be, or it is ``--help`` that is asked for.
    """
    finder = Parser(prog=parser.prog, add_help=False)
    finder.add_argument('--model', metavar='NAME')
    name = finder.parse_known_args(argv)[0].model
    first = next((word for word in argv[:1] if not word.startswith('-')), None)
    text = f'one of {" ".join(catalog.names())}'
    if name is None and name_first and (first is not None or default is None):
        if first is None:  # the name may also follow flags
            first = next((word for word in argv if word in catalog.names()), None)
        parser.add_argument(
            'model', metavar='NAME', choices=None if first is None else [first], help=text
        )
        parser.add_argument(
            '--model',
            metavar='NAME',
            default=argparse.SUPPRESS,
            help='instead of NAME, at any place',
        )
        if first is None:
            parser.epilog = f'{parser.prog} NAME --help lists the options of a model.'
            first = parser.parse_args(argv).model
        name = first
    else:
        parser.add_argument(
            '--model',
            metavar='NAME',
            default=default,
            required=default is None,
            help=text + ('; as the first word it needs no --model' if name_first else ''),
        )
        name = default if name is None else name
    entry = catalog.entry(name)
    add_options(parser, entry)
    return entry


def add_options(parser: argparse.ArgumentParser, entry: Entry) -> None:
    """Add the options of a model, by their names and by the original's flags."""
    group = parser.add_argument_group(
        f'options of {entry.name}', 'Defaults are those of the article.'
    )
    group.add_argument(
        '--n_class',
        type=whole(1),
        default=argparse.SUPPRESS,
        help='number of classes (default: those of the data, else 10)',
    )
    for option in entry.options:
        name = '--' + option.name
        if option.type is bool:
            group.add_argument(
                name,
                action=argparse.BooleanOptionalAction,
                default=option.default,
                help=option.help,
            )
            continue
        flags = [flag for flag in option.flags if flag != name]
        text = f'{option.help}; must be {option.allowed}'
        kind = whole(0) if option.type is int else option.type
        if option.from_flag is None:
            group.add_argument(name, *flags, type=kind, default=option.default, help=text)
        else:
            group.add_argument(name, type=kind, default=option.default, help=text)
            group.add_argument(
                *flags,
                dest=option.name,
                default=argparse.SUPPRESS,
                metavar='BLOCKS',
                type=_blocks(option.from_flag),
                help='the same by blocks a stage, as the original counts for this model',
            )


def _blocks(from_flag: Callable[[int], int]) -> Callable[[str], int]:
    """Return an argparse type: blocks a stage, which ``from_flag`` turns into layers."""
    return lambda text: from_flag(whole(1)(text))


def options_of(
    args: argparse.Namespace, entry: Entry, n_class: int | None = None
) -> dict[str, Any]:
    """Return the model's options among parsed arguments, completed and checked.

    Args:
        args: what :func:`add_options` asked for.
        entry: the model's.
        n_class: number of classes if ``--n_class`` is not given; the catalog's default if None.

    Raises:
        UserError: a value that makes no sense.
    """
    given = {name: value for name, value in vars(args).items() if name in entry.defaults}
    if 'n_class' in args:
        given['n_class'] = args.n_class
    elif n_class is not None:
        given['n_class'] = n_class
    return entry.complete(given)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add where to compute."""
    group = parser.add_argument_group('where to compute')
    group.add_argument(
        '-g',
        '--gpu',
        metavar='N',
        type=whole(-1, LAST_GPU),
        default=-1,
        help='number of the GPU; -1 is the CPU',
    )
    group.add_argument(
        '--cpu',
        choices=CPU_ENGINES,
        default='auto',
        help="on a CPU: oneDNN's kernels or Chainer's own; auto takes oneDNN where it loads",
    )


def add_data(parser: argparse.ArgumentParser, train: bool = True) -> None:
    """Add where the images come from, and how many to train and to test with."""
    group = parser.add_argument_group('data')
    group.add_argument(
        '--dataset',
        choices=DATASETS,
        default='cifar10',
        help='shapes is a small drawn set that is built in, without a network; '
        'auto takes it where no copy of cifar10 is found, and says so',
    )
    group.add_argument(
        '--data',
        metavar='PATH',
        type=path,
        default=None,
        help='cifar-10-python.tar.gz or the folder cifar-10-batches-py; without '
        "it a copy in Chainer's dataset folder, else a download",
    )
    for kind, images in (('train', 'training'), ('test', 'test')) if train else (('test', 'test'),):
        group.add_argument(
            f'--limit_{kind}',
            metavar='N',
            type=whole(1),
            default=None,
            help=f'only the first N {images} images, in file order',
        )


def add_images(parser: Any, dest: str, default: str = 'original') -> None:
    """Add how images are prepared."""
    parser.add_argument(
        '--images',
        dest=dest,
        choices=IMAGES,
        default=default,
        help='article: as the original prepared them until 2016-10-31, with crops of 26 of 28 to '
        '36 pixels or 122 of 124 to 132, and no 10 added to the variance',
    )


def add_load_model(parser: argparse.ArgumentParser) -> None:
    """Add the file of a saved model, which must be given."""
    parser.add_argument(
        '-m',
        '--load_model',
        metavar='FILE',
        type=path,
        required=True,
        help="a model file (*.model), ours or the original's",
    )


def add_style(parser: argparse.ArgumentParser) -> None:
    """Add ``--csv`` and ``--markdown``, which set ``style``; it is ``text`` without them."""
    parser.set_defaults(style='text')
    group = parser.add_mutually_exclusive_group()
    for style, name in (('csv', 'CSV'), ('markdown', 'Markdown')):
        group.add_argument(
            f'--{style}',
            dest='style',
            action='store_const',
            const=style,
            default=argparse.SUPPRESS,
            help=f'print the table as {name}',
        )


def add_training(
    parser: argparse.ArgumentParser, entry: Entry, result: Result | None = None
) -> None:
    """Add the flags of a training run.

    Args:
        parser: it has the model's options.
        entry: the model's; its recipe has the defaults.
        result: the published result whose options and recipe are the defaults instead, if not None.
    """
    recipe = entry.recipe
    if result is not None:
        recipe = result.of(recipe)
        parser.set_defaults(**result.options)
    group = parser.add_argument_group('training')
    group.add_argument(
        '--as-article',
        '--figure',
        dest='figure',
        metavar='FIGURE',
        nargs='?',
        const='',
        default=None,
        help="train as a published accuracy was measured, the article's or the one named, and say "
        'what is only likely: '
        + (', '.join(result.figure for result in entry.results) or 'none was published'),
    )
    group.add_argument(
        '-b', '--batch', type=whole(1, LARGEST_BATCH), default=recipe.batch, help='batch size'
    )
    group.add_argument(
        '-e', '--epoch', type=whole(1, LAST_EPOCH), default=recipe.epochs, help='last epoch'
    )
    group.add_argument(
        '-s',
        '--start_epoch',
        type=whole(1, LAST_EPOCH),
        default=1,
        help='first epoch, whose learning rate the run starts with',
    )
    group.add_argument(
        '-lr',
        '--lr',
        type=positive(LARGEST_LR),
        default=recipe.lr,
        help='learning rate that the schedule starts from',
    )
    group.add_argument(
        '--weight_decay',
        metavar='DECAY',
        type=at_least_0(LARGEST_DECAY),
        default=recipe.weight_decay,
        help='added to every gradient as DECAY times the parameter',
    )
    group.add_argument(
        '--init',
        choices=INITS,
        default='per_channel' if result is None else result.init,
        help='the rule that weights start by: the one of 2016-11-22 on, of 2016-11-13 on, of '
        '2016-10-20 on',
    )
    add_images(group, 'images', 'original' if result is None else result.images)
    group.add_argument(
        '-trb',
        '--train_batch_divide',
        type=whole(1, LARGEST_BATCH),
        default=recipe.micro_batches,
        help='number of micro-batches: gradients are accumulated over them, BN sees one at a time',
    )
    group.add_argument(
        '-teb',
        '--test_batch_divide',
        type=whole(1, LARGEST_BATCH),
        default=recipe.micro_batches,
        help='test on batch / TEB images at a time, which bounds the memory',
    )
    group.add_argument(
        '--seed',
        type=whole(0, LARGEST_SEED),
        default=0,
        help='the same seed gives the same numbers',
    )
    group.add_argument(
        '--iterations', metavar='N', type=whole(1), default=None, help='stop after N updates'
    )
    group.add_argument(
        '--minutes',
        metavar='M',
        type=positive(LONGEST_RUN),
        default=None,
        help='stop after M minutes',
    )
    group.add_argument(
        '--whole_schedule',
        action='store_true',
        help="go through the recipe's whole schedule of learning rates by the end that "
        '--iterations or --minutes set; without it a short run sees its beginning only',
    )
    group.add_argument(
        '--dtype',
        choices=DTYPES,
        default='float32',
        help='mixed16: float16 with float32 parameters and loss scaling',
    )
    add_device(parser)
    add_data(parser)
    group = parser.add_argument_group('files')
    group.add_argument(
        '-p',
        '--save_path',
        '--out',
        dest='out',
        metavar='FOLDER',
        type=path,
        default=f'results/{entry.name}',
        help='where models, logs and plots go',
    )
    group.add_argument(
        '-m',
        '--load_model',
        metavar='FILE',
        type=path,
        default=None,
        help="start from a model file, ours or the original's",
    )
    group.add_argument(
        '-l',
        '--load_log',
        metavar='FILE',
        type=path,
        default=None,
        help='continue an original log.json',
    )
    group.add_argument(
        '-o',
        '--load_optimizer',
        metavar='FILE',
        default=None,
        help='accepted as the original does, which never reads it',
    )
    group.add_argument(
        '--resume',
        metavar='SNAPSHOT',
        nargs='?',
        const='',
        default=None,
        help='resume from a snapshot; from the newest in FOLDER without a value',
    )
    group.add_argument(
        '--keep',
        metavar='N',
        type=whole(1),
        default=2,
        help='snapshots and models to keep, beside the best model',
    )
    group.add_argument(
        '--snapshot_every',
        metavar='N',
        type=whole(0),
        default=0,
        help='also take a snapshot every N updates; 0: after each epoch only',
    )
