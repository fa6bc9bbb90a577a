"""Models compute what the original computes with the CPU engine on, too."""
import pathlib

import pytest

from chainer_zoo import onednn
from chainer_zoo.report import golden

FOLDER = pathlib.Path(__file__).parents[1] / 'golden' / 'models'
# One of each kind of layer that the engine computes, small enough for every run.
NAMES = ['resnext', 'resnet-20-2', 'wide_resnet-16-2', 'densenet-22-8', 'preresnet-20-2', 'nin',
         'nin_bn', 'weighted_resnet-22']


@pytest.mark.parametrize('name', NAMES)
def test_logits_gradients_statistics_and_updates_are_the_originals(name):
    case = golden.Golden(FOLDER / (name + '.json'))
    with onednn.using(True):
        found = golden.check(case)
    assert {'test_logits', 'train_logits', 'grads'} <= set(found)
    assert not {what: deviation for what, deviation in found.items()
                if not deviation <= golden.TOLERANCES[what]}
