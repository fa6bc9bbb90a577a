"""The pictures that a network sees: resized, cropped, normalized and flipped, a batch at a time."""
import collections

import numpy as np
from chainer import backend

from chainer_zoo.data import pictures_cpu
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
_DRAWN_FROM = np.array(['nearest', 'bilinear', 'bicubic', 'bicubic'])

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
        self._batches = pictures_cpu.Batches()

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
        choices = Choices(
            zeros + self.sizes.test, np.full(len(x), 'bilinear'), zeros, zeros, zeros)
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
        return Choices(size, _DRAWN_FROM[interpolation], top, left, flip)

    def prepare(self, x, choices, crop):
        """Stretch, resize, crop, flip and normalize pictures.

        Args:
            x (array): uint8 (B, 3, N, N), NumPy or CuPy.
            choices (Choices): What to do with each picture.
            crop (int): S, pixels a side to cut out.

        Returns:
            array: (B, 3, S, S) on the device of ``x``. Mean 0 and variance just below 1 for each.
            On a CPU its memory serves for a later batch once nothing refers to it any more.
        """
        if x.dtype != np.uint8 or x.ndim != 4 or x.shape[1] != 3 or x.shape[2] != x.shape[3]:
            raise ValueError('expected uint8 pictures (B, 3, N, N), got {} {}'.format(
                x.dtype, x.shape))
        xp = backend.get_array_module(x)
        choices = Choices(*[np.asarray(choice) for choice in choices])
        corners = np.array([choices.top, choices.left])
        if (corners < 0).any() or (corners + crop > choices.size).any():
            raise ValueError('a crop of {0}x{0} reaches over the edge of its picture'.format(crop))
        if xp is not np:
            out = xp.empty((len(x), 3, crop, crop), dtype=self.dtype)
            _prepare_gpu(xp, x, choices, out)
            return out
        out = self._batches((len(x), 3, crop, crop))
        if len(x):
            pictures_cpu.prepare(x, choices, out)
        return out.astype(self.dtype, copy=False)


def _prepare_gpu(xp, x, choices, out):
    """Write the prepared ``x`` into ``out`` (B, 3, S, S), the whole batch at once."""
    n, _, _, old = x.shape
    crop = out.shape[3]
    y = pictures_cpu.stretch(xp, x, xp.empty(x.shape, dtype=np.float32))  # (B, 3, N, N)
    if (choices.size != old).any():
        table, rows, columns = resample.table(old, crop, *choices)
        weights = table.weights_on(backend.get_device_from_array(x))
        rows, columns = weights[xp.asarray(rows)], weights[xp.asarray(columns)]  # (B, S, N)
        y = xp.matmul(y.reshape(n, 3 * old, old), columns.transpose(0, 2, 1))  # (B, 3 * N, S)
        y = xp.clip(xp.floor(y + np.float32(0.5)), 0, 255).reshape(n, 3, old, crop)
        y = xp.matmul(rows[:, None], y)  # (B, 3, S, S)
        y = xp.clip(xp.floor(y + np.float32(0.5)), 0, 255)
    y -= y.mean(axis=(1, 2, 3), keepdims=True)
    variance = xp.square(y).mean(axis=(1, 2, 3), keepdims=True)
    out[...] = y / xp.sqrt(variance + np.float32(pictures_cpu.VARIANCE_FLOOR))
