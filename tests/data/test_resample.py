import numpy as np
import pytest

from chainer_zoo.data import resample

SIZES = [(32, 33), (32, 36), (32, 48), (32, 128), (32, 301), (32, 384), (32, 512), (40, 32),
         (100, 32), (1, 5)]


@pytest.mark.parametrize('old, new', SIZES)
@pytest.mark.parametrize('interpolation', resample.INTERPOLATIONS)
def test_a_row_of_pixels_becomes_what_pillow_makes_of_it(old, new, interpolation):
    Image = pytest.importorskip('PIL.Image')
    rng = np.random.RandomState(old + new)
    row = rng.randint(0, 256, old).astype(np.uint8)
    filters = {'nearest': 0, 'bilinear': 2, 'bicubic': 3}
    pillow = np.asarray(Image.fromarray(row[None]).resize((new, 1), filters[interpolation]))[0]
    ours = resample.matrix(old, new, interpolation).astype(np.float64) @ row
    np.testing.assert_array_equal(np.clip(np.floor(ours + 0.5), 0, 255), pillow)


@pytest.mark.parametrize('interpolation', resample.INTERPOLATIONS)
def test_the_same_size_changes_nothing(interpolation):
    np.testing.assert_array_equal(resample.matrix(7, 7, interpolation), np.eye(7))


@pytest.mark.parametrize('old, new', SIZES)
def test_nearest_repeats_the_pixels_that_its_matrix_picks(old, new):
    pixels = resample.nearest(old, new)
    np.testing.assert_array_equal(resample.matrix(old, new, 'nearest').argmax(axis=1), pixels)
    with pytest.raises(ValueError):
        pixels[0] = 1


def test_bilinear_doubling_by_hand():
    np.testing.assert_array_equal(resample.matrix(2, 4, 'bilinear'),
                                  [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])


@pytest.mark.parametrize('old, new', SIZES)
@pytest.mark.parametrize('interpolation', resample.INTERPOLATIONS)
def test_weights_sum_to_one_and_cannot_be_written_to(old, new, interpolation):
    weights = resample.matrix(old, new, interpolation)
    np.testing.assert_allclose(weights.sum(axis=1, dtype=np.float64), 1, atol=1e-4)
    with pytest.raises(ValueError):
        weights[0, 0] = 1


@pytest.mark.parametrize('old, new', SIZES)
@pytest.mark.parametrize('interpolation', resample.INTERPOLATIONS)
def test_no_weight_lies_outside_the_window(old, new, interpolation):
    weights = resample.matrix(old, new, interpolation)
    start = np.array([[0, new // 3, new - 1]])
    stop = np.array([[new // 2 + 1, new // 3 + 1, new]])
    first, end = resample.window(old, np.array([[new]]), np.array([[interpolation]]), start, stop)
    for a, b, low, high in zip(start[0], stop[0], first[0], end[0]):
        outside = np.ones(old, dtype=bool)
        outside[low:high] = False
        assert not weights[a:b, outside].any()
