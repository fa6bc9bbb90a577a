"""The check of a GPU from end to end, on a GPU made of NumPy."""

import pathlib
import sys

import chainer
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'benchmarks'))

import gpu_check
import gpu_speed

pytestmark = [pytest.mark.kernels, pytest.mark.slow]

#: A test of each part, which is as small as any.
SOME = (
    '(test_gpu_gives_the_bits and swapout-contiguous-float32) or (test_logits and nin) '
    'or test_predict'
)


@pytest.fixture
def fake(kernels):
    import fake_gpu

    with fake_gpu.installed(kernels.folder):
        yield


@pytest.fixture
def config(monkeypatch):
    """Give Chainer's settings of the whole process back."""
    for name in ('dtype', 'autotune'):
        monkeypatch.setattr(chainer.global_config, name, getattr(chainer.global_config, name))


@pytest.mark.parametrize('which', ['chainer', 'chainer mixed16'])
def test_chainers_worker_measures(which, fake, config):
    found = gpu_speed.measure(which, 'resnext', {'C': 2, 'd': 4}, 2, 16, 0, 1)
    assert set(found) == {'train', 'evaluate', 'memory'} and min(found.values()) > 0
    assert chainer.global_config.autotune
    assert 'NumPy, compute capability' in gpu_speed.chainer_here(0)


def test_the_whole_check_passes(fake, kernels, monkeypatch, tmp_path):
    """The real commands, with few tests and the smallest case; all that a GPU is asked for."""
    monkeypatch.setenv('PYTHONPATH', str(ROOT / 'tests' / 'kernels' / 'stand_in'))
    monkeypatch.setenv('CHAINER_ZOO_KERNELS', str(kernels.folder))
    monkeypatch.setenv('PYTEST_ADDOPTS', f'-k "{SOME}"')
    todo = gpu_check.parts(0)
    assert todo.pop(3).title == 'Training runs'  # hours here; test_fake_gpu.py has small ones
    todo[-1].command.extend(['wide_resnet', '--batch', '1', '--without', 'chainer mixed16'])
    monkeypatch.setattr(gpu_check, 'parts', lambda *args: todo)
    path = tmp_path / 'report.md'
    status = gpu_check.main(['-o', str(path), '--minutes', '30'])
    report = path.read_text()
    assert status == 0, report
    assert report.splitlines()[0].endswith(': all passed')
    for text in ('CuPy  ', ' passed', '## Speed and memory: passed', 'wide_resnet', 'no PyTorch'):
        assert text in report, report
