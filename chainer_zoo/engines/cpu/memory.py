"""Arrays as oneDNN likes them: channels last in memory, aligned, and recycled.

An array stays a NumPy array of shape (B, C, H, W). What is called *channels last* here is such an
array whose memory is that of a C-ordered (B, H, W, C): a transposed view, which NumPy and oneDNN
(as its layout ``acdb``) both take as it is.

Large arrays come from a pool. Fresh memory costs a page fault every 4 KiB, which for the
activations of a network is a good part of what its elementwise functions take; an array that is
freed therefore goes back to the pool, and the next arrays take its memory.
"""

import bisect
import collections
import mmap
import os
import threading

import numpy as np

from chainer_zoo.engines.cpu import primitive

_MAP_NORESERVE = getattr(mmap, 'MAP_NORESERVE', 0x4000)  # Linux; Python 3.11 names it
_SMALL = 1 << 14  # bytes; below, the pool costs more than it gives
_ITEM = 4  # bytes of a float32

copies = collections.Counter()  # (function, reason) -> arrays that had to be copied
copied_bytes = collections.Counter()  # (function, reason) -> bytes of them


class _Lease(np.ndarray):
    """The memory of a pooled array. When nothing views it any more it returns to its pool."""

    __slots__ = 'start', 'returned'  # where it starts, and the pool's list of such pieces

    def __del__(self):
        returned = getattr(self, 'returned', None)  # a view of this class owns nothing
        if returned is not None:
            returned.append(self.start)


class Pool:
    """One large stretch of address space, handed out in pieces.

    Pages are the system's until they are first used, and stay ours afterwards, so the memory that
    is taken is about the most that was in use at one time. A piece that was returned serves the
    next array of its size as it is. Where there is none, all that were returned are joined with
    their free neighbours, and the stretch that fits best is cut.

    Args:
        capacity (int): bytes of address space; None for as much as the machine has memory. What
            does not fit comes from NumPy.

    Attributes:
        top (int): bytes that have ever been handed out, the end of what may be in memory.
    """

    def __init__(self, capacity=None):
        if capacity is None:
            capacity = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
        self.capacity = capacity
        self._start()

    def _start(self):
        self._lock = threading.Lock()
        # A lease may end at any moment, inside a garbage collection too. So its piece is only put
        # here, by size: where it starts. No list is ever replaced, as leases refer to them.
        self._returned = {}
        self._map = None
        self._sizes = []  # of free stretches, sorted: (size, start)
        self._by_start = {}  # start -> size
        self._by_end = {}  # end -> size
        self.top = 0

    def _open(self):
        try:
            self._map = mmap.mmap(
                -1, self.capacity, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
            )
        except (OSError, ValueError, OverflowError):  # the address space is limited
            self._map = False
            return
        if hasattr(mmap, 'MADV_HUGEPAGE'):
            try:
                self._map.madvise(mmap.MADV_HUGEPAGE)
            except OSError:
                pass  # a kernel without them; only slower

    def _add(self, start, size):
        """Put a stretch among the free ones, joined with its neighbours."""
        before = self._by_end.pop(start, None)
        if before is not None:
            start -= before
            self._remove_size(before, start)
            size += before
        after = self._by_start.get(start + size)
        if after is not None:
            del self._by_start[start + size]
            del self._by_end[start + size + after]
            self._remove_size(after, start + size)
            size += after
        self._by_start[start] = size
        self._by_end[start + size] = size
        bisect.insort(self._sizes, (size, start))

    def _remove_size(self, size, start):
        del self._sizes[bisect.bisect_left(self._sizes, (size, start))]

    def _collect(self):
        """Join what was returned with what is free."""
        for size, starts in self._returned.items():
            while starts:
                try:
                    self._add(starts.pop(), size)
                except IndexError:  # another thread has taken it for an array
                    break

    def _take(self, size):
        """Return where ``size`` free bytes start, None where there is no room."""
        i = bisect.bisect_left(self._sizes, (size, 0))
        if i < len(self._sizes):
            found, start = self._sizes.pop(i)
            del self._by_start[start]
            del self._by_end[start + found]
            if found > size:
                self._add(start + size, found - size)
            return start
        start = self.top
        last = self._by_end.get(start)  # grow the free stretch at the end, if there is one
        if last is not None:
            start -= last
        if start + size > self.capacity:
            return None
        if last is not None:
            del self._by_end[self.top]
            del self._by_start[start]
            self._remove_size(last, start)
        self.top = start + size
        return start

    def allocate(self, nbytes):
        """Return an object with a buffer of at least ``nbytes`` (int), aligned to 64 bytes."""
        # The odd number of cache lines keeps arrays of a round size from starting at addresses
        # that a cache maps to one place.
        size = ((nbytes + 63) & ~63) + 5 * 64
        returned = self._returned.get(size)
        start = None
        if returned:
            try:
                start = returned.pop()  # the last one: the cache may still hold it
            except IndexError:  # another thread was quicker
                pass
        if start is None:
            with self._lock:
                returned = self._returned.setdefault(size, [])
                self._collect()
                if self._map is None:
                    self._open()
                start = self._take(size) if self._map else None
            if start is None:
                return np.empty(nbytes, np.uint8)
        lease = np.ndarray.__new__(_Lease, (size,), np.uint8, self._map, start)
        lease.start, lease.returned = start, returned
        return lease

    @property
    def in_use(self):
        """int: bytes of live arrays."""
        with self._lock:
            self._collect()
            return self.top - sum(size for size, _ in self._sizes)

    def clear(self):
        """Give all free memory back to the system."""
        with self._lock:
            self._collect()
            for size, start in self._sizes:
                first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
                length = (start + size - first) // mmap.PAGESIZE * mmap.PAGESIZE
                if length > 0:
                    self._map.madvise(mmap.MADV_DONTNEED, first, length)


pool = Pool()


def _after_fork():
    """Begin a pool of the child's own; arrays of the parent stay valid in their copied pages.

    What those lease goes back to a queue that nobody reads any more.
    """
    pool._start()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_after_fork)


def empty(shape, strides=None):
    """Return an uninitialized float32 array.

    Args:
        shape (tuple of int): its shape.
        strides (tuple of int): its strides in bytes; C order without.
    """
    size = _ITEM
    for n in shape:
        size *= n
    if size >= _SMALL:
        return np.ndarray(shape, np.float32, pool.allocate(size), 0, strides)
    if strides is None:
        return np.empty(shape, np.float32)
    return np.ndarray(shape, np.float32, np.empty(size, np.uint8), 0, strides)


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
        if type(x) is not np.ndarray or x.dtype != np.float32 or not x.size or not x.flags.aligned:
            return False
    return True


def _count(x, why):
    copies[why] += 1
    copied_bytes[why] += x.nbytes


def copy_into(y, x):
    """Copy float32 array ``x`` into ``y``, with all threads where it is large."""
    if x.nbytes < _SMALL or min(x.strides) < 0 or any(s % _ITEM for s in x.strides):
        np.copyto(y, x)
        return
    source = tuple([s // _ITEM for s in x.strides])
    target = tuple([s // _ITEM for s in y.strides])
    if 0 in source:  # a broadcast array
        np.copyto(y, x)
        return
    primitive.cached(
        ('copy', x.shape, source, target),
        lambda: primitive.reorder(
            primitive.strided(x.shape, source), primitive.strided(x.shape, target)
        ),
    ).run(x, y)


def copy(x):
    """Return a copy of dense float32 array ``x`` in the same order."""
    y = empty_like(x)
    copy_into(y, x)
    return y


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
    copy_into(y, x)
    return y


def pitch(x):
    """Return how many float32 numbers lie from one pixel of ``x`` (B, C, H, W) to the next.

    That is C where it is channels last, more where it is some channels of such an array, and 0
    where it is neither.
    """
    b, c, h, w = x.shape
    if is_channels_last(x):
        return c
    # How many pixels a step along each axis skips. An axis of length 1 has no step.
    steps = [
        (stride, distance)
        for n, stride, distance in zip((b, h, w), (x.strides[0],) + x.strides[2:], (h * w, w, 1))
        if n > 1
    ]
    nbytes = steps[-1][0] // steps[-1][1] if steps else 0
    if (
        nbytes < c * _ITEM
        or nbytes % _ITEM
        or c > 1
        and x.strides[1] != _ITEM
        or any([stride != distance * nbytes for stride, distance in steps])
    ):
        return 0
    return nbytes // _ITEM


def to_pixels(x, why):
    """Return ``x`` as it is where it is channels last, or some channels of such an array.

    Else a copy, as :func:`to_channels_last`.
    """
    return x if pitch(x) else to_channels_last(x, why)


def to_contiguous(x, why):
    """Return float32 array ``x`` in C order: itself, or a copy that is counted."""
    if x.flags.c_contiguous:
        return x
    _count(x, why)
    y = empty(x.shape)
    copy_into(y, x)
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
