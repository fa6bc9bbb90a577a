"""Tests that need the CPU engine are skipped where its library does not load."""
import pytest

from chainer_zoo import onednn


@pytest.fixture
def engine():
    if not onednn.is_available():
        pytest.skip('oneDNN does not load: ' + onednn.why_not())
