"""Arrays as oneDNN likes them: channels last in memory, aligned, and recycled.

An array stays a NumPy array of shape (B, C, H, W). What is called *channels last* here is such an
array whose memory is that of a C-ordered (B, H, W, C): a transposed view, which NumPy and oneDNN
(as its layout ``acdb``) both take as it is.

Large arrays come from a pool. Fresh memory costs a page fault every 4 KiB, which for the
activations of a network is a good part of what its elementwise functions take; an array that is
freed therefore goes back to the pool, and the next array of that size takes its memory. The pool
never holds more than the arrays in use have needed at one time.
"""
import collections
import ctypes
import os
import threading

import numpy as np

from chainer_zoo.onednn import primitive

_ALIGNMENT = 64
_SMALL = 1 << 14  # bytes; below, the pool costs more than it gives
_ITEM = 4  # bytes of a float32

copies = collections.Counter()  # (function, reason) -> arrays that had to be copied
copied_bytes = collections.Counter()  # (function, reason) -> bytes of them


class _Lease(np.ndarray):
    """The memory of a pooled array. When nothing views it any more it returns to its pool."""

    raw = None

    def __del__(self):
        raw = self.raw
        if raw is not None:
            self.raw = None
            raw[0].returned.append(raw)


class Pool(object):
    """Recycles the memory of large arrays.

    Attributes:
        in_use (int): bytes of live arrays, as far as the pool has noticed.
        free (int): bytes that wait to be used again.
        peak (int): the most bytes that were in use at one time since :meth:`clear`.
    """

    def __init__(self):
        self._start()

    def _start(self):
        self._lock = threading.Lock()
        # A lease may end at any moment, inside a garbage collection too. It is only put here, and
        # sorted in when the pool next allocates.
        self.returned = collections.deque()
        self._shelves = collections.OrderedDict()  # bytes -> blocks, least recently used first
        self.in_use = self.free = self.peak = 0

    def clear(self):
        """Give all free memory back to the system."""
        with self._lock:
            self._collect()
            self._shelves.clear()
            self.free = 0
            self.peak = self.in_use

    def _collect(self):
        while self.returned:
            raw = self.returned.popleft()
            size = raw[1]
            self._shelves.setdefault(size, []).append(raw[2])
            self._shelves.move_to_end(size)
            self.in_use -= size
            self.free += size

    def _evict(self, room):
        """Drop free blocks, least recently used sizes first, until ``free`` is ``room`` or less."""
        while self.free > max(room, 0):
            size, blocks = next(iter(self._shelves.items()))
            blocks.pop()
            self.free -= size
            if not blocks:
                del self._shelves[size]

    def _block(self, size):
        with self._lock:
            self._collect()
            block = None
            blocks = self._shelves.get(size)
            if blocks:
                block = blocks.pop()
                self.free -= size
                if not blocks:
                    del self._shelves[size]
            self.in_use += size
            self.peak = max(self.peak, self.in_use)
            if block is None:
                self._evict(self.peak - self.in_use)
        if block is None:
            # Through ctypes, because NumPy looks past a lease whose own base is an array, and the
            # views of the lease would not keep it alive.
            block = (ctypes.c_char * (size + _ALIGNMENT)).from_buffer(
                np.empty(size + _ALIGNMENT, np.uint8))
        return block

    def allocate(self, nbytes):
        """Return an object with a buffer of at least ``nbytes`` (int), aligned to 64 bytes."""
        size = (nbytes + 4095) & ~4095
        block = self._block(size)
        start = -ctypes.addressof(block) % _ALIGNMENT
        lease = np.ndarray.__new__(_Lease, (size,), np.uint8, block, start)
        lease.raw = (self, size, block)
        return lease


pool = Pool()
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=pool._start)  # another thread may have held the lock


def empty(shape, strides=None):
    """Return an uninitialized float32 array.

    Args:
        shape (tuple of int): its shape.
        strides (tuple of int): its strides in bytes; C order without.
    """
    size = _ITEM
    for n in shape:
        size *= n
    if size < _SMALL:
        buffer = np.empty(size, np.uint8)
    else:
        buffer = pool.allocate(size)
    return np.ndarray(shape, np.float32, buffer, 0, strides)


def empty_channels_last(shape):
    """Return an uninitialized float32 array (B, C, H, W), channels last."""
    b, c, h, w = shape
    return empty(shape, (h * w * c * _ITEM, _ITEM, w * c * _ITEM, c * _ITEM))


def is_channels_last(x):
    """Return whether (B, C, H, W) array ``x`` is dense, channels last."""
    return x.ndim == 4 and x.transpose(0, 2, 3, 1).flags.c_contiguous


def empty_like(x):
    """Return an uninitialized float32 array with the shape and the order of dense ``x``."""
    return empty(x.shape) if x.flags.c_contiguous else empty_channels_last(x.shape)


def is_plain(*arrays):
    """Return whether all are non-empty aligned float32 NumPy arrays, the ones oneDNN gets."""
    for x in arrays:
        if (type(x) is not np.ndarray or x.dtype != np.float32 or not x.size
                or not x.flags.aligned):
            return False
    return True


def address(x):
    """Return the address of the first element of array ``x``."""
    return x.__array_interface__['data'][0]


def _count(x, why):
    copies[why] += 1
    copied_bytes[why] += x.nbytes


def _copy(x, y):
    """Copy ``x`` into ``y``, with all threads where it is large."""
    if x.nbytes < _SMALL or min(x.strides) < 0 or any(s % _ITEM for s in x.strides):
        np.copyto(y, x)
        return
    source = tuple([s // _ITEM for s in x.strides])
    target = tuple([s // _ITEM for s in y.strides])
    if 0 in source:  # a broadcast array
        np.copyto(y, x)
        return
    primitive.cached(('copy', x.shape, source, target), lambda: primitive.reorder(
        primitive.strided(x.shape, source), primitive.strided(x.shape, target)),
    ).run(address(x), address(y))


def to_channels_last(x, why):
    """Return (B, C, H, W) float32 array ``x`` channels last: itself, or a copy that is counted.

    Args:
        x (numpy.ndarray): float32.
        why (str): the function that needs it, for :data:`copies`.
    """
    if is_channels_last(x):
        return x
    _count(x, why)
    y = empty_channels_last(x.shape)
    _copy(x, y)
    return y


def to_contiguous(x, why):
    """Return float32 array ``x`` in C order: itself, or a copy that is counted."""
    if x.flags.c_contiguous:
        return x
    _count(x, why)
    y = empty(x.shape)
    _copy(x, y)
    return y


def to_dense(x, why):
    """Return ``x`` as it is where it is dense, in C order or channels last, else a copy."""
    if x.flags.c_contiguous or is_channels_last(x):
        return x
    return to_channels_last(x, why) if x.ndim == 4 else to_contiguous(x, why)


def in_order_of(x, like, why):
    """Return ``x`` in the memory order of the dense array ``like`` of the same shape."""
    if like.flags.c_contiguous:
        return to_contiguous(x, why)
    return to_channels_last(x, why)
