"""train_speed.py -g: its table, whatever the contestants do."""

import sys

import gpu_speed
import pytest
import train_speed

from chainer_zoo.engines import devices

GOOD = {'train': 1000.4, 'evaluate': 3000.0, 'memory': 512.0}
ANSWERS = {
    'chainer': GOOD,
    'chainer mixed16': {'error': 'out of memory'},
    'torch': dict(GOOD, train=2000.8),
    'torch channels_last': {'error': 'failed: RuntimeError: no kernel'},
}


@pytest.fixture
def table(monkeypatch, capsys):
    """Run the script with contestants that give ``answers``; return status and printed lines."""
    monkeypatch.setattr(devices, 'must_exist', lambda gpu: None)
    monkeypatch.setattr(gpu_speed, 'chainer_here', lambda gpu: f'GPU {gpu}')
    asked = []

    def table(*words, answers=ANSWERS, torch='PyTorch 2'):
        def ask(python, which, *arguments, limit):
            asked.append((python, which) + arguments)
            return answers[which]

        monkeypatch.setattr(gpu_speed, 'ask', ask)
        monkeypatch.setattr(gpu_speed, 'torch_there', lambda python: torch)
        monkeypatch.setattr(sys, 'argv', ['train_speed.py', '-g', '1'] + list(words))
        status = train_speed.main()
        return status, capsys.readouterr().out.splitlines(), asked

    return table


def test_each_contestant_has_a_row_whatever_became_of_it(table):
    status, lines, asked = table('densenet', '--repeat', '4', '--torch-python', 'other')
    assert status == 1  # channels_last failed
    assert lines[:3] == [
        'GPU 1',
        'PyTorch 2',
        'medians of 4 turns; images a second, MiB of the pool',
    ]
    assert lines[4] == "densenet {'depth': 40, 'growth_rate': 12} batch 256"
    rows = {line[:22].strip(): line[22:].split() for line in lines[6:]}
    assert rows == {
        'chainer': ['1,000', '3,000', '1.00', '1.00', '512'],
        'chainer mixed16': ['out', 'of', 'memory'],
        'torch': ['2,001', '3,000', '2.00', '1.00', '512'],
        'torch channels_last': ['failed:', 'RuntimeError:', 'no', 'kernel'],
    }
    assert asked[0] == (
        sys.executable,
        'chainer',
        'densenet',
        {'depth': 40, 'growth_rate': 12},
        256,
        32,
        1,
        4,
    )
    assert [python for python, *_ in asked] == [sys.executable] * 2 + ['other'] * 2


def test_out_of_memory_is_no_failure(table):
    answers = dict(ANSWERS, **{'torch channels_last': {'error': 'out of memory'}})
    assert table('densenet', answers=answers)[0] == 0


def test_without_pytorch_a_line_says_so(table):
    status, lines, asked = table('resnet', 'densenet', torch=None)
    assert status == 0 and lines[1].startswith('no PyTorch for CUDA in ')
    assert [which for _, which, *_ in asked] == ['chainer', 'chainer mixed16'] * 2


def test_without_chainers_row_there_are_no_ratios(table):
    _, lines, _ = table(
        'densenet', '--batch', '8', '--without', 'chainer', 'chainer mixed16', 'torch channels_last'
    )
    assert lines[-1].split() == ['torch', '2,001', '3,000', '512'] and 'batch 8' in lines[-3]


def test_time_runs_out(table):
    status, lines, asked = table('--minutes', '-1')
    assert status == 0 and not asked
    assert sum(line.endswith('no time left') for line in lines) == 20


def test_without_a_gpu_it_is_one_line_and_status_2(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'cupy', None)
    monkeypatch.setattr(sys, 'argv', ['train_speed.py', '-g', '0'])
    assert train_speed.main() == 2
    said = capsys.readouterr()
    assert said.out == '' and said.err.startswith('train_speed.py: -g 0: CuPy is not installed')
    assert said.err.count('\n') == 1


class Worker:
    """A contestant that takes no time to speak of."""

    def __init__(self, error=None):
        self.error = error
        self.trained = self.forgot = 0

    def train(self):
        if self.error is not None:
            raise self.error
        self.trained += 1

    def evaluate(self):
        pass

    wait = evaluate

    def forget_memory(self):
        self.forgot = self.trained

    def memory(self):
        assert self.forgot < self.trained
        return 3 * 2**20


def test_a_worker_measures(monkeypatch):
    monkeypatch.setattr(gpu_speed, 'SECONDS_A_TURN', 1e-5)
    monkeypatch.setattr(gpu_speed, 'contestant', lambda *args: Worker())
    found = gpu_speed.measure('chainer', 'nin', {}, 4, 32, 0, 3)
    assert found['memory'] == 3 and found['train'] > 0 and found['evaluate'] > 0


class OutOfMemoryError(Exception):
    pass


@pytest.mark.parametrize(
    'error,said',
    [
        (OutOfMemoryError('Out of memory allocating 5 bytes'), 'out of memory'),
        (RuntimeError('CUDA error: out of memory'), 'out of memory'),
        (ValueError('a\nb' + 200 * 'c'), 'failed: ValueError: a b'),
    ],
)
def test_a_worker_says_what_happened(monkeypatch, error, said):
    monkeypatch.setattr(gpu_speed, 'contestant', lambda *args: Worker(error))
    found = gpu_speed.measure('torch', 'nin', {}, 4, 32, 0, 3)
    assert found['error'].startswith(said) and '\n' not in found['error']


def test_a_process_that_crashes_or_hangs_is_told_from_one_that_answers(monkeypatch, tmp_path):
    script = tmp_path / 'script.py'
    monkeypatch.setattr(gpu_speed, '__file__', str(script))
    script.write_text('import sys; print("chatter"); print(sys.argv[1])')
    assert gpu_speed.ask(sys.executable, 'chainer', 3) == ['chainer', 3]
    script.write_text('import os; os.abort()')
    assert gpu_speed.ask(sys.executable)['error'] == 'failed: ended with status -6'
    script.write_text('import time; time.sleep(60)')
    assert gpu_speed.ask(sys.executable, limit=0.5)['error'].startswith('failed: not done after')
    assert gpu_speed.ask(str(tmp_path / 'no-python'))['error'].startswith('failed: ')
    assert gpu_speed.torch_there(str(tmp_path / 'no-python')) is None


def test_the_cpus_benchmark_is_what_it_was(monkeypatch, capsys):
    monkeypatch.setattr(
        train_speed, '_measure', lambda *args: dict.fromkeys(args[1], (2.0, 1.0, 2.0, 1.0, 300.0))
    )
    monkeypatch.setattr(sys, 'argv', ['train_speed.py', 'resnet', '--threads', '1'])
    assert train_speed.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == '1 threads, medians of 5 turns; wall seconds a batch, MiB of the process'
    assert [line[:22].strip() for line in lines[4:8]] == list(train_speed.CONTESTANTS)
