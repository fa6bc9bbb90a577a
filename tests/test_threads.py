"""How many threads compute, and work shared out among them."""

import os
import subprocess
import sys
import threading
import warnings

import pytest

from chainer_zoo import engines
from chainer_zoo import threads


@pytest.fixture
def processors(monkeypatch):
    """Set how many processors this process may use; what is said once may be said again."""
    threads._say_once.cache_clear()
    yield lambda number: monkeypatch.setattr(threads, '_usable_processors', lambda: number)
    threads._say_once.cache_clear()


@pytest.mark.parametrize(
    'asked, expected',
    [('3', 3), ('1', 1), (' 4 ', 4), ('+2', 2), ('04', 4), ('4,2', 4), ('4, 2', 4), ('8', 8)]
    + [(nothing, 8) for nothing in ('', '0', '-1', 'many', '\u00b2', '\u0663', '2.5', ',4', '4x')],
)
def test_the_limit_follows_the_environment(asked, expected, processors, monkeypatch):
    processors(8)
    monkeypatch.setenv('OMP_NUM_THREADS', asked)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert threads.limit() == expected


@pytest.mark.parametrize('asked', ['9', '1000', '1000,2', '9' * 20, '9' * 5000])
def test_no_more_threads_than_processors_which_is_said_once(asked, processors, monkeypatch):
    processors(8)
    monkeypatch.setenv('OMP_NUM_THREADS', asked)
    with pytest.warns(UserWarning, match='may use 8 processors: computing with 8 threads'):
        assert threads.limit() == 8
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert threads.limit() == 8


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Write files of a system with 64 processors; return its root."""
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: set(range(64)), raising=False)

    def system(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return system


V2, V1 = 'sys/fs/cgroup/', 'sys/fs/cgroup/cpu,cpuacct/'


@pytest.mark.parametrize(
    'files, expected',
    [
        ({}, 64),
        ({'proc/self/cgroup': '0::/\n'}, 64),
        ({'proc/self/cgroup': '0::/\n', V2 + 'cpu.max': 'max 100000\n'}, 64),
        ({'proc/self/cgroup': '0::/\n', V2 + 'cpu.max': '200000 100000\n'}, 2),
        ({'proc/self/cgroup': '0::/\n', V2 + 'cpu.max': '150000 100000\n'}, 2),
        ({'proc/self/cgroup': '0::/\n', V2 + 'cpu.max': '1000 100000\n'}, 1),
        ({'proc/self/cgroup': '0::/\n', V2 + 'cpu.max': '99900000 100000\n'}, 64),
        ({'proc/self/cgroup': '0::/\n', V2 + 'cpu.max': 'nonsense\n'}, 64),
        ({'proc/self/cgroup': '0::/a/b\n', V2 + 'a/b/cpu.max': '300000 100000'}, 3),
        # a group that contains this one counts as well
        (
            {
                'proc/self/cgroup': '0::/a/b\n',
                V2 + 'a/b/cpu.max': '300000 100000',
                V2 + 'a/cpu.max': '200000 100000',
            },
            2,
        ),
        # inside a container: the path is the host's
        ({'proc/self/cgroup': '0::/docker/1f\n', V2 + 'cpu.max': '400000 100000'}, 4),
        (
            {
                'proc/self/cgroup': '5:cpuset:/\n4:cpu,cpuacct:/docker/1f\n0::/\n',
                V1 + 'cpu.cfs_quota_us': '250000\n',
                V1 + 'cpu.cfs_period_us': '100000\n',
            },
            3,
        ),
        (
            {
                'proc/self/cgroup': '4:cpu,cpuacct:/slice\n',
                V1 + 'slice/cpu.cfs_quota_us': '-1\n',
                V1 + 'slice/cpu.cfs_period_us': '100000\n',
            },
            64,
        ),
    ],
)
def test_a_containers_quota_of_processors_counts(files, expected, system):
    assert threads.usable_processors(system(files)) == expected


@pytest.mark.skipif(not hasattr(os, 'sched_setaffinity'), reason='the system has no affinity')
def test_the_affinity_of_the_process_counts():
    code = (
        'import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n'
        'from chainer_zoo import threads; print(threads.limit())'
    )
    environment = dict(os.environ, OMP_NUM_THREADS='1000')
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout == '1\n', done.stderr


@pytest.mark.skipif(not engines.CPU.is_available(), reason=f'oneDNN: {engines.CPU.why_not()}')
def test_onednn_starts_no_more_threads_than_there_are_processors():
    code = """
import os, threading, numpy as np, chainer_zoo, chainer.functions as F
from chainer_zoo import engines
engines.CPU.enable()
x, w = np.ones((8, 16, 16, 16), 'f'), np.ones((16, 16, 3, 3), 'f')
def compute():
    F.convolution_2d(x, w)
compute()
other = threading.Thread(target=compute)
other.start()
other.join()
print(len(os.listdir('/proc/self/task')))
"""
    environment = dict(os.environ, OMP_NUM_THREADS='300', OPENBLAS_NUM_THREADS='1')
    done = subprocess.run(
        [sys.executable, '-c', code], env=environment, capture_output=True, text=True
    )
    assert int(done.stdout) < 300 or threads.usable_processors() >= 100, done.stderr
    assert done.stderr.count('OMP_NUM_THREADS asks for 300') <= 1


@pytest.mark.parametrize('length', [0, 1, 2, 7, 8])
@pytest.mark.parametrize('n', [0, 1, 2, 3, 8, 20])
def test_a_cut_loses_nothing(length, n):
    parts = threads.cut(length, n)
    assert [i for part in parts for i in range(length)[part]] == list(range(length))
    assert len(parts) == max(1, min(n, length))
    lengths = [part.stop - part.start for part in parts]
    assert max(lengths) - min(lengths) <= 1


def test_the_first_part_is_worked_on_here_and_the_others_elsewhere():
    found = {}

    def work(part):
        found[part] = threading.get_ident()

    threads.each([0, 1, 2], work)
    assert found[0] == threading.get_ident()
    assert threading.get_ident() not in (found[1], found[2])


def test_work_inside_of_work_does_not_wait_for_itself():
    found = []
    caller = threading.Thread(
        daemon=True,
        target=threads.each,
        args=(range(4), lambda outer: threads.each(range(4), lambda inner: found.append(inner))),
    )
    caller.start()
    caller.join(timeout=60)
    assert sorted(found) == sorted(4 * list(range(4)))


@pytest.mark.parametrize('failing', [0, 1])
def test_an_error_in_any_part_is_raised_when_all_are_done(failing):
    done = []

    def work(part):
        if part == failing:
            raise ZeroDivisionError
        done.append(part)

    with pytest.raises(ZeroDivisionError):
        threads.each([0, 1, 2], work)
    assert sorted(done) == sorted({0, 1, 2} - {failing})
