"""Tests of the CPU engine are skipped where its library does not load."""
import pytest

from chainer_zoo import onednn


@pytest.fixture(autouse=True)
def library():
    reason = onednn.why_not()
    if reason:
        pytest.skip('oneDNN does not load: ' + reason)
    from chainer_zoo.onednn import seam
    seam.install()
