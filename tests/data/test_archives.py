"""Archives are read whatever they are packed by, and a hostile one costs next to nothing."""

import gzip
import io
import struct
import tarfile
import time
import tracemalloc
import zipfile

import batches
import numpy as np
import pytest

from chainer_zoo.data import archives
from chainer_zoo.errors import UserError

FILES = {'a': b'some text', 'b': b'', 'c': bytes(range(256)) * 4, 'd' * 50: b'x' * 512}


def read(path):
    """Return the content of all files of an archive."""
    with open(path, 'rb') as file:
        assert archives.is_archive(file)
        return {m.name: m.file.read(m.size) for m in archives.members(file, str(path))}


def refusal(path):
    """Read what has to be refused: in one line, within 16 MiB (xz takes 8) and a second."""
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(UserError) as error:
            read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - start < 1 and peak < 1 << 24
    assert '\n' not in str(error.value) and str(path) in str(error.value)
    return str(error.value)


def header(name='a', size=0, kind=tarfile.REGTYPE, **changes):
    """Return a tar header that declares what is given."""
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    for key, value in changes.items():
        setattr(member, key, value)
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize('prefix', ['', 'folder/', '/' + 'long/' * 40, '\u6f22/'])
@pytest.mark.parametrize('compression', ['', 'gz', 'bz2', 'xz'])
@pytest.mark.parametrize(
    'form',
    [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT],
    ids=['ustar', 'GNU', 'pax'],
)
def test_tar_archives_of_all_kinds_are_read(tmp_path, prefix, compression, form):
    path = batches.write_archive(tmp_path / 'archive', FILES, prefix, compression, form)
    assert read(path) == {prefix + name: content for name, content in FILES.items()}


@pytest.mark.parametrize('prefix', ['', 'folder/', 'long/' * 40, '\u6f22/'])
@pytest.mark.parametrize('compression', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_archives_are_read(tmp_path, prefix, compression):
    path = batches.write_zip(tmp_path / 'archive', FILES, prefix, compression)
    assert read(path) == {prefix + name: content for name, content in FILES.items()}


@pytest.mark.parametrize('write', [batches.write_archive, batches.write_zip])
@pytest.mark.parametrize('read_bytes', [0, 1, 100])
def test_files_need_not_be_read_to_their_end(tmp_path, write, read_bytes):
    path = write(tmp_path / 'archive', FILES, '')
    with open(path, 'rb') as file:
        found = {m.name: m.file.read(read_bytes) for m in archives.members(file, 'a')}
    assert found == {name: content[:read_bytes] for name, content in FILES.items()}


def test_folders_and_links_are_left_out(tmp_path):
    with tarfile.open(tmp_path / 'a.tar', 'w') as archive:
        for name, kind in (('f', tarfile.DIRTYPE), ('l', tarfile.SYMTYPE), ('p', tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, '/etc/passwd'
            archive.addfile(member)
        member = tarfile.TarInfo('file')
        member.size = 2
        archive.addfile(member, io.BytesIO(b'hi'))
    assert read(tmp_path / 'a.tar') == {'file': b'hi'}


@pytest.mark.parametrize('compression', ['', 'gz', 'bz2', 'xz'])
@pytest.mark.parametrize('part', [0.1, 0.3, 0.5, 0.7, 0.9])
def test_an_archive_cut_off_anywhere_is_damaged(tmp_path, compression, part):
    noise = {f'{i}': np.random.RandomState(i).bytes(9000) for i in range(8)}
    path = batches.write_archive(tmp_path / 'archive', noise, compression=compression)
    path.write_bytes(path.read_bytes()[: int(part * 8 * 9728) + 7])
    assert 'damaged' in refusal(path)


@pytest.mark.parametrize('write', [batches.write_archive, batches.write_zip])
def test_a_flipped_bit_is_noticed_by_the_checksum(tmp_path, write):
    noise = {f'{i}': np.random.RandomState(i).bytes(900) for i in range(4)}
    path = write(tmp_path / 'archive', noise)
    whole = path.read_bytes()
    place = len(whole) // 2
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 8]) + whole[place + 1 :])
    with pytest.raises(UserError):
        read(path)


@pytest.mark.parametrize('compression', ['', 'gz', 'bz2', 'xz'])
@pytest.mark.parametrize('members', [1, 10])
def test_no_more_is_unpacked_than_allowed(tmp_path, compression, members, monkeypatch):
    path = batches.write_archive(
        tmp_path / 'bomb',
        {f'{i}': bytes((1 << 22) // members) for i in range(members)},
        '',
        compression,
    )
    assert len(read(path)) == members
    monkeypatch.setattr(archives, 'MAX_TOTAL', 1 << 20)
    with open(path, 'rb') as file, pytest.raises(UserError, match='more than 1,048,576 bytes'):
        for _ in archives.members(file, 'bomb'):
            pass


@pytest.mark.parametrize('size', [1 << 31, 1 << 40, 8**11 - 1])
@pytest.mark.parametrize(
    'kind', [tarfile.REGTYPE, tarfile.GNUTYPE_SPARSE, tarfile.CONTTYPE, b'?'], ids=repr
)
def test_a_size_that_is_a_lie_costs_nothing(tmp_path, kind, size):
    """Sparse files of 2 GB and 1 TB take a few bytes in an archive."""
    path = tmp_path / 'sparse.tar'
    path.write_bytes(header('data_batch_1', size, kind) + bytes(1024))
    with open(path, 'rb') as file, pytest.raises(UserError, match='damaged'):
        for member in archives.members(file, 'sparse.tar'):
            assert member.size == size


@pytest.mark.parametrize('kind', [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
@pytest.mark.parametrize('size', [-1, -512, -(1 << 40)])
def test_a_negative_size_is_refused(tmp_path, kind, size):
    path = tmp_path / 'negative.tar'
    path.write_bytes(header('data_batch_1', size, kind) + bytes(1024))
    assert 'a size below 0' in refusal(path)


@pytest.mark.parametrize('kind', [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
@pytest.mark.parametrize('size', [1 << 17, 1 << 28, 1 << 33])
def test_names_of_any_length_are_not_read(tmp_path, kind, size):
    path = tmp_path / 'names.tar.gz'
    with gzip.open(path, 'wb', 1) as file:
        file.write(header('././@LongLink', size, kind))
        for _ in range(min(size, 1 << 22) >> 20):
            file.write(bytes(1 << 20))
    assert 'a name of' in refusal(path)


@pytest.mark.parametrize('kind', [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK])
def test_extra_headers_that_say_nothing_of_names_are_passed_over(tmp_path, kind):
    record = b'20 mtime=1234567890\n'
    content = header('x', len(record), kind) + record.ljust(512, b'\0')
    content += header('a', 2) + b'hi'.ljust(512, b'\0') + bytes(1024)
    (tmp_path / 'a.tar').write_bytes(content)
    assert read(tmp_path / 'a.tar') == {'a': b'hi'}


@pytest.mark.parametrize('write', [batches.write_archive, batches.write_zip])
def test_no_more_files_are_looked_at_than_allowed(tmp_path, write, monkeypatch):
    path = write(tmp_path / 'many', {f'{i}': b'' for i in range(50)})
    assert len(read(path)) == 50
    monkeypatch.setattr(archives, 'MAX_MEMBERS', 49)
    assert 'more than 49 files' in refusal(path)


@pytest.mark.parametrize('size', [1 << 30, 1 << 40])
def test_a_zip_that_declares_gigabytes_is_refused_unread(tmp_path, size):
    path = tmp_path / 'bomb.zip'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('a', b'small')
        archive.getinfo('a').file_size = size  # as its directory says
    assert 'unpacks to more than' in refusal(path)


def test_a_zip_with_a_large_directory_is_refused_unread(tmp_path):
    path = tmp_path / 'bomb.zip'
    entry = struct.pack('<4s4B4HL2L5H2L', b'PK\x01\x02', *[20, 0, 20, 0], *[0] * 14) + b''
    directory = entry * 150_000
    end = struct.pack('<4s4H2LH', b'PK\x05\x06', 0, 0, 1, 1, len(directory), 0, 0)
    path.write_bytes(directory + end)
    with open(path, 'rb') as file, pytest.raises(ValueError, match='directory'):
        archives.open_zip(file)


def test_an_encrypted_zip_is_named(tmp_path):
    path = batches.write_zip(tmp_path / 'a.zip', FILES)
    with zipfile.ZipFile(path) as archive:
        offset = archive.start_dir
    raw = bytearray(path.read_bytes())
    raw[offset + 8] |= 1
    path.write_bytes(bytes(raw))
    assert 'is encrypted: unpack it' in refusal(path)


@pytest.mark.parametrize('method', [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_packed_unusually_is_named(tmp_path, method):
    path = batches.write_zip(tmp_path / 'a.zip', FILES, compression=method)
    assert 'packed unusually' in refusal(path)


@pytest.mark.parametrize('content', [b'', b'hello', bytes(512), b'\x80\x02}.', b'%PDF-1.4'])
def test_other_files_are_no_archives(content):
    assert not archives.is_archive(io.BytesIO(content))


@pytest.mark.parametrize('module', ['bz2', 'lzma'])
def test_a_python_without_a_compression_says_so(tmp_path, module, monkeypatch):
    path = batches.write_archive(
        tmp_path / 'a', FILES, compression={'lzma': 'xz'}.get(module, module)
    )
    monkeypatch.setitem(__import__('sys').modules, module, None)
    assert f'built without {module}' in refusal(path)
