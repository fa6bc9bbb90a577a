"""How :mod:`chainer_zoo.data.pictures` prepares pictures on a CPU.

Nearly all of the time goes into reading and writing the large pictures. So these are gone through
as seldom as possible, some at a time that stay in the processor's cache, and in memory that was
used before. There are two ways to do it: :func:`product` and :func:`normalize` here, with NumPy,
and those of :mod:`chainer_zoo.onednn.pictures`, which pass over them less often.
"""
import collections
import functools
import math
import sys
import threading
import weakref

import numpy as np

from chainer_zoo import onednn
from chainer_zoo import threads
from chainer_zoo.data import resample

# Added to a picture's variance, so that an almost even picture is not blown up to pure noise.
VARIANCE_FLOOR = 10.0

# Floats of a batch that are worth a thread of Python: these wait for each other.
_SHARE = 1 << 18

# Floats of resized pictures that a thread works on at a time: they stay in the cache.
_CHUNK = 1 << 19

# Rows of a resized picture that one product computes, at most. Few rows need only few of the small
# picture's; but all the columns of those are computed for them.
_ROWS = 48

# Floats that are summed by one product, at most: few enough for one thread of a BLAS.
_SUMMED = 9000


class _Memory(threading.local):
    """A thread's arrays, used again: new ones would cost more than what is computed in them."""

    def __init__(self):
        self._arrays = {}

    def __call__(self, name, shape):
        size = math.prod(shape)
        array = self._arrays.get(name)
        if array is None or array.size < size:
            array = self._arrays[name] = np.empty(size, dtype=np.float32)
        return array[:size].reshape(shape)


_memory = _Memory()


class Batches(object):
    """Makes arrays for batches, in the memory of an earlier one that nobody refers to any more.

    The operating system clears new memory when it is first written to, which takes half as long as
    preparing the pictures does. At most one batch's memory is kept idle.
    """

    def __init__(self):
        self._idle = collections.deque(maxlen=1)

    def __call__(self, shape):
        """Return a float32 array that is not filled yet."""
        size = math.prod(shape)
        if size == 0:
            return np.empty(shape, dtype=np.float32)
        try:
            memory = self._idle.pop()
        except IndexError:  # none, or another thread was quicker
            memory = None
        if memory is None or memory.size != size:
            memory = np.empty(size, dtype=np.float32)
        # Views of an array refer to it and keep it alive, unless it is a view of another array
        # itself. This one is not, so it is gone when plain memory would be freed, and not before.
        owner = np.frombuffer(memoryview(memory), dtype=np.float32)
        weakref.finalize(owner, self._idle.append, memory).atexit = False
        return owner.reshape(shape)


def stretch(xp, x, y):
    """Write uint8 ``x`` into float32 ``y``, stretched to 0..255 by each picture's own extremes.

    as the original: SciPy's imresize does this to any picture that is not uint8, and the original
    hands it float32. Dark or dull pictures gain contrast.
    """
    flat = x.reshape(len(x), math.prod(x.shape[1:]))
    low = flat.min(axis=1)[:, None, None, None]
    high = flat.max(axis=1)[:, None, None, None]
    scale = (255 / xp.maximum(high - low, 1).astype(np.float64)).astype(np.float32)
    y[...] = x - low
    y *= scale
    y += np.float32(0.5)
    return xp.floor(y, out=y)


def prepare(x, choices, out):
    """Write the prepared pictures ``x`` into ``out``, shared out among threads.

    Args:
        x (numpy.ndarray): uint8 (B, 3, N, N).
        choices (chainer_zoo.data.pictures.Choices): What to do with each picture.
        out (numpy.ndarray): float32 (B, 3, S, S) in C order.
    """
    shares = min(threads.limit(), max(1, out.size // _SHARE))
    together = max(1, _CHUNK // out[0].size)
    kernels = sys.modules[__name__]
    if onednn.is_enabled():
        from chainer_zoo.onednn import pictures as kernels  # which needs the library
        # It shares out each product itself, among threads that run no Python.
        shares, together = 1, together * kernels.threads()
    old, crop = x.shape[3], out.shape[3]
    if (choices.size == old).all():
        def work(part):
            kernels.normalize(_stretch_part(x[part]), out[part])
    else:
        clip = 'bicubic' in choices.interpolation
        table, rows, columns = resample.table(old, crop, *_one_if_same(choices))

        def work(part):
            y = _stretch_part(x[part])
            right = _columns(table, _of(columns, part))
            left, used = _blocks(table, _of(rows, part), crop)
            ours = out[part]
            for some in threads.cut(len(ours), -(-len(ours) // together)):
                _resize(y[some], _of(right, some), _of(left, some), _of(used, some), clip, kernels,
                        ours[some])

    threads.each(threads.cut(len(x), shares), work)


def _stretch_part(x):
    return stretch(np, x, _memory('stretched', x.shape))


def _one_if_same(choices):
    """Return the choices for the first of B pictures if those for all are the same, else all."""
    if all([(choice == choice[0]).all() for choice in choices]):
        return [choice[:1] for choice in choices]
    return choices


def _of(arrays, part):
    """Return a part's arrays of all; one serves all where all are the same."""
    return arrays if len(arrays) == 1 else arrays[part]


def _columns(table, columns):
    """Return the matrices for columns: (B, 1, N, S)."""
    shape = columns.shape + table.weights.shape[1:]
    matrices = np.take(table.weights, columns, 0, _memory('columns', shape), 'clip')
    return matrices.swapaxes(1, 2)[:, None]


def _blocks(table, rows, crop):
    """Return the matrices for rows in D blocks, without most of what is 0 there.

    Returns:
        tuple: float32 (B, 1, D, S / D, K), the blocks; int (B, D, K), which of N rows each is for.
    """
    old = table.weights.shape[1]
    length = _divisor(crop, _ROWS)
    top = rows[:, ::length]  # (B, D): a block's rows lie below each other in the table, too
    first = table.windows[top, 0]
    size = (table.windows[rows[:, length - 1::length], 1] - first).max()
    first = np.minimum(first, old - size)
    down, right = table.weights.strides
    windows = np.lib.stride_tricks.as_strided(
        table.weights, (len(table.weights) - length + 1, old - size + 1, length, size),
        (down, right, down, right))
    return (windows[top, first].reshape(len(rows), 1, -1, length, size),
            first[:, :, None] + np.arange(size))


def _resize(y, columns, rows, used, clip, kernels, out):
    """Write pictures (P, 3, N, N), resized and normalized, into ``out`` (P, 3, S, S)."""
    n, _, old, _ = y.shape
    _, _, count, length, size = rows.shape
    crop = out.shape[3]
    index = np.arange(0, n * 3 * old, old).reshape(n, 3, 1, 1) + used[:, None]  # (P, 3, D, K)
    y = np.take(y.reshape(-1, old), index, 0, _memory('used', index.shape + (old,)), 'clip')
    wide = _memory('wide', (n, 3, count, size, crop))
    kernels.product(y.reshape(n, 3 * count, size, old), columns,
                    wide.reshape(n, 3 * count, size, crop), clip)
    large = _memory('large', out.shape)
    kernels.product(rows, wide, large.reshape(n, 3, count, length, crop), clip)
    kernels.normalize(large, out)


@functools.lru_cache(maxsize=None)
def _divisor(number, limit):
    """Return the largest divisor of ``number`` up to ``limit``."""
    return max(d for d in range(1, limit + 1) if number % d == 0)


def product(a, b, y, clip):
    """Write the products of matrices ``a`` and ``b`` into ``y``, rounded to whole grey levels.

    Args:
        a (numpy.ndarray): float32 (..., M, K).
        b (numpy.ndarray): float32 (..., K, N).
        y (numpy.ndarray): float32 (..., M, N).
        clip (bool): Whether to clip to 0..255. Without bicubic no weight is negative and they sum
            to 1, so there is nothing to clip.
    """
    np.matmul(a, b, out=y)
    y += np.float32(0.5)
    np.floor(y, out=y)
    if clip:
        np.clip(y, 0, 255, out=y)


def normalize(y, out):
    """Write ``(y - mean) / sqrt(variance + 10)`` of each picture into ``out``.

    ``y`` (P, 3, H, W) is overwritten.
    """
    n, channels, height, width = y.shape
    size = channels * height * width
    # Products sum faster than `sum`. They are cut so short that the BLAS starts no threads beside
    # ours, and a sum of so few whole numbers is exact in float32.
    length = _divisor(channels * height, max(1, _SUMMED // width))
    ones = np.ones(length, dtype=y.dtype)
    total = np.matmul(ones, y.reshape(n, -1, length, width)).sum(axis=1)
    total = total.sum(axis=1, dtype=np.float64)
    y -= (total / size).astype(y.dtype)[:, None, None, None]
    pieces = y.reshape(n, -1, length * width)
    squares = np.matmul(pieces[:, :, None], pieces[:, :, :, None])
    squares = squares.sum(axis=(1, 2, 3), dtype=np.float64)
    scale = (1 / np.sqrt(squares / size + VARIANCE_FLOOR)).astype(y.dtype)
    np.multiply(y, scale[:, None, None, None], out=out)
