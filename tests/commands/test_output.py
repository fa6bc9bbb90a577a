"""Output that is full, closed or gone, and signals: one line, or silence, and an exit status."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

SCRIPT = str(pathlib.Path(__file__).parents[2] / 'train_cifar10.py')
PRINTING = [
    ['-m', 'chainer_zoo', 'summary', 'nin'],
    ['-u', '-m', 'chainer_zoo', 'summary', 'nin'],  # each piece is written at once
    ['-m', 'chainer_zoo', '--help'],
    ['-u', SCRIPT, '--help'],
]
NAMES = ['a table', 'a table in pieces', 'help', 'help of train_cifar10.py']
posix = pytest.mark.skipif(os.name != 'posix', reason='the system has other signals and devices')


def run(words, **streams):
    """Run Python; what was printed to the streams that are not given comes back."""
    streams = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, **streams}
    return subprocess.run([sys.executable, *words], text=True, timeout=120, **streams)


@contextlib.contextmanager
def unread_pipe():
    """A pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@posix
@pytest.mark.parametrize('words', PRINTING, ids=NAMES)
def test_where_nobody_reads_a_command_ends_silently(words):
    with unread_pipe() as pipe:
        done = run(words, stdout=pipe)
    assert (done.returncode, done.stderr) == (141, '')


@posix
@pytest.mark.parametrize('words', PRINTING, ids=NAMES)
def test_a_full_disk_is_one_line(words):
    with open('/dev/full', 'w') as full:
        done = run(words, stdout=full)
    assert done.returncode == 2
    assert done.stderr.endswith('cannot write the output: No space left on device\n')
    assert done.stderr.count('\n') == 1


@posix
@pytest.mark.parametrize('words', PRINTING, ids=NAMES)
def test_a_closed_standard_output_is_one_line(words):
    done = run(words, stdout=None, preexec_fn=lambda: os.close(1))
    assert done.returncode == 2
    assert done.stderr.endswith('cannot write the output: Bad file descriptor\n')
    assert done.stderr.count('\n') == 1


@posix
@pytest.mark.parametrize('words', [['-m', 'chainer_zoo', 'summary', 'nix'], [SCRIPT, '-b', 'x']])
@pytest.mark.parametrize('lost', ['closed', 'full', 'unread'])
def test_an_error_that_cannot_be_shown_still_sets_the_status(words, lost):
    with unread_pipe() as pipe, open('/dev/full', 'w') as full:
        if lost == 'closed':
            done = run(words, stderr=None, preexec_fn=lambda: os.close(2))
        else:
            done = run(words, stderr=full if lost == 'full' else pipe)
    assert (done.returncode, done.stdout) == (2, '')


@posix
def test_what_is_opened_never_takes_the_place_of_a_closed_stream():
    code = (
        'import sys; sys.argv[0] = "train_cifar10.py"\n'
        'import chainer_zoo\n'
        'print(open("/dev/null").fileno(), file=open(sys.argv[1], "w"))'
    )
    reading, writing = os.pipe()

    def close():
        for handle in (0, 1, 2):
            os.close(handle)

    subprocess.run(
        [sys.executable, '-c', code, f'/dev/fd/{writing}'],
        preexec_fn=close,
        pass_fds=[writing],
        check=True,
    )
    os.close(writing)
    with open(reading) as f:
        assert int(f.read()) > 2


def is_importing(process):
    """Whether a process has begun to import what takes long, or is past it."""
    with contextlib.suppress(OSError):
        return '_multiarray_umath' in pathlib.Path(f'/proc/{process.pid}/maps').read_text()
    return False


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='needs /proc')
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('wait', [0, 0.2])
@pytest.mark.parametrize(
    'words, name',
    [
        ([SCRIPT, '--dataset', 'shapes'], 'train_cifar10.py'),
        (['-m', 'chainer_zoo', 'list'], 'python -m chainer_zoo'),
    ],
)
def test_a_signal_while_starting_is_one_line(words, name, number, wait, tmp_path):
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ, PYTHONPATH=str(pathlib.Path(SCRIPT).parent)),
        # a test run in the background may have been told to ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not is_importing(process):
        assert process.poll() is None
        time.sleep(0.001)
    time.sleep(wait)
    process.send_signal(number)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number
    word = 'interrupted' if number == signal.SIGINT else 'terminated'
    assert error.startswith(name) and error.endswith(f': {word}\n')
    assert error.count('\n') == 1


def test_importing_the_package_leaves_signals_alone():
    code = (
        'import signal\n'
        'before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]\n'
        'import chainer_zoo\n'
        'assert before == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
