import io
import os
import pickle
import pickletools
import struct
import time
import tracemalloc

import batches
import numpy as np
import pytest

from chainer_zoo.data import safe_pickle
from chainer_zoo.errors import UserError


def load(raw):
    return safe_pickle.load_dict(io.BytesIO(raw), len(raw), 'some/file')


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


def refusal(raw):
    """Load what has to be refused: in one line, soon, and in memory as the file's size has it."""
    file = io.BytesIO(raw)
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(UserError) as error:
            safe_pickle.load_dict(file, len(raw), 'some/file')
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - start < 5 and peak < 200 * len(raw) + (1 << 20)
    assert '\n' not in str(error.value) and 'some/file' in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    'raw',
    [
        b'\x80\x05}\x8c\x01a\x96' + b'\xff' * 6 + b'\x00\x00.',  # a bytearray of 2 ** 48 - 1 bytes
        b'\x80\x05}\x8c\x01a\x8e' + b'\xff' * 6 + b'\x00\x00.',  # as many bytes
        b'\x80\x05}\x8c\x01a\x8d' + b'\xff' * 6 + b'\x00\x00.',  # as much text
        b'\x80\x05}\x8c\x01a\x8e' + b'\xff' * 8 + b'.',
        b'\x80\x02}U\x01aT\xff\xff\xff\x7fabc.',  # a string of 2 ** 31 - 1
        b'\x80\x02}U\x01aT\xff\xff\xff\xffabc.',  # a string of -1
        b'\x80\x02}U\x01aX\xff\xff\xff\xffabc.',
    ],
)
def test_a_string_that_claims_to_be_huge_takes_no_memory(raw):
    assert 'it ends too early' in refusal(raw)


@pytest.mark.parametrize('index', [2**31 - 1, 2**32 - 1])
def test_a_huge_number_of_a_memo_takes_no_memory(index):
    tracemalloc.start()
    try:
        assert load(b'\x80\x02}r' + struct.pack('<I', index) + b'.') == {}
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def nested(levels, opened, closed):
    """Return a pickle of a dictionary whose value 'a' is nested so deep."""
    return b'\x80\x02}U\x01a' + opened * levels + b'N' + closed * levels + b's.'


@pytest.mark.parametrize('levels', [1, 2, safe_pickle.MAX_DEPTH - 2])
@pytest.mark.parametrize(
    'opened, closed',
    [(b']', b'a'), (b'(', b't'), (b'(', b'l'), (b')', b'\x86'), (b'}U\x01a', b's')],
)
def test_containers_may_be_nested_a_few_levels_deep(levels, opened, closed):
    assert 'a' in load(nested(levels, opened, closed))


@pytest.mark.parametrize('levels', [safe_pickle.MAX_DEPTH, 60, 10**4])
@pytest.mark.parametrize(
    'opened, closed',
    [(b']', b'a'), (b'(', b't'), (b'(', b'l'), (b')', b'\x86'), (b'}U\x01a', b's')],
)
def test_containers_nested_deeper_are_refused(levels, opened, closed):
    message = refusal(nested(levels, opened, closed))
    assert f'nested more than {safe_pickle.MAX_DEPTH} levels deep' in message


@pytest.mark.parametrize('levels', [2, 30, 60, 200])
@pytest.mark.parametrize(
    'double', [b'(h\x00h\x00tq\x00', b'(h\x00h\x00lq\x00', b'h\x00h\x00\x86q\x00'], ids=repr
)
@pytest.mark.parametrize('place', [b's', b'Ns'], ids=['value', 'key'])
def test_containers_that_are_shared_are_refused(levels, double, place):
    """A file of 300 bytes holds 2 ** 60 items if each level holds the one before twice."""
    message = refusal(b'\x80\x02}U\x01a)q\x00' + double * levels + place + b'.')
    assert 'in two places' in message


def test_a_list_of_2_to_the_30_labels_is_refused():
    levels = 6  # of 32 times the level before
    raw = b'\x80\x02}U\x06labels]q\x00(' + b'K\x00' * 32 + b'e'
    raw += b''.join(b']q' + bytes([i + 1]) + b'(' + b'h' + bytes([i]) * 32 for i in range(levels))
    assert 'list in two places' in refusal(raw)


def test_a_list_that_holds_itself_is_refused():
    assert 'list in two places' in refusal(b'\x80\x02}U\x01a]q\x00h\x00as.')


@pytest.mark.parametrize(
    'key, kind',
    [
        (b')', 'tuple'),
        (b'N\x85', 'tuple'),
        (b']', 'list'),
        (b'}', 'dict'),
        (b'K\x01', 'int'),
        (b'G' + bytes(8), 'float'),
        (b'N', 'NoneType'),
        (b'\x88', 'bool'),
        (b'cnumpy\ndtype\n', 'Function'),
        (b'X\xc9\x00\x00\x00' + b'k' * 201, 'text of 201 characters'),
    ],
)
def test_keys_are_short_text(key, kind):
    assert f'a key that is no short text, but {kind}' in refusal(b'\x80\x02}' + key + b'Ns.')
    assert f'a key that is no short text, but {kind}' in refusal(b'\x80\x02(' + key + b'Nd.')
    assert f'a key that is no short text, but {kind}' in refusal(b'\x80\x02}(' + key + b'Nu.')


def test_long_text_is_not_copied_from_the_memo():
    """Encoding one text of 1 MB a thousand times over would make 1 GB of it."""
    text = b'X' + struct.pack('<I', 1 << 20) + b'x' * (1 << 20) + b'q\x00'
    call = b'c_codecs\nencode\nh\x00U\x06latin1\x86R'
    assert 'text of 1,048,576 characters in two places' in refusal(
        b'\x80\x02}U\x01a' + text + b'U\x01b(' + call * 1000 + b'lu.'
    )


@pytest.mark.parametrize('operation', [b'K\x01', b'N', b')', b']', b'}', b'h\x00', b'('], ids=repr)
def test_operations_are_counted(operation, monkeypatch):
    monkeypatch.setattr(safe_pickle, 'MAX_OPERATIONS', 1000)
    raw = b'\x80\x02}U\x01aq\x00('
    assert load(raw + b'K\x01' * 900 + b'ls.')['a'] == [1] * 900
    assert 'more than 1,000 operations' in refusal(raw + operation * 1000 + b'ls.')


@pytest.mark.parametrize('digits', [41, 5000])
@pytest.mark.parametrize('code', [b'I', b'L'])
def test_numbers_have_a_limited_number_of_digits(code, digits):
    assert load(b'}S"a"\n' + code + b'9' * 30 + b'\ns.') == {'a': 10**30 - 1}
    refusal(b'}S"a"\n' + code + b'9' * digits + b'\ns.')


@pytest.mark.parametrize(
    'shape', [(-1,), (1, -1), (True, 9), (9.0,), (3, 3, 2), (2**62, 4), 'text']
)
def test_shapes_that_do_not_fit_are_refused(shape):
    array = np.arange(9, dtype=np.uint8)

    class Forged:
        def __reduce__(self):
            function, args, state = array.__reduce__()
            return function, args, (state[0], shape) + state[2:]

    assert 'damaged' in refusal(pickle.dumps({'data': Forged()}, 2))


@pytest.mark.parametrize(
    'code', ['O', 'O8', 'S10', 'V8', 'M8', 'c16', 'U4', '1000000u1', 'u1,O', 'g']
)
def test_types_of_arrays_that_are_no_plain_numbers_are_refused(code):
    raw = pickle.dumps({'data': np.arange(9, dtype=np.uint8)}, 2)
    forged = raw.replace(
        b'X\x02\x00\x00\x00u1', b'X' + struct.pack('<I', len(code)) + code.encode()
    )
    assert forged != raw
    assert f'an array of type {code!r}' in refusal(forged)


REFUSED = [
    opcode
    for opcode in pickletools.opcodes
    if opcode.code.encode('latin-1') not in {*safe_pickle._VALUES, *safe_pickle._OPERATIONS, b'.'}
]


@pytest.mark.parametrize('opcode', REFUSED, ids=[opcode.name for opcode in REFUSED])
def test_operations_that_no_data_file_needs_are_refused(opcode):
    assert opcode.name in {
        *('INST', 'OBJ', 'NEWOBJ', 'NEWOBJ_EX', 'PERSID', 'BINPERSID', 'EXT1', 'EXT2', 'EXT4'),
        *('NEXT_BUFFER', 'READONLY_BUFFER', 'LONG4', 'EMPTY_SET', 'ADDITEMS', 'FROZENSET'),
        *('POP', 'POP_MARK', 'DUP'),
    }
    message = refusal(b'\x80\x05}U\x01a' + opcode.code.encode('latin-1') + bytes(20))
    assert f'refused: it asks for the operation {opcode.name}' in message
