"""``completion``: a script by which a shell completes this program's commands, flags and files.

The script lists everything once and for all. Asking the program at every press of the key instead
would take a second each time, for Chainer to load.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

import shtab

from chainer_zoo import catalog
from chainer_zoo.commands import COMMANDS
from chainer_zoo.commands.flags import Parser

#: What a shell completes to, by what ``--help`` calls a flag's value.
_FILES = {
    'FILE': shtab.FILE,
    'IMAGE': shtab.FILE,
    'PATH': shtab.FILE,
    'SNAPSHOT': shtab.FILE,
    'RUN': shtab.FILE,
    'FOLDER': shtab.DIRECTORY,
}


def add_arguments(parser: Parser, argv: Sequence[str]) -> None:
    """Add the shell's name."""
    parser.epilog = 'For bash: eval "$(chainer-zoo completion bash)", in ~/.bashrc to keep it.'
    parser.add_argument(
        'shell', choices=sorted(shtab.SUPPORTED_SHELLS), help='the shell that is to run the script'
    )


def run(args: argparse.Namespace) -> int:
    """Print the script; return the exit status."""
    print(shtab.complete(_whole_parser(), args.shell))
    return 0


def _whole_parser() -> argparse.ArgumentParser:
    """Return a parser of all commands with the flags of all models."""
    parser = Parser(prog='chainer-zoo')
    parser.add_argument('--version', action='store_true', help='the version of this package')
    subparsers = parser.add_subparsers(dest='command', parser_class=Parser)
    for command, text in COMMANDS.items():
        add = importlib.import_module('chainer_zoo.commands.' + command).add_arguments
        merged = subparsers.add_parser(command, help=text)
        for name in catalog.names():
            of_one_model = Parser(prog=command)
            add(of_one_model, ['--model', name])
            _add_missing(merged, of_one_model)
    return parser


def _add_missing(merged: argparse.ArgumentParser, other: argparse.ArgumentParser) -> None:
    """Add to a parser what another one has beside."""
    known = {string for action in merged._actions for string in action.option_strings}
    positionals = {action.dest for action in merged._actions if not action.option_strings}
    for action in other._actions:
        strings = [string for string in action.option_strings if string not in known]
        if strings:
            takes_value = action.nargs != 0
            added = merged.add_argument(
                *strings,
                help=action.help,
                **({'choices': action.choices} if takes_value else {'action': 'store_true'}),
            )
        elif not action.option_strings and action.dest not in positionals:
            added = merged.add_argument(action.dest, nargs=action.nargs, choices=action.choices)
        else:
            continue
        metavar = action.metavar if isinstance(action.metavar, str) else ''
        if metavar in _FILES:
            added.complete = _FILES[metavar]  # type: ignore[attr-defined]
        if metavar == 'NAME':
            added.choices = catalog.names()
