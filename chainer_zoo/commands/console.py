"""Running one command: its flags, its errors in one line, its exit status."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Callable

from chainer_zoo import starting
from chainer_zoo import terminal
from chainer_zoo.commands.flags import Parser
from chainer_zoo.engines import devices
from chainer_zoo.errors import UserError
from chainer_zoo.files import one_line


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
        The exit status, see :func:`guarded`.

    Raises:
        SystemExit: a wrong flag (status 2) or ``--help`` (status 0).
    """

    def parse_and_run() -> int:
        with _any_text():
            parser = Parser(prog=prog, description=description)
            parser.set_defaults(prog=prog)
            add_arguments(parser, argv)
            return run(parser.parse_args(argv))

    with devices.restored():
        return guarded(parse_and_run, prog)


def guarded(work: Callable[[], int], prog: str) -> int:
    """Do some work, and turn what people can fix, or caused, into one line.

    Args:
        work: returns the exit status.
        prog: what the program is called in messages.

    Returns:
        The exit status: that of ``work``, 2 after an error that people can fix, 130 after Ctrl-C,
        143 after SIGTERM, 141 where nobody reads the output any more.

    Raises:
        SystemExit: as ``work`` does.
    """
    try:
        with starting.interruptible(), _open_output():
            try:
                status = work()
            except SystemExit:
                sys.stdout.flush()
                raise
            sys.stdout.flush()  # here, where it can still be said that it failed
            return status
    except UserError as e:
        complain(prog, e)
        return 2
    except starting.Interrupted as e:
        complain(prog, e.word)
        return e.status
    except KeyboardInterrupt:
        complain(prog, 'interrupted')
        return 130
    except MemoryError as e:
        complain(prog, f'out of memory ({e})' if str(e) else 'out of memory')
        return 2
    except BrokenPipeError:
        return 141
    except OSError as e:
        if e.filename is None:  # no file of ours: those have messages of their own
            complain(prog, f'cannot write the output: {e.strerror or e}')
        else:
            complain(prog, f'{e.filename}: {e.strerror}')
        return 2
    finally:
        for stream in sys.stdout, sys.stderr:
            terminal.let_go(stream)


def complain(prog: str, what: object) -> None:
    """Print an error on one line of standard error, whatever characters it holds."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # there is nowhere left to say it
            print(one_line(f'{prog}: {what}'), file=sys.stderr)


class _Closed(io.TextIOBase):
    """Standard output where the process was started without one."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


@contextlib.contextmanager
def _open_output() -> Iterator[None]:
    """Let printing to a standard output that is closed be an error; Python ignores it."""
    before = sys.stdout
    if before is None:
        sys.stdout = _Closed()
    try:
        yield
    finally:
        sys.stdout = before


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
