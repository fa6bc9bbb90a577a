import io
import os
import pickle
import pickletools
import tracemalloc

import batches
import numpy as np
import pytest

from chainer_zoo.data import safe_pickle
from chainer_zoo.errors import UserError


def load(raw):
    return safe_pickle.load_dict(io.BytesIO(raw), 'some/file')


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('protocol', range(6))
@pytest.mark.parametrize(
    'array',
    [
        np.arange(12, dtype=np.uint8).reshape(3, 4),
        np.arange(6, dtype='>i4'),
        np.arange(6.0).reshape(2, 3, order='F'),
        np.zeros((0, 3072), dtype=np.uint8),
    ],
    ids=lambda array: str(array.dtype),
)
def test_reads_arrays_that_any_protocol_wrote(array, protocol):
    read = load(batches.dumps({'data': array, 'n': 3}, protocol))
    np.testing.assert_array_equal(read['data'], array)
    assert read['data'].dtype == array.dtype
    assert read['n'] == 3


@pytest.mark.parametrize('module', [b'numpy.core.multiarray', b'numpy._core.multiarray'])
def test_reads_arrays_of_old_and_new_numpy(module):
    raw = batches.dumps({'data': np.arange(3, dtype=np.uint8)})
    read = load(raw.replace(b'numpy.core.multiarray', module))
    np.testing.assert_array_equal(read['data'], [0, 1, 2])


def test_reads_text_of_python_2_as_bytes_and_keys_as_text():
    read = load(batches.dumps({'names': ['a', 'b'], 'label': 'some'}))
    assert read == {'names': [b'a', b'b'], 'label': b'some'}


@pytest.mark.parametrize(
    'function, args, name',
    [
        (os.system, ('touch {}',), 'system'),
        (eval, ('open("{}", "w")',), 'eval'),
        (open, ('{}', 'w'), 'open'),
        (getattr, (os, 'system'), 'getattr'),
        (np.load, ('{}',), 'numpy.load'),
        (np.lib.format.open_memmap, ('{}', 'w+', 'u1', (3,)), 'numpy'),
    ],
    ids=['os.system', 'eval', 'open', 'getattr', 'numpy.load', 'numpy.memmap'],
)
@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_a_call_of_any_function_is_refused_by_name(function, args, name, protocol, tmp_path):
    target = tmp_path / 'touched'
    args = tuple(a.format(target) if isinstance(a, str) else a for a in args)
    if function is getattr:
        args = ('text', 'upper')
    raw = pickle.dumps({'data': Calls(function, *args)}, protocol)
    with pytest.raises(UserError) as error:
        load(raw)
    message = str(error.value)
    assert name in message and 'some/file' in message and 'refused' in message
    assert '\n' not in message
    assert not target.exists()


def test_numpy_types_that_could_hold_objects_are_refused():
    raw = pickle.dumps({'data': np.array([Calls(os.getpid)], dtype=object)}, 2)
    with pytest.raises(UserError, match='refused|damaged'):
        load(raw)


def test_an_array_whose_size_is_a_lie_is_refused():
    raw = batches.dumps({'data': np.zeros(5, dtype=np.uint8)}, 2)
    assert raw.count(b'K\x05') == 1  # the shape
    with pytest.raises(UserError, match='damaged'):
        load(raw.replace(b'K\x05', b'K\x7f'))


def test_text_in_a_compressed_encoding_is_refused():
    import _codecs

    raw = pickle.dumps({'data': Calls(_codecs.encode, 'abc', 'utf-7')}, 2)
    with pytest.raises(UserError, match='refused.*utf-7'):
        load(raw)


@pytest.mark.parametrize('raw', [b'', b'\x00' * 50, b'hello', b'\x80\x02', b'\x80\x63}.', b'(dp0'])
def test_what_is_no_pickle_is_named(raw):
    with pytest.raises(UserError, match='some/file is damaged or no pickle') as error:
        load(raw)
    assert '\n' not in str(error.value)


def test_a_pickle_of_something_else_is_named():
    with pytest.raises(UserError, match='some/file holds list where a dictionary belongs'):
        load(pickle.dumps([1, 2]))


def test_truncated_at_any_operation_it_is_an_error_of_one_line():
    raw = batches.dumps({'data': np.arange(9, dtype=np.uint8), 'labels': [1, 2, 3]})
    ends = [position for _, _, position in pickletools.genops(raw)]
    for end in ends:
        with pytest.raises(UserError) as error:
            load(raw[:end])
        assert '\n' not in str(error.value)


def test_flipped_bytes_end_in_an_error_of_one_line_or_in_a_dictionary():
    raw = batches.dumps({'data': np.arange(9, dtype=np.uint8), 'labels': [1, 2, 3], 'n': 'text'})
    rng = np.random.RandomState(0)
    errors = 0
    for _ in range(2000):
        damaged = bytearray(raw)
        damaged[rng.randint(len(raw))] ^= 1 << rng.randint(8)
        try:
            assert isinstance(load(bytes(damaged)), dict)
        except UserError as error:
            assert '\n' not in str(error)
            errors += 1
    assert errors > 500


@pytest.mark.parametrize(
    'raw',
    [
        b'\x80\x02}r\xff\xff\xff\x7f.',  # to be remembered as number 2 ** 31 - 1
        b'\x80\x05}\x8c\x01a\x96' + b'\xff' * 6 + b'\x00\x00.',  # a bytearray of 2 ** 48 - 1 bytes
        b'\x80\x05}\x8c\x01a\x8e' + b'\xff' * 6 + b'\x00\x00.',  # as many bytes
        b'\x80\x02}U\x01aT\xff\xff\xff\x7fabc.',  # a string of 2 ** 31 - 1
    ],
    ids=['memo', 'bytearray', 'bytes', 'string'],
)
def test_a_file_that_claims_to_be_huge_takes_no_memory(raw, tmp_path):
    path = tmp_path / 'bomb'
    path.write_bytes(raw)
    tracemalloc.start()
    try:
        with path.open('rb') as file:
            safe_pickle.load_dict(file, 'some/file')
    except UserError as error:
        assert 'some/file' in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1 << 20
