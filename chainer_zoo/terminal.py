"""Standard output and error that may be full, closed or gone, and a terminal that hangs up."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import TextIO


class _Lasting(io.TextIOBase):
    """A stream that drops what cannot be written.

    Args:
        stream: where the text goes; None where the process has no such stream.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        # RuntimeError: a signal came in the middle of a write, and its handler writes too
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            if self._stream is not None:
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            if self._stream is not None:
                self._stream.flush()

    def isatty(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            return self._stream is not None and self._stream.isatty()
        return False

    def fileno(self) -> int:
        if self._stream is None:
            raise io.UnsupportedOperation('there is no such stream')
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._stream, 'encoding', None) or 'utf-8'

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return getattr(self._stream, 'errors', None)

    def writable(self) -> bool:
        return True


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """Let work go on inside a ``with`` block whatever becomes of its output.

    What cannot be written to standard output or error is dropped: the reader of a pipe has ended,
    the disk is full, the stream is closed, or the terminal is gone. The signal of a terminal that
    hangs up does not end the process either.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_Lasting(stream) for stream in before)
    try:
        with _no_hangup():
            yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in before:
            let_go(stream)


@contextlib.contextmanager
def _no_hangup() -> Iterator[None]:
    """Ignore SIGHUP; only the main thread can, and Windows has no such signal."""
    if not hasattr(signal, 'SIGHUP') or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        if before is not None:  # a handler that is not Python's cannot be set again from here
            signal.signal(signal.SIGHUP, before)


def let_go(stream: TextIO | None) -> None:
    """Write what a stream still holds; where that fails, send it nowhere.

    Python flushes its streams once more when the process ends. It would print an error of its own
    there and change the exit status.
    """
    if stream is None:
        return
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
            stream.flush()
