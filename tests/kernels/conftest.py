"""CuPy and a compiler are needed here; a GPU is not."""

import platform
import sys

import pytest

HAVE_WHEELS = (
    sys.platform == 'linux'
    and platform.machine() == 'x86_64'
    and (3, 9) <= sys.version_info < (3, 14)
)


@pytest.fixture(scope='session')
def kernels(tmp_path_factory):
    """What stands in for CuPy's kernels; its sources grow with every launch of the session."""
    if not HAVE_WHEELS:
        pytest.importorskip(
            'cupy', reason='CuPy 13.6 has wheels for Linux on x86-64 and Python 3.9 to 3.13'
        )
    import harness

    return harness.Kernels(tmp_path_factory.mktemp('kernels'))


@pytest.fixture
def on_cpu(kernels, monkeypatch):
    """Let ``forward_gpu`` of every function launch its kernels on the CPU, on NumPy arrays."""
    from chainer.backends import cuda

    monkeypatch.setattr(cuda, 'elementwise', kernels.elementwise)
    return kernels
