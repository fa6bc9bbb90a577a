"""When training is over, and how Ctrl-C ends it in order."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from chainer import training

from chainer_zoo.starting import Interrupted


class Stop:
    """Says when training is over, and turns Ctrl-C into an orderly end after the current update.

    Args:
        epochs: the last epoch.
        iterations: the last update, if not None.
        seconds: the run is cut short after so long, if not None.

    Attributes:
        asked: the signal that asked to stop, or None.
        saved: whether that stop's snapshot is written.
    """

    def __init__(
        self, epochs: int, iterations: int | None = None, seconds: float | None = None
    ) -> None:
        self.epochs = epochs
        self.iterations = iterations
        self.seconds = seconds
        self.asked: int | None = None
        self.saved = False
        self._cut: tuple[int, bool] | None = None

    def __call__(self, trainer: training.Trainer) -> bool:
        """A trigger: fires when training is over."""
        if self.saved or trainer.updater.epoch >= self.epochs:
            return True
        return trainer.updater.iteration > 0 and self.cut_short(trainer)

    def cut_short(self, trainer: training.Trainer) -> bool:
        """Return whether this update is the last although its epoch is not over.

        Whatever is asked several times after one update gets one answer, although time goes on.
        """
        iteration = trainer.updater.iteration
        if self._cut is None or self._cut[0] != iteration:
            enough = self.iterations is not None and iteration >= self.iterations
            late = self.seconds is not None and trainer.elapsed_time >= self.seconds
            self._cut = iteration, enough or late
        return self._cut[1]

    def progress(self, trainer: training.Trainer) -> float:
        """Return how much of the run is over, 0 to 1, by its updates or its time.

        The one that is further counts: it ends the run.
        """
        parts = [0.0]
        if self.iterations is not None:
            parts.append(trainer.updater.iteration / self.iterations)
        if self.seconds is not None:
            parts.append(trainer.elapsed_time / self.seconds)
        return min(1.0, max(parts))

    def end_of_epoch(self, trainer: training.Trainer) -> bool:
        """A trigger: fires when an epoch is over, and when the run is cut short."""
        return trainer.updater.is_new_epoch or self.cut_short(trainer)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take Ctrl-C and SIGTERM as the wish to stop; a second one stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals reach the main thread only
            return
        before = {
            number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                if handler is not None:  # one that is not Python's cannot be set again from here
                    signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked is not None:
            raise Interrupted(number)
        self.asked = number
        # RuntimeError: the signal came in the middle of writing to the same stream
        with contextlib.suppress(RuntimeError):
            print('\nstopping after this update; once more to stop at once', file=sys.stderr)
