"""What identifies a run: its images by their content, not by their path."""

import json
import pathlib
import pickle
import shutil
import tarfile

import numpy as np
import pytest

import chainer_zoo
from chainer_zoo.errors import UserError
from chainer_zoo.training import record
from chainer_zoo.training import snapshots

TINY = {
    'd': 2,
    'batch': 20,
    'train_batch_divide': 2,
    'test_batch_divide': 2,
    'limit_train': 40,
    'epoch': 1,
}


@pytest.fixture
def data(tiny, tmp_path):
    """A copy of the tiny data set, to be changed."""
    return pathlib.Path(shutil.copytree(tiny, tmp_path / 'data' / 'cifar-10-batches-py'))


@pytest.fixture
def out(data, tmp_path):
    """The folder of a run of one epoch with it."""
    chainer_zoo.train(out=tmp_path / 'out', data=data, **TINY)
    return tmp_path / 'out'


def go_on(out, data, **settings):
    """Go on for an epoch."""
    return chainer_zoo.train(
        out=out, data=data, resume=True, **{**TINY, 'epoch': 2, 'cpu': 'auto', **settings}
    )


def change(path, key, change):
    """Change one array of a batch's file."""
    content = pickle.loads(path.read_bytes())
    content[key] = change(np.array(content[key]))
    if key == b'labels':
        content[key] = content[key].tolist()
    path.write_bytes(pickle.dumps(content, 2))


def test_images_that_were_moved_are_the_same(out, data, tmp_path):
    moved = data.rename(tmp_path / 'elsewhere')
    assert len(go_on(out, moved).log) == 2


def test_images_that_were_repacked_are_the_same(out, data, tmp_path):
    archive = tmp_path / 'cifar-10-python.tar.gz'
    with tarfile.open(archive, 'w:gz') as tar:
        tar.add(data, 'cifar-10-batches-py')
    shutil.rmtree(data)
    assert len(go_on(out, archive).log) == 2


def swap(a, b):
    a.rename(a.with_suffix('.old'))
    b.rename(a)
    a.with_suffix('.old').rename(b)


@pytest.mark.parametrize(
    'other',
    [
        lambda data: swap(data / 'data_batch_1', data / 'data_batch_2'),
        lambda data: change(data / 'data_batch_1', b'data', lambda x: x[::-1]),
        lambda data: change(data / 'data_batch_2', b'data', lambda x: np.bitwise_xor(x, 1)),
        lambda data: change(data / 'data_batch_1', b'labels', lambda y: y[::-1]),
        lambda data: change(data / 'test_batch', b'data', lambda x: np.bitwise_xor(x, 1)),
        lambda data: change(data / 'test_batch', b'labels', lambda y: y[::-1]),
    ],
    ids=['files', 'order', 'pixels', 'labels', 'test pixels', 'test labels'],
)
def test_other_images_at_the_same_path_are_refused(out, data, other):
    other(data)
    with pytest.raises(UserError, match='are not those that the snapshot was made with'):
        go_on(out, data)


@pytest.mark.parametrize(
    'settings, said',
    [
        ({'limit_test': 5}, 'with 40 training and 30 test images, this run has 40 training and 5'),
        ({'limit_test': 29}, 'this run has 40 training and 29 test images'),
        ({'limit_train': 60}, 'this run has 60 training and 30 test images'),
        ({'limit_train': None}, 'this run has 100 training and 30 test images'),
        ({'dataset': 'shapes', 'limit_test': 30}, 'built-in drawn shapes .* are not those'),
        ({'seed': 5}, 'made with seed 0, this run has 5'),
        ({'lr': 0.05}, 'made with lr 0.1, this run has 0.05'),
        ({'batch': 10}, 'made with batch 20, this run has 10'),
        ({'train_batch_divide': 1}, 'made with train_batch_divide 2, this run has 1'),
        ({'d': 4}, 'made with options'),
        ({'start_epoch': 2}, 'made with start_epoch 1, this run has 2'),
        ({'dtype': 'mixed16'}, "made with dtype 'float32', this run has 'mixed16'"),
    ],
)
def test_another_run_is_refused_and_what_differs_is_named(out, data, settings, said):
    before = sorted(path.name for path in out.rglob('*'))
    with pytest.raises(UserError, match=said) as error:
        go_on(out, data, **settings)
    assert '\n' not in str(error.value)
    assert sorted(path.name for path in out.rglob('*')) == before


@pytest.mark.parametrize('settings', [{'test_batch_divide': 4}, {'keep': 5}, {'limit_test': 30}])
def test_what_changes_no_number_may_change(out, data, settings):
    assert len(go_on(out, data, **settings).log) == 2


def test_another_engine_is_said_since_digits_may_differ(tmp_path, tiny, capsys):
    for settings in ({'cpu': 'numpy'}, {'cpu': 'numpy', 'resume': True, 'epoch': 2}):
        chainer_zoo.train(out=tmp_path / 'out', data=tiny, **{**TINY, **settings})
    assert 'computed by' not in capsys.readouterr().out
    path = snapshots.all_in(str(tmp_path / 'out'))[0]
    rewrite_record(path, lambda found: found.update(engine='onednn'))
    settings = {**TINY, 'cpu': 'numpy', 'epoch': 3}
    chainer_zoo.train(out=tmp_path / 'out', data=tiny, resume=True, **settings)
    assert 'computed by onednn so far and by numpy from here on' in capsys.readouterr().out


def rewrite_record(path, change):
    with np.load(path) as npz:
        arrays = dict(npz)
    found = json.loads(str(arrays[snapshots.RECORD]))
    change(found)
    arrays[snapshots.RECORD] = np.asarray(json.dumps(found))
    np.savez(path, **arrays)


def forget_digest(found):
    del found['data_digest'], found['images']


def test_a_snapshot_of_before_the_digest_resumes_from_the_same_path_and_says_so(out, data, capsys):
    rewrite_record(snapshots.all_in(str(out))[0], forget_digest)
    assert len(go_on(out, data).log) == 2
    assert 'does not say which images it was trained on' in capsys.readouterr().out


def test_a_snapshot_of_before_the_digest_is_refused_from_another_path(out, data, tmp_path):
    rewrite_record(snapshots.all_in(str(out))[0], forget_digest)
    moved = data.rename(tmp_path / 'elsewhere')
    with pytest.raises(UserError, match='only that they came from .*cifar-10-batches-py'):
        go_on(out, moved)


def test_a_snapshot_of_before_the_digest_knows_the_number_of_test_images(out, data):
    """Its log.json counts over them; dividing by another number would be wrong."""
    rewrite_record(snapshots.all_in(str(out))[0], forget_digest)
    with pytest.raises(UserError, match='of 30 test images, this run has 5'):
        go_on(out, data, limit_test=5)


def test_options_that_a_version_did_not_know_have_their_defaults(out, data):
    rewrite_record(snapshots.all_in(str(out))[0], lambda found: found['options'].pop('multiplier'))
    assert len(go_on(out, data).log) == 2


RECORD = {
    'model': 'resnext',
    'options': {'n_class': 10, 'C': 2, 'd': 64, 'multiplier': 4},
    'data': 'somewhere',
    'data_digest': 'a' * 64,
    'images': {'training': 40, 'test': 30},
    'batch': 20,
    'train_batch_divide': 2,
    'lr': 0.1,
    'start_epoch': 1,
    'seed': 0,
    'dtype': 'float32',
    'engine': 'numpy',
}
REQUIRED = sorted(set(RECORD) - {'data_digest', 'images', 'engine'})


def require_match(found):
    entry = chainer_zoo.entry('resnext')
    this = {
        **RECORD,
        'options': entry.complete({}),
        # what records did not say before these could be chosen
        'weight_decay': entry.recipe.weight_decay,
        'init': 'per_channel',
        'image_pipeline': 'original',
        'figure': None,
        'whole_schedule': False,
    }
    return record.require_match(found, this, 'a.npz')


def test_a_record_matches_itself():
    assert require_match(RECORD) == []


@pytest.mark.parametrize('key', REQUIRED)
def test_a_record_without_a_value_is_refused(key):
    found = {name: value for name, value in RECORD.items() if name != key}
    with pytest.raises(UserError, match=f"another version of this program: .* has no '{key}'"):
        require_match(found)


@pytest.mark.parametrize('key', REQUIRED)
@pytest.mark.parametrize('value', [None, [], {'a': []}, True, '', 1e300, float('nan'), -1, 10**30])
def test_a_record_with_a_wrong_value_is_refused(key, value):
    if (key, value) == ('data', ''):
        value = 3  # any text is right
    with pytest.raises(UserError) as error:
        require_match({**RECORD, key: value})
    assert '\n' not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize('found', [None, 3, 'a', [], [[]], {}])
def test_what_is_no_record_is_refused(found):
    with pytest.raises(UserError, match='the snapshot a.npz is damaged'):
        require_match(found)
