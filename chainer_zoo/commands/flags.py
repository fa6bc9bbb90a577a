"""The command line of ``train_cifar10.py``: the original's flags, and this project's own."""

import argparse

from chainer_zoo import catalog


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Says each flag's default, where it has one."""

    def _get_help_string(self, action):
        if action.default is None:
            return action.help
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and status 2."""

    def __init__(self, **kwargs):
        kwargs.setdefault('formatter_class', _Help)
        # one parser takes the flags of all models: what -mu means must not depend on the others
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message):
        self.exit(2, f'{self.prog}: {message} (--help lists all flags)\n')


def whole(at_least):
    """Return an argparse type: a whole number of at least ``at_least``."""

    def parse(text):
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or value < at_least:
            raise argparse.ArgumentTypeError(
                f'must be a whole number of at least {at_least}, not {text!r}'
            )
        return value

    return parse


def positive(text):
    """An argparse type: a finite number larger than 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'must be a number larger than 0, not {text!r}')
    return value


def add_model(parser):
    """Add ``--model``."""
    parser.add_argument(
        '--model', metavar='NAME', default='resnext', help='one of ' + ' '.join(catalog.names())
    )


def add_options(parser, entry):
    """Add the options of a model, by their names and by the original's flags."""
    group = parser.add_argument_group(
        f'options of {entry.name}', 'Defaults are those of the article.'
    )
    group.add_argument(
        '--n_class',
        type=whole(1),
        default=argparse.SUPPRESS,
        help='number of classes (default: those of the data)',
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
        if option.from_flag is None:
            group.add_argument(name, *flags, type=option.type, default=option.default, help=text)
        else:
            group.add_argument(name, type=option.type, default=option.default, help=text)
            group.add_argument(
                *flags,
                dest=option.name,
                default=argparse.SUPPRESS,
                metavar='BLOCKS',
                type=lambda text, option=option: option.from_flag(whole(1)(text)),
                help='the same by blocks a stage, as the original counts for this model',
            )


def options_of(args, entry):
    """Return the model's options among parsed arguments, completed and checked."""
    given = {option.name: getattr(args, option.name) for option in entry.options}
    if hasattr(args, 'n_class'):
        given['n_class'] = args.n_class
    return entry.complete(given)


def add_device(parser):
    """Add where to compute."""
    group = parser.add_argument_group('where to compute')
    group.add_argument('-g', '--gpu', type=int, default=-1, help='number of the GPU; -1 is the CPU')
    group.add_argument(
        '--cpu',
        choices=('auto', 'onednn', 'numpy'),
        default='auto',
        help="on a CPU: oneDNN's kernels or Chainer's own; auto takes oneDNN where it loads",
    )


def add_data(parser, train=True):
    """Add where the images come from, and how many to train and to test with."""
    group = parser.add_argument_group('data')
    group.add_argument(
        '--dataset',
        choices=('cifar10', 'shapes', 'auto'),
        default='cifar10',
        help='shapes is a small drawn set that is built in: no network needed; '
        'auto takes it where no copy of cifar10 is found, and says so',
    )
    group.add_argument(
        '--data',
        metavar='PATH',
        default=None,
        help='cifar-10-python.tar.gz or the folder cifar-10-batches-py; without '
        "it a copy in Chainer's dataset folder, else a download",
    )
    if train:
        group.add_argument(
            '--limit_train',
            metavar='N',
            type=whole(1),
            default=None,
            help='only the first N training images, in file order',
        )
    group.add_argument(
        '--limit_test',
        metavar='N',
        type=whole(1),
        default=None,
        help='only the first N test images, in file order',
    )


def parser_for(name, prog='train_cifar10.py'):
    """Return the training parser for a model.

    Args:
        name (str): the model, one of :func:`chainer_zoo.names`.
        prog (str): what the program is called in messages.

    Returns:
        argparse.ArgumentParser: defaults are the model's recipe.
    """
    entry = catalog.entry(name)
    recipe = entry.recipe
    parser = Parser(
        prog=prog,
        description='Train {}: {} ({}). Defaults are {}.'.format(
            entry.name,
            entry.paper,
            entry.year,
            "the original code's" if entry.original else "the paper's recipe",
        ),
    )
    add_model(parser)
    add_options(parser, entry)
    group = parser.add_argument_group('training')
    group.add_argument(
        '-b', '--batch', type=whole(1), default=recipe.batch, help='images an update'
    )
    group.add_argument('-e', '--epoch', type=whole(1), default=recipe.epochs, help='last epoch')
    group.add_argument(
        '-s',
        '--start_epoch',
        type=whole(1),
        default=1,
        help='first epoch, which sets the rate to start with',
    )
    group.add_argument(
        '-lr',
        '--lr',
        type=positive,
        default=recipe.lr,
        help='learning rate that the schedule starts from',
    )
    group.add_argument(
        '-trb',
        '--train_batch_divide',
        type=whole(1),
        default=recipe.micro_batches,
        help='split a batch into so many parts; BN sees one part at a time',
    )
    group.add_argument(
        '-teb',
        '--test_batch_divide',
        type=whole(1),
        default=recipe.micro_batches,
        help='test on batch / TEB images at a time: bounds the memory',
    )
    group.add_argument(
        '--seed', type=whole(0), default=0, help='the same seed gives the same numbers'
    )
    group.add_argument(
        '--iterations', metavar='N', type=whole(1), default=None, help='stop after N updates'
    )
    group.add_argument(
        '--minutes', metavar='M', type=positive, default=None, help='stop after so many minutes'
    )
    group.add_argument(
        '--dtype',
        choices=('float32', 'mixed16'),
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
        default='results/' + name,
        help='where models, logs and plots go',
    )
    group.add_argument(
        '-m',
        '--load_model',
        metavar='FILE',
        default=None,
        help="start from a model file, ours or the original's",
    )
    group.add_argument(
        '-l', '--load_log', metavar='FILE', default=None, help='go on with an original log.json'
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
        help='go on from a snapshot; from the newest in FOLDER without a value',
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
        help='a snapshot every N updates too; 0: after each epoch only',
    )
    return parser


def parse(argv, prog='train_cifar10.py'):
    """Return the parsed arguments of a training command line.

    The model is looked for first, since flags and defaults depend on it.

    Raises:
        UserError: there is no such model.
        SystemExit: a wrong flag (status 2) or ``--help`` (status 0).
    """
    first = Parser(prog=prog, add_help=False)
    add_model(first)
    name = first.parse_known_args(argv)[0].model
    return parser_for(name, prog).parse_args(argv)
