"""The images that a network sees: resized, cropped, normalized and flipped, a batch at a time."""

from __future__ import annotations

import collections
import math
import weakref
from typing import Any
from typing import NamedTuple

import numpy as np
from chainer import backend

from chainer_zoo import jit
from chainer_zoo.data import resample
from chainer_zoo.errors import UserError

# Added to an image's variance, so that an image of almost one colour does not become pure noise.
VARIANCE_FLOOR = 10.0


class SizeClass(NamedTuple):
    """Sizes that images are resized to, in pixels a side.

    Attributes:
        low: The smallest size for training.
        high: The largest; training draws from ``low`` to ``high``, both included.
        crop: The size that training cuts out.
        test: The size for testing, which cuts nothing out.
        variance_floor: What is added to an image's variance.
    """

    low: int
    high: int
    crop: int
    test: int
    variance_floor: float = VARIANCE_FLOOR


# The original's nutszebra_data_augmentation.py, classes DataAugmentationCifar10Normalize*.
SIZE_CLASSES = {
    'small': SizeClass(32, 36, 32, 32),
    'big': SizeClass(128, 132, 128, 128),
    'bigger': SizeClass(256, 512, 224, 384),
    'huge': SizeClass(299, 512, 299, 406),
    # what the original's trainer did until 442e1de (2016-10-31), when some figures were measured:
    # training sees another size than testing, and nothing is added to the variance
    'small-article': SizeClass(28, 36, 26, 32, 0.0),
    'big-article': SizeClass(124, 132, 122, 128, 0.0),
}

# as the original: 'cubic' is bicubic again, so bicubic has probability 1/2
_DRAWN_FROM = np.array(['nearest', 'bilinear', 'bicubic', 'bicubic'])


class Choices(NamedTuple):
    """What was drawn for each of B images, as arrays (B,).

    Attributes:
        size: Pixels a side that the image is resized to.
        interpolation: A name of :mod:`chainer_zoo.data.resample`.
        top: Where the crop begins in the resized image.
        left: The same.
        flip: Whether the crop is mirrored.
    """

    size: np.ndarray
    interpolation: np.ndarray
    top: np.ndarray
    left: np.ndarray
    flip: np.ndarray


class ImagePipeline:
    """Prepares batches as one of the article's size classes asks.

    Each image is stretched to 0..255, resized, in training cropped and flipped at random, and
    normalized by its own mean and variance: ``(x - mean) / sqrt(variance + 10)``. There are no
    statistics of a data set. The two classes of before 2016-10-31 add nothing to the variance.

    A batch stays on its device. NumPy arrays are prepared in the compiled loops of
    :mod:`chainer_zoo.data.images_cpu`. CuPy arrays are prepared by products of matrices, as NumPy
    arrays are where Numba cannot be used. All give the grey levels of the original.

    Source: the original's nutszebra_data_augmentation_image.py, as of March 2017.

    Differences:
        - All random choices come from the generator that is passed in. The original takes NumPy's
          global one and never seeds it, so that no run repeats. (Since 82bdd13 of February 2018,
          after the article, it seeds it anew from the operating system before each choice.)

    Args:
        size_class: A key of ``SIZE_CLASSES``.
        dtype: Type of the prepared images. They are rounded to float32 first.

    Attributes:
        sizes: The sizes of that class.

    Raises:
        UserError: There is no such class.
    """

    def __init__(self, size_class: str, dtype: Any = np.float32) -> None:
        if size_class not in SIZE_CLASSES:
            raise UserError(
                f'unknown size class {size_class!r}: it must be one of {", ".join(SIZE_CLASSES)}'
            )
        self.sizes = SIZE_CLASSES[size_class]
        self.dtype = np.dtype(dtype)
        self._batches = Batches()

    def train(self, x: Any, rng: np.random.RandomState) -> Any:
        """Prepare images for training: see :meth:`draw` and :meth:`prepare`.

        Args:
            x: uint8 (B, 3, N, N), NumPy or CuPy.
            rng: Where the random choices come from.

        Returns:
            (B, 3, S, S) with S ``sizes.crop``, on the device of ``x``.
        """
        return self.prepare(x, self.draw(len(x), rng), self.sizes.crop)

    def test(self, x: Any) -> Any:
        """Prepare images for testing: bilinear, nothing cut out, nothing random.

        Args:
            x: uint8 (B, 3, N, N), NumPy or CuPy.

        Returns:
            (B, 3, S, S) with S ``sizes.test``, on the device of ``x``.
        """
        return self.prepare(x, self.whole(len(x)), self.sizes.test)

    def whole(self, n: int) -> Choices:
        """Return the choices for testing with ``n`` images."""
        zeros = np.zeros(n, dtype=int)
        return Choices(zeros + self.sizes.test, np.full(n, 'bilinear'), zeros, zeros, zeros)

    def draw(self, n: int, rng: np.random.RandomState) -> Choices:
        """Draw the random choices for ``n`` images.

        Size and corner are uniform with both ends included; an image is flipped half of the time.

        Args:
            n: B, the number of images.
            rng: It advances by the same steps whatever is drawn.

        Returns:
            Arrays (B,).
        """
        low, high, crop = self.sizes[:3]
        interpolation = rng.randint(0, len(_DRAWN_FROM), n)
        size = rng.randint(low, high + 1, n)
        top, left = (rng.random_sample((2, n)) * (size - crop + 1)).astype(int)
        flip = rng.random_sample(n) < 0.5
        return Choices(size, _DRAWN_FROM[interpolation], top, left, flip)

    def prepare(self, x: Any, choices: Choices, crop: int) -> Any:
        """Stretch, resize, crop, flip and normalize images.

        Args:
            x: uint8 (B, 3, N, N), NumPy or CuPy.
            choices: What to do with each image.
            crop: S, pixels a side to cut out.

        Returns:
            (B, 3, S, S) on the device of ``x``. Each image has mean 0 and variance just below 1.
            On a CPU its memory is used for a later batch once nothing refers to it any more.

        Raises:
            ValueError: ``x`` has another shape or type, there is not one choice for each image, or
                a crop goes beyond the edge of a resized image.
        """
        if x.dtype != np.uint8 or x.ndim != 4 or x.shape[1] != 3 or x.shape[2] != x.shape[3]:
            raise ValueError(f'expected uint8 images (B, 3, N, N), got {x.dtype} {x.shape}')
        xp = backend.get_array_module(x)
        choices = Choices(*[np.asarray(choice) for choice in choices])
        if any([choice.shape != (len(x),) for choice in choices]):
            raise ValueError(f'expected one choice for each of {len(x)} images')
        corners = np.array([choices.top, choices.left])
        if (corners < 0).any() or (corners + crop > choices.size).any():
            raise ValueError(f'a crop of {crop}x{crop} goes beyond the edge of its image')
        if xp is np:
            out = self._batches((len(x), 3, crop, crop))
        else:
            out = xp.empty((len(x), 3, crop, crop), dtype=np.float32)
        if len(x):
            loops = jit.loops('chainer_zoo.data.images_cpu') if xp is np else None
            if loops is not None:
                loops.prepare(x, choices, self.sizes.variance_floor, out)
            else:
                prepare_by_products(xp, x, choices, out, self.sizes.variance_floor)
        return out.astype(self.dtype, copy=False)


class Batches:
    """Makes arrays for batches, in the memory of an earlier batch that is no longer used.

    The operating system clears new memory when it is first written to, which takes half as long as
    preparing the images does. The memory of one batch at most is kept idle.
    """

    def __init__(self) -> None:
        self._idle: collections.deque[np.ndarray] = collections.deque(maxlen=1)

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
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
        # A view of a view refers to the array that owns the memory. This array owns it, as far as
        # NumPy knows, so it lives as long as any view of it, and then its memory is idle.
        owner = np.frombuffer(memory.data, dtype=np.float32)
        weakref.finalize(owner, self._idle.append, memory).atexit = False
        return owner.reshape(shape)


def stretch(xp: Any, x: Any) -> Any:
    """Return uint8 ``x``, stretched to 0..255 by each image's own extremes; float64.

    Dark or dull images gain contrast.
    """
    # as the original: SciPy's imresize does this to any image that is not uint8, and it is given
    # float32
    low = x.min(axis=(1, 2, 3), keepdims=True)
    high = x.max(axis=(1, 2, 3), keepdims=True)
    scale = (255 / xp.maximum(high - low, 1).astype(np.float64)).astype(np.float32)
    return xp.floor((x - low) * scale + np.float32(0.5)).astype(np.float64)


def prepare_by_products(
    xp: Any, x: Any, choices: Choices, out: Any, variance_floor: float = VARIANCE_FLOOR
) -> None:
    """Write the prepared ``x`` into ``out`` (B, 3, S, S), the whole batch at once.

    Resizing is two products of matrices. In float64 the sums of these whole numbers are exact, in
    whatever order a library adds them up.
    """
    n, _, _, old = x.shape
    crop = out.shape[3]
    table, rows, columns = resample.table(old, crop, *choices)
    weights = table.weights_on(backend.get_device_from_array(x))
    rows, columns = [
        weights[xp.asarray(i)] * 2.0**-resample.PRECISION_BITS for i in (rows, columns)
    ]  # (B, S, N)
    y = stretch(xp, x).reshape(n, 3 * old, old)
    y = _levels(xp, xp.matmul(y, columns.transpose(0, 2, 1)))  # (B, 3 * N, S)
    y = _levels(xp, xp.matmul(rows[:, None], y.reshape(n, 3, old, crop)))  # (B, 3, S, S)
    y -= y.mean(axis=(1, 2, 3), keepdims=True)
    variance = xp.square(y).mean(axis=(1, 2, 3), keepdims=True)
    variance += variance_floor
    # unlike the original: an even image becomes zero where nothing is added, not NaN
    out[...] = y / xp.sqrt(xp.where(variance > 0, variance, 1))


def _levels(xp: Any, y: Any) -> Any:
    """Round ``y`` to whole grey levels of 0 to 255, in place."""
    y += 0.5
    return xp.clip(xp.floor(y, out=y), 0, 255, out=y)
