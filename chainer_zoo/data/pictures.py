"""The pictures that a network sees: resized, cropped, normalized and flipped, a batch at a time."""
import collections
import concurrent.futures
import math
import os

import numpy as np
from chainer import backend

from chainer_zoo.data import resample
from chainer_zoo.errors import UserError

SizeClass = collections.namedtuple('SizeClass', 'low high crop test')
SizeClass.__doc__ = """Pixels a side.

Training resizes to ``low``..``high`` (both included) and cuts out ``crop``; testing resizes to
``test`` and cuts nothing out."""

# The original's nutszebra_data_augmentation.py, classes DataAugmentationCifar10Normalize*.
SIZE_CLASSES = {
    'small': SizeClass(32, 36, 32, 32),
    'big': SizeClass(128, 132, 128, 128),
    'bigger': SizeClass(256, 512, 224, 384),
    'huge': SizeClass(299, 512, 299, 406),
}

# as the original: 'cubic' is bicubic again, so bicubic has probability 1/2
_DRAWN_FROM = ('nearest', 'bilinear', 'bicubic', 'bicubic')

# Added to a picture's variance, so that an almost even picture is not blown up to pure noise.
_VARIANCE_FLOOR = 10.0

# On a CPU: floats of a resized picture that are worked on at a time, so that they stay in its
# second-level cache; and floats of a batch that are worth a thread of their own.
_CHUNK = 1 << 18
_SHARE = 1 << 19

# Pixels a side that are resized together on a CPU: they need only a few of the small picture's
# rows or columns, and the product leaves out the others. It also keeps each product so small that
# the BLAS does not start threads for it beside ours.
_BLOCK = 64

Choices = collections.namedtuple('Choices', 'size interpolation top left flip')
Choices.__doc__ = """What was drawn for each of B pictures, as arrays (B,).

``size`` in pixels a side, ``interpolation`` a name of :mod:`chainer_zoo.data.resample`, ``top`` and
``left`` corner of the crop in the resized picture, ``flip`` whether it is mirrored."""


class Pictures(object):
    """Prepares batches as one of the article's size classes asks.

    Each picture is stretched to 0..255, resized, in training cropped and flipped at random, and
    normalized by its own mean and variance: ``(x - mean) / sqrt(variance + 10)``. There are no
    statistics of a data set.

    A batch is prepared as a whole and stays where it is: NumPy arrays are worked on by the CPU,
    CuPy arrays on their GPU.

    Source: the original's nutszebra_data_augmentation_picture.py, as of March 2017.

    Differences:
        - Resizing is a product with matrices in float32; the original calls Pillow by way of SciPy.
          At the sizes of 'small' not one value in 3,000, at the others not one in 300, comes out a
          grey level higher or lower.
        - All random choices come from the generator that is passed in. The original seeds its
          generator anew from the operating system before each choice, so that no run repeats.

    Args:
        size_class (str): A key of ``SIZE_CLASSES``.
        dtype: Type of the prepared pictures. They are computed in float32.

    Attributes:
        sizes (SizeClass): Its numbers of pixels.
    """

    def __init__(self, size_class, dtype=np.float32):
        if size_class not in SIZE_CLASSES:
            raise UserError('unknown size class {!r}: it must be one of {}'.format(
                size_class, ', '.join(SIZE_CLASSES)))
        self.sizes = SIZE_CLASSES[size_class]
        self.dtype = np.dtype(dtype)
        self._memories = []

    def train(self, x, rng):
        """Prepare pictures for training: see :meth:`draw` and :meth:`prepare`.

        Args:
            x (array): uint8 (B, 3, N, N).
            rng (numpy.random.RandomState): Where the random choices come from.

        Returns:
            array: (B, 3, S, S) with S ``sizes.crop``, on the device of ``x``.
        """
        return self.prepare(x, self.draw(len(x), rng), self.sizes.crop)

    def test(self, x):
        """Prepare pictures for testing: bilinear, nothing cut out, nothing random.

        Args:
            x (array): uint8 (B, 3, N, N).

        Returns:
            array: (B, 3, S, S) with S ``sizes.test``, on the device of ``x``.
        """
        zeros = np.zeros(len(x), dtype=int)
        choices = Choices(zeros + self.sizes.test, ['bilinear'] * len(x), zeros, zeros, zeros)
        return self.prepare(x, choices, self.sizes.test)

    def draw(self, n, rng):
        """Draw the random choices for ``n`` pictures.

        Size and corner are uniform with both ends included; a picture is flipped half of the time.

        Args:
            n (int): B, the number of pictures.
            rng (numpy.random.RandomState): It advances by the same steps whatever is drawn.

        Returns:
            Choices: Arrays (B,).
        """
        low, high, crop, _ = self.sizes
        interpolation = rng.randint(0, len(_DRAWN_FROM), n)
        size = rng.randint(low, high + 1, n)
        top, left = (rng.random_sample((2, n)) * (size - crop + 1)).astype(int)
        flip = rng.random_sample(n) < 0.5
        return Choices(size, [_DRAWN_FROM[i] for i in interpolation], top, left, flip)

    def prepare(self, x, choices, crop):
        """Stretch, resize, crop, flip and normalize pictures.

        Args:
            x (array): uint8 (B, 3, N, N), NumPy or CuPy.
            choices (Choices): What to do with each picture.
            crop (int): S, pixels a side to cut out.

        Returns:
            array: (B, 3, S, S) on the device of ``x``. Mean 0 and variance just below 1 for each.
        """
        if x.dtype != np.uint8 or x.ndim != 4 or x.shape[1] != 3 or x.shape[2] != x.shape[3]:
            raise ValueError('expected uint8 pictures (B, 3, N, N), got {} {}'.format(
                x.dtype, x.shape))
        xp = backend.get_array_module(x)
        choices = Choices(*[np.asarray(choice) for choice in choices])
        corners = np.array([choices.top, choices.left])
        if (corners < 0).any() or (corners + crop > choices.size).any():
            raise ValueError('a crop of {0}x{0} reaches over the edge of its picture'.format(crop))
        out = xp.empty((len(x), 3, crop, crop), dtype=self.dtype)
        if xp is not np:
            _prepare_gpu(xp, x, choices, out)
            return out
        threads = max(1, min(_cores(), out.size // _SHARE, len(x)))
        bounds = [i * len(x) // threads for i in range(threads + 1)]
        parts = [slice(*ends) for ends in zip(bounds, bounds[1:])]
        parts = [(x[part], _part(choices, part), out[part]) for part in parts]
        if threads == 1:
            self._prepare_cpu(*parts[0])
        else:
            # A pool of its own for each batch costs 0.2 ms and leaves no threads behind for a fork.
            with concurrent.futures.ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda part: self._prepare_cpu(*part), parts))
        return out

    def _prepare_cpu(self, x, choices, out):
        """Write the prepared ``x`` into ``out``, with memory that no other thread uses now."""
        memory = self._memories.pop() if self._memories else _Memory()
        if len(x):
            _prepare_cpu(x, choices, out, memory)
        self._memories.append(memory)


class _Memory(object):
    """Arrays that are used again: new ones would cost more than what is computed in them."""

    def __init__(self):
        self._arrays = {}

    def __call__(self, name, shape, dtype=np.float32):
        size = math.prod(shape)
        array = self._arrays.get(name)
        if array is None or array.size < size:
            array = self._arrays[name] = np.empty(size, dtype=dtype)
        return array[:size].reshape(shape)


def _cores():
    """Return how many cores this process may use."""
    if hasattr(os, 'sched_getaffinity'):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _part(choices, part):
    return Choices(*[choice[part] for choice in choices])


def _stretch(xp, x, y):
    """Write uint8 ``x`` into float32 ``y``, stretched to 0..255 by each picture's own extremes.

    as the original: SciPy's imresize does this to any picture that is not uint8, and the original
    hands it float32. Dark or dull pictures gain contrast.
    """
    flat = x.reshape(len(x), math.prod(x.shape[1:]))
    low = flat.min(axis=1).astype(np.float32)[:, None, None, None]
    high = flat.max(axis=1).astype(np.float32)[:, None, None, None]
    scale = (255 / xp.maximum(high - low, 1).astype(np.float64)).astype(np.float32)
    y[...] = x
    y -= low
    y *= scale
    y += np.float32(0.5)
    return xp.floor(y, out=y)


def _matrices(choices, old, crop):
    """Return the matrices that a batch needs, one below the other, and each picture's rows of them.

    Returns:
        tuple: float32 (M, N); int (B, S) for a picture's rows; int (B, S) for its columns.
    """
    keys = list(zip(choices.size.tolist(), choices.interpolation.tolist()))
    kinds = sorted(set(keys))
    table = np.concatenate([resample.matrix(old, *kind) for kind in kinds])
    heights = [size for size, _ in kinds]
    first = dict(zip(kinds, np.cumsum([0] + heights[:-1])))
    first = np.array([first[key] for key in keys])
    pixels = np.arange(crop)
    rows = (first + choices.top)[:, None] + pixels
    columns = (first + choices.left)[:, None] + np.where(
        choices.flip[:, None], pixels[::-1], pixels)
    return table, rows, columns


def _prepare_gpu(xp, x, choices, out):
    """Write the prepared ``x`` into ``out`` (B, 3, S, S), the whole batch at once."""
    n, _, _, old = x.shape
    crop = out.shape[3]
    y = _stretch(xp, x, xp.empty(x.shape, dtype=np.float32))  # (B, 3, N, N)
    if (choices.size != old).any():
        table, rows, columns = (xp.asarray(a) for a in _matrices(choices, old, crop))
        rows, columns = table[rows], table[columns]  # (B, S, N)
        y = xp.matmul(y.reshape(n, 3 * old, old), columns.transpose(0, 2, 1))  # (B, 3 * N, S)
        y = xp.clip(xp.floor(y + np.float32(0.5)), 0, 255).reshape(n, 3, old, crop)
        y = xp.matmul(rows[:, None], y)  # (B, 3, S, S)
        y = xp.clip(xp.floor(y + np.float32(0.5)), 0, 255)
    y -= y.mean(axis=(1, 2, 3), keepdims=True)
    variance = xp.square(y).mean(axis=(1, 2, 3), keepdims=True)
    out[...] = y / xp.sqrt(variance + np.float32(_VARIANCE_FLOOR))


def _prepare_cpu(x, choices, out, memory):
    """Write the prepared ``x`` into ``out`` (B, 3, S, S), a few pictures at a time."""
    n, _, _, old = x.shape
    crop = out.shape[3]
    y = _stretch(np, x, memory('stretched', x.shape))  # (B, 3, N, N)
    if (choices.size == old).all():
        _normalize(y, out)
        return
    y += np.float32(0.5)  # is still 0.5 after resizing, as weights sum to 1: rounds when cut off
    y = y.reshape(n, 3 * old, old)
    table, rows, columns = _matrices(choices, old, crop)
    rows = np.take(table, rows, 0, memory('rows', (n, crop, old)), 'clip')
    columns = np.take(table, columns, 0, memory('columns', (n, crop, old)), 'clip')
    columns = columns.transpose(0, 2, 1)
    row_blocks, column_blocks = _blocks(choices, old, crop)
    step = max(1, min(n, _CHUNK // (3 * crop * crop)))
    wide = memory('wide', (step, 3 * old, crop))
    large = memory('large', (step, 3, crop, crop))
    levels = None
    if 'bicubic' in choices.interpolation:
        levels = memory('levels', (large.size,), np.int16)
    for i in range(0, n, step):
        part = slice(i, min(i + step, n))
        z = wide[:part.stop - i]  # (C, 3 * N, S)
        for block, used in column_blocks(part):
            np.matmul(y[part, :, used], columns[part, used, block], out=z[:, :, block])
        _cut_off(z, levels)
        z += np.float32(0.5)
        z = z.reshape(-1, 3, old, crop)
        w = large[:part.stop - i]  # (C, 3, S, S)
        for block, used in row_blocks(part):
            np.matmul(rows[part, None, block, used], z[:, :, used], out=w[:, :, block])
        _cut_off(w, levels)
        _normalize(w, out[part])


def _blocks(choices, old, crop):
    """Return two functions, for rows and for columns, of the part of a batch that is resized.

    Each returns pairs of slices: a block of the resized pictures, and what it needs of the small
    ones.
    """
    start = np.arange(0, crop, _BLOCK)
    stop = np.minimum(start + _BLOCK, crop)
    size, interpolation, top, left, flip = (choice[:, None] for choice in choices)
    rows = resample.window(old, size, interpolation, top + start, top + stop)
    columns = resample.window(old, size, interpolation,
                              left + np.where(flip, crop - stop, start),
                              left + np.where(flip, crop - start, stop))

    def pairs(windows):
        def of(part):
            first, end = windows[0][part].min(axis=0), windows[1][part].max(axis=0)
            return [(slice(*block), slice(*used))
                    for block, used in zip(zip(start, stop), zip(first, end))]
        return of

    return pairs(rows), pairs(columns)


def _cut_off(y, levels):
    """Cut off what is behind the point, in place; with int16 ``levels``, also clip to 0..255.

    Without bicubic no weight is negative and they sum to 1, so there is nothing to clip.
    """
    if levels is None:
        np.floor(y, out=y)
        return
    levels = levels[:y.size].reshape(y.shape)  # clipping int16 is several times as fast
    np.copyto(levels, y, casting='unsafe')
    np.clip(levels, 0, 255, out=levels)
    np.copyto(y, levels)


def _normalize(y, out):
    """Write ``(y - mean) / sqrt(variance + 10)`` of each picture into ``out``; overwrite ``y``."""
    n, channels, height, width = y.shape
    size = channels * height * width
    # A product sums faster than `sum`; a sum of so few whole numbers is exact in float32.
    ones = np.ones(channels * height, dtype=y.dtype)
    total = np.matmul(ones, y.reshape(n, channels * height, width)).sum(axis=1, dtype=np.float64)
    y -= (total / size).astype(y.dtype)[:, None, None, None]
    flat = y.reshape(n, size)
    squares = np.matmul(flat[:, None], flat[:, :, None]).reshape(n).astype(np.float64)
    scale = (1 / np.sqrt(squares / size + _VARIANCE_FLOOR)).astype(y.dtype)
    np.multiply(y, scale[:, None, None, None], out=out, casting='same_kind')
