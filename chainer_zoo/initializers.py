"""The article's initialization: He variance and orthogonal factors, by the rule of the day."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import chainer
import numpy as np

from chainer_zoo.errors import UserError
from chainer_zoo.memory import Budget

#: The original's rules, newest first: what each is and when nutszebra/trainer followed it.
RULES = {
    'per_channel': 'each output channel a matrix (C, K K) of its own, variance 2 / (C K K); since '
    '2016-11-22 (7866275)',
    'whole': 'one matrix (O, C K K), variance 2 / (C K K); from 2016-11-13 (70e0aeb) on',
    'whole_2_over_cin': 'one matrix (O, C K K), variance 2 / C without the kernel area; from '
    '2016-10-20 (315b031) on',
}

chainer.global_config.chainer_zoo_fill = True
chainer.global_config.chainer_zoo_init = 'per_channel'
chainer.global_config.chainer_zoo_budget = None


@contextlib.contextmanager
def unfilled() -> Iterator[None]:
    """Leave weights as they come from memory, in this thread.

    For whoever needs a network's structure only: memory that nobody writes costs nothing, so
    the largest model is built in a moment.
    """
    with chainer.using_config('chainer_zoo_fill', False):
        yield


@contextlib.contextmanager
def outline(budget: Budget) -> Iterator[None]:
    """Count the weights that are built here, in this thread, and leave them without arrays.

    Args:
        budget: counts the bytes of the weights and of their gradients, which Chainer lays beside
            them at once.
    """
    with chainer.using_config('chainer_zoo_budget', budget):
        yield


def is_outline(shape: tuple[int, ...]) -> bool:
    """Return whether a weight of ``shape`` is to have no array; it is counted then.

    Raises:
        UserError: all weights together exceed the budget of :func:`outline`.
    """
    budget = chainer.config.chainer_zoo_budget
    if budget is None:
        return False
    budget.take(2 * np.dtype(np.float32).itemsize * math.prod(shape))
    return True


@contextlib.contextmanager
def using_rule(rule: str) -> Iterator[None]:
    """Start the weights of the models that are built here by one of :data:`RULES`, in this thread.

    Raises:
        UserError: there is no such rule.
    """
    if rule not in RULES:
        raise UserError(f'the initialization must be one of {", ".join(RULES)}, not {rule!r}')
    with chainer.using_config('chainer_zoo_init', rule):
        yield


class HeOrthogonal(chainer.initializer.Initializer):
    """Weights with He's variance, made of a factor of a singular value decomposition.

    A matrix of Gaussians is decomposed. Its left factor, if that has the matrix's shape, else its
    right one, is scaled to the standard deviation sqrt(variance) and shifted to mean 0. What is a
    matrix and which variance it gets is the rule's, see :data:`RULES`. By the newest rule the rows
    are orthogonal inside one output channel only; for a 1x1 kernel and for a linear layer that only
    scales. By the two older ones they are orthogonal between output channels.

    Source: nutszebra/trainer, nutszebra_initialization.py and nutszebra_chainer.py, at 7866275 for
    the newest rule, 70e0aeb and 583b117 for the older ones; the variance is that of He et al.,
    "Delving Deep into Rectifiers", section 2.2.

    Args:
        rng (numpy.random.RandomState): where the Gaussians come from; NumPy's global generator
            if None.
        rule (str): a key of :data:`RULES`; that of :func:`using_rule` if None.
        dtype: see :class:`chainer.initializer.Initializer`.
    """

    def __init__(
        self,
        rng: np.random.RandomState | None = None,
        rule: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype)
        self.rng = rng
        self.rule = rule

    def __call__(self, array: Any) -> None:
        """Fill ``array``, float (O, C, KH, KW) or (O, C), in place."""
        if not chainer.config.chainer_zoo_fill:
            return
        rng = np.random.mtrand._rand if self.rng is None else self.rng
        rule = chainer.config.chainer_zoo_init if self.rule is None else self.rule
        channels_out, channels_in = array.shape[:2]
        pixels = int(np.prod(array.shape[2:], dtype=int))
        if rule == 'per_channel':
            w = _per_channel(rng, channels_out, channels_in, pixels)
        else:
            fan = channels_in if rule == 'whole_2_over_cin' else channels_in * pixels
            w = _whole(rng, channels_out, channels_in * pixels, np.sqrt(2.0 / fan))
        xp = chainer.backend.get_array_module(array)
        array[...] = xp.asarray(w.reshape(array.shape), dtype=array.dtype)


def _per_channel(
    rng: np.random.RandomState, channels_out: int, channels_in: int, pixels: int
) -> np.ndarray:
    """Return float32 (O, C, K K): each output channel by itself."""
    std = np.sqrt(2.0 / (channels_in * pixels))
    # The Gaussians are drawn in the original's order, so one seed gives its weights.
    w = rng.normal(0.0, std, (channels_out, channels_in, pixels)).astype(np.float32)
    if pixels > 1:
        # The original takes U where it is square too, hence not min(): C >= K takes U.
        u, _, v = np.linalg.svd(w, full_matrices=False)
        w = u if channels_in >= pixels else v
    else:
        # U of one column is that column at length 1: no decomposition is needed.
        w = w / np.linalg.norm(w, axis=1, keepdims=True)
    if channels_in * pixels > 1:
        w = w / w.std(axis=(1, 2), keepdims=True) * std
        w -= w.mean(axis=(1, 2), keepdims=True)
    else:
        # unlike the original: one number has no deviation to scale, it divides by 0 there
        w = w * std
    return w


def _whole(rng: np.random.RandomState, rows: int, columns: int, std: float) -> np.ndarray:
    """Return float32 (O, C K K): all output channels together."""
    w = rng.normal(0.0, std, (rows, columns)).astype(np.float32)
    u, _, v = np.linalg.svd(w, full_matrices=False)
    w = u if rows >= columns else v
    if w.size == 1:
        # unlike the original: one number has no deviation to scale, it divides by 0 there
        return w * np.float32(std)
    w = w / w.std() * np.float32(std)
    return w - w.mean()
