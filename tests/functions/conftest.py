"""Tests that need the CPU engine are skipped where its library does not load."""

import pytest

from chainer_zoo import engines


@pytest.fixture
def engine():
    if not engines.CPU.is_available():
        pytest.skip('oneDNN does not load: ' + engines.CPU.why_not())
