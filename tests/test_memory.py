"""How much memory this process may still take."""

import os
import subprocess
import sys

import pytest

from chainer_zoo import memory
from chainer_zoo.errors import UserError

KIB, GIB = 2**10, 2**30
V1, V2 = 'sys/fs/cgroup/memory/', 'sys/fs/cgroup/'
MEMINFO = {'proc/meminfo': f'MemTotal: {64 * GIB // KIB} kB\nMemAvailable: {8 * GIB // KIB} kB\n'}


def group(folder, most, now, droppable=0):
    """A group's files, version 1 or 2."""
    one = folder.startswith(V1)
    return {
        folder + ('memory.limit_in_bytes' if one else 'memory.max'): f'{most}\n',
        folder + ('memory.usage_in_bytes' if one else 'memory.current'): f'{now}\n',
        folder + 'memory.stat': (
            f'anon 5\n{"total_" if one else ""}inactive_file {droppable}\nactive_file 7\n'
        ),
    }


@pytest.mark.parametrize(
    'files, expected',
    [
        ({}, None),
        ({'proc/meminfo': 'nonsense\n'}, None),
        ({'proc/meminfo': 'MemAvailable: much kB\n'}, None),
        (MEMINFO, 8 * GIB),
        ({**MEMINFO, 'proc/self/cgroup': '0::/\n', **group(V2, 'max', GIB)}, 8 * GIB),
        ({**MEMINFO, 'proc/self/cgroup': '0::/\n', **group(V2, 4 * GIB, GIB)}, 3 * GIB),
        ({**MEMINFO, 'proc/self/cgroup': '0::/\n', **group(V2, GIB, 2 * GIB)}, 0),
        # what the kernel can drop counts as free
        ({**MEMINFO, 'proc/self/cgroup': '0::/\n', **group(V2, 4 * GIB, 3 * GIB, GIB)}, 2 * GIB),
        ({**MEMINFO, 'proc/self/cgroup': '0::/a/b\n', **group(V2 + 'a/b/', GIB, 0)}, GIB),
        # a group that contains this one counts as well
        (
            {
                **MEMINFO,
                'proc/self/cgroup': '0::/a/b\n',
                **group(V2 + 'a/b/', 3 * GIB, 0),
                **group(V2 + 'a/', 2 * GIB, 0),
            },
            2 * GIB,
        ),
        # inside a container: the path is the host's
        ({**MEMINFO, 'proc/self/cgroup': '0::/docker/1f\n', **group(V2, 5 * GIB, 0)}, 5 * GIB),
        ({**MEMINFO, 'proc/self/cgroup': '4:memory:/x\n0::/\n', **group(V1, GIB, 0)}, GIB),
        ({**MEMINFO, 'proc/self/cgroup': '4:memory:/x\n', **group(V1 + 'x/', GIB, 0)}, GIB),
        # version 1's word for no limit
        ({**MEMINFO, 'proc/self/cgroup': '4:memory:/\n', **group(V1, 2**63 - 4096, 0)}, 8 * GIB),
    ],
)
def test_the_least_of_all_limits_counts(files, expected, tmp_path):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert memory.available(tmp_path) == expected


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='ulimit -v is for Linux')
def test_a_limit_on_the_address_space_counts():
    code = (
        'import resource\n'
        'from chainer_zoo import memory\n'
        'size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()\n'
        'resource.setrlimit(resource.RLIMIT_AS, (size + 2**28, resource.RLIM_INFINITY))\n'
        'print(memory.available() <= 2**28)'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        env=dict(os.environ, OMP_NUM_THREADS='1'),
    )
    assert done.stdout.strip() == 'True', done.stderr


def test_a_budget_counts_until_it_is_spent():
    budget = memory.Budget('a thing', 10)
    budget.take(4)
    budget.take(6)
    with pytest.raises(UserError, match='a thing takes more memory than the 0.0 MB that are free'):
        budget.take(1)


def test_a_budget_without_a_limit_only_counts():
    budget = memory.Budget('a thing', None)
    budget.take(10**30)
    assert budget.taken == 10**30


@pytest.mark.parametrize(
    'size, words',
    [(0, '0.0 MB'), (5_250_000, '5.2 MB'), (10**9, '1.0 GB'), (10**14, '100,000.0 GB')],
)
def test_bytes_in_words(size, words):
    assert memory.in_words(size) == words
