"""The command line: ``python -m chainer_zoo COMMAND``, or ``chainer-zoo`` where it is installed."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from chainer_zoo.commands import console
from chainer_zoo.commands.flags import Parser
from chainer_zoo.version import __version__

#: The commands, each a module of this package with ``add_arguments`` and ``run``.
COMMANDS = {
    'train': 'train a model, as train_cifar10.py does',
    'list': 'one line for each model: paper, weights, multiply-adds, accuracies',
    'summary': "a model's layers, with weights, multiply-adds and memory",
    'evaluate': 'loss, accuracy and confusion matrix of a saved model',
    'predict': 'the classes of ordinary image files',
    'compare': "runs beside the article's and the papers' figures",
    'profile': 'time per function of one training step',
    'doctor': 'versions, devices, and what is missing',
    'completion': 'a script by which a shell completes commands and flags',
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that ``argv`` names; this is the entry point of ``chainer-zoo``.

    Args:
        argv: the words after the program's name; those of this process if None.

    Returns:
        The exit status.
    """
    words = sys.argv[1:] if argv is None else argv
    prog = _program()
    return console.guarded(lambda: _main(words, prog), prog)


def _main(argv: Sequence[str], prog: str) -> int:
    parser = Parser(prog=prog, description='The image-recognition models of 2016.')
    parser.add_argument('--version', action='version', version=f'chainer_zoo {__version__}')
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text)
    # the rest of the line is the command's: it knows its own flags
    name = parser.parse_args(argv[:1]).command
    # only this command's module is imported: others need matplotlib, for one
    command = importlib.import_module('chainer_zoo.commands.' + name)
    text = COMMANDS[name]
    return console.run(
        command.add_arguments,
        command.run,
        argv[1:],
        prog=f'{prog} {name}',
        description=f'{text[0].upper()}{text[1:]}.',
    )


def _program() -> str:
    """Return how this program was called, for messages."""
    name = os.path.basename(sys.argv[0])
    return 'chainer-zoo' if name.startswith('chainer-zoo') else 'python -m chainer_zoo'
