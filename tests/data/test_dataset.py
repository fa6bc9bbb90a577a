import numpy as np
import pytest

from chainer_zoo import data
from chainer_zoo.errors import UserError


def dataset(n=10):
    x = np.arange(n * 3, dtype=np.uint8).reshape(n, 3, 1, 1)
    y = np.arange(n, dtype=np.int32)[::-1] % 3
    return data.Dataset(x, y, x[:6], y[:6], ('a', 'b', 'c'), 'made up')


def test_limit_keeps_the_first_images_in_file_order():
    limited = data.limit(dataset(), train=4, test=2)
    np.testing.assert_array_equal(limited.train_x, dataset().train_x[:4])
    np.testing.assert_array_equal(limited.train_y, dataset().train_y[:4])
    assert len(limited.test_x) == len(limited.test_y) == 2


@pytest.mark.parametrize('train, test', [(None, None), (100, 100)])
def test_limit_keeps_all_where_there_are_no_more(train, test):
    limited = data.limit(dataset(), train, test)
    assert (len(limited.train_y), len(limited.test_y)) == (10, 6)


@pytest.mark.parametrize('limits', [{'train': 0}, {'test': -1}])
def test_limit_below_one_is_refused(limits):
    with pytest.raises(UserError, match='at least 1'):
        data.limit(dataset(), **limits)


def test_by_class_groups_classes_and_keeps_file_order_within_them():
    x = np.arange(7)
    y = np.array([2, 0, 1, 0, 2, 1, 0], dtype=np.int32)
    grouped_x, grouped_y = data.by_class(x, y)
    np.testing.assert_array_equal(grouped_y, [0, 0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(grouped_x, [1, 3, 6, 2, 5, 0, 4])
