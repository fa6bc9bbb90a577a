import io
import json
import pathlib

import chainer
import numpy as np
import pytest

from chainer_zoo.data.sampler import RandomBatches
from chainer_zoo.errors import UserError

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / 'golden' / 'sampler.json'


@pytest.mark.parametrize('case', json.loads(GOLDEN.read_text()), ids=lambda case: str(case['n']))
def test_draws_the_indices_that_the_original_draws_from_one_stream(case):
    batches = RandomBatches(case['n'], case['batch'], np.random.RandomState(case['seed']))
    drawn = [next(batches) for _ in case['indices']]
    assert all(batch.dtype == np.int64 for batch in drawn)
    np.testing.assert_array_equal(drawn, case['indices'])


def test_each_batch_is_full_and_without_repetition_but_an_epoch_repeats():
    batches = RandomBatches(100, 32, np.random.RandomState(0))
    drawn = [next(batches) for _ in range(3)]
    assert [len(set(batch)) for batch in drawn] == [32, 32, 32]
    assert len(set(np.concatenate(drawn))) < 96


def test_every_image_is_drawn_equally_often():
    batches = RandomBatches(20, 5, np.random.RandomState(0))
    counts = np.bincount(np.concatenate([next(batches) for _ in range(4000)]), minlength=20)
    # Binomial(4000, 1/4): five standard deviations are 137.
    assert abs(counts - 1000).max() < 137


def test_an_epoch_is_as_many_draws_as_whole_batches_fit():
    batches = RandomBatches(10, 3, np.random.RandomState(0))
    assert (batches.epoch, batches.epoch_detail, batches.previous_epoch_detail) == (0, 0, None)
    assert not batches.is_new_epoch
    seen = []
    for _ in range(6):
        next(batches)
        seen.append((batches.iteration, batches.epoch, batches.is_new_epoch))
    assert seen == [
        (1, 0, False),
        (2, 0, False),
        (3, 1, True),
        (4, 1, False),
        (5, 1, False),
        (6, 2, True),
    ]
    assert batches.epoch_detail == 2
    assert batches.previous_epoch_detail == pytest.approx(5 / 3)


def test_a_resumed_run_draws_on_bit_for_bit():
    rng = np.random.RandomState(3)
    first = RandomBatches(50, 8, rng)
    for _ in range(7):
        next(first)
    rng.standard_normal()  # it keeps a second normal number, which is part of the state too
    saved = io.BytesIO()
    chainer.serializers.save_npz(saved, first)
    expected = [next(first) for _ in range(5)], rng.standard_normal(3)

    saved.seek(0)
    other = np.random.RandomState(99)
    resumed = RandomBatches(50, 8, other)
    chainer.serializers.load_npz(saved, resumed)
    assert resumed.iteration == 7
    np.testing.assert_array_equal([next(resumed) for _ in range(5)], expected[0])
    np.testing.assert_array_equal(other.standard_normal(3), expected[1])


@pytest.mark.parametrize('n, batch', [(49, 8), (50, 9)])
def test_resuming_with_other_data_or_batches_is_refused(n, batch):
    saved = io.BytesIO()
    chainer.serializers.save_npz(saved, RandomBatches(50, 8, np.random.RandomState(0)))
    saved.seek(0)
    with pytest.raises(UserError, match='cannot resume'):
        chainer.serializers.load_npz(saved, RandomBatches(n, batch, np.random.RandomState(0)))


@pytest.mark.parametrize(
    'name, value',
    [
        *[('iteration', value) for value in (-1, 10**12 + 1, 2**62)],
        *[('rng/position', value) for value in (-1, 625, 10**9, 2**62)],
        *[('rng/has_gauss', value) for value in (-1, 2, 10**9)],
    ],
)
def test_a_state_that_cannot_be_is_refused(name, value):
    """A position beyond the generator's state would be read from memory that is not its own."""
    saved = io.BytesIO()
    chainer.serializers.save_npz(saved, RandomBatches(50, 8, np.random.RandomState(0)))
    saved.seek(0)
    with np.load(saved) as file:
        arrays = dict(file)
    arrays[name] = np.array(value)
    with pytest.raises(UserError, match='cannot resume: ' + name.split('/')[-1]):
        chainer.serializers.NpzDeserializer(arrays).load(
            RandomBatches(50, 8, np.random.RandomState(0))
        )


@pytest.mark.parametrize('batch', [0, -1, 11])
def test_a_batch_that_cannot_be_drawn_is_refused(batch):
    with pytest.raises(UserError, match='1 to 10'):
        RandomBatches(10, batch, np.random.RandomState(0))
