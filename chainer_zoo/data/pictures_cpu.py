"""How :mod:`chainer_zoo.data.pictures` prepares pictures on a CPU.

Nearly all of the time goes into reading and writing the large pictures. So these are gone through
as seldom as possible, some at a time that stay in the processor's cache, and in memory that was
used before.
"""
import collections
import functools
import math
import weakref

import numpy as np

from chainer_zoo.data import resample

# Added to a picture's variance, so that an almost even picture is not blown up to pure noise.
VARIANCE_FLOOR = 10.0

# Floats of resized pictures that are worked on at a time. They stay in the cache, and each call of
# NumPy takes so long that threads seldom wait for each other's Python.
_CHUNK = 1 << 20

# Rows and columns of a resized picture that are computed by one product, at most. Fewer rows need
# fewer of the small picture's, and the BLAS starts no threads beside ours for so small a product.
_ROWS = 32
_COLUMNS = 64

# Floats that are summed by one product, at most: few enough for one thread of a BLAS.
_SUMMED = 9000

# Pixels a side of a resized picture from which on 'nearest' is better done apart.
_APART = 64


class Memory(object):
    """Arrays that are used again: new ones would cost more than what is computed in them."""

    def __init__(self):
        self._arrays = {}

    def __call__(self, name, shape, dtype=np.float32):
        size = math.prod(shape)
        array = self._arrays.get(name)
        if array is None or array.size < size:
            array = self._arrays[name] = np.empty(size, dtype=dtype)
        return array[:size].reshape(shape)


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


def share_out(choices, crop, n):
    """Share a batch out to ``n`` threads that all get about the same work.

    Returns:
        list: An int array, the numbers of the pictures, for each thread.
    """
    if crop < _APART:
        return np.array_split(np.arange(len(choices.size)), n)
    order = np.argsort(choices.interpolation, kind='stable')
    return [order[i::n] for i in range(n)]


def prepare(x, choices, part, out, memory):
    """Write the prepared pictures ``part`` of ``x`` into those of ``out``.

    Args:
        x (numpy.ndarray): uint8 (B, 3, N, N).
        choices (chainer_zoo.data.pictures.Choices): What to do with each picture.
        part (numpy.ndarray): int (P,), numbers of pictures.
        out (numpy.ndarray): float32 (B, 3, S, S).
        memory (Memory): Not to be used by another thread meanwhile.
    """
    x = x[part]
    y = stretch(np, x, memory('stretched', x.shape))  # (P, 3, N, N)
    choices = _select(choices, part)
    if (choices.size == x.shape[3]).all():
        _normalize(y, out, part)
        return
    if out.shape[3] < _APART:
        _resize(y, choices, part, out, memory)
        return
    apart = choices.interpolation == 'nearest'
    for resize, group in (_repeat, apart), (_resize, ~apart):
        group = np.flatnonzero(group)
        if len(group):
            resize(y[group], _select(choices, group), part[group], out, memory)


def _select(choices, part):
    return type(choices)(*[choice[part] for choice in choices])


def _repeat(y, choices, part, out, memory):
    """Write pictures resized by 'nearest' into ``out[part]``; overwrite the small ones, ``y``.

    It only repeats pixels. So the small pictures are normalized, with each pixel weighted by how
    often it is repeated.
    """
    n, _, old, _ = y.shape
    crop = out.shape[3]
    sizes = choices.size.tolist()
    rows, columns = (np.array([resample.nearest(old, size)[corner:corner + crop]
                               for size, corner in zip(sizes, corners.tolist())])
                     for corners in (choices.top, choices.left))
    first = np.arange(0, n * old, old)[:, None]
    heights, widths = (
        np.bincount((first + pixels).ravel(), minlength=n * old).astype(y.dtype)
        for pixels in (rows, columns))
    heights, widths = heights.reshape(n, 1, 1, old), widths.reshape(n, 1, old, 1)

    def mean(y):
        total = np.matmul(np.matmul(heights, y), widths)  # (P, 3, 1, 1)
        return total.sum(axis=1, keepdims=True, dtype=np.float64) / (3 * crop * crop)

    y -= mean(y).astype(y.dtype)
    y *= (1 / np.sqrt(mean(np.square(y)) + VARIANCE_FLOOR)).astype(y.dtype)
    matrices = _matrices(old, crop, choices, choices.left, choices.flip, memory, 'columns')
    for chunk in _chunks(n, crop):
        z = _widen(y[chunk], matrices[chunk], memory)
        for i, wide in enumerate(z, chunk.start):
            np.take(wide, rows[i], axis=1, out=out[part[i]], mode='clip')


def _resize(y, choices, part, out, memory):
    """Write resized pictures into ``out[part]``; overwrite the small ones, ``y``."""
    n, _, old, _ = y.shape
    crop = out.shape[3]
    y += np.float32(0.5)  # is still 0.5 after resizing, as weights sum to 1: rounds when cut off
    columns = _matrices(old, crop, choices, choices.left, choices.flip, memory, 'columns')
    rows = _matrices(old, crop, choices, choices.top, np.zeros_like(choices.flip), memory, 'rows')
    rows, used = _blocks(rows, old, crop, choices)
    for chunk in _chunks(n, crop):
        clip = 'bicubic' in choices.interpolation[chunk]
        z = _widen(y[chunk], columns[chunk], memory)
        _cut_off(z, clip, memory)
        z += np.float32(0.5)
        w = _heighten(z, rows[chunk], used[chunk], memory)
        _cut_off(w, clip, memory)
        _normalize(w, out, part[chunk])


def _chunks(n, crop):
    """Return slices of ``n`` pictures."""
    step = max(1, _CHUNK // (3 * crop * crop))
    return [slice(i, min(i + step, n)) for i in range(0, n, step)]


def _matrices(old, crop, choices, corner, flip, memory, name):
    """Return transposed matrices (P, N, S) for the rows or the columns of P pictures."""
    keys = list(zip(choices.size.tolist(), choices.interpolation.tolist(), corner.tolist(),
                    flip.tolist()))
    n = len(keys)
    if len(set(keys)) == 1:
        del keys[1:]
    matrices = memory(name, (len(keys), old, crop))
    for matrix, (size, interpolation, corner, flip) in zip(matrices, keys):
        weights = resample.matrix(old, size, interpolation).T[:, corner:corner + crop]
        matrix[...] = weights[:, ::-1] if flip else weights
    return np.broadcast_to(matrices, (n, old, crop))


def _blocks(matrices, old, crop, choices):
    """Cut matrices (P, N, S) for rows into D blocks, and leave out most of what is 0 there.

    Returns:
        tuple: float32 (P, D, K, S / D), what is left; int (P, D, K), which of the N rows that is.
    """
    length = _divisor(crop, _ROWS)
    n, count = len(matrices), crop // length
    if count == 1:
        return matrices[:, None], np.broadcast_to(np.arange(old), (n, 1, old))
    start = choices.top[:, None] + np.arange(0, crop, length)
    first, end = resample.window(
        old, choices.size[:, None], choices.interpolation[:, None], start, start + length)
    size = (end - first).max()
    used = np.minimum(first, old - size)[:, :, None] + np.arange(size)
    if matrices.strides[0] == 0:  # all are the same
        matrices = matrices[:1]
    index = np.arange(0, len(matrices) * old, old)[:, None, None] + used[:len(matrices)]
    blocks = matrices.reshape(-1, length)[index * count + np.arange(count)[:, None]]
    return np.broadcast_to(blocks, (n,) + blocks.shape[1:]), used


def _widen(y, matrices, memory):
    """Return pictures ``y`` (C, 3, N, N) with resized columns, (C, 3, N, S)."""
    n, _, old, _ = y.shape
    crop = matrices.shape[2]
    length = _divisor(crop, _COLUMNS)
    z = memory('wide', (n, 3 * old, crop))
    np.matmul(y.reshape(n, 1, 3 * old, old),
              matrices.reshape(n, old, -1, length).transpose(0, 2, 1, 3),
              out=z.reshape(n, 3 * old, -1, length).transpose(0, 2, 1, 3))
    return z.reshape(n, 3, old, crop)


def _heighten(z, blocks, used, memory):
    """Return pictures ``z`` (C, 3, N, S) with resized rows, (C, 3, S, S): see :func:`_blocks`."""
    n, _, old, crop = z.shape
    _, count, size, length = blocks.shape
    index = np.arange(0, n * 3 * old, old).reshape(n, 1, 3, 1) + used[:, :, None]  # (C, D, 3, K)
    z = np.take(z.reshape(-1, crop), index, 0, memory('used', index.shape + (crop,)), 'clip')
    w = memory('large', (n, 3, crop, crop))
    np.matmul(blocks[:, :, None].transpose(0, 1, 2, 4, 3), z,
              out=w.reshape(n, 3, count, length, crop).transpose(0, 2, 1, 3, 4))
    return w


@functools.lru_cache(maxsize=None)
def _divisor(number, limit):
    """Return the largest divisor of ``number`` up to ``limit``."""
    return max(d for d in range(1, limit + 1) if number % d == 0)


def _cut_off(y, clip, memory):
    """Cut off what is behind the point, in place; where ``clip``, also clip to 0..255.

    Without bicubic no weight is negative and they sum to 1, so there is nothing to clip.
    """
    if not clip:
        np.floor(y, out=y)
        return
    levels = memory('levels', y.shape, np.int16)  # clipping int16 is several times as fast
    np.copyto(levels, y, casting='unsafe')
    np.clip(levels, 0, 255, out=levels)
    np.copyto(y, levels)


def _normalize(y, out, part):
    """Write ``(y - mean) / sqrt(variance + 10)`` of each picture into ``out[part]``.

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
    if (np.diff(part) == 1).all():
        np.multiply(y, scale[:, None, None, None], out=out[part[0]:part[-1] + 1])
        return
    for i, picture, factor in zip(part, y, scale):
        np.multiply(picture, factor, out=out[i])
