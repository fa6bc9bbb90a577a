"""What commands that take a saved model have in common: its flags, and loading it."""

from chainer_zoo import catalog
from chainer_zoo import initializers
from chainer_zoo.commands import flags
from chainer_zoo.engines import devices
from chainer_zoo.errors import UserError
from chainer_zoo.legacy import model_file


def add_arguments(parser):
    """Add ``--model``, the options of the model that it names, ``--load_model`` and the device.

    Args:
        parser (argparse.ArgumentParser): a command's parser, which has not parsed anything yet.
    """
    flags.add_model(parser)
    parser.add_argument(
        '-m',
        '--load_model',
        metavar='FILE',
        required=True,
        help="a model file (*.model), ours or the original's",
    )
    flags.add_device(parser)
    parse = parser.parse_known_args

    def parse_known_args(args=None, namespace=None):
        # which options there are depends on the model, so that is looked for first
        first = flags.Parser(prog=parser.prog, add_help=False)
        flags.add_model(first)
        try:
            entry = catalog.entry(first.parse_known_args(args)[0].model)
        except UserError as error:
            parser.error(str(error))
        flags.add_options(parser, entry)
        return parse(args, namespace)

    parser.parse_known_args = parse_known_args


def load(args, n_class=None):
    """Return what parsed arguments ask for.

    Args:
        args (argparse.Namespace): see :func:`add_arguments`.
        n_class (int): number of classes where ``--n_class`` is not given.

    Returns:
        tuple: the model's entry, all its options, and the model itself on its device.

    Raises:
        UserError: an option or the file makes no sense.
    """
    entry = catalog.entry(args.model)
    if n_class is not None and not hasattr(args, 'n_class'):
        args.n_class = n_class
    options = flags.options_of(args, entry)
    device = devices.find(args.gpu)
    devices.choose_engine(args.cpu, args.gpu)
    with initializers.unfilled():  # the file has all values
        model = entry.build(**options)
    model_file.load(args.load_model, model)
    model.to_device(device)
    return entry, options, model
