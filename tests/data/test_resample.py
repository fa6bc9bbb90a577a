import numpy as np
import pytest

from chainer_zoo.data import resample

ONE = 1 << resample.PRECISION_BITS

SIZES = [
    (32, 33),
    (32, 36),
    (32, 48),
    (32, 128),
    (32, 301),
    (32, 384),
    (32, 512),
    (40, 32),
    (100, 32),
    (1, 5),
]


@pytest.mark.parametrize('old, new', SIZES)
@pytest.mark.parametrize('interpolation', resample.INTERPOLATIONS)
def test_a_row_of_pixels_becomes_what_pillow_makes_of_it(old, new, interpolation):
    Image = pytest.importorskip('PIL.Image')
    rng = np.random.RandomState(old + new)
    row = rng.randint(0, 256, old).astype(np.uint8)
    filters = {'nearest': 0, 'bilinear': 2, 'bicubic': 3}
    pillow = np.asarray(Image.fromarray(row[None]).resize((new, 1), filters[interpolation]))[0]
    ours = resample.matrix(old, new, interpolation) @ row.astype(int)
    np.testing.assert_array_equal(np.clip((ours + ONE // 2) // ONE, 0, 255), pillow)


@pytest.mark.parametrize('interpolation', resample.INTERPOLATIONS)
def test_the_same_size_changes_nothing(interpolation):
    np.testing.assert_array_equal(resample.matrix(7, 7, interpolation), ONE * np.eye(7))


def test_bilinear_doubling_by_hand():
    np.testing.assert_array_equal(
        resample.matrix(2, 4, 'bilinear') / ONE, [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]
    )


@pytest.mark.parametrize('old, new', SIZES)
@pytest.mark.parametrize('interpolation', resample.INTERPOLATIONS)
def test_weights_sum_to_one(old, new, interpolation):
    weights = resample.matrix(old, new, interpolation)
    assert weights.dtype == np.int32
    used = (weights != 0).sum(axis=1)  # each is rounded by half a unit at most
    assert (abs(weights.sum(axis=1) - ONE) <= used / 2).all()


@pytest.mark.parametrize('old, new', SIZES)
@pytest.mark.parametrize('interpolation', resample.INTERPOLATIONS)
def test_no_weight_lies_outside_the_window(old, new, interpolation):
    first, end = resample.window(old, new, interpolation)
    pixels = np.arange(old)
    outside = (pixels < first[:, None]) | (pixels >= end[:, None])
    assert not resample.matrix(old, new, interpolation)[outside].any()
    assert (first[1:] >= first[:-1]).all() and (end[1:] >= end[:-1]).all()


KINDS = [(40, 'bicubic'), (33, 'nearest'), (32, 'bilinear'), (40, 'bilinear')]


def holds(table, kinds):
    """Whether ``table`` has the matrices for ``kinds`` where it says."""
    for kind in kinds:
        rows = slice(table.start[kind], table.start[kind] + kind[0])
        if not (
            np.array_equal(table.weights[rows], resample.matrix(32, *kind))
            and np.array_equal(table.windows[rows].T, resample.window(32, *kind))
        ):
            return False
    return True


def test_a_table_grows_into_another_one():
    table = resample.Table(32).with_these(KINDS[:2])
    larger = table.with_these(KINDS)
    assert holds(table, KINDS[:2]) and len(table.start) == 2
    assert holds(larger, KINDS) and len(larger.weights) == sum(new for new, _ in KINDS)
    assert larger.with_these(KINDS[1:3]) is larger


def test_two_tables_that_grow_from_one_do_not_share_their_rows():
    first = [(200, 'bilinear')]
    table = resample.Table(32).with_these(first).with_these(KINDS[:1])  # has room for 160 rows
    one, other = table.with_these(KINDS[1:2]), table.with_these(KINDS[2:])
    assert np.shares_memory(one.weights, table.weights)
    assert holds(table, first + KINDS[:1])
    assert holds(one, first + KINDS[:2]) and holds(other, first + KINDS[:1] + KINDS[2:])


@pytest.mark.parametrize('name', ['weights', 'windows'])
def test_a_table_cannot_be_written_to(name):
    with pytest.raises(ValueError):
        getattr(resample.Table(32).with_these(KINDS), name)[0, 0] = 1


def test_a_table_does_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(resample, '_CAPACITY', 32 * 100)
    table = resample.Table(32).with_these(KINDS[:2]).with_these(KINDS[1:])
    assert holds(table, KINDS[1:]) and set(table.start) == set(KINDS[1:])
    one = [(200, 'bilinear')]
    assert holds(resample.Table(32).with_these(one), one)  # more than that, but needed


def test_each_image_finds_its_rows():
    size, interpolation = np.array([40, 33, 40]), np.array(['bicubic', 'nearest', 'bicubic'])
    top, left = np.array([8, 0, 3]), np.array([0, 1, 5])
    flip = np.array([False, False, True])
    table, rows, columns = resample.table(32, 32, size, interpolation, top, left, flip)
    for i in range(3):
        matrix = resample.matrix(32, size[i], interpolation[i])
        expected = matrix[left[i] : left[i] + 32]
        np.testing.assert_array_equal(table.weights[rows[i]], matrix[top[i] : top[i] + 32])
        np.testing.assert_array_equal(
            table.weights[columns[i]], expected[::-1] if flip[i] else expected
        )


def test_a_device_is_sent_the_weights_once():
    class Device:
        sent = 0

        def __str__(self):
            return 'a device'

        def send(self, array):
            self.sent += 1
            return array.copy()

    table, device = resample.Table(32).with_these(KINDS), Device()
    assert table.weights_on(device) is table.weights_on(device)
    assert device.sent == 1
