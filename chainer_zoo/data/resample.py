"""Resizing as a product of matrices, with the weights that Pillow uses.

Resizing is linear and acts on rows and columns apart, so a resized image is ``R @ image @ C.T``
with one matrix for its rows and one for its columns. A crop of the result takes a slice of each
matrix. Pillow rounds to whole grey levels after the columns and again after the rows, and so does
:mod:`chainer_zoo.data.images`.

Weights are whole numbers, as Pillow has them. An image that is enlarged bilinearly often comes out
exactly halfway between two grey levels, up to once in 18 values, and then the rounding of the
weights decides which one it becomes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import chainer
import numpy as np

#: A weight of 1 is 2 to this power (PRECISION_BITS in Pillow's Resample.c).
PRECISION_BITS = 22


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x: np.ndarray, a: float = -0.5) -> np.ndarray:
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


# By interpolation: a function of the distance in pixels, and the distance from which on it is 0.
_FILTERS = {'bilinear': (_triangle, 1.0), 'bicubic': (_cubic, 2.0)}
INTERPOLATIONS = ('nearest',) + tuple(_FILTERS)

# Weights of a table at most: instead of growing beyond, it starts again from nothing. All matrices
# of the largest size class (from 32 to 256..512 pixels) have 9.5 million.
_CAPACITY = 1 << 24


def matrix(old: int, new: int, interpolation: str) -> np.ndarray:
    """Return the weights that turn ``old`` pixels in a row into ``new`` ones.

    Args:
        old: Pixels before.
        new: Pixels after.
        interpolation: ``'nearest'``, ``'bilinear'`` or ``'bicubic'``, the last two with Pillow's
            wider support where ``new`` is smaller (antialiasing).

    Returns:
        int32 (new, old), in units of 2 ** -22. Each row sums to 1, give or take a few units.
    """
    first, end = window(old, new, interpolation)
    whole = np.zeros((new, old), dtype=np.int32)
    if new == old or interpolation == 'nearest':
        whole[np.arange(new), first] = 1 << PRECISION_BITS
        return whole
    function, _ = _FILTERS[interpolation]
    step = old / new
    centres = (np.arange(new)[:, None] + 0.5) * step
    pixels = first[:, None] + np.arange((end - first).max())  # (new, pixels of the widest window)
    inside = pixels < end[:, None]
    weights = function((pixels - centres + 0.5) * (1 / max(step, 1.0))) * inside
    weights /= weights.sum(axis=1, keepdims=True)
    weights *= 1 << PRECISION_BITS
    weights = np.trunc(weights + np.copysign(0.5, weights))
    whole[np.nonzero(inside)[0], pixels[inside]] = weights[inside]
    return whole


def window(old: int, new: int, interpolation: str) -> tuple[np.ndarray, np.ndarray]:
    """Return which of ``old`` pixels have a weight for each of ``new`` ones.

    Args:
        old: As in :func:`matrix`.
        new: The same.
        interpolation: The same.

    Returns:
        The first such pixel and the one after the last, int (new,). Neither ever decreases.
    """
    if new == old:
        first = np.arange(new)
        return first, first + 1
    if interpolation == 'nearest':
        # added up step by step as Pillow does: where a centre is exactly between two pixels, the
        # rounding decides
        centres = np.add.accumulate([0.5 * old / new] + [old / new] * (new - 1))
        first = np.minimum(centres.astype(int), old - 1)
        return first, first + 1
    _, reach = _FILTERS[interpolation]
    step = old / new
    reach *= max(step, 1.0)
    centres = (np.arange(new) + 0.5) * step
    return (
        np.maximum(centres - reach + 0.5, 0).astype(int),
        np.minimum(centres + reach + 0.5, old).astype(int),
    )


Kind = tuple[int, str]  # of a matrix: pixels after, interpolation


class Table:
    """Matrices for N pixels, one below the other.

    A table never changes, so threads share it without a lock: growing gives another one.

    Args:
        old: N, pixels before.

    Attributes:
        weights: int32 (M, N), read-only.
        windows: int (M, 2), the :func:`window` of each row, read-only.
        start: Row in which the matrix of a kind begins.
    """

    def __init__(self, old: int) -> None:
        self.weights = np.empty((0, old), dtype=np.int32)
        self.windows = np.empty((0, 2), dtype=int)
        self.start: dict[Kind, int] = {}
        # Memory with room for more rows. Only one of the tables that grow from this may have it.
        self._room: list[tuple[np.ndarray, ...]] = [(self.weights, self.windows)]
        self._sent: dict[str, Any] = {}

    def with_these(self, kinds: Iterable[Kind]) -> Table:
        """Return a table with the matrices of these kinds as well."""
        missing = sorted(kind for kind in set(kinds) if kind not in self.start)
        if not missing:
            return self
        used, old = self.weights.shape
        rows = used + sum(new for new, _ in missing)
        if rows * old > _CAPACITY and used:
            return Table(old).with_these(kinds)
        try:
            room = self._room.pop()
        except IndexError:  # another table has taken it
            room = ()
        if not room or len(room[0]) < rows:
            room = tuple(
                [
                    np.empty((max(rows, 2 * used),) + array.shape[1:], dtype=array.dtype)
                    for array in (self.weights, self.windows)
                ]
            )
            room[0][:used] = self.weights
            room[1][:used] = self.windows
        table = Table(old)
        table.weights, table.windows = [array[:rows] for array in room]
        table.start = dict(self.start)
        table._room = [room]
        for kind in missing:
            table.start[kind] = used
            end = used + kind[0]
            table.weights[used:end] = matrix(old, *kind)
            table.windows[used:end] = np.transpose(window(old, *kind))
            used = end
        table.weights.flags.writeable = table.windows.flags.writeable = False
        return table

    def weights_on(self, device: chainer.backend.Device) -> Any:
        """Return :attr:`weights` on a device, sent there only once."""
        key = str(device)
        if key not in self._sent:
            self._sent[key] = device.send(self.weights)
        return self._sent[key]


_tables: dict[int, Table] = {}  # by pixels before


def table(
    old: int,
    crop: int,
    size: np.ndarray,
    interpolation: np.ndarray,
    top: np.ndarray,
    left: np.ndarray,
    flip: np.ndarray,
) -> tuple[Table, np.ndarray, np.ndarray]:
    """Return the matrices for B images, and each image's rows of them.

    Args:
        old: N, pixels before.
        crop: S, pixels a side that are cut out of the resized images.
        size: (B,), as in :class:`chainer_zoo.data.images.Choices`, like all others.
        interpolation: (B,)
        top: (B,)
        left: (B,)
        flip: (B,)

    Returns:
        The matrices; int (B, S) for the rows of each image; int (B, S) for its columns.
    """
    kinds = list(zip(size.tolist(), interpolation.tolist()))
    # Of two threads that come here at once, one uses a table that is not kept.
    found = _tables[old] = (_tables.get(old) or Table(old)).with_these(kinds)
    start = np.array([found.start[kind] for kind in kinds])
    pixels = np.arange(crop)
    rows = (start + top)[:, None] + pixels
    columns = (start + left)[:, None] + np.where(flip[:, None], pixels[::-1], pixels)
    return found, rows, columns
