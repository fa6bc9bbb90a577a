"""Running one command: its flags, its errors in one line, its exit status."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Callable

from chainer_zoo import engines
from chainer_zoo.commands.flags import Parser
from chainer_zoo.errors import UserError
from chainer_zoo.files import printable


def run(
    add_arguments: Callable[[Parser, Sequence[str]], None],
    run: Callable[[argparse.Namespace], int],
    argv: Sequence[str],
    prog: str,
    description: str | None = None,
) -> int:
    """Parse a command's words and run it.

    The process is left as it was found: a command chooses its CPU engine for itself.

    Args:
        add_arguments: adds the command's flags to a parser. It sees the words that will be parsed,
            because which flags there are depends on the model that they name.
        run: does the work and returns the exit status.
        argv: the words after the command's name.
        prog: what the command is called in messages; ``args.prog`` in ``run``.
        description: what the command does, for ``--help``.

    Returns:
        The exit status: 2 after an error that people can fix, 130 after Ctrl-C.

    Raises:
        SystemExit: a wrong flag (status 2) or ``--help`` (status 0).
    """
    engine_on = engines.CPU.is_enabled()
    try:
        with _any_text():
            parser = Parser(prog=prog, description=description)
            parser.set_defaults(prog=prog)
            add_arguments(parser, argv)
            return run(parser.parse_args(argv))
    except UserError as e:
        complain(prog, e)
        return 2
    except KeyboardInterrupt:
        complain(prog, 'interrupted')
        return 130
    except BrokenPipeError:
        sys.stdout = None  # whoever read the output has closed it: nothing is left to say
        return 0
    finally:
        (engines.CPU.enable if engine_on else engines.CPU.disable)()


def complain(prog: str, what: object) -> None:
    """Print an error on one line of standard error, whatever characters it holds."""
    print(printable(f'{prog}: {what}'), file=sys.stderr)


@contextlib.contextmanager
def _any_text() -> Iterator[None]:
    r"""Have standard output escape what its encoding lacks, as standard error does.

    A terminal of Shift-JIS or ASCII cannot show every name: ``é`` is then written as ``\\xe9``.
    """
    stream = sys.stdout
    if not isinstance(stream, io.TextIOWrapper):  # closed, or a test's
        yield
        return
    before = stream.errors
    stream.reconfigure(errors='backslashreplace')
    try:
        yield
    finally:
        stream.reconfigure(errors=before)
