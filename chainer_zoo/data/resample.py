"""Resizing as a matrix product, with the weights that Pillow uses.

Resizing is linear and acts on rows and columns apart, so a resized picture is ``R @ picture @ C.T``
with one matrix for its rows and one for its columns. A crop of the result is a slice of the
matrices. Pillow rounds to whole grey levels after the columns and again after the rows, and
so does :mod:`chainer_zoo.data.pictures`.
"""
import functools

import numpy as np

# Pillow holds a weight as a whole number of 2 ** -22 (PRECISION_BITS in its Resample.c). A picture
# that is enlarged bilinearly often comes out exactly halfway between two grey levels, up to once in
# 18 values, and then this rounding of the weights decides which level Pillow takes. A sum in
# float32 is too coarse to notice it, so it is exaggerated, up to _LEEWAY / new times: this moves a
# value by 255 * 2 ** -23 * _LEEWAY / new = 1 / (4 * new) at most, and what is not halfway is at
# least 1 / (2 * new) away from there.
_PRECISION = 1 << 22
_LEEWAY = 1 << 13


def _triangle(x):
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x, a=-0.5):
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


# interpolation: (function of the distance in pixels, distance from which it is 0)
_FILTERS = {'bilinear': (_triangle, 1.0), 'bicubic': (_cubic, 2.0)}
INTERPOLATIONS = ('nearest',) + tuple(_FILTERS)


@functools.lru_cache(maxsize=1024)
def matrix(old, new, interpolation):
    """Return the weights that turn ``old`` pixels in a row into ``new`` ones.

    The 1024 matrices used last are kept; all those of the largest size class (from 32 to 256..512
    pixels) are 38 MB.

    Args:
        old (int): Pixels before.
        new (int): Pixels after.
        interpolation (str): ``'nearest'``, ``'bilinear'`` or ``'bicubic'``, the last two with
            Pillow's wider support where ``new`` is smaller (antialiasing).

    Returns:
        numpy.ndarray: float32 (new, old), read-only. Each row sums to 1.
    """
    if new == old:
        weights = np.eye(new, dtype=np.float32)
    elif interpolation == 'nearest':
        weights = np.zeros((new, old), dtype=np.float32)
        weights[np.arange(new), nearest(old, new)] = 1
    else:
        function, reach = _FILTERS[interpolation]
        step = old / new
        stretch = max(step, 1.0)
        centres = (np.arange(new)[:, None] + 0.5) * step
        pixels = np.arange(old)
        first = (centres - reach * stretch + 0.5).astype(int)
        end = (centres + reach * stretch + 0.5).astype(int)
        weights = function((pixels - centres + 0.5) * (1 / stretch))
        weights[(pixels < first) | (pixels >= end)] = 0
        weights /= weights.sum(axis=1, keepdims=True)
        whole = np.trunc(weights * _PRECISION + np.copysign(0.5, weights))
        exaggeration = _LEEWAY // new if interpolation == 'bilinear' and new > old else 1
        error = whole / _PRECISION - weights
        weights = (weights + exaggeration * error).astype(np.float32)
    weights.flags.writeable = False
    return weights


def table(old, crop, size, interpolation, top, left, flip):
    """Return the matrices for B pictures, one below the other, and each picture's rows of them.

    Args:
        old (int): N, pixels before.
        crop (int): S, pixels a side that are cut out of the resized pictures.
        size, interpolation, top, left, flip (numpy.ndarray): (B,), as in
            :class:`chainer_zoo.data.pictures.Choices`.

    Returns:
        tuple: float32 (M, N); int (B, S) for the rows of each picture; int (B, S) for its columns.
    """
    keys = list(zip(size.tolist(), interpolation.tolist()))
    kinds = sorted(set(keys))
    heights = [height for height, _ in kinds]
    first = dict(zip(kinds, np.cumsum([0] + heights[:-1])))
    first = np.array([first[key] for key in keys])
    pixels = np.arange(crop)
    rows = (first + top)[:, None] + pixels
    columns = (first + left)[:, None] + np.where(flip[:, None], pixels[::-1], pixels)
    return np.concatenate([matrix(old, *kind) for kind in kinds]), rows, columns


@functools.lru_cache(maxsize=1024)
def nearest(old, new):
    """Return which of ``old`` pixels in a row each of ``new`` ones repeats.

    Returns:
        numpy.ndarray: int (new,), read-only.
    """
    # Added up step by step as Pillow does: its rounding decides where a centre falls on an edge
    # between two pixels.
    centres = np.add.accumulate([0.5 * old / new] + [old / new] * (new - 1))
    pixels = np.minimum(centres.astype(int), old - 1)
    pixels.flags.writeable = False
    return pixels


def window(old, new, interpolation, start, stop):
    """Return which pixels before matter to the pixels ``start`` up to ``stop`` after.

    Args:
        old (int): Pixels before.
        new (array): int (B, 1), pixels after, for each of B pictures.
        interpolation (array): str (B, 1), names as in :func:`matrix`.
        start (array): int (B, D), the first of D stretches of pixels.
        stop (array): int (B, D), behind their last.

    Returns:
        tuple: int (B, D), the first pixel that may have a weight, and the one behind the last.
    """
    step = old / new
    reach = np.where(interpolation == 'bicubic', 2, 1) * np.maximum(step, 1)
    first = ((start + 0.5) * step - reach + 0.5).astype(int)
    end = ((stop - 0.5) * step + reach + 0.5).astype(int)
    return first.clip(0), end.clip(0, old)
