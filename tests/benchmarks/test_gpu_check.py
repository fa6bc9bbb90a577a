"""make gpu-check writes one whole report, whatever its parts do; here they are small commands."""

import sys

import gpu_check
import pytest

from chainer_zoo.engines import devices
from chainer_zoo.errors import UserError


def part(title, code, share=0.25, is_test=False):
    return gpu_check.Part(title, share, [sys.executable, '-c', code], is_test)


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Run the check of given parts; return its status and its report."""
    monkeypatch.setattr(devices, 'must_exist', lambda gpu: None)
    monkeypatch.setattr(devices, 'memory', lambda gpu: 2**36)
    out = tmp_path / 'folder' / 'report.md'

    def check(*todo, minutes='1'):
        monkeypatch.setattr(gpu_check, 'parts', lambda *args: list(todo))
        status = gpu_check.main(['-o', str(out), '--minutes', minutes])
        assert [path.name for path in out.parent.iterdir()] == ['report.md']
        return status, out.read_text()

    return check


def test_all_is_well(check, capsys):
    status, report = check(
        part('One', 'print("an image")'), part('Two', 'print("3 passed in 1s")', is_test=True)
    )
    assert status == 0
    lines = report.splitlines()
    assert lines[0].startswith('# GPU check of 20') and lines[0].endswith(': all passed')
    assert 'an image' in lines
    assert any(line.startswith('## One: passed, ') for line in lines)
    assert any(line.startswith('## Two: passed, ') for line in lines)
    assert '    python -c print("an image")' in lines
    assert 'an image' in capsys.readouterr().out


def test_a_report_does_not_say_where_things_lie_on_this_machine(check, monkeypatch):
    monkeypatch.setattr(sys, 'prefix', '/some/venv')
    _, report = check(
        part(
            'One',
            'import os; print(os.getcwd() + "/a", "/some/venv/b", "/lib/c", "/lib/some/venv/d")',
        )
    )
    assert 'a b /lib/c /lib/some/venv/d' in report.splitlines()
    assert str(gpu_check.ROOT) not in report
    monkeypatch.setattr(sys, 'prefix', sys.base_prefix)  # the system's own folder stays
    assert gpu_check.without_folders(sys.prefix + '/lib') == sys.prefix + '/lib'


def test_what_fails_is_named_and_loses_nothing(check):
    status, report = check(
        part('Crash', 'import os; print("before", flush=True); os.abort()'),
        part('Skipped', 'print("7 skipped in 1s")', is_test=True),
        part('Failed', 'print("1 failed, 2 passed in 1s"); raise SystemExit(1)', is_test=True),
        part('Good', 'print("good")'),
    )
    assert status == 1
    assert report.splitlines()[0].endswith(
        ': failed: Crash (exit status -6), Skipped (no test passed), Failed (exit status 1)'
    )
    assert 'before' in report and '7 skipped' in report and '## Good: passed' in report


def test_a_part_that_hangs_is_stopped_and_those_behind_it_run(check, monkeypatch):
    """Also one that does not listen, and its children; what it had said is in the report."""
    monkeypatch.setattr(gpu_check, 'GRACE', 0.5)
    deaf = (
        'import signal, subprocess, sys, time; signal.signal(signal.SIGINT, signal.SIG_IGN); '
        'print("begun", flush=True); '
        'subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"])'
    )
    status, report = check(
        part('Deaf', deaf, 0.1), part('Good', 'print("good")', 0.8), minutes='0.15'
    )
    assert status == 1
    assert report.splitlines()[0].split(': ', 1)[1].startswith('failed: Deaf (stopped after ')
    assert 'begun' in report and '## Good: passed' in report


def test_a_stopped_test_run_says_what_failed(check, monkeypatch, tmp_path):
    (tmp_path / 'test_it.py').write_text(
        'import time\ndef test_wrong(): assert 1 == 2\ndef test_hangs(): time.sleep(60)\n'
    )
    todo = gpu_check.Part(
        'Tests',
        0.5,
        [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', str(tmp_path)],
        True,
    )
    monkeypatch.setattr(gpu_check, 'GRACE', 4)
    status, report = check(todo, minutes='0.25')
    assert status == 1 and 'stopped after' in report.splitlines()[0]
    assert 'FAILED' in report and 'test_wrong' in report and 'KeyboardInterrupt' in report


def test_while_it_runs_the_report_says_that_it_is_unfinished(check, tmp_path):
    path = str(tmp_path / 'folder' / 'report.md')
    _, report = check(part('One', 'print(1)'), part('Two', f'print(open({path!r}).read())'))
    assert (
        ': unfinished' in report.split('## Two')[1]
        and '## One: passed' in report.split('## Two')[1]
    )


def test_without_a_gpu_it_is_one_line_and_status_2(monkeypatch, capsys, tmp_path):
    def must_exist(gpu):
        raise UserError(f'-g {gpu}: no GPU can be used')

    monkeypatch.setattr(devices, 'must_exist', must_exist)
    assert gpu_check.main(['-g', '3', '-o', str(tmp_path / 'report.md')]) == 2
    assert capsys.readouterr().err == 'gpu_check.py: -g 3: no GPU can be used\n'
    assert not list(tmp_path.iterdir())


def test_a_report_that_cannot_be_written_is_said_at_once(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(devices, 'must_exist', lambda gpu: None)
    monkeypatch.setattr(devices, 'memory', lambda gpu: 2**36)
    monkeypatch.setattr(gpu_check, 'run', None)
    (tmp_path / 'file').write_text('')
    assert gpu_check.main(['-o', str(tmp_path / 'file' / 'report.md')]) == 2
    assert capsys.readouterr().err.startswith('gpu_check.py: cannot make the folder ')


def test_the_real_parts_keep_to_the_time_and_name_what_is_there():
    todo = gpu_check.parts(1, 'another-python')
    assert sum(p.share for p in todo) == pytest.approx(1)
    for p in todo:
        for word in p.command:
            word = word.replace('--ignore=', '')
            assert '/' not in word or (gpu_check.ROOT / word).exists(), word
    assert todo[-1].command[-1] == 'another-python' and '1' in todo[-1].command


@pytest.mark.parametrize(
    'seen,gpu,only', [(None, 1, '1'), ('4,7', 1, '7'), ('GPU-abc', 0, 'GPU-abc')]
)
def test_the_tests_see_the_chosen_gpu_alone(monkeypatch, seen, gpu, only):
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if seen is not None:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', seen)
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    env = gpu_check.environment(gpu, 4)
    assert (env['CUDA_VISIBLE_DEVICES'], env['NVIDIA_TF32_OVERRIDE']) == (only, '0')
    assert env['OMP_NUM_THREADS'] == env['OPENBLAS_NUM_THREADS'] == '4'


@pytest.mark.parametrize('cores,gib,processes', [(16, 80, 4), (2, 80, 1), (64, 12, 1), (64, 24, 3)])
def test_processes_are_as_many_as_cores_and_memory_allow(monkeypatch, cores, gib, processes):
    monkeypatch.setattr(gpu_check.importlib.util, 'find_spec', lambda name: None)
    assert gpu_check.workers(cores, gib * 2**30) == 1  # without xdist
    monkeypatch.setattr(gpu_check.importlib.util, 'find_spec', lambda name: name)
    assert gpu_check.workers(cores, gib * 2**30) == processes
    todo = gpu_check.parts(0, processes=processes)
    assert ('-n' in todo[2].command) == (processes > 1) and '-n' not in todo[0].command
