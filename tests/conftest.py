"""What every test starts with."""

import getpass
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

import chainer_zoo  # noqa: F401  # lends Chainer what it misses, before any test imports it

# isort: split
import filelock
import pytest

from chainer_zoo import engines


@pytest.fixture(scope='session')
def shared():
    """The folder with the original's runs and real images, where it stands beside the project."""
    folder = pathlib.Path(__file__).resolve().parents[2] / 'shared'
    if not folder.is_dir():
        pytest.skip('needs ../shared beside the project: the original run and real images')
    return folder


@pytest.fixture(scope='session')
def cifar10_folder(shared):
    """The real images as ``cifar-10-batches-py``, written once a machine (20 seconds, 180 MB)."""
    pytest.importorskip('PIL', reason='needs Pillow to decode the real images')
    out = pathlib.Path(tempfile.gettempdir(), 'chainer_zoo-cifar10-' + getpass.getuser())
    out.mkdir(mode=0o700, exist_ok=True)
    with filelock.FileLock(str(out / 'lock')):
        subprocess.run(
            [sys.executable, str(shared / 'cifar10' / 'make_batches.py'), str(out)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return out / 'cifar-10-batches-py'


@pytest.fixture
def engine():
    """Skip a test that needs the CPU engine where its library does not load."""
    if not engines.CPU.is_available():
        pytest.skip('oneDNN does not load: ' + engines.CPU.why_not())


@pytest.fixture(scope='session')
def kernels(tmp_path_factory):
    """What stands in for CuPy's kernels; its sources grow with every launch of the session.

    Tests that use it need CuPy's wheel and a compiler, but no GPU.
    """
    if shutil.which('g++') is None:
        pytest.skip('needs g++ to compile kernels for the CPU: apt install g++')
    if sys.platform != 'linux' or platform.machine() != 'x86_64' or sys.version_info >= (3, 15):
        pytest.importorskip('cupy', reason='CuPy has wheels for Linux on x86-64 up to Python 3.14')
    sys.path.insert(0, str(pathlib.Path(__file__).parent / 'kernels'))
    import harness

    return harness.Kernels(tmp_path_factory.mktemp('kernels'))


@pytest.fixture
def on_cpu(kernels, monkeypatch):
    """Let ``forward_gpu`` of every function launch its kernels on the CPU, on NumPy arrays."""
    from chainer.backends import cuda

    monkeypatch.setattr(cuda, 'elementwise', kernels.elementwise)
    return kernels
