"""Runs of this project and logs of the original are read for comparison."""

import json
import math
import os
import tracemalloc

import numpy as np
import pytest
import run_folders

from chainer_zoo.errors import UserError
from chainer_zoo.legacy.log import Log
from chainer_zoo.report import runs


@pytest.fixture
def folder(tmp_path):
    return run_folders.write(tmp_path / 'mine', 'densenet', [0.5, 0.75, 0.625], [2.0, 1.0, 1.5])


@pytest.fixture
def original(tmp_path):
    """A log of the original with two epochs."""
    log = Log(range(3), np.zeros(60), np.arange(30) % 3, '<resnext.ResNext object at 0x7f>')
    log.add_epoch(30.0, 45.0, np.diag([4, 5, 6]))
    log.add_epoch(15.0, 30.0, np.diag([8, 9, 10]))
    log.save(tmp_path / 'log.json')
    return tmp_path / 'log.json'


def test_a_folder_of_ours(folder):
    run = runs.read(str(folder))
    assert not run.original and run.label == 'mine' and run.entry.name == 'densenet'
    assert run.options == run.entry.complete({'depth': 40, 'growth_rate': 12})
    assert run.epochs.tolist() == [1, 2, 3]
    assert run.train_loss.tolist() == [1.0, 0.5, 0.75] and run.test_loss.tolist() == [2.0, 1.0, 1.5]
    assert run.accuracy.tolist() == [50, 75, 62.5] and run.best == 1
    assert (run.n_train, run.n_test, run.seconds) == (50000, 10000, 270)
    assert run.remarks == ['3 of 300 epochs']


def test_what_makes_a_run_not_comparable_is_said(tmp_path):
    folder = run_folders.write(tmp_path / 'a', 'resnet', [0.5], [1.0], 1000, 100, depth=20)
    assert runs.read(str(folder)).remarks == [
        'other options than the article: depth=20',
        '1 of 164 epochs',
        '1,000 of 50,000 training and 100 of 10,000 test images',
    ]


def test_a_log_of_the_original(original):
    run = runs.read(str(original))
    assert run.original and run.entry.name == 'resnext' and run.options is None
    assert run.train_loss.tolist() == [0.5, 0.25] and run.train_loss_divided
    assert run.test_loss.tolist() == [1.5, 1.0] and run.accuracy.tolist() == [50, 90]
    assert 'the log does not say the options' in run.remarks


def test_options_and_micro_batches_are_written_after_a_log(original):
    run = runs.read(f'{original}:C=2,d=4,divide=4')
    assert run.options == run.entry.complete({'C': 2, 'd': 4})
    assert run.train_loss.tolist() == [2.0, 1.0] and not run.train_loss_divided


def test_the_run_of_the_original(shared):
    run = runs.read('{}:C=2,d=4,divide=1'.format(shared / 'original' / 'run' / 'log.json'))
    assert (run.n_train, run.n_test) == (2000, 500)
    np.testing.assert_allclose(run.accuracy, [11, 12.8])
    np.testing.assert_allclose(run.test_loss[1], 2.68274, atol=5e-6)
    np.testing.assert_allclose(
        run.train_loss, [4374.575698852539 / 2000, 3872.3543090820312 / 2000]
    )


def test_a_folder_of_the_original_is_known_by_its_log(original):
    assert runs.read(str(original.parent)).original


def test_labels_differ(folder, original, tmp_path):
    other = run_folders.write(tmp_path / 'other' / 'mine', 'nin', [0.5], [1.0])
    labels = [run.label for run in runs.read_all([str(folder), str(other), str(original)])]
    assert labels == ['mine #1', 'mine #2', tmp_path.name + ' (original)']


def broken(name, text):
    return lambda folder: (folder / name).write_text(text)


def refusal(text):
    """Read what has to be refused in one line."""
    with pytest.raises(UserError) as caught:
        runs.read(str(text))
    message = str(caught.value)
    assert '\n' not in message and len(message) < 600 + len(str(text))
    return message


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda folder: (folder / 'log').unlink(), 'log: No such file'),
        (broken('log', ''), 'log is damaged'),
        (broken('log', '[' * 10**5), 'log is damaged'),
        (broken('log', '[]'), 'no finished epoch'),
        (broken('log', '{}'), 'expected a list'),
        (broken('log', '[1, 2]'), 'log[0] is 1: expected an object'),
        (broken('log', '[{"epoch": 1}]'), "log[0] has no 'main/loss'"),
        (broken('arguments.json', '{"model": "densenet"'), 'arguments.json is damaged'),
        (broken('arguments.json', '[]'), 'expected an object'),
        (broken('arguments.json', '{"model": "densenet"}'), "has no 'options'"),
        (broken('arguments.json', '{"model": "densnet", "options": {}}'), 'did you mean densenet'),
        (broken('arguments.json', '{"model": 7, "options": {}}'), 'expected text'),
        (broken('arguments.json', '{"model": "densenet", "options": {"C": 2}}'), 'has no option C'),
        (broken('arguments.json', '{"model": "densenet", "options": [2]}'), 'expected an object'),
        (
            broken('arguments.json', '{"model": "densenet", "options": {"depth": [40]}}'),
            'expected a number or text',
        ),
        (
            broken('arguments.json', '{"model": "densenet", "options": {"depth": 1e400}}'),
            'expected a number or text',
        ),
        (
            broken('arguments.json', '{"model": "densenet", "options": {"depth": 1e30}}'),
            'depth must be',
        ),
        (broken('log.json', '{}'), 'not a log'),
        (
            lambda folder: (folder / 'arguments.json').unlink() or (folder / 'log.json').unlink(),
            'is no run',
        ),
    ],
)
def test_folders_that_are_no_run_are_told_in_one_line(folder, change, words):
    change(folder)
    assert words in refusal(folder)


def changed(path, key, value, at=None):
    """Write a JSON file again with another value of a key, of item ``at`` if it is a list."""
    content = json.loads(path.read_text())
    (content if at is None else content[at])[key] = value
    path.write_text(json.dumps(content))


NO_NUMBERS = ['1', True, [], [1], {}, '\ud800']
LARGE = [1e30, 10**30, 1e308, -1e308]
NOT_FINITE = [math.nan, math.inf, -math.inf, 10**400, None]


@pytest.mark.parametrize(
    'key, value',
    [(key, v) for key in ('epoch', 'elapsed_time') for v in NO_NUMBERS + LARGE + NOT_FINITE + [-1]]
    + [
        ('validation/main/accuracy', v)
        for v in NO_NUMBERS + LARGE + NOT_FINITE + [-0.1, 1.1, 80, 100]
    ]
    + [
        (key, v)
        for key in ('main/loss', 'validation/main/loss')
        for v in NO_NUMBERS + [1e51, 1e308, -1e308]
    ]
    + [('epoch', 1.5)],
    ids=lambda value: repr(value)[:24],
)
@pytest.mark.parametrize('at', [0, -1])
def test_numbers_of_an_epoch_have_a_range(folder, key, value, at):
    changed(folder / 'log', key, value, at)
    message = refusal(folder)
    assert 'expected a' in message and key in message


@pytest.mark.parametrize('key', ['main/loss', 'validation/main/loss'])
@pytest.mark.parametrize('value', NOT_FINITE + [1e45], ids=lambda value: repr(value)[:24])
def test_a_run_that_diverged_is_read(folder, key, value):
    changed(folder / 'log', key, value, 1)
    run = runs.read(str(folder))
    losses = {'main/loss': run.train_loss, 'validation/main/loss': run.test_loss}[key]
    assert losses[1] == 1e45 if value == 1e45 else not np.isfinite(losses[1])
    assert np.isfinite(losses[[0, 2]]).all()


@pytest.mark.parametrize(
    'key, value',
    [
        *[('versions', value) for value in ([], ['numpy'], 'numpy 2', 7, {'numpy': 2}, {'a': []})],
        ('versions', {'numpy': 'x' * 101}),
        ('versions', {str(i): '1' for i in range(101)}),
        *[('seed', value) for value in (-1, 'one', [], 1.5, 2**65, 1e30, math.nan)],
        *[('data', value) for value in (7, [], {}, 'x' * 10_001)],
        *[('commit', value) for value in (7, [], 'x' * 101)],
        *[('machine', value) for value in (7, [], 'x' * 1001)],
        *[('engine', value) for value in (7, [], 'x' * 1001)],
    ],
    ids=lambda value: repr(value)[:24],
)
def test_what_a_record_says_of_its_making_has_types_and_sizes(folder, key, value):
    changed(folder / 'arguments.json', key, value)
    message = refusal(folder)
    assert 'arguments.json' in message and key in message


@pytest.mark.parametrize('key', ['versions', 'seed', 'data', 'commit', 'machine', 'engine'])
def test_what_a_record_says_of_its_making_may_be_absent(folder, key):
    changed(folder / 'arguments.json', key, None)
    assert runs.read(str(folder)).record[key] is None
    content = json.loads((folder / 'arguments.json').read_text())
    del content[key]
    (folder / 'arguments.json').write_text(json.dumps(content))
    assert runs.read(str(folder)).record[key] is None


def test_what_nobody_asks_for_may_be_anything(folder):
    changed(folder / 'arguments.json', 'later', [{'a': None}] * 9)
    changed(folder / 'log', 'later', [{'a': None}] * 9, 0)
    assert runs.read(str(folder)).best == 1


def test_a_long_log_takes_little_memory(folder):
    epoch = json.loads((folder / 'log').read_text())[0]
    epoch.update({f'validation/main/accuracy/class {i}': 0.5 for i in range(10)})
    (folder / 'log').write_text(json.dumps([epoch] * 20_000))
    size = (folder / 'log').stat().st_size
    tracemalloc.start()
    try:
        assert len(runs.read(str(folder)).epochs) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 5 * size
    finally:
        tracemalloc.stop()


def test_a_log_of_too_many_epochs_is_refused(folder, monkeypatch):
    epoch = json.loads((folder / 'log').read_text())[0]
    (folder / 'log').write_text(json.dumps([epoch] * 100_001))
    assert 'has 100,001 items: at most 100,000' in refusal(folder)


@pytest.mark.skipif(os.name != 'posix', reason='pipes of POSIX')
@pytest.mark.parametrize('name', ['arguments.json', 'log', 'log.json'])
@pytest.mark.parametrize('kind', ['pipe', 'device', 'folder'])
def test_pipes_devices_and_folders_are_refused_without_waiting(folder, name, kind):
    (folder / name).unlink()
    if kind == 'pipe':
        os.mkfifo(folder / name)
    elif kind == 'device':
        (folder / name).symlink_to('/dev/zero')
    else:
        (folder / name).mkdir()
    assert f'{name}: it is a {kind}, not a regular file' in refusal(folder)


@pytest.mark.parametrize('text', ['x' * 5000, 'x/' * 3000, 'a\0b', '', 'x' * 5000 + ':C=2'])
def test_paths_that_cannot_be_are_refused(text):
    refusal(text)


@pytest.mark.parametrize('n', [201, 10_000])
def test_too_many_runs_are_refused_before_any_is_read(n):
    with pytest.raises(UserError, match='at most 200 can be compared'):
        runs.read_all(['nowhere'] * n)


@pytest.mark.parametrize(
    'name, label',
    [
        ('a\nb', r'a\nb'),
        ('\x1b[2J', r'\x1b[2J'),
        ('$x$', '$x$'),
        ('_a', '_a'),
        ('\u6f22\u5b57', '\u6f22\u5b57'),
        ('\udce9', r'\udce9'),  # a byte that is no UTF-8
    ],
)
def test_labels_are_names_of_folders_as_they_can_be_shown(tmp_path, name, label):
    folder = run_folders.write(tmp_path / name, 'nin', [0.5], [1.0])
    assert runs.read(str(folder)).label == label


@pytest.mark.parametrize(
    'after, words',
    [
        (':C=two', 'whole numbers'),
        (':C=2,d', 'whole numbers'),
        (':depth=40', 'no option depth'),
        (':C=0', 'must be'),
        (':C=' + '9' * 21, 'whole numbers'),
        (':C=' + '9' * 5000, 'whole numbers'),
        (':C=2,divide=0', 'divide is 0: expected a whole number from 1 to 1,000,000'),
        (':C=2,divide=-4', 'divide is -4'),
        (':C=2,divide=10000000', 'divide is 10000000'),
        ('x', 'No such file'),
    ],
)
def test_mistakes_after_a_log_are_told_in_one_line(original, after, words):
    with pytest.raises(UserError, match=words):
        runs.read(str(original) + after)


def test_a_log_of_another_model_has_no_figures_to_stand_beside(original):
    records = json.loads(original.read_text())
    records[6]['model'] = '<mine.Net object>'
    original.write_text(json.dumps(records))
    run = runs.read(str(original))
    assert run.entry is None and run.remarks == ['the log is of a model that is not in the catalog']
    with pytest.raises(UserError, match='does not say of which model'):
        runs.read(str(original) + ':C=2')
