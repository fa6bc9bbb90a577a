import hashlib
import os
import socket
import tarfile

import batches
import chainer
import numpy as np
import pytest

from chainer_zoo.data import cifar10
from chainer_zoo.errors import UserError


@pytest.fixture
def dataset_root(tmp_path):
    """An empty folder as Chainer's dataset folder."""
    before = chainer.dataset.get_dataset_root()
    chainer.dataset.set_dataset_root(str(tmp_path / 'root'))
    yield tmp_path / 'root'
    chainer.dataset.set_dataset_root(before)


def assert_reads(read, files):
    """Assert that a Dataset holds the images and labels of some files, in file order."""
    for name, x, y in (('train', read.train_x, read.train_y), ('test', read.test_x, read.test_y)):
        parts = [files[n] for n in (batches.TRAIN if name == 'train' else ['test_batch'])]
        expected = np.concatenate([part['data'] for part in parts]).reshape(-1, 3, 32, 32)
        assert x.dtype == np.uint8 and y.dtype == np.int32
        np.testing.assert_array_equal(x, expected)
        np.testing.assert_array_equal(y, np.concatenate([part['labels'] for part in parts]))
        assert x.flags.writeable and x.flags.c_contiguous
    assert read.label_names == tuple(batches.LABELS)


def error_of(path):
    with pytest.raises(UserError) as error:
        cifar10.read(str(path))
    message = str(error.value)
    assert '\n' not in message
    return message


@pytest.mark.parametrize('protocol', [2, 4, 5])
@pytest.mark.parametrize('inside', [False, True])
def test_reads_the_folder_or_a_folder_with_it(tmp_path, inside, protocol):
    files = batches.contents()
    folder = batches.write_folder(tmp_path, files, protocol)
    read = cifar10.read(str(tmp_path if inside else folder))
    assert_reads(read, files)
    assert read.source == str(folder)


@pytest.mark.parametrize('inside', [False, True])
def test_reads_the_archive_or_a_folder_with_it(tmp_path, inside):
    files = batches.contents()
    path = batches.write_archive(tmp_path / 'cifar-10-python.tar.gz', files)
    read = cifar10.read(str(tmp_path if inside else path))
    assert_reads(read, files)
    assert read.source == str(path)


@pytest.mark.parametrize(
    'lengths', [(3, 3, 3, 3, 3, 2), (1, 5, 0, 2, 7, 4)], ids=['equal', 'unequal']
)
@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('piece', [1000, cifar10._PIECE])
def test_the_order_inside_the_archive_does_not_matter(tmp_path, lengths, seed, piece, monkeypatch):
    """The official archive begins with data_batch_4."""
    monkeypatch.setattr(cifar10, '_PIECE', piece)
    files = batches.contents(lengths)
    names = list(files)
    np.random.RandomState(seed).shuffle(names)
    path = batches.write_archive(tmp_path / 'a.tar.gz', {name: files[name] for name in names})
    assert_reads(cifar10.read(str(path)), files)


def test_batches_of_any_length_are_read(tmp_path):
    files = batches.contents((1, 7, 0, 2, 30, 4))
    assert_reads(cifar10.read(str(batches.write_folder(tmp_path, files))), files)


def test_nothing_is_extracted_to_the_disk_wherever_members_claim_to_lie(tmp_path):
    files = batches.contents()
    path = batches.write_archive(tmp_path / 'a.tar.gz', files, prefix='../../escaped/')
    before = sorted(tmp_path.parent.rglob('*'))
    assert_reads(cifar10.read(str(path)), files)
    assert sorted(tmp_path.parent.rglob('*')) == before


@pytest.mark.parametrize('name', batches.NAMES + ['batches.meta'])
@pytest.mark.parametrize('kind', ['folder', 'archive'])
def test_a_missing_file_is_named(tmp_path, kind, name):
    files = batches.contents()
    del files[name]
    path = (
        batches.write_folder(tmp_path, files)
        if kind == 'folder'
        else batches.write_archive(tmp_path / 'a.tar.gz', files)
    )
    assert name in error_of(path)


WRONG = {
    'pickle of os.system': (b"cos\nsystem\n(S'true'\ntR.", 'refused: it asks for os.system'),
    'empty': (b'', 'damaged'),
    'no pickle': (b'<html>not found</html>', 'damaged'),
    'a list': ([1, 2, 3], 'holds list'),
    'no data': ({'labels': [1]}, "has no 'data'"),
    'no labels': ({'data': np.zeros((1, 3072), np.uint8)}, "has no 'labels'"),
    'floats': ({'data': np.zeros((1, 3072), np.float32), 'labels': [0]}, 'expected uint8'),
    'wrong shape': ({'data': np.zeros((3, 1024), np.uint8), 'labels': [0] * 3}, r'(N, 3072)'),
    'one dimension': ({'data': np.zeros(3072, np.uint8), 'labels': [0]}, r'(N, 3072)'),
    'no array': ({'data': 'text', 'labels': [0]}, r'(N, 3072)'),
    'too few labels': ({'data': np.zeros((3, 3072), np.uint8), 'labels': [0, 1]}, 'expected 3'),
    'half labels': ({'data': np.zeros((1, 3072), np.uint8), 'labels': [0.5]}, 'whole numbers'),
    'text labels': ({'data': np.zeros((1, 3072), np.uint8), 'labels': ['cat']}, 'whole numbers'),
    'uneven labels': (
        {'data': np.zeros((2, 3072), np.uint8), 'labels': [[1], [1, 2]]},
        'whole numbers',
    ),
    'label ten': ({'data': np.zeros((2, 3072), np.uint8), 'labels': [0, 10]}, 'expected 0 to 9'),
    'label below': ({'data': np.zeros((2, 3072), np.uint8), 'labels': [-1, 3]}, 'expected 0 to 9'),
}


@pytest.mark.parametrize('content, says', WRONG.values(), ids=list(WRONG))
@pytest.mark.parametrize('kind', ['folder', 'archive'])
def test_a_wrong_batch_is_named_with_what_is_wrong(tmp_path, kind, content, says):
    files = batches.contents()
    files['data_batch_3'] = content
    path = (
        batches.write_folder(tmp_path, files)
        if kind == 'folder'
        else batches.write_archive(tmp_path / 'a.tar.gz', files)
    )
    message = error_of(path)
    assert 'data_batch_3' in message and says in message


@pytest.mark.parametrize('meta', [{}, {'label_names': []}, {'label_names': 'cat'}])
def test_wrong_names_of_labels_are_an_error(tmp_path, meta):
    files = batches.contents()
    files['batches.meta'] = meta
    assert 'label_names' in error_of(batches.write_folder(tmp_path, files))


@pytest.mark.parametrize('lengths', [(0, 0, 0, 0, 0, 2), (3, 3, 3, 3, 3, 0)])
def test_a_set_without_images_is_an_error(tmp_path, lengths):
    assert 'no images' in error_of(batches.write_folder(tmp_path, batches.contents(lengths)))


def test_a_folder_where_a_file_belongs_is_named(tmp_path):
    files = batches.contents()
    del files['data_batch_1']
    folder = batches.write_folder(tmp_path, files)
    (folder / 'data_batch_1').mkdir()
    assert 'data_batch_1: it is a folder' in error_of(folder)


def test_a_file_that_may_not_be_read_is_named(tmp_path):
    if os.getuid() == 0:
        pytest.skip('root may read everything')
    folder = batches.write_folder(tmp_path, batches.contents())
    (folder / 'test_batch').chmod(0)
    assert 'test_batch: Permission denied' in error_of(folder)


LABELS = [-(2**64), -(2**63) - 1, -(2**32), -1, 10, 2**31, 2**32 + 1, 2**63, 2**64 + 1, 2**200]


@pytest.mark.parametrize('label', LABELS)
@pytest.mark.parametrize('name', ['data_batch_2', 'test_batch'])
def test_labels_out_of_range_are_refused_before_they_wrap(tmp_path, name, label):
    files = batches.contents()
    files[name]['labels'][1] = label
    message = error_of(batches.write_folder(tmp_path, files))
    assert name in message and str(label) in message and message.endswith('expected 0 to 9')


@pytest.mark.parametrize('dtype', ['u1', 'i1', '<i2', '>u4', '<i8', '>u8'])
def test_labels_may_be_an_array_of_any_whole_numbers(tmp_path, dtype):
    files = batches.contents()
    files['data_batch_2']['labels'] = np.array(files['data_batch_2']['labels'], dtype)
    assert_reads(cifar10.read(str(batches.write_folder(tmp_path, files))), files)


@pytest.mark.parametrize(
    'dtype, label', [('<i8', 2**32 + 1), ('>i8', -(2**32)), ('<u8', 2**64 - 1), ('<u4', 2**31)]
)
def test_labels_in_an_array_do_not_wrap(tmp_path, dtype, label):
    files = batches.contents()
    files['data_batch_2']['labels'] = np.array([1, label, 3], dtype)
    assert str(label) in error_of(batches.write_folder(tmp_path, files))


@pytest.mark.parametrize(
    'label', [True, False, None, 1.0, b'1', '1', [1], (1,), float('nan')], ids=repr
)
def test_labels_that_are_no_whole_numbers_are_refused(tmp_path, label):
    files = batches.contents()
    files['data_batch_2']['labels'][1] = label
    assert 'expected 3 whole numbers' in error_of(batches.write_folder(tmp_path, files))


@pytest.mark.parametrize(
    'names, says',
    [
        (['a'] * 1001, 'names 1,001 classes: at most 1000'),
        (['a', 'b' * 101], 'no text of at most 100 characters'),
        (['a', 3], 'no text'),
        (['a', None], 'no text'),
    ],
)
def test_names_of_labels_have_bounds(tmp_path, names, says):
    files = batches.contents()
    files['batches.meta'] = {'label_names': names}
    assert says in error_of(batches.write_folder(tmp_path, files))


def test_names_of_labels_cannot_break_a_line(tmp_path):
    files = batches.contents()
    files['batches.meta']['label_names'] = batches.LABELS[:9] + ['a\nb\x1b[2J']
    read = cifar10.read(str(batches.write_folder(tmp_path, files)))
    assert read.label_names[9] == r'a\nb\x1b[2J'


@pytest.mark.parametrize('compression', ['', 'gz', 'bz2', 'xz'])
@pytest.mark.parametrize('prefix', ['', 'cifar-10-batches-py/', './some/folders/'])
def test_the_right_files_in_another_tar_archive_are_read(tmp_path, compression, prefix):
    files = batches.contents()
    path = batches.write_archive(tmp_path / 'any.name', files, prefix, compression)
    assert_reads(cifar10.read(str(path)), files)


@pytest.mark.parametrize('prefix', ['', 'cifar-10-batches-py/', 'cifar-10-batches-py\\'])
def test_the_right_files_in_a_zip_are_read(tmp_path, prefix):
    files = batches.contents()
    path = batches.write_zip(tmp_path / 'any.name', files, prefix)
    assert_reads(cifar10.read(str(path)), files)


def test_every_form_of_the_same_files_has_the_same_digest(tmp_path):
    files = batches.contents()
    (tmp_path / 'folder').mkdir()
    paths = [
        batches.write_folder(tmp_path / 'folder', files),
        batches.write_archive(tmp_path / 'a.tar.gz', files),
        batches.write_archive(
            tmp_path / 'b.tar', {name: files[name] for name in reversed(files)}, compression=''
        ),
        batches.write_zip(tmp_path / 'c.zip', files),
    ]
    assert len({cifar10.read(str(path)).digest for path in paths}) == 1


@pytest.mark.parametrize(
    'inside',
    ['', 'cifar-10-batches-py', 'a', 'a/b', 'cifar-10-python/x/y', 'cifar-10-batches-py/z'],
)
def test_a_folder_up_to_three_levels_down_is_read(tmp_path, inside):
    files = batches.contents()
    (tmp_path / 'data' / inside).mkdir(parents=True)
    folder = batches.write_folder(tmp_path / 'data' / inside, files)
    read = cifar10.read(str(tmp_path / 'data'))
    assert_reads(read, files)
    assert read.source == str(folder)


@pytest.mark.parametrize(
    'name',
    [
        'cifar-10-python.tar.gz',
        'a/cifar-10-python.tgz',
        'a/b/cifar-10-python.tar',
        'cifar-10-batches-py.tar.bz2',
    ],
)
def test_an_archive_up_to_three_levels_down_is_read(tmp_path, name):
    files = batches.contents()
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    batches.write_archive(path, files, compression='')
    read = cifar10.read(str(tmp_path))
    assert_reads(read, files)
    assert read.source == str(path)


def test_folders_that_hold_themselves_are_searched_to_an_end(tmp_path):
    for name in 'abc':
        (tmp_path / name).symlink_to(tmp_path, target_is_directory=True)
    assert 'data_batch_1 is missing' in error_of(tmp_path)


CIFAR100 = ['train', 'test', 'meta', 'file.txt~']
BINARY = ['data_batch_1.bin', 'test_batch.bin', 'batches.meta.txt', 'readme.html']
OTHERS = {
    'CIFAR-100': (CIFAR100, 'it is CIFAR-100, and only CIFAR-10 is read'),
    'CIFAR-100, binary': (
        ['train.bin', 'test.bin', 'fine_label_names.txt'],
        'the binary version of CIFAR-100',
    ),
    'CIFAR-100, Matlab': (['train.mat', 'test.mat', 'meta.mat'], 'Matlab version of CIFAR-100'),
    'binary': (BINARY, 'the binary version of CIFAR-10'),
    'Matlab': (['data_batch_1.mat', 'test_batch.mat'], 'the Matlab version of CIFAR-10'),
    'PNG': (['0001.png', '0002.png'], 'image files such as 0001.png'),
    'JPEG': (['a.JPG', 'labels.csv'], 'image files such as a.jpg'),
    'an archive': (['cifar10.tar.gz.zip', 'a.txt'], 'holds an archive, cifar10.tar.gz.zip: unpack'),
}


@pytest.mark.parametrize('kind', OTHERS)
@pytest.mark.parametrize('inside', ['', 'some/folder/'])
@pytest.mark.parametrize('form', ['folder', 'tar.gz', 'zip'])
def test_a_data_set_of_another_kind_is_named_with_what_to_give(tmp_path, form, inside, kind):
    names, says = OTHERS[kind]
    files = dict.fromkeys(names, b'content')
    path = tmp_path / 'given'
    if form == 'folder':
        (path / inside).mkdir(parents=True)
        for name, content in files.items():
            (path / inside / name).write_bytes(content)
    elif form == 'zip':
        batches.write_zip(path, files, inside)
    else:
        batches.write_archive(path, files, inside)
    message = error_of(path)
    assert says in message and str(path) in message
    assert 'cifar-10-python.tar.gz from https://' in message


@pytest.mark.parametrize(
    'content, says',
    [
        (b'', 'it is empty'),
        (b'<!DOCTYPE html>', 'a web page'),
        (b'\n <html>', 'a web page'),
        (b'\x89PNG\r\n\x1a\n', 'a PNG image'),
        (b'\xff\xd8\xff\xe0', 'a JPEG image'),
        (b'7z\xbc\xaf\x27\x1c', 'unpack it'),
        (b'PAR1', 'a Parquet file'),
        (b'\x89HDF\r\n', 'an HDF5 file'),
        (bytes(3073 * 3), 'the binary version of CIFAR-10'),
        (bytes(3074 * 3), 'the binary version of CIFAR-100'),
        (batches.dumps(batches.batch(2, 0)), 'one of the files of the folder cifar-10-batches-py'),
        (b'hello', 'is no archive. Give'),
        (b'\x1f\x8b', 'is damaged'),
        (b'PK\x03\x04', 'is damaged'),
        (b'PK\x05\x06' + bytes(18), 'it holds none of the files of CIFAR-10'),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path, content, says):
    (tmp_path / 'given').write_bytes(content)
    message = error_of(tmp_path / 'given')
    assert says in message and str(tmp_path / 'given') in message


def test_a_batch_of_cifar_100_is_named(tmp_path):
    files = batches.contents()
    files['data_batch_1']['fine_labels'] = files['data_batch_1'].pop('labels')
    assert 'data_batch_1 is of CIFAR-100' in error_of(batches.write_folder(tmp_path, files))


def special(kind, path):
    """Make something at ``path`` that is no regular file."""
    if kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'socket':
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(os.path.relpath(path))  # such a path may have 107 characters
    elif kind == 'device':
        os.symlink('/dev/zero', path)


@pytest.mark.skipif(os.name != 'posix', reason='pipes and devices of POSIX')
@pytest.mark.parametrize('kind', ['pipe', 'socket', 'device'])
@pytest.mark.parametrize('name', ['data_batch_1', 'test_batch', 'batches.meta', None])
def test_pipes_sockets_and_devices_are_refused_without_waiting(tmp_path, kind, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'given'
    if name is not None:
        files = batches.contents()
        del files[name]
        path = batches.write_folder(tmp_path, files)
    special(kind, path / name if name else path)
    message = error_of(path)
    assert f'it is a {kind}, not a regular file' in message and (name or 'given') in message


@pytest.mark.parametrize('path', ['x' * 300, 'x/' * 3000, 'a\0b'])
def test_paths_that_cannot_be_are_named(path):
    assert 'does not exist' in error_of(path)


def test_a_file_larger_than_any_batch_is_refused_unread(tmp_path):
    folder = batches.write_folder(tmp_path, batches.contents())
    os.truncate(folder / 'data_batch_1', 1 << 40)  # takes no room on the disk
    assert 'data_batch_1 has 1,099,511,627,776 bytes' in error_of(folder)


@pytest.mark.parametrize('size', [(1 << 28) + 1, 1 << 31, 1 << 40])
def test_a_member_larger_than_any_batch_is_refused_unread(tmp_path, size):
    member = tarfile.TarInfo('cifar-10-batches-py/data_batch_1')
    member.size = size
    path = tmp_path / 'sparse.tar'
    path.write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    assert f'data_batch_1 in {path} has {size:,} bytes' in error_of(path)


@pytest.mark.parametrize('name', ['nowhere', 'nowhere/cifar-10-python.tar.gz'])
def test_a_path_that_does_not_exist_is_named_with_what_was_expected(tmp_path, name):
    message = error_of(tmp_path / name)
    assert 'nowhere' in message and 'cifar-10-python.tar.gz' in message


def test_an_empty_folder_is_an_error(tmp_path):
    assert 'data_batch_1 is missing' in error_of(tmp_path)


@pytest.mark.parametrize('part', [i / 10 for i in range(10)])
def test_an_archive_that_is_cut_off_anywhere_is_named(tmp_path, part):
    path = batches.write_archive(tmp_path / 'cut.tar.gz', batches.contents())
    raw = path.read_bytes()
    path.write_bytes(raw[: int(part * len(raw))])
    assert 'cut.tar.gz' in error_of(path)


def test_an_archive_cut_off_by_its_last_byte_is_named(tmp_path):
    path = batches.write_archive(tmp_path / 'cut.tar.gz', batches.contents())
    path.write_bytes(path.read_bytes()[:-1])
    assert 'cut.tar.gz' in error_of(path)


@pytest.mark.parametrize('part', [i / 10 + 0.05 for i in range(10)])
def test_a_flipped_byte_in_the_archive_is_noticed(tmp_path, part):
    path = batches.write_archive(tmp_path / 'flipped.tar.gz', batches.contents())
    raw = bytearray(path.read_bytes())
    raw[int(part * len(raw))] ^= 4
    path.write_bytes(bytes(raw))
    assert 'flipped.tar.gz' in error_of(path)


@pytest.mark.parametrize(
    'place',
    [
        'chainer_zoo/cifar10/cifar-10-python.tar.gz',
        'cifar-10-python.tar.gz',
        os.path.join('_dl_cache', hashlib.md5(cifar10.URL.encode()).hexdigest()),
    ],
    ids=['own', 'root', "Chainer's own get_cifar10"],
)
def test_finds_an_archive_in_the_dataset_folder(dataset_root, place):
    path = dataset_root / place
    path.parent.mkdir(parents=True)
    files = batches.contents()
    batches.write_archive(path, files)
    read = cifar10.read(download=False)
    assert_reads(read, files)
    assert read.source == str(path)


def test_without_a_copy_or_a_network_it_names_the_three_ways_to_go_on(dataset_root):
    url = 'http://127.0.0.1:9/cifar-10-python.tar.gz'  # nobody listens there
    with pytest.raises(UserError) as error:
        cifar10.read(url=url, progress=False)
    message = str(error.value)
    assert '\n' not in message
    assert '--data' in message and '--dataset shapes' in message
    assert str(dataset_root / 'chainer_zoo' / 'cifar10' / 'cifar-10-python.tar.gz') in message


def test_downloading_can_be_switched_off(dataset_root):
    with pytest.raises(UserError, match='switched off.*--data.*--dataset shapes'):
        cifar10.read(download=False)
    assert not dataset_root.exists()


def test_the_real_images_have_5000_and_1000_of_each_class(cifar10_folder):
    read = cifar10.read(str(cifar10_folder))
    assert read.train_x.shape == (50000, 3, 32, 32) and read.test_x.shape == (10000, 3, 32, 32)
    assert np.bincount(read.train_y).tolist() == [5000] * 10
    assert np.bincount(read.test_y).tolist() == [1000] * 10
    assert read.label_names == tuple(batches.LABELS)
