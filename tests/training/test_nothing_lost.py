"""A run that was killed, at any moment, ends as if it never had been."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from chainer_zoo.training import snapshots

#: Runs the script, and kills itself when it asks for the disk for the Nth time: in the middle of a
#: write, when the data of some file is there and its name is not.
KILLED_WRITING = """
import os, runpy, signal, sys
left, real = int(sys.argv[1]), os.fsync
def fsync(handle):
    global left
    left -= 1
    if left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(handle)
os.fsync = fsync
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def result(out):
    """Everything that a run leaves, but for the seconds it took."""
    log = [
        {key: value for key, value in record.items() if key != 'elapsed_time'}
        for record in json.loads((out / 'log').read_text())
    ]
    files = {name: (out / name).read_bytes() for name in ('log.json', 'loss.png', 'accuracy.png')}
    models = {path.name: path.read_bytes() for path in (out / 'model').glob('*.model')}
    with np.load(snapshots.all_in(str(out))[0]) as arrays:
        state = {
            key: array.tobytes()
            for key, array in arrays.items()
            if not key.endswith('_snapshot_elapsed_time') and not key.endswith('/_log')
        }
    return log, files, models, state


@pytest.mark.slow
def test_killed_at_20_moments_it_ends_with_the_same_bits(command, tmp_path):
    # -s 150: momentum, the rate's drop, the sampler and every generator are in it
    arguments = ['-s', 149, '-e', 151, '--snapshot_every', 1, '--limit_test', 10]
    whole = tmp_path / 'whole'
    began = time.time()
    subprocess.run(command(*arguments, '-p', whole), check=True, stdout=subprocess.DEVNULL)
    seconds = time.time() - began
    draw = random.Random(0)
    out = tmp_path / 'killed'
    line = command(*arguments, '-p', out, '--resume')
    killed = 0
    for _ in range(10):
        # 1: the folder's owner, before any work; later ones are records, snapshots, models, plots
        process = subprocess.run(
            [sys.executable, '-c', KILLED_WRITING, str(draw.randrange(1, 12))] + line[1:],
            stdout=subprocess.DEVNULL,
        )
        killed += process.returncode == -signal.SIGKILL
    for _ in range(10):
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL)
        try:
            process.wait(draw.uniform(0.3, 0.9) * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
    assert killed >= 10
    finish = subprocess.run(line, capture_output=True, text=True)
    assert finish.returncode == 0, finish.stderr
    for ours, theirs in zip(result(out), result(whole)):
        assert ours == theirs
    assert not list(pathlib.Path(str(out)).glob('**/.*.part'))


def test_a_full_disk_ends_the_run_with_one_line_and_leaves_the_last_snapshot(command, tmp_path):
    out = tmp_path / 'out'
    process = subprocess.run(
        [
            sys.executable,
            '-c',
            """
import errno, os, runpy, sys
left, real = 8, os.fsync
def fsync(handle):
    global left
    left -= 1
    if left <= 0:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    real(handle)
os.fsync = fsync
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
""",
        ]
        + command('-e', 3, '--snapshot_every', 1, '-p', out)[1:],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 2
    assert 'No space left on device' in process.stderr
    assert len(process.stderr.strip().splitlines()) == 1
    with snapshots.Snapshot(snapshots.all_in(str(out))[0]) as newest:
        assert newest.record['model'] == 'resnext'
    assert not [name for name in os.listdir(str(out)) if name.endswith('.part')]
    finish = subprocess.run(command('-e', 3, '-p', out, '--resume'), capture_output=True, text=True)
    assert finish.returncode == 0, finish.stderr


@pytest.mark.parametrize('keep', [1, 3])
def test_keep_says_how_many_snapshots_and_models_stay_beside_the_best(train, tmp_path, keep):
    out = tmp_path / 'out'
    assert train('-e', 4, '--keep', keep, '-p', out).returncode == 0
    assert len(snapshots.all_in(str(out))) == keep
    models = set(os.listdir(str(out / 'model')))
    assert models == {'best-on-test.model'} | {
        f'ResNext_10_2_{epoch}.model' for epoch in range(5 - keep, 5)
    }


def test_the_best_model_is_the_one_of_the_best_epoch(train, tmp_path):
    out = tmp_path / 'out'
    assert train('-e', 4, '--keep', 4, '-p', out).returncode == 0
    accuracies = [
        record['validation/main/accuracy'] for record in json.loads((out / 'log').read_text())
    ]
    best = 1 + accuracies.index(max(accuracies))
    assert (out / 'model' / 'best-on-test.model').read_bytes() == (
        out / 'model' / f'ResNext_10_2_{best}.model'
    ).read_bytes()
