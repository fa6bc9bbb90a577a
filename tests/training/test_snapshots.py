"""A snapshot is read strictly: what does not fit the run to the last shape is one line."""

import io
import json
import os
import pathlib
import shutil
import struct
import zipfile

import numpy as np
import pytest

import chainer_zoo
from chainer_zoo.errors import UserError
from chainer_zoo.training import snapshots

TINY = {
    'd': 2,
    'batch': 20,
    'train_batch_divide': 2,
    'test_batch_divide': 2,
    'limit_train': 40,
    'epoch': 1,
}
WEIGHT = 'updater/model:main/resnext_block_1_1/conv_bn_relu3/conv/W'
MOMENTUM = 'updater/optimizer:main/resnext_block_1_1/conv_bn_relu3/conv/W/v'


@pytest.fixture(scope='module')
def finished(tmp_path_factory, tiny):
    """The folder of a run of one epoch."""
    out = tmp_path_factory.mktemp('snapshots') / 'out'
    chainer_zoo.train(out=out, data=tiny, **TINY)
    return out


@pytest.fixture
def run(finished, tmp_path):
    """A copy of that folder."""
    return pathlib.Path(shutil.copytree(finished, tmp_path / 'out'))


def arrays_of(out):
    (path,) = snapshots.all_in(str(out))
    with np.load(path) as npz:
        return path, dict(npz)


@pytest.fixture
def resume(run, tiny):
    """Goes on with the copy for an epoch."""
    return lambda: chainer_zoo.train(out=run, data=tiny, resume=True, **{**TINY, 'epoch': 2})


@pytest.fixture
def refused(run, resume):
    """Returns the line that refuses to go on, which changes nothing in the folder."""

    def refused():
        before = {path: path.read_bytes() for path in run.rglob('*') if path.is_file()}
        with pytest.raises(UserError) as error:
            resume()
        assert before == {path: path.read_bytes() for path in run.rglob('*') if path.is_file()}
        assert '\n' not in str(error.value) and len(str(error.value)) < 600
        return str(error.value)

    return refused


def text(value):
    return np.asarray(value if isinstance(value, str) else json.dumps(value))


def test_the_copy_resumes(resume):
    assert len(resume().log) == 2


@pytest.mark.parametrize('key', [WEIGHT, MOMENTUM, 'extensions/RandomState/images/key'])
@pytest.mark.parametrize(
    'changed',
    [
        lambda array: array.reshape(-1)[:1],  # would be broadcast
        lambda array: array.reshape(-1)[0],
        lambda array: array[:1],
        lambda array: array.reshape(array.shape + (1,)),
        lambda array: np.concatenate([array, array]),
        lambda array: array.astype(np.float64),
        lambda array: array.astype(np.int8),
        lambda array: np.asarray('text'),
        lambda array: np.zeros(0, array.dtype),
    ],
)
def test_an_array_of_another_shape_or_dtype_is_refused(run, refused, key, changed):
    path, arrays = arrays_of(run)
    arrays[key] = changed(arrays[key])
    np.savez(path, **arrays)
    line = refused()
    assert f'does not fit this run: {key} is ' in line and 'belongs' in line


@pytest.mark.parametrize(
    'key',
    [
        WEIGHT,
        MOMENTUM,
        'updater/iteration',
        'updater/optimizer:main/t',
        'extensions/LogReport/_log',
        'extensions/LogReport/_summary/_names',
        'extensions/RunLog/records',
        'extensions/SaveModels/saved',
        'extensions/RandomState/noise/seed',
        'extension_triggers/Rate/previous_iteration',
        '_snapshot_elapsed_time',
    ],
)
def test_a_missing_value_is_named(run, refused, key):
    path, arrays = arrays_of(run)
    del arrays[key]
    np.savez(path, **arrays)
    assert 'lacks' in refused()


def test_a_surplus_value_is_named(run, refused):
    path, arrays = arrays_of(run)
    arrays['updater/model:main/another/W'] = np.zeros(3)
    np.savez(path, **arrays)
    assert 'has updater/model:main/another/W, which the run has not' in refused()


DEEP = '[' * 100_000 + ']' * 100_000


@pytest.mark.parametrize(
    'key, value, said',
    [
        ('updater/iteration', np.asarray(-1), 'updater/iteration is -1'),
        ('updater/iteration', np.asarray(2.5), 'where one int belongs'),
        ('updater/iteration', np.asarray(10**15), 'batches were drawn for'),
        ('updater/iterator:main/iteration', np.asarray(10**15), 'iteration is 1000000000000000'),
        ('updater/iterator:main/iteration', np.asarray(7), '7 batches were drawn for 2 updates'),
        ('updater/iterator:main/n', np.asarray(7), 'n = 7'),
        ('updater/iterator:main/rng/position', np.asarray(10**9), 'expected 0 to 624'),
        ('extensions/RandomState/numpy/position', np.asarray(625), 'expected 0 to 624'),
        ('extensions/RandomState/numpy/has_gauss', np.asarray(2), 'expected 0 to 1'),
        ('extensions/RandomState/noise/draw', np.asarray(-5), 'noise/draw is -5'),
        ('extensions/SaveModels/best', np.asarray(np.nan), 'best is nan'),
        ('extensions/SaveModels/best', text('a'), 'where one float belongs'),
        ('extensions/SaveModels/saved', text('{'), 'no JSON'),
        ('extensions/SaveModels/saved', text(DEEP), 'no JSON'),
        ('extensions/SaveModels/saved', text({'a': 1}), 'expected a list'),
        ('extensions/SaveModels/saved', text([1]), 'expected text'),
        ('extensions/SaveModels/saved', text(['../../precious.model']), 'names'),
        ('extensions/SaveModels/saved', text(['/precious.model']), 'names'),
        ('extensions/SaveModels/saved', text(['log.json']), 'names'),
        ('extensions/SaveModels/saved', text(['a\0.model']), 'names'),
        ('extensions/LogReport/_log', text({}), 'expected a list'),
        ('extensions/LogReport/_log', text([1]), 'expected an object'),
        ('extensions/LogReport/_log', text([{'epoch': 'one'}]), 'expected a number'),
        ('extensions/LogReport/_log', text([{'epoch': 1}]), "has no 'iteration'"),
        ('extensions/LogReport/_log', text(DEEP), 'damaged'),
        ('extensions/LogReport/_summary/_names', text(7), 'damaged'),
        ('extensions/LogReport/_summary/_names', text(['main/loss']), 'lacks'),
        ('extensions/RunLog/records', text('nonsense'), 'no JSON'),
        ('extensions/RunLog/records', text({}), 'log'),
        ('extensions/RunLog/records', text([[]]), 'record'),
        ('extensions/RunLog/records', text([{'_id': 'model'}]), 'record'),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(run, refused, key, value, said):
    path, arrays = arrays_of(run)
    arrays[key] = value
    np.savez(path, **arrays)
    assert said in refused()


@pytest.mark.parametrize(
    'record, said',
    [
        ('no JSON', 'is damaged'),
        ('', 'is damaged'),
        (DEEP, 'nested too deeply'),
        (DEEP * 9, 'its record has 7,200,128 bytes'),
        ([], 'expected an object'),
        (3, 'expected an object'),
        (None, 'expected an object'),
        ({}, "has no 'model'"),
        ('{"batch": ' + '9' * 5000 + '}', 'is damaged'),
    ],
)
def test_a_record_that_is_none_is_refused(run, refused, record, said):
    path, arrays = arrays_of(run)
    arrays[snapshots.RECORD] = text(record)
    np.savez(path, **arrays)
    assert said in refused()


def test_a_record_of_another_kind_is_refused(run, refused):
    path, arrays = arrays_of(run)
    for value in (np.zeros(3), np.asarray(3), np.zeros((2, 2), 'U5')):
        arrays[snapshots.RECORD] = value
        np.savez(path, **arrays)
        assert 'damaged' in refused()


def test_a_model_is_no_snapshot(run, refused):
    path, _ = arrays_of(run)
    shutil.copy(next((run / 'model').glob('ResNext*')), path)
    assert '--resume takes snapshots, -m takes models' in refused()


def test_a_single_array_is_no_snapshot(run, refused):
    path, arrays = arrays_of(run)
    with open(path, 'wb') as f:
        np.save(f, arrays[WEIGHT])
    assert 'a single array (npy); a snapshot is an npz file' in refused()


@pytest.mark.parametrize(
    'content', [b'', b'PK', b'PK\x03\x04' * 9, b'nonsense' * 99, b'\x00' * 999]
)
def test_what_is_no_zip_is_damaged(run, refused, content):
    path, _ = arrays_of(run)
    pathlib.Path(path).write_bytes(content)
    assert 'is damaged' in refused()


def rewritten(path, **changes):
    """Write a snapshot again with other members: bytes, or (bytes, compression)."""
    with zipfile.ZipFile(path) as old:
        members = {info.filename[:-4]: old.read(info) for info in old.infolist()}
    members.update(changes)
    with zipfile.ZipFile(path, 'w') as new:
        for name, content in members.items():
            content, kind = content if isinstance(content, tuple) else (content, None)
            new.writestr(name + '.npy', content, kind or zipfile.ZIP_STORED)


def declaring(shape, dtype='<f4'):
    """The start of an array's file that declares more than there is."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {'shape': shape, 'fortran_order': False, 'descr': dtype}
    )
    return file.getvalue() + bytes(100)


@pytest.mark.parametrize('characters', [3 * 10**8, 5 * 10**8])
def test_a_text_that_only_declares_gigabytes_is_refused(run, refused, characters):
    path, _ = arrays_of(run)
    rewritten(path, **{'extensions/SaveModels/saved': declaring((), f'<U{characters}')})
    assert 'declares' in refused()


@pytest.mark.parametrize('shape', [(3 * 10**9,), (10**12,), (2**62, 2**62)])
def test_what_only_declares_gigabytes_is_refused(run, refused, shape):
    path, _ = arrays_of(run)
    rewritten(path, **{WEIGHT: declaring(shape)})
    assert f'{WEIGHT} is float32' in refused()
    rewritten(path, **{snapshots.RECORD: declaring(shape, '<U9')})
    assert 'damaged' in refused()


def test_a_compressed_member_is_refused(run, refused):
    path, _ = arrays_of(run)
    rewritten(path, **{WEIGHT: (declaring((3 * 10**9,)) + bytes(10**6), zipfile.ZIP_DEFLATED)})
    assert 'is compressed' in refused()


def test_members_that_lie_over_each_other_are_refused(run, refused):
    """A zip whose directory names the same bytes many times declares more than it has."""
    path, _ = arrays_of(run)
    content = pathlib.Path(path).read_bytes()
    end = content.rindex(b'PK\x05\x06')
    count, size, start = struct.unpack('<HII', content[end + 10 : end + 20])
    entry = content[start : start + size]
    first = entry[: 46 + sum(struct.unpack('<HHH', entry[28:34]))]
    more = b''.join(
        first[:46] + first[46:].replace(b'_snapshot', b'%09d' % i, 1) for i in range(20_000)
    )
    with zipfile.ZipFile(path) as archive:
        assert archive.infolist()[0].filename.startswith('_snapshot')
    total = count + 20_000
    pathlib.Path(path).write_bytes(
        content[:end]
        + more
        + content[end : end + 8]
        + struct.pack('<HHII', total, total, size + len(more), start)
        + b'\0\0'
    )
    assert 'is damaged' in refused()


def test_pickled_objects_are_refused(run, refused):
    path, arrays = arrays_of(run)
    arrays[WEIGHT] = np.asarray([{}], dtype=object)
    np.savez(path, **arrays)
    assert f'{WEIGHT} is object' in refused()


def test_one_flipped_bit_is_recognised(run, refused):
    path, _ = arrays_of(run)
    content = bytearray(pathlib.Path(path).read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(WEIGHT + '.npy')
    content[info.header_offset + info.file_size] ^= 1
    pathlib.Path(path).write_bytes(content)
    assert 'is damaged' in refused()


@pytest.mark.parametrize('kind', ['pipe', 'folder', 'device', 'absent', 'link'])
def test_what_is_no_file_is_refused_at_once(kind, tmp_path):
    path = tmp_path / 'snapshot'
    if kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'folder':
        path.mkdir()
    elif kind == 'link':
        path.symlink_to(tmp_path / 'nowhere')
    else:
        path = pathlib.Path('/dev/zero' if kind == 'device' else '/nowhere.npz')
    with pytest.raises(UserError, match='cannot read|no snapshot'):
        chainer_zoo.train(out=tmp_path / 'new', resume=str(path), **TINY)
    assert not (tmp_path / 'new').exists()


def test_a_block_that_never_survived_yet_does_not_keep_a_run_from_being_resumed(tmp_path, tiny):
    """Its parameters have no momentum after the first update, and none is missing."""
    settings = {**TINY, 'snapshot_every': 1, 'keep': 9, 'depth': 20, 'data': tiny}
    del settings['d']
    whole = chainer_zoo.train('stochastic_depth', out=tmp_path / 'whole', **settings)
    with np.load(tmp_path / 'whole' / 'snapshot_00000001.npz') as arrays:
        updates = {key: int(arrays[key]) for key in arrays.files if key.endswith('/t')}
    assert 0 in updates.values()  # a block was dropped
    again = chainer_zoo.train(
        'stochastic_depth',
        out=tmp_path / 'again',
        resume=tmp_path / 'whole' / 'snapshot_00000001.npz',
        **settings,
    )
    for ours, theirs in zip(again.model.params(), whole.model.params()):
        np.testing.assert_array_equal(ours.array, theirs.array)
