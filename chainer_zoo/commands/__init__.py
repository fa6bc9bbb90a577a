"""The command line: ``train_cifar10.py`` and ``python -m chainer_zoo``."""

import importlib
import sys

from chainer_zoo import engines
from chainer_zoo.commands.flags import Parser
from chainer_zoo.errors import UserError

#: Commands of ``python -m chainer_zoo``, each a module of this package, and what they do.
COMMANDS = {
    'list': 'one line a model: paper, weights, multiply-adds, accuracies',
    'summary': "a model's layers, with weights, multiply-adds and memory",
    'evaluate': 'loss, accuracy and confusion matrix of a saved model',
    'predict': 'the classes of ordinary image files',
    'compare': "runs beside the article's and the papers' figures",
    'profile': 'time per function of one training step',
    'doctor': 'versions, devices, and what is missing',
}


def guarded(run, prog):
    """Run, and turn what people can mend into one line and status 2.

    The process is left as it was found: a command chooses its CPU engine for itself.
    """
    engine_on = engines.CPU.is_enabled()
    try:
        return run()
    except UserError as e:
        print(f'{prog}: {e}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f'{prog}: interrupted', file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stdout = None  # whoever read the output has closed it: nothing is left to say
        return 0
    finally:
        (engines.CPU.enable if engine_on else engines.CPU.disable)()


def main(argv=None):
    """Run ``python -m chainer_zoo``; return its exit status."""
    prog = 'python -m chainer_zoo'
    argv = sys.argv[1:] if argv is None else argv
    parser = Parser(prog=prog, description='The image-recognition models of 2016.')
    commands = parser.add_subparsers(
        dest='command', metavar='COMMAND', required=True, parser_class=Parser
    )
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + '.')
        if argv[:1] == [name]:  # only the asked-for command's module is imported
            chosen = importlib.import_module('chainer_zoo.commands.' + name)
            chosen.add_arguments(command)
            command.set_defaults(run=chosen.run)
    args = parser.parse_args(argv)
    return guarded(lambda: args.run(args), prog)
