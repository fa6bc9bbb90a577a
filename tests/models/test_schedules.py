"""Numbers on a line from block to block."""

import pytest

from chainer_zoo.models.schedules import linear_schedule


@pytest.mark.parametrize(
    'start, numbers',
    [
        (0, [1.0, 0.875, 0.75, 0.625]),  # misses the last by a step
        (1, [0.875, 0.75, 0.625, 0.5]),  # misses the first
    ],
)
def test_linear_schedule(start, numbers):
    assert linear_schedule(1, 0.5, 4, start) == numbers
