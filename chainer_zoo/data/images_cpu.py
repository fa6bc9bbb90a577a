"""How :mod:`chainer_zoo.data.images` prepares images on a CPU: one by one, in compiled loops.

Everything before the last step is computed in whole numbers, so the grey levels are exactly those
that Pillow computes. What is read again is small enough for the processor's cache; a large image is
written to memory once.
"""

from __future__ import annotations

import numpy as np

from chainer_zoo import jit
from chainer_zoo import threads
from chainer_zoo.data import resample

# Floats of prepared images that make another thread worth its while.
_SHARE = 1 << 16

_BITS = resample.PRECISION_BITS
_HALF = np.int32(1 << (_BITS - 1))


def prepare(x: np.ndarray, choices: tuple, variance_floor: float, out: np.ndarray) -> None:
    """Write the prepared images ``x`` into ``out``, divided among threads.

    Args:
        x: uint8 (B, 3, N, N).
        choices: What to do with each image, as :class:`chainer_zoo.data.images.Choices`.
        variance_floor: What is added to each image's variance.
        out: float32 (B, 3, S, S) in C order.
    """
    table, rows, columns = resample.table(x.shape[3], out.shape[3], *choices)
    x = np.ascontiguousarray(x).view()
    x.flags.writeable = False  # Numba compiles once more for arrays that can be written to

    def work(part: slice) -> None:
        _prepare(
            x[part],
            table.weights,
            table.windows,
            rows[part],
            columns[part],
            np.float64(variance_floor),
            out[part],
        )

    threads.each(threads.cut(len(x), min(threads.limit(), max(1, out.size // _SHARE))), work)


@jit.compiled
def _prepare(x, weights, windows, rows, columns, variance_floor, out):
    """Prepare images one after the other."""
    old, crop = x.shape[3], out.shape[3]
    stretched = np.empty(256, np.int32)
    narrow = np.empty((old, 3 * old), np.int32)
    sums = np.empty(max(3 * old, crop), np.int32)
    turned = np.empty((crop, 3 * old), np.uint8)
    wide = np.empty((3 * old, crop), np.uint8)
    levels = np.empty((3, crop, crop), np.uint8)
    for i in range(len(x)):
        _stretch(x[i], stretched, narrow)
        _resize_columns(narrow, weights, windows, columns[i], sums[: 3 * old], turned, wide)
        _resize_rows(wide.reshape(3, old, crop), weights, windows, rows[i], sums[:crop], levels)
        _normalize(levels, variance_floor, out[i])


@jit.compiled
def _stretch(x, stretched, y):
    """Write what images.stretch makes of ``x`` (3, N, N) into ``y`` (N, 3 N), column by column.

    ``stretched`` (256,) is memory for what each level becomes.
    """
    low, high = np.uint8(255), np.uint8(0)
    for level in x.flat:
        low = level if level < low else low
        high = level if level > high else high
    scale = np.float32(np.float64(255) / max(high - low, 1))
    for level in range(int(low), int(high) + 1):
        stretched[level] = np.int32(np.float32(level - low) * scale + np.float32(0.5))
    n = x.shape[2]
    for c in range(x.shape[0]):
        for i in range(n):
            for j in range(n):
                y[j, c * n + i] = stretched[x[c, i, j]]


@jit.compiled
def _level(total):
    """Return the whole grey level, 0 to 255, of a sum of levels with weights and a half."""
    return np.uint8(min(max(total >> _BITS, 0), 255))


@jit.compiled
def _resize_columns(x, weights, windows, columns, sums, turned, y):
    """Make ``y`` (3 N, S) of ``x`` (N, 3 N), in which a column's pixels are contiguous.

    All pixels of a column have the same weights, so several are computed at once.
    """
    for j in range(len(columns)):
        row = columns[j]
        sums[:] = _HALF
        for k in range(windows[row, 0], windows[row, 1]):
            for i in range(len(sums)):
                sums[i] += x[k, i] * weights[row, k]
        for i in range(len(sums)):
            turned[j, i] = _level(sums[i])
    for i in range(len(sums)):
        for j in range(len(columns)):
            y[i, j] = turned[j, i]


@jit.compiled
def _resize_rows(x, weights, windows, rows, sums, y):
    """Make ``y`` (3, S, S) of ``x`` (3, N, S)."""
    for c in range(y.shape[0]):
        for i in range(len(rows)):
            row = rows[i]
            sums[:] = _HALF
            for k in range(windows[row, 0], windows[row, 1]):
                for j in range(len(sums)):
                    sums[j] += np.int32(x[c, k, j]) * weights[row, k]
            for j in range(len(sums)):
                y[c, i, j] = _level(sums[j])


@jit.compiled
def _normalize(levels, variance_floor, out):
    """Write ``(levels - mean) / sqrt(variance + variance_floor)`` into ``out`` (3, S, S)."""
    total = squares = 0
    for channel in levels:
        for row in channel:
            for level in row:
                total += np.int32(level)
                squares += np.int32(level) * np.int32(level)
    mean = total / levels.size
    variance = (squares - mean * total) / levels.size
    variance += variance_floor
    # unlike the original: an even image becomes zero where nothing is added, not NaN
    scale = np.float32(1 / np.sqrt(variance) if variance > 0 else 1)
    mean = np.float32(mean)
    for c in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                out[c, i, j] = (np.float32(levels[c, i, j]) - mean) * scale
