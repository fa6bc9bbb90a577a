"""What follows a convolution before its result is stored: its *epilogue*.

It is a sequence of steps, done in their order: :data:`RELU`, or an array of the result's shape that
is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import numpy as np

from chainer_zoo.engines.cpu import elementwise
from chainer_zoo.engines.cpu import openmp
from chainer_zoo.engines.cpu import primitive

RELU = primitive.RELU

Step = Union[tuple, np.ndarray]


def can_run_in_loops(epilogue: Sequence[Step]) -> bool:
    """Return whether the compiled loops do it: at most ReLU, a sum and ReLU again."""
    kinds = [step is RELU for step in epilogue]
    return kinds in ([], [True], [False], [True, False], [False, True], [True, False, True])


def unpack(epilogue: Sequence[Step]) -> tuple[bool, np.ndarray, bool]:
    """Return an epilogue as the compiled loops take it.

    Args:
        epilogue: one that :func:`can_run_in_loops`. Arrays are channels last.

    Returns:
        tuple: whether ReLU comes first; what is added then, (B, H, W, O) or nothing; whether ReLU
        comes last.
    """
    if not can_run_in_loops(epilogue):
        raise ValueError(f'no compiled loop does this epilogue: {epilogue}')
    starts_with_relu = bool(epilogue) and epilogue[0] is RELU
    rest = epilogue[1:] if starts_with_relu else epilogue
    addend = openmp.pixels(rest[0]) if rest else openmp.NO_IMAGES
    return starts_with_relu, addend, len(rest) == 2


def apply(y: np.ndarray, epilogue: Sequence[Step]) -> np.ndarray:
    """Return what the epilogue makes of float32 array ``y``, which may be overwritten."""
    for step in epilogue:
        if step is RELU:
            elementwise.relu_in_place(y)
        else:
            y = elementwise.add((y, step))
    return y
