"""A GPU that Chainer can use, or the reason why these tests are skipped."""

import os

# Convolutions and products in float32 proper, not in TensorFloat-32, for comparisons with a CPU.
# Should CUDA's libraries read it when they load, only one set for the whole process counts, as
# benchmarks/gpu_check.py does.
os.environ.setdefault('NVIDIA_TF32_OVERRIDE', '0')

import pytest

from chainer_zoo.engines import devices
from chainer_zoo.errors import UserError


@pytest.fixture(scope='session', autouse=True)
def device():
    """GPU 0, made current."""
    try:
        return devices.find(0)
    except UserError as e:
        pytest.skip(str(e))
