"""Tests of the CPU engine are skipped where its library does not load."""

import numpy as np
import pytest

from chainer_zoo import engines


@pytest.fixture(autouse=True)
def library():
    reason = engines.CPU.why_not()
    if reason:
        pytest.skip('oneDNN does not load: ' + reason)


@pytest.fixture
def threads():
    """Set the number of OpenMP's threads."""
    from chainer_zoo.engines.cpu import primitive

    library = primitive.context().library
    before = library.omp_get_max_threads()
    yield library.omp_set_num_threads
    library.omp_set_num_threads(before)


@pytest.fixture
def unfilled(monkeypatch):
    """Fill fresh memory with NaN, so that reading what nobody wrote shows."""
    from chainer_zoo.engines.cpu import memory

    def empty(*args, **kwargs):
        y = real(*args, **kwargs)
        y.fill(np.nan)
        return y

    real = memory.empty
    monkeypatch.setattr(memory, 'empty', empty)


@pytest.fixture(params=['compiled', 'oneDNN'])
def loops(request, monkeypatch):
    """Compute with the compiled loops, and as where Numba compiles none."""
    from chainer_zoo.engines.cpu import openmp

    if request.param == 'oneDNN':
        monkeypatch.setattr(openmp, 'can_run', lambda: False)
    elif not openmp.can_run():
        pytest.skip('Numba does not compile the loops')
