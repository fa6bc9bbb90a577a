"""The command line: ``train_cifar10.py`` and ``python -m chainer_zoo``."""
import importlib
import sys

from chainer_zoo import onednn
from chainer_zoo.errors import UserError
from chainer_zoo.training.arguments import Parser

#: Commands of ``python -m chainer_zoo``: module under ``chainer_zoo.report``, what they do.
COMMANDS = {
    'list': ('listing', 'one line a model: paper, weights, multiply-adds, accuracies'),
    'summary': ('summary', "a model's layers, with weights, multiply-adds and memory"),
    'evaluate': ('evaluate', 'loss, accuracy and confusion matrix of a saved model'),
    'predict': ('predict', 'the classes of ordinary picture files'),
    'compare': ('compare', "runs beside the article's and the papers' figures"),
    'profile': ('profile', 'time per function of one training step'),
    'doctor': ('doctor', 'versions, devices, and what is missing'),
}


def _guarded(run, prog):
    """Run, and turn what people can mend into one line and status 2.

    The process is left as it was found: a command chooses its CPU engine for itself.
    """
    engine_on = onednn.is_enabled()
    try:
        return run()
    except UserError as e:
        print('{}: {}'.format(prog, e), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('{}: interrupted'.format(prog), file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stdout = None  # whoever read the output has closed it: nothing is left to say
        return 0
    finally:
        (onednn.enable if engine_on else onednn.disable)()


def train(argv):
    """Run ``train_cifar10.py``; return its exit status."""
    prog = 'train_cifar10.py'

    def run():
        from chainer_zoo.training import arguments
        args = arguments.parse(argv, prog)
        from chainer_zoo.training import run as training  # imports all of Chainer's training
        return training.run(args, argv)
    return _guarded(run, prog)


def main(argv=None):
    """Run ``python -m chainer_zoo``; return its exit status."""
    prog = 'python -m chainer_zoo'
    argv = sys.argv[1:] if argv is None else argv
    parser = Parser(prog=prog, description='The image-recognition models of 2016.')
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', required=True,
                                     parser_class=Parser)
    for name, (module, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + '.')
        if argv[:1] == [name]:  # only the asked-for command's module is imported
            chosen = importlib.import_module('chainer_zoo.report.' + module)
            chosen.add_arguments(command)
            command.set_defaults(run=chosen.run)
    args = parser.parse_args(argv)
    return _guarded(lambda: args.run(args), prog)
