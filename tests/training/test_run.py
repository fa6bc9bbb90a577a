"""A run from the command line: its files, its numbers, and one line for what is wrong."""

import io
import json
import os
import signal
import subprocess
import zipfile

import numpy as np
import pytest

from chainer_zoo.legacy.log import Log


@pytest.fixture(scope='module')
def finished(tmp_path_factory, train):
    """The folder and the output of a run of two epochs."""
    out = tmp_path_factory.mktemp('run') / 'out'
    process = train('-e', 2, '-p', out)
    assert process.returncode == 0, process.stderr
    return out, process.stdout


def test_it_says_the_data_each_epoch_and_where_the_plots_are(finished):
    out, text = finished
    assert 'cifar-10-batches-py' in text
    assert 'epoch 1: train loss' in text and 'epoch 2: train loss' in text
    assert text.count('test loss') == 2
    assert 'disc' in text  # accuracy per class, by name
    assert text.strip().endswith(f'plots: {out}/loss.png and {out}/accuracy.png')


def test_it_leaves_models_logs_plots_a_snapshot_and_the_record(finished):
    out, _ = finished
    assert {
        'log',
        'log.json',
        'loss.png',
        'accuracy.png',
        'arguments.json',
        'model',
        'snapshot_00000005.npz',
        'snapshot_00000010.npz',
    } <= set(os.listdir(str(out)))
    assert set(os.listdir(str(out / 'model'))) == {
        'ResNext_10_2_1.model',
        'ResNext_10_2_2.model',
        'best-on-test.model',
    }
    record = json.loads((out / 'arguments.json').read_text())
    assert record['model'] == 'resnext' and record['options']['d'] == 2
    assert {'chainer', 'numpy', 'python'} <= set(record['versions'])


def test_both_logs_say_the_same(finished):
    out, _ = finished
    log = json.loads((out / 'log').read_text())
    assert [(record['epoch'], record['iteration']) for record in log] == [(1, 5), (2, 10)]
    history = Log.load(str(out / 'log.json')).history()
    np.testing.assert_allclose(history.test_loss, [r['validation/main/loss'] for r in log])
    np.testing.assert_allclose(history.accuracy, [r['validation/main/accuracy'] for r in log])
    # as the original: the logged loss is divided by the number of parts
    np.testing.assert_allclose(history.train_loss, [r['main/loss'] / 2 for r in log])


def without_time(path):
    return [
        {key: value for key, value in record.items() if key != 'elapsed_time'}
        for record in json.loads(path.read_text())
    ]


def test_the_same_seed_gives_the_same_losses_twice_and_another_seed_others(
    finished, train, tmp_path
):
    out, _ = finished
    assert train('-e', 2, '-p', tmp_path / 'again').returncode == 0
    assert without_time(tmp_path / 'again' / 'log') == without_time(out / 'log')
    assert train('-e', 2, '-p', tmp_path / 'other', '--seed', 1).returncode == 0
    assert without_time(tmp_path / 'other' / 'log') != without_time(out / 'log')


def test_a_run_goes_on_to_a_later_epoch(finished, train, tmp_path):
    whole, _ = finished
    assert train('-e', 1, '-p', tmp_path / 'run').returncode == 0
    assert train('-e', 2, '-p', tmp_path / 'run', '--resume').returncode == 0
    assert without_time(tmp_path / 'run' / 'log') == without_time(whole / 'log')


@pytest.mark.slow
def test_mixed16_trains_and_goes_on_with_the_same_bits(train, tmp_path):
    mixed = ['--dtype', 'mixed16', '--limit_train', 40, '--limit_test', 10]
    assert train('-e', 2, '-p', tmp_path / 'whole', *mixed).returncode == 0
    assert train('-e', 1, '-p', tmp_path / 'parts', *mixed).returncode == 0
    assert train('-e', 2, '-p', tmp_path / 'parts', '--resume', *mixed).returncode == 0
    log = without_time(tmp_path / 'whole' / 'log')
    assert np.isfinite(log[-1]['main/loss'])
    assert without_time(tmp_path / 'parts' / 'log') == log


def test_a_saved_model_starts_another_run(finished, train, tmp_path):
    out, _ = finished
    process = train(
        '-m',
        out / 'model' / 'ResNext_10_2_2.model',
        '-l',
        out / 'log.json',
        '-s',
        151,
        '-e',
        151,
        '-p',
        tmp_path / 'more',
    )
    assert process.returncode == 0, process.stderr
    log = json.loads((tmp_path / 'more' / 'log').read_text())
    assert log[0]['epoch'] == 151 and log[0]['lr'] == pytest.approx(0.01)
    assert len(Log.load(str(tmp_path / 'more' / 'log.json')).history().test_loss) == 3


def test_ctrl_c_saves_and_says_how_to_go_on(finished, command, train, tmp_path):
    whole, _ = finished
    out = tmp_path / 'out'
    process = subprocess.Popen(
        command('-e', 2, '-p', out, '--snapshot_every', 1),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (out / 'snapshot_00000002.npz').exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    text, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    assert '--resume' in text.splitlines()[-1]
    assert train('-e', 2, '-p', out, '--resume').returncode == 0
    assert without_time(out / 'log') == without_time(whole / 'log')


@pytest.mark.parametrize(
    'arguments, said',
    [
        (['--model', 'resnxt'], 'did you mean resnext'),
        (['-b', '0'], 'at least 1'),
        (['-b', '64', '-trb', '65'], '-trb 65 is more than the 64 images of a batch'),
        (['-b', '101', '-trb', '1', '-teb', '1'], '100'),
        (['-lr', '-1'], 'larger than 0'),
        (['-lr', 'nan'], 'larger than 0'),
        (['-g', '7'], '-g 7'),
        (['-C', '0'], 'C must be a whole number from 1 to 256'),
        (['--growth_rate', '12'], 'growth_rate'),
        (['-s', '3', '-e', '2'], '-s 3'),
        (['-p', '/proc/nowhere'], 'cannot write'),
        (['--data', '/nowhere'], '/nowhere'),
        (['--resume', '/nowhere.npz'], 'no snapshot /nowhere.npz'),
        (['-m', '/nowhere.model'], '/nowhere.model'),
        (['--limit_train', '0'], 'at least 1'),
        (['-lr', '1e30'], 'is nan in epoch 1'),
    ],
)
def test_what_is_wrong_gives_one_line_and_status_2(train, tmp_path, arguments, said):
    process = train('-p', tmp_path / 'out', '-e', 2, *arguments)
    assert process.returncode == 2, process.stdout + process.stderr
    assert said in process.stderr
    assert len(process.stderr.strip().splitlines()) == 1, process.stderr


def test_two_runs_into_one_folder_the_second_is_refused(command, train, tmp_path):
    first = subprocess.Popen(
        command('-e', 200, '-p', tmp_path / 'out'), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        while not (tmp_path / 'out' / 'arguments.json').exists():
            assert first.poll() is None
        second = train('-e', 1, '-p', tmp_path / 'out')
    finally:
        first.kill()
        first.communicate()
    assert second.returncode == 2
    assert f'in use by process {first.pid}' in second.stderr


def test_a_folder_with_a_run_is_not_overwritten(finished, train):
    out, _ = finished
    process = train('-e', 1, '-p', out)
    assert process.returncode == 2 and '--resume' in process.stderr


def test_resuming_under_other_arguments_names_what_differs(finished, train):
    out, _ = finished
    process = train('-e', 3, '-p', out, '--resume', '--seed', 5)
    assert process.returncode == 2 and 'seed 0' in process.stderr


def test_a_damaged_snapshot_is_recognised_and_the_one_before_offered(finished, train, tmp_path):
    out, _ = finished
    newest = out / 'snapshot_00000010.npz'
    whole = newest.read_bytes()
    try:
        for damaged in (whole[: len(whole) // 2], b'', flipped(whole)):
            newest.write_bytes(damaged)
            process = train('-e', 3, '-p', out, '--resume')
            assert process.returncode == 2
            assert 'is damaged' in process.stderr
            assert '--resume {}'.format(out / 'snapshot_00000005.npz') in process.stderr
    finally:
        newest.write_bytes(whole)


def flipped(content):
    """One bit of the largest array turned over."""
    largest = max(zipfile.ZipFile(io.BytesIO(content)).infolist(), key=lambda info: info.file_size)
    middle = largest.header_offset + largest.file_size // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
