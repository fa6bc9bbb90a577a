"""Random words by counting: Philox 4x64 with 10 rounds (Salmon et al., 2011), on CPU and GPU.

A mask is never stored. It is a function of the seed, the number of the draw and the index of the
element. Whoever needs it again, on whatever device, computes it again:

* Block b (from 0) of draw d under seed s is what Philox gives for the counter (b + 1, d, 0, 0),
  lowest word first, and the key (s, 0): four words of 64 bits. ``numpy.random.Philox`` is the
  reference; it steps its counter before its first block, hence b + 1.
* Each word is two *lanes* of 32 bits, the low half first: lane l is in word l // 2, block
  l // 8. No two (draw, lane) share bits, and under one seed no two blocks are equal.
* A lane drops its element where it lies below the threshold round(ratio * 2**32). Comparing
  integers leaves no rounding to differ between devices; the ratio is met to 2**-33.

:data:`CUDA_SOURCE` is the same in CUDA; a kernel computes one block and serves eight lanes with it.
"""

from __future__ import annotations

from typing import Callable

import numpy as np

from chainer_zoo import threads

#: Lanes of 32 bits in one block.
LANES = 8

# Elements that the CPU handles at a time, so that their lanes and factors stay in the cache.
_CHUNK = 1 << 16

CUDA_SOURCE = """
// One round: two 64 x 64 bit products mix the counter, the key enters by exclusive or.
__device__ __forceinline__ void philox_round(
        unsigned long long (&c)[4], unsigned long long k0, unsigned long long k1) {
    const unsigned long long m0 = 0xD2E7470EE14C6C93ULL;
    const unsigned long long m1 = 0xCA5A826395121157ULL;
    const unsigned long long high0 = __umul64hi(m0, c[0]);
    const unsigned long long high1 = __umul64hi(m1, c[2]);
    const unsigned long long low0 = m0 * c[0];
    const unsigned long long low1 = m1 * c[2];
    c[0] = high1 ^ c[1] ^ k0;
    c[1] = low1;
    c[2] = high0 ^ c[3] ^ k1;
    c[3] = low0;
}

// The four words of a block of a draw.
__device__ __forceinline__ void philox_block(
        unsigned long long seed, unsigned long long draw, unsigned long long block,
        unsigned long long (&words)[4]) {
    unsigned long long k0 = seed;
    unsigned long long k1 = 0;
    words[0] = block + 1;
    words[1] = draw;
    words[2] = 0;
    words[3] = 0;
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        philox_round(words, k0, k1);
        k0 += 0x9E3779B97F4A7C15ULL;
        k1 += 0xBB67AE8584CAA73BULL;
    }
}

// Lane 0 to 7 of a block.
__device__ __forceinline__ unsigned int philox_lane(
        const unsigned long long (&words)[4], int lane) {
    return static_cast<unsigned int>(words[lane >> 1] >> ((lane & 1) * 32));
}
"""


def threshold(ratio: float) -> int:
    """Return the lane value below which an element is dropped.

    Args:
        ratio (float): probability to be dropped, in [0, 1].

    Returns:
        int: in [0, 2**32].
    """
    return int(round(ratio * 2.0**32))


def words(key: tuple[int, int], block: int, count: int) -> np.ndarray:
    """Return random words of a draw.

    Args:
        key (tuple of int): (seed, draw).
        block (int): the block that the first word is taken from.
        count (int): how many words.

    Returns:
        numpy.ndarray: uint64 (count,).
    """
    seed, draw = key
    counter = np.array([block, draw, 0, 0], np.uint64)
    return np.random.Philox(counter=counter, key=np.array([seed, 0], np.uint64)).random_raw(count)


def lanes(key: tuple[int, int], start: int, count: int) -> np.ndarray:
    """Return lanes ``start`` to ``start + count - 1`` of a draw.

    Args:
        key (tuple of int): (seed, draw).
        start (int): the first lane.
        count (int): how many lanes.

    Returns:
        numpy.ndarray: uint32 (count,).
    """
    block, skip = divmod(start, LANES)
    found = words(key, block, (skip + count + 1) // 2).astype('<u8', copy=False).view('<u4')
    return found[skip : skip + count]


def kept(lane: np.ndarray, drop: int) -> np.ndarray:
    """Return where elements are kept.

    Args:
        lane (numpy.ndarray): uint32 lanes.
        drop (int): their threshold, in [0, 2**32].

    Returns:
        numpy.ndarray: bool, of the same shape.
    """
    if drop > 0xFFFFFFFF:
        return np.zeros(lane.shape, bool)
    return lane >= np.uint32(drop)


def chunks(shape: tuple[int, ...]) -> list[tuple[slice, int]]:
    """Cut an array along its first axis into pieces that fit a cache.

    Args:
        shape (tuple of int): the array's shape, at least one axis.

    Returns:
        list of (slice, int): the rows of each piece, and the C-order index of its first element.
    """
    row = int(np.prod(shape[1:], dtype=np.int64))
    step = max(1, _CHUNK // max(1, row))
    return [
        (slice(start, min(shape[0], start + step)), start * row)
        for start in range(0, shape[0], step)
    ]


def for_chunks(shape: tuple[int, ...], work: Callable[[slice, int], None]) -> None:
    """Call ``work(rows, start)`` for each of :func:`chunks`, in threads where that pays.

    A mask depends only on the elements' indices, so threads do not change the result.
    """
    pieces = chunks(shape)

    def work_on(some):
        for rows, start in pieces[some]:
            work(rows, start)

    threads.each(threads.cut(len(pieces), min(threads.limit(), len(pieces) // 4)), work_on)
