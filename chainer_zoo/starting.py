"""What a program of this package does before its imports, which take seconds.

It is done by importing this module, which ``import chainer_zoo`` does first of all. Nothing but the
standard library is imported here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

#: How ``sys.argv[0]`` ends while a program of this package starts, and what messages call it. It is
#: ``-m`` while Python looks for the module of ``python -m chainer_zoo``.
_PROGRAMS = {
    '-m': 'python -m chainer_zoo',
    'chainer-zoo': 'chainer-zoo',
    'train_cifar10.py': 'train_cifar10.py',
}
_WORDS = {signal.SIGINT: 'interrupted', signal.SIGTERM: 'terminated'}


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM.

    Args:
        number: of the signal.

    Attributes:
        status: the exit status that says so, as shells count.
        word: what happened, in one word.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number
        self.word = _WORDS[signal.Signals(number)]


def _prepare() -> None:
    """Have Ctrl-C and SIGTERM end a program that is starting, in one line; others are left alone.

    Standard input, output and error get a file where they are closed: what is opened next, such as
    a model file, would take their place and be written to by whatever prints.
    """
    name = _PROGRAMS.get(os.path.basename(sys.argv[0])) if getattr(sys, 'argv', None) else None
    if name is None:
        return
    for handle in (0, 1, 2):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one

    def end(number: int, frame: FrameType | None) -> None:
        # an exception could be caught by whatever is being imported
        with contextlib.suppress(OSError):
            os.write(2, f'{name}: {_WORDS[signal.Signals(number)]}\n'.encode())
        os._exit(128 + number)

    _listen(end)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Have Ctrl-C and SIGTERM raise :class:`Interrupted` inside a ``with`` block."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    before = _listen(interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(handler: signal._HANDLER) -> dict[signal.Signals, signal._HANDLER]:
    """Handle both signals, where they are not ignored; return how they were handled before."""
    before: dict[signal.Signals, signal._HANDLER] = {}
    if threading.current_thread() is not threading.main_thread():
        return before  # signals reach the main thread only
    for number in _WORDS:
        # None: the handler is not Python's, and could not be set again
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, handler)
    return before


_prepare()
