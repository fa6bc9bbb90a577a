"""Chainer on newer CuPy: the names that it uses are there, and CUDA's wheels are found."""

import ast
import ctypes
import importlib
import pathlib
import subprocess
import sys

import chainer
import pytest

from chainer_zoo import compat

pytestmark = pytest.mark.kernels

PREFIXES = {
    'cupy.': 'cupy',
    'cuda.cupy.': 'cupy',
    'xp.': 'cupy',
    'cupyx.': 'cupyx',
    'cuda.cupyx.': 'cupyx',
}

# What a try around it lets go missing.
GUARDED = {
    'cupy.util.PerformanceWarning': 'backends/cuda.py falls back on it for CuPy 7',
    'cupy.cudnn': 'CuPy 14 has no cuDNN',
    'cupy.cuda.cudnn': 'CuPy 14 has no cuDNN',
    'cupy.cudnn.create_spatial_transformer_descriptor': 'CuPy 14 has no cuDNN',
}


def dotted(node):
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return '.'.join(reversed(names + [node.id])) if isinstance(node, ast.Name) else ''


def used_names():
    """Return every dotted name of CuPy in Chainer's source, with one place where it stands."""
    root = pathlib.Path(chainer.__file__).parent
    names = {}
    for path in sorted(root.rglob('*.py')):
        for node in ast.walk(ast.parse(path.read_text())):
            name = dotted(node) if isinstance(node, ast.Attribute) else ''
            for prefix, module in PREFIXES.items():
                if name.startswith(prefix):
                    names[module + '.' + name[len(prefix) :]] = (
                        f'{path.relative_to(root)}:{node.lineno}'
                    )
    return names


def is_there(name):
    """Return whether a dotted name resolves; CUDA libraries that do not load do not count."""
    parts = name.split('.')
    thing = importlib.import_module(parts[0])
    for k, part in enumerate(parts[1:], 1):
        try:
            found = hasattr(thing, part)
        except (ImportError, RuntimeError) as e:  # CuPy imports some modules when asked for
            assert 'lib' in str(e), e
            return True
        if not found:
            try:
                importlib.import_module('.'.join(parts[: k + 1]))
            except ModuleNotFoundError:
                return False
            except (ImportError, RuntimeError) as e:
                assert 'lib' in str(e), e
                return True
        thing = getattr(thing, part)
    return True


@pytest.mark.filterwarnings('ignore')
def test_every_cupy_name_that_chainer_uses_is_there(kernels):
    names = used_names()
    assert len(names) > 100 and 'cupy.ElementwiseKernel' in names
    missing = {name: place for name, place in names.items() if not is_there(name)}
    assert not set(missing) - set(GUARDED), missing
    assert not is_there('cupy.no_such_name')
    import cupy

    for method in ('scatter_add', 'reduced_view', 'data', 'device'):  # called on arrays
        assert hasattr(cupy.ndarray, method)


@pytest.mark.skipif(sys.platform != 'linux', reason='the CUDA wheels are for Linux')
def test_libraries_in_wheels_are_found_by_name_afterwards(kernels, tmp_path, monkeypatch):
    folder = tmp_path / 'nvidia' / 'part' / 'lib'
    folder.mkdir(parents=True)
    # some wheels have this file, and with it their folder is the only one that Python finds
    (tmp_path / 'nvidia' / '__init__.py').write_text('')
    subprocess.run(
        [
            'g++',
            '-shared',
            '-fPIC',
            '-x',
            'c',
            '-',
            '-o',
            str(folder / 'libzoo.so.7'),
            '-Wl,-soname,libzoo.so.7',
        ],
        input=b'int zoo(void) { return 7; }',
        check=True,
    )
    with pytest.raises(OSError):
        ctypes.CDLL('libzoo.so.7')
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(
        compat, '_CUDA_LIBRARIES', ('libabsent.so.1', 'libbroken.so.1', 'libzoo.so.7')
    )
    monkeypatch.delitem(sys.modules, 'nvidia', raising=False)
    (folder / 'libbroken.so.1').write_text('no library')
    compat._load_cuda_wheels()
    assert ctypes.CDLL('libzoo.so.7').zoo() == 7
