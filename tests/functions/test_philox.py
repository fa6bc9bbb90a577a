"""The random words: Philox 4x64-10 at the counter that the module's text says, and no other."""

import numpy as np
import pytest

from chainer_zoo.functions import _philox

MASK = 2**64 - 1


def philox(counter, key, rounds=10):
    """Philox 4x64 from the article's description, in Python's integers."""
    c, k = list(counter), list(key)
    for _ in range(rounds):
        a, b = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [(b >> 64) ^ c[1] ^ k[0], b & MASK, (a >> 64) ^ c[3] ^ k[1], a & MASK]
        k = [(k[0] + 0x9E3779B97F4A7C15) & MASK, (k[1] + 0xBB67AE8584CAA73B) & MASK]
    return c


def test_the_python_form_gives_the_authors_known_answers():
    """From kat_vectors of Random123, the authors' library."""
    assert philox((0,) * 4, (0, 0)) == [
        0x16554D9ECA36314C,
        0xDB20FE9D672D0FDC,
        0xD7E772CEE186176B,
        0x7E68B68AEC7BA23B,
    ]
    assert philox((MASK,) * 4, (MASK,) * 2) == [
        0x87B092C3013FE90B,
        0x438C3C67BE8D0224,
        0x9CC7D7C69CD777B6,
        0xA09CAEBF594F0BA0,
    ]


@pytest.mark.parametrize('seed,draw', [(0, 0), (1, 0), (0, 1), (MASK, MASK), (12345, 678)])
@pytest.mark.parametrize('block', [0, 1, 1000, 2**40])
def test_words_are_philox_at_the_documented_counter(seed, draw, block):
    expected = philox((block + 1, draw, 0, 0), (seed, 0)) + philox(
        (block + 2, draw, 0, 0), (seed, 0)
    )
    assert [int(w) for w in _philox.words((seed, draw), block, 8)] == expected


@pytest.mark.parametrize('start,count', [(0, 0), (0, 1), (0, 16), (1, 5), (7, 9), (8, 8), (99, 45)])
def test_lanes_are_halves_of_words_low_half_first(start, count):
    words = [int(w) for w in _philox.words((3, 4), 0, (start + count + 1) // 2)]
    halves = [half for w in words for half in (w & 0xFFFFFFFF, w >> 32)]
    lanes = _philox.lanes((3, 4), start, count)
    assert lanes.dtype == np.uint32
    assert lanes.tolist() == halves[start : start + count]


@pytest.mark.parametrize('ratio,expected', [(0, 0), (0.5, 2**31), (1, 2**32), (2**-32, 1)])
def test_thresholds(ratio, expected):
    assert _philox.threshold(ratio) == expected


def test_never_and_always():
    lanes = np.array([0, 1, 2**32 - 1], np.uint32)
    assert _philox.kept(lanes, 0).all()
    assert not _philox.kept(lanes, 2**32).any()
    assert _philox.kept(lanes, 1).tolist() == [False, True, True]


@pytest.mark.parametrize(
    'shape', [(0,), (1,), (70000,), (200000,), (3, 100000), (0, 3), (5, 0), (1000, 7, 11)]
)
def test_chunks_cover_every_row_once_in_order(shape):
    row = int(np.prod(shape[1:]))
    rows = [
        r
        for piece, start in _philox.chunks(shape)
        for r in range(piece.start, piece.stop)
        if start == piece.start * row
    ]
    assert rows == list(range(shape[0]))
