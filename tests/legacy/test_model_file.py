"""Model files of the original are read strictly, and files written here have its layout."""

import io
import json
import os
import pickle
import struct
import tracemalloc
import zipfile

import chainer
import numpy as np
import pytest

import chainer_zoo
from chainer_zoo import links
from chainer_zoo import parameters
from chainer_zoo.errors import UserError
from chainer_zoo.legacy import model_file
from chainer_zoo.report import golden

GOLDEN = golden.FOLDER


class Small(chainer.Chain):
    """A model of every kind of array: weights, bias, running statistics and their counter."""

    def __init__(self, channels=3):
        super().__init__()
        with self.init_scope():
            self.conv = links.Convolution2D(2, channels, 3, 1, 1)
            self.bn = links.BatchNormalization(channels)

    def forward(self, x):
        return self.bn(self.conv(x))


@pytest.fixture
def model():
    small = Small()
    golden.fill_model(small)
    return small


@pytest.fixture
def path(model, tmp_path):
    model_file.save(tmp_path / 'small.model', model)
    return tmp_path / 'small.model'


def contents(model):
    return {key: array.copy() for key, array in parameters.arrays(model).items()}


def assert_same(ours, theirs):
    assert set(ours) == set(theirs)
    for key in ours:
        np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)


def rewrite(path, change):
    """Write the file at ``path`` again with arrays (a dict) that ``change`` has edited."""
    with np.load(str(path)) as file:
        arrays = dict(file)
    change(arrays)
    with open(str(path), 'wb') as file:
        np.savez_compressed(file, **arrays)


def refusal(path, model):
    """Load what has to be refused; return the message, one line, and see the model untouched."""
    before = contents(model)
    with pytest.raises(UserError) as caught:
        model_file.load(path, model)
    assert_same(contents(model), before)
    message = str(caught.value)
    assert '\n' not in message and os.path.basename(str(path)) in message
    return message


def test_a_model_of_the_original_loads_array_by_array(shared):
    file = shared / 'original' / 'run' / 'ResNext_10_2_2.model'
    model = chainer_zoo.build('resnext', C=2, d=4)
    model_file.load(file, model)
    with np.load(str(file)) as theirs:
        assert_same(contents(model), {key: theirs[key] for key in theirs if not key.endswith('/N')})


def test_what_is_saved_comes_back_bit_for_bit(path, model):
    other = Small()
    model.bn.N = 7
    model_file.save(path, model)
    model_file.load(path, other)
    assert_same(contents(other), contents(model))
    assert other.bn.N == 7


@pytest.mark.parametrize(
    'name',
    [
        p.stem
        for p in sorted(GOLDEN.glob('*.json'))
        if '-' not in p.stem and json.loads(p.read_text())['count_parameters'] < 3e6
    ],
)
def test_saved_files_have_the_originals_keys_and_types(name, tmp_path):
    case = golden.Golden(GOLDEN / (name + '.json'))
    model_file.save(tmp_path / 'a.model', case.build())
    with np.load(str(tmp_path / 'a.model')) as saved:
        arrays = dict(saved)
    expected = {
        key: (tuple(shape), np.dtype(np.float32)) for key, shape in case.numbers['arrays'].items()
    }
    # Chainer 1.24 keeps a whole number N beside every pair of running statistics
    expected.update(
        {
            key[: -len('avg_mean')] + 'N': ((), np.dtype(np.int64))
            for key in case.numbers['arrays']
            if key.endswith('/avg_mean')
        }
    )
    assert {key: (array.shape, array.dtype) for key, array in arrays.items()} == expected


def test_saved_files_have_the_keys_and_types_of_a_real_file(shared, tmp_path):
    model_file.save(tmp_path / 'a.model', chainer_zoo.build('resnext', C=2, d=4))
    with (
        np.load(str(tmp_path / 'a.model')) as ours,
        np.load(str(shared / 'original' / 'run' / 'ResNext_10_2_1.model')) as theirs,
    ):
        assert {key: (ours[key].shape, ours[key].dtype) for key in ours} == {
            key: (theirs[key].shape, theirs[key].dtype) for key in theirs
        }


def test_the_counter_of_batch_normalization_may_be_absent(path, model):
    rewrite(path, lambda arrays: arrays.pop('bn/N'))
    other = Small()
    model_file.load(path, other)
    assert_same(contents(other), contents(model))


def test_missing_and_surplus_arrays_are_named(path, model):
    def change(arrays):
        arrays['convolution/W'] = arrays.pop('conv/W')
        arrays['bn/M'] = arrays['bn/N']

    rewrite(path, change)
    message = refusal(path, model)
    assert 'missing conv/W' in message and 'surplus bn/M, convolution/W' in message


def test_many_missing_arrays_are_counted(path, model):
    rewrite(path, lambda arrays: [arrays.pop(key) for key in list(arrays) if key != 'conv/W'])
    assert 'missing bn/avg_mean, bn/avg_var, bn/beta and 2 more (5 in all)' in refusal(path, model)


@pytest.mark.parametrize('shape', [(1, 2, 3, 3), (3, 2, 3), (3, 2, 1, 1), (1,), ()])
def test_shapes_that_chainer_would_broadcast_are_refused(path, model, shape):
    rewrite(path, lambda arrays: arrays.update({'conv/W': np.ones(shape, np.float32)}))
    assert f'conv/W {shape} where (3, 2, 3, 3) belongs' in refusal(path, model)


def test_other_types_are_refused(path, model):
    rewrite(path, lambda arrays: arrays.update({'conv/b': np.ones(3), 'bn/N': np.array(0.5)}))
    message = refusal(path, model)
    assert 'conv/b (float64 where float32 belongs)' in message
    assert 'bn/N (float64 where a whole number belongs)' in message


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(path, model, value):
    def change(arrays):
        arrays['bn/avg_var'][1] = value

    rewrite(path, change)
    assert 'not finite' in refusal(path, model)
    assert 'bn/avg_var (1 of 3 values)' in refusal(path, model)


class Shell:
    """Unpickled, it would make a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.system, (f'mkdir {self.folder}',)


def test_nothing_is_unpickled(path, model, tmp_path):
    mark = tmp_path / 'was_run'
    pickled = np.empty((3, 2, 3, 3), object)
    pickled[...] = Shell(mark)
    rewrite(path, lambda arrays: arrays.update({'conv/W': pickled}))
    assert 'conv/W (object where float32 belongs)' in refusal(path, model)
    path.write_bytes(pickle.dumps(Shell(mark)))
    assert 'not a model file' in refusal(path, model)
    assert not mark.exists()


def test_a_file_that_declares_far_more_than_the_model_needs_is_refused_unread(path, model):
    def header(shape):
        start = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            start, {'descr': '<f4', 'fortran_order': False, 'shape': shape}
        )
        return start.getvalue()

    with np.load(str(path)) as file:
        arrays = dict(file)
    for shape, size in (((3, 2, 3, 3), 2**26), ((2**40,), 2**26), ((2**40,), 0)):
        with zipfile.ZipFile(str(path), 'w', zipfile.ZIP_DEFLATED) as archive:
            for key, array in arrays.items():
                with archive.open(key + '.npy', 'w') as member:
                    if key == 'conv/W':
                        member.write(header(shape))
                        member.write(bytes(size))
                    else:
                        np.lib.format.write_array(member, array)
        tracemalloc.start()
        try:
            message = refusal(path, model)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert 'conv/W' in message
        assert peak < 2**22  # 4 MiB, of 64 that the file unpacks to


@pytest.mark.parametrize('value', [-1, -(2**63), 10**12 + 1, 2**63 - 1])
def test_counts_that_cannot_be_are_refused(path, model, value):
    rewrite(path, lambda arrays: arrays.update({'bn/N': np.array(value)}))
    assert f'bn/N ({value})' in refusal(path, model)


@pytest.mark.parametrize('value', [0, 1, 10**12])
@pytest.mark.parametrize('dtype', [np.int32, np.int64, np.uint64])
def test_counts_of_any_whole_type_are_read(path, model, value, dtype):
    if value > np.iinfo(dtype).max:
        pytest.skip('the type does not hold it')
    rewrite(path, lambda arrays: arrays.update({'bn/N': np.array(value, dtype)}))
    other = Small()
    model_file.load(path, other)
    assert other.bn.N == value


@pytest.mark.parametrize('method', [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_than_numpys_are_refused(path, model, method):
    """One of them can ask for gigabytes to unpack a few bytes."""
    with zipfile.ZipFile(str(path)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(str(path), 'w', method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert 'compressed as NumPy does not do it' in refusal(path, model)


@pytest.mark.parametrize('entries', [100_000, 400_000])
def test_a_directory_of_any_size_is_not_read(path, model, entries):
    entry = b'PK\x01\x02' + bytes(42)
    directory = entry * entries
    end = struct.pack('<4s4H2LH', b'PK\x05\x06', 0, 0, 1, 1, len(directory), 0, 0)
    path.write_bytes(b'PK' + directory + end)
    tracemalloc.start()
    try:
        assert 'its directory has more than' in refusal(path, model)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24  # as objects it would take 100 MB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    'shape',
    [
        '(-1,)',
        '(True, 2)',
        '(1.5,)',
        '(3, 2, 3, -3)',
        '3',
        '()',
        '(10' + '0' * 3000 + ',)',
        '(1,' * 900,
    ],
    ids=lambda text: text[:12],
)
@pytest.mark.parametrize(
    'descr', ["'<f4'", "'|O'", "[('a', '<f4')]", "'<f4,' * 900", '7', '(1,' * 90]
)
def test_headers_that_make_no_sense_are_refused(path, model, shape, descr):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode() + b'\n'
    with np.load(str(path)) as file:
        arrays = dict(file)
    with zipfile.ZipFile(str(path), 'w') as archive:
        for key, array in arrays.items():
            with archive.open(key + '.npy', 'w') as member:
                if key == 'conv/W':
                    member.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header)
                else:
                    np.lib.format.write_array(member, array)
    assert len(refusal(path, model)) < 1200


@pytest.mark.parametrize('name', ['x' * 60_000, 'a\nb', '\x1b[2J', '../../etc/passwd'])
@pytest.mark.parametrize('ending', ['', '.npy'])
def test_names_of_members_cannot_break_the_line(path, model, name, ending):
    with zipfile.ZipFile(str(path), 'a') as archive:
        archive.writestr(name + ending, b'')
    message = refusal(path, model)
    assert '\x1b' not in message and len(message) < 1200


@pytest.mark.skipif(os.name != 'posix', reason='pipes and devices of POSIX')
@pytest.mark.parametrize('kind', ['pipe', 'device', 'folder'])
def test_pipes_devices_and_folders_are_refused_without_waiting(path, model, kind):
    path.unlink()
    if kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'device':
        path.symlink_to('/dev/zero')
    else:
        path.mkdir()
    assert f'it is a {kind}, not a regular file' in refusal(path, model)


@pytest.mark.parametrize('name', ['x' * 300, 'x/' * 3000, 'a\0b'])
def test_paths_that_cannot_be_are_refused(model, name):
    with pytest.raises(UserError, match='cannot read'):
        model_file.load(name, model)


def test_cut_at_any_place_a_file_is_refused(path, model):
    whole = path.read_bytes()
    for size in range(1, len(whole), 7):
        path.write_bytes(whole[:size])
        refusal(path, model)


@pytest.mark.parametrize('flip', [0x01, 0x80, 0xFF])
def test_a_flipped_byte_is_refused_or_does_no_harm(path, model, flip):
    whole, right = path.read_bytes(), contents(model)
    refused = 0
    for i in range(len(whole)):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ flip]) + whole[i + 1 :])
        other = Small()
        try:
            model_file.load(path, other)
        except UserError as error:
            assert '\n' not in str(error)
            refused += 1
        else:  # a date or another field of the zip that nothing depends on
            assert_same(contents(other), right)
    assert refused > len(whole) / 2


@pytest.mark.parametrize(
    'content, words',
    [
        (b'', 'is empty'),
        (b'hello, I am a text file', 'not a model file'),
        (b'PK\x05\x06' + bytes(18), 'missing bn/avg_mean'),
    ],
    ids=['empty', 'text', 'empty zip'],
)
def test_other_files_are_refused(path, model, content, words):
    path.write_bytes(content)
    assert words in refusal(path, model)


def test_a_zip_of_other_things_is_refused(path, model):
    with zipfile.ZipFile(str(path), 'w') as archive:
        archive.writestr('readme.txt', 'no arrays here')
    assert 'not a model file' in refusal(path, model)


def test_folders_and_absent_files_are_refused(model, tmp_path):
    assert 'it is a folder' in refusal(tmp_path, model)
    assert 'No such file' in refusal(tmp_path / 'none.model', model)


def test_a_snapshot_is_recognised_and_the_flag_that_takes_it_is_named(path, model):
    with open(str(path), 'wb') as file:
        np.savez(
            file,
            **{'updater/model:main/conv/W': model.conv.W.array, 'updater/iteration': np.array(3)},
        )
    assert 'snapshot' in refusal(path, model) and '--resume' in refusal(path, model)


def test_an_optimizers_file_is_recognised(path, model):
    optimizer = chainer.optimizers.MomentumSGD().setup(model)
    chainer.serializers.save_npz(str(path), optimizer)
    assert '--load_optimizer' in refusal(path, model)


def test_half_written_files_never_get_the_name(path, model, monkeypatch):
    whole = path.read_bytes()

    def fails(file, **arrays):
        file.write(b'half of it')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(np, 'savez', fails)
    with pytest.raises(UserError, match='No space left'):
        model_file.save(path, model)
    assert path.read_bytes() == whole
    assert os.listdir(str(path.parent)) == [path.name]
