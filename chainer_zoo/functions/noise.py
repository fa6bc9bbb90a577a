"""Where a model's randomness comes from: one generator, numbered draws, masks that are not stored.

Each use of noise takes the next *draw number*. What it draws is a function of the seed, that number
and the element's index (:mod:`chainer_zoo.functions._philox`). So backward computes a mask again
instead of keeping it, a run repeats exactly from its seed, and a snapshot needs two integers.
"""

from __future__ import annotations

import contextlib
import operator
import threading
from collections.abc import Iterator

import chainer

from chainer_zoo.errors import UserError
from chainer_zoo.functions import _philox

chainer.global_config.chainer_zoo_noise = True


def is_on(sample: bool = False) -> bool:
    """Return whether noise acts: in training mode, outside :func:`no_noise`.

    Args:
        sample (bool): whether it acts in test mode too.

    Returns:
        bool: both ``chainer.config.train``, or ``sample``, and ``chainer.config.chainer_zoo_noise``
        of this thread.
    """
    return bool((chainer.config.train or sample) and chainer.config.chainer_zoo_noise)


@contextlib.contextmanager
def no_noise() -> Iterator[None]:
    """Switch off every noise source of a model in training mode, in this thread.

    Dropout, stochastic depth, swapout and drop-path then keep everything, unscaled.
    """
    with chainer.using_config('chainer_zoo_noise', False):
        yield


def check_probability(name: str, value: float, below_one: bool = False) -> None:
    """Refuse what is not a probability.

    Args:
        name (str): what the caller's argument is called.
        value (float): to be in [0, 1], or in [0, 1) if ``below_one``.
        below_one (bool): whether 1 is refused.

    Raises:
        ~chainer_zoo.errors.UserError: if it is not.
    """
    if not 0 <= value <= 1 or (below_one and value == 1):
        bound = ', less than 1' if below_one else ''
        raise UserError(f'{name} is {value}: give a number from 0 to 1{bound}')


class NoiseGenerator:
    """The source of a model's random numbers: a seed and the number of the next draw.

    Threads may share it: a lock hands out each draw number once, so no two uses of noise ever see
    the same mask. Which thread gets which number then depends on their timing; a run that must
    repeat exactly lets one thread draw, or restores a state before each thread's turn.

    Args:
        seed (int): in [0, 2**64).
    """

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Start again from ``seed``.

        Args:
            seed (int): in [0, 2**64). Different seeds give unrelated numbers.

        Raises:
            ~chainer_zoo.errors.UserError: if the seed is out of that range.
        """
        self.restore((seed, 0))

    def next_key(self) -> tuple[int, int]:
        """Take the next draw number.

        Returns:
            tuple of int: (seed, draw), what a mask's words are computed from.
        """
        with self._lock:
            key = self._seed, self._draw
            self._draw += 1
        return key

    def uniform(self) -> float:
        """Take the next draw number for one number on the host.

        Returns:
            float: in [0, 1), a multiple of 2**-53.
        """
        (word,) = _philox.words(self.next_key(), 0, 1)
        return (int(word) >> 11) * 2.0**-53

    def state(self) -> tuple[int, int]:
        """Return (seed, next draw number), for :meth:`restore`."""
        with self._lock:
            return self._seed, self._draw

    def restore(self, state: tuple[int, int]) -> None:
        """Go on from ``state``.

        Args:
            state (tuple of int): what :meth:`state` returned.

        Raises:
            ~chainer_zoo.errors.UserError: if seed or draw number are not in [0, 2**64).
        """
        seed, draw = (operator.index(value) for value in state)
        for name, value in (('seed', seed), ('draw number', draw)):
            if not 0 <= value < 2**64:
                raise UserError(
                    f'the noise {name} is {value}: give a whole number from 0 to 2**64 - 1'
                )
        with self._lock:
            self._seed, self._draw = seed, draw

    def serialize(self, serializer: chainer.AbstractSerializer) -> None:
        """Write the state into a snapshot or read it from one.

        Args:
            serializer (~chainer.AbstractSerializer): its entries are ``seed`` and ``draw``.
        """
        seed, draw = self.state()
        self.restore((int(serializer('seed', seed)), int(serializer('draw', draw))))


#: The generator of this process; every function of this package draws from it.
generator = NoiseGenerator()
