import numpy as np
import pytest

from chainer_zoo.data import shapes
from chainer_zoo.errors import UserError


def test_the_set_has_ten_equal_classes_of_coloured_images():
    drawn = shapes.read(train=1000, test=200)
    assert drawn.train_x.shape == (1000, 3, 32, 32) and drawn.train_x.dtype == np.uint8
    assert drawn.test_x.shape == (200, 3, 32, 32)
    assert drawn.train_y.dtype == np.int32
    assert np.bincount(drawn.train_y).tolist() == [100] * 10
    assert np.bincount(drawn.test_y).tolist() == [20] * 10
    assert len(set(drawn.label_names)) == 10
    assert 'drawn' in drawn.source


def test_the_same_seed_draws_the_same_images_and_another_draws_others():
    one, same, other = shapes.read(40, 20, 1), shapes.read(40, 20, 1), shapes.read(40, 20, 2)
    np.testing.assert_array_equal(one.train_x, same.train_x)
    np.testing.assert_array_equal(one.test_y, same.test_y)
    assert (one.train_x != other.train_x).any()


def test_test_images_do_not_depend_on_the_number_of_training_images():
    np.testing.assert_array_equal(shapes.read(10, 30).test_x, shapes.read(50, 30).test_x)


def test_no_test_image_is_a_training_image():
    drawn = shapes.read(500, 500)
    rows = {x.tobytes() for x in drawn.train_x}
    assert not any(x.tobytes() in rows for x in drawn.test_x)


def test_the_set_is_not_trivial():
    """A least-squares classifier on the pixels gets about a quarter right; chance is a tenth."""
    drawn = shapes.read(2000, 1000)

    def features(x):
        x = x.reshape(len(x), 3, 8, 4, 8, 4).mean(axis=(3, 5)).reshape(len(x), -1) / 255 - 0.5
        return np.hstack([x, np.ones((len(x), 1))])

    a, t = features(drawn.train_x), np.eye(10)[drawn.train_y]
    weights = np.linalg.solve(a.T @ a + np.eye(a.shape[1]), a.T @ t)
    accuracy = (np.argmax(features(drawn.test_x) @ weights, axis=1) == drawn.test_y).mean()
    assert 0.1 < accuracy < 0.35


@pytest.mark.parametrize('name', shapes.LABEL_NAMES)
def test_each_shape_has_an_inside_and_lies_within_its_frame(name):
    draw = dict(shapes._SHAPES)[name]
    grid = np.linspace(-1.5, 1.5, 121)
    u, v = np.meshgrid(grid, grid)
    inside = draw(u, v) < 0
    assert 0.08 < inside.mean() < 0.35
    assert np.hypot(u, v)[inside].max() < 1.2


def test_shapes_differ_from_one_another_however_they_are_turned():
    """The distances of their inside from their middle are what turning leaves alone."""
    grid = np.linspace(-1.5, 1.5, 121)
    u, v = np.meshgrid(grid, grid)
    profiles = []
    for _, draw in shapes._SHAPES:
        inside = draw(u, v) < 0
        radius = np.hypot(u - u[inside].mean(), v - v[inside].mean())
        profiles.append(np.histogram(radius[inside], bins=12, range=(0, 1.2))[0])
    for i, one in enumerate(profiles):
        for other in profiles[:i]:
            assert abs(one - other).sum() > 0.1 * one.sum()


@pytest.mark.parametrize('train, test', [(0, 10), (10, 0), (-1, 10), (10**6 + 1, 10), (10, 10**30)])
def test_numbers_of_images_have_bounds(train, test):
    with pytest.raises(UserError, match='1 to 1,000,000 of each'):
        shapes.read(train, test)
