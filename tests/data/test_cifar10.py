import hashlib
import os

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


def test_labels_may_be_an_array(tmp_path):
    files = batches.contents()
    files['data_batch_2']['labels'] = np.array(files['data_batch_2']['labels'])
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
    assert 'data_batch_1 cannot be read' in error_of(folder)


def test_a_file_that_may_not_be_read_is_named(tmp_path):
    if os.getuid() == 0:
        pytest.skip('root may read everything')
    folder = batches.write_folder(tmp_path, batches.contents())
    (folder / 'test_batch').chmod(0)
    assert 'test_batch cannot be read' in error_of(folder)


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
