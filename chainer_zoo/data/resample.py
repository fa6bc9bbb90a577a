"""Resizing as a product of matrices, with the weights that Pillow uses.

Resizing is linear and acts on rows and columns apart, so a resized image is ``R @ image @ C.T``
with one matrix for its rows and one for its columns. A crop of the result is a slice of the
matrices. Pillow rounds to whole grey levels after the columns and again after the rows, and
so does :mod:`chainer_zoo.data.images`.

Weights are whole numbers, as Pillow has them. An image that is enlarged bilinearly often comes out
exactly halfway between two grey levels, up to once in 18 values, and then the rounding of the
weights decides which one it becomes.
"""

import numpy as np

#: A weight of 1 is 2 to this power (PRECISION_BITS in Pillow's Resample.c).
PRECISION_BITS = 22


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

# Weights of a table, at most: one that would grow larger is begun anew. All matrices of the largest
# size class (from 32 to 256..512 pixels) are 9.5 million.
_CAPACITY = 1 << 24


def matrix(old, new, interpolation):
    """Return the weights that turn ``old`` pixels in a row into ``new`` ones.

    Args:
        old (int): Pixels before.
        new (int): Pixels after.
        interpolation (str): ``'nearest'``, ``'bilinear'`` or ``'bicubic'``, the last two with
            Pillow's wider support where ``new`` is smaller (antialiasing).

    Returns:
        numpy.ndarray: int32 (new, old), in units of 2 ** -22. Each row sums to 1, give or take a
        few units.
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


def window(old, new, interpolation):
    """Return which of ``old`` pixels have a weight for each of ``new`` ones.

    Args:
        old, new, interpolation: As in :func:`matrix`.

    Returns:
        tuple: int (new,), the first such pixel, and the one behind the last. Neither ever
        decreases.
    """
    if new == old:
        first = np.arange(new)
        return first, first + 1
    if interpolation == 'nearest':
        # Added up step by step as Pillow does: its rounding decides where a centre falls on an edge
        # between two pixels.
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


class Table:
    """Matrices for N pixels, one below the other.

    A table never changes, so threads share it without a lock: growing gives another one.

    Args:
        old (int): N, pixels before.

    Attributes:
        weights (numpy.ndarray): int32 (M, N), read-only.
        windows (numpy.ndarray): int (M, 2), the :func:`window` of each row, read-only.
        start (dict): Row in which the matrix for (new, interpolation) begins.
    """

    def __init__(self, old):
        self.weights = np.empty((0, old), dtype=np.int32)
        self.windows = np.empty((0, 2), dtype=int)
        self.start = {}
        # Memory with room behind the rows. Only one of the tables that grow from this may have it.
        self._room = [(self.weights, self.windows)]
        self._sent = {}

    def with_these(self, kinds):
        """Return a table with the matrices for ``kinds`` of (new, interpolation) as well."""
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
            room = ((),)
        if len(room[0]) < rows:
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

    def weights_on(self, device):
        """Return :attr:`weights` on a ``chainer.backend.Device``, sent there only once."""
        key = str(device)
        if key not in self._sent:
            self._sent[key] = device.send(self.weights)
        return self._sent[key]


_tables = {}  # by pixels before


def table(old, crop, size, interpolation, top, left, flip):
    """Return the matrices for B images, and each image's rows of them.

    Args:
        old (int): N, pixels before.
        crop (int): S, pixels a side that are cut out of the resized images.
        size, interpolation, top, left, flip (numpy.ndarray): (B,), as in
            :class:`chainer_zoo.data.images.Choices`.

    Returns:
        tuple: :class:`Table`; int (B, S) for the rows of each image; int (B, S) for its columns.
    """
    kinds = list(zip(size.tolist(), interpolation.tolist()))
    # Of two threads that come here at once, one's table is not kept; it still has that itself.
    found = _tables[old] = (_tables.get(old) or Table(old)).with_these(kinds)
    start = np.array([found.start[kind] for kind in kinds])
    pixels = np.arange(crop)
    rows = (start + top)[:, None] + pixels
    columns = (start + left)[:, None] + np.where(flip[:, None], pixels[::-1], pixels)
    return found, rows, columns
