"""What the tests of sequences and of branches share."""

import chainer
import numpy as np
import pytest

from chainer_zoo import engines
from chainer_zoo.links import BatchNormalization

ENGINES = [
    False,
    pytest.param(
        True,
        marks=pytest.mark.skipif(not engines.CPU.is_available(), reason='oneDNN does not load'),
    ),
]


def link(channels, seed=0):
    random = np.random.RandomState(seed)
    bn = BatchNormalization(channels)
    bn.gamma.array[...] = random.uniform(-1, 2, channels)
    bn.beta.array[...] = random.uniform(-1, 1, channels)
    bn.avg_mean[...] = random.uniform(-1, 1, channels)
    bn.avg_var[...] = random.uniform(0.5, 2, channels)
    return bn


def assert_same(ours, theirs, rtol=1e-3):
    """Compare by name; what is 0 but for rounding (biases before BN) counts as 0."""
    assert ours.keys() == theirs.keys()
    for name in theirs:
        np.testing.assert_allclose(
            ours[name],
            theirs[name],
            rtol=rtol,
            atol=max(rtol * np.abs(theirs[name]).max(), 1e-5),
            err_msg=name,
        )


class Counting(chainer.LinkHook):
    name = 'counting'
    calls = 0

    def forward_preprocess(self, args):
        self.calls += 1
