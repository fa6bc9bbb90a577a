"""Runs of this project and logs of the original are read for comparison."""

import json

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
    assert run.options == {'n_class': 10, 'depth': 40, 'growth_rate': 12}
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


def test_options_and_parts_are_written_behind_a_log(original):
    run = runs.read(f'{original}:C=2,d=4,divide=4')
    assert run.options == {'n_class': 10, 'C': 2, 'd': 4, 'multiplier': 4}
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


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda folder: (folder / 'log').unlink(), 'log: No such file'),
        (broken('log', ''), 'log is damaged'),
        (broken('log', '[]'), 'no finished epoch'),
        (broken('log', '[1, 2]'), 'no run of this project, or damaged'),
        (broken('log', '[{"epoch": 1}]'), "'main/loss' is missing"),
        (broken('log', '[{"epoch": "one"}]'), 'damaged'),
        (broken('arguments.json', '{"model": "densenet"'), 'arguments.json is damaged'),
        (broken('arguments.json', '[]'), 'no run of this project, or damaged'),
        (broken('arguments.json', '{"model": "densnet", "options": {}}'), 'did you mean densenet'),
        (broken('arguments.json', '{"model": "densenet", "options": {"C": 2}}'), 'has no option C'),
        (broken('log.json', '{}'), 'not a log.json'),
        (
            lambda folder: (folder / 'arguments.json').unlink() or (folder / 'log.json').unlink(),
            'is no run',
        ),
    ],
)
def test_folders_that_are_no_run_are_told_in_one_line(folder, change, words):
    change(folder)
    with pytest.raises(UserError, match=words) as caught:
        runs.read(str(folder))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'behind, words',
    [
        (':C=two', 'whole numbers'),
        (':C=2,d', 'whole numbers'),
        (':depth=40', 'no option depth'),
        (':C=0', 'must be'),
        ('x', 'No such file'),
    ],
)
def test_mistakes_behind_a_log_are_told_in_one_line(original, behind, words):
    with pytest.raises(UserError, match=words):
        runs.read(str(original) + behind)


def test_a_log_of_another_model_has_no_figures_to_stand_beside(original):
    records = json.loads(original.read_text())
    records[6]['model'] = '<mine.Net object>'
    original.write_text(json.dumps(records))
    run = runs.read(str(original))
    assert run.entry is None and run.remarks == ['the log is of a model that is not in the catalog']
    with pytest.raises(UserError, match='does not say of which model'):
        runs.read(str(original) + ':C=2')
