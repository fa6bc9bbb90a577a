import dataclasses

import numpy as np
import pytest

from chainer_zoo import data
from chainer_zoo.errors import UserError

ARRAYS = ['train_x', 'train_y', 'test_x', 'test_y']


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


def test_the_same_content_has_the_same_digest_wherever_it_comes_from():
    elsewhere = dataclasses.replace(dataset(), source='another folder', label_names=('x', 'y', 'z'))
    assert elsewhere.digest == dataset().digest
    assert len(dataset().digest) == 64 and int(dataset().digest, 16)


@pytest.mark.parametrize('name', ARRAYS)
@pytest.mark.parametrize(
    'change',
    [
        lambda a: np.where(np.arange(a.size).reshape(a.shape) == a.size - 1, a + 1, a).astype(
            a.dtype
        ),
        lambda a: a[::-1],
        lambda a: a[:-1],
        lambda a: np.concatenate([a, a[:1]]),
        lambda a: a[..., None],
        lambda a: a.astype(np.int64),
    ],
    ids=['one value', 'order', 'fewer', 'more', 'shape', 'dtype'],
)
def test_other_content_has_another_digest(name, change):
    original = dataset()
    other = dataclasses.replace(original, **{name: change(getattr(original, name))})
    assert other.digest != original.digest


def test_images_moved_from_training_to_test_change_the_digest():
    a = dataset()
    b = dataclasses.replace(
        a, train_x=a.train_x[:5], test_x=np.concatenate([a.train_x[5:], a.test_x])
    )
    assert a.digest != b.digest


@pytest.mark.parametrize('limits', [{'train': 9}, {'test': 5}, {'train': 1, 'test': 1}])
def test_the_digest_is_that_of_what_limit_leaves(limits):
    whole, limited = dataset(), data.limit(dataset(), **limits)
    copied = dataclasses.replace(
        limited, **{name: getattr(limited, name).copy() for name in ARRAYS}
    )
    assert limited.digest == copied.digest != whole.digest


@pytest.mark.parametrize('name', ARRAYS)
def test_how_the_arrays_lie_in_memory_does_not_matter(name):
    a = dataset()
    array = getattr(a, name)
    spread = np.repeat(array, 2, axis=0)[::2]
    assert not spread.flags.c_contiguous
    swapped = array.astype(array.dtype.newbyteorder('>'))
    for other in (spread, swapped):
        assert dataclasses.replace(a, **{name: other}).digest == a.digest
