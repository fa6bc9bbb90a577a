"""JSON of unknown origin is read within bounds and checked against schemas."""

import json
import math
import os
import tracemalloc

import pytest

from chainer_zoo import records
from chainer_zoo.errors import UserError


def refused(call, *args):
    with pytest.raises(UserError) as error:
        call(*args)
    message = str(error.value)
    assert '\n' not in message and len(message) < 500
    message.encode('utf-8')
    return message


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


@pytest.mark.parametrize(
    'value', [None, 1, -2.5, 'text', '\u6f22', [], [1, [2]], {'a': {'b': [None]}}, 10**24]
)
def test_json_is_read_as_it_was_written(tmp_path, value):
    assert records.read(write(tmp_path / 'a.json', value)) == value


@pytest.mark.parametrize('digits', [26, 400, 5000, 10**6])
def test_numbers_of_any_length_are_read_soon(tmp_path, digits):
    value = records.read(write(tmp_path / 'a.json', b'1' * digits))
    assert value == (float('1' * digits) if digits <= 308 else math.inf)


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'{',
        b'{"a": 1',
        b'nul',
        b'\xff',
        b'\xef\xbb\xbf[]',
        b'[' * 10**5,
        b'{"a":' * 10**5,
        b'[1] 2',
    ],
)
def test_what_is_no_json_is_named(tmp_path, content):
    path = write(tmp_path / 'a.json', content)
    assert f'{path} is damaged or no JSON' in refused(records.read, path)


@pytest.mark.parametrize('content', [b'[' + b'[],' * 100 + b'0]', b'[' + b'{"a":1},' * 100 + b'0]'])
def test_the_number_of_values_is_limited(tmp_path, content, monkeypatch):
    path = write(tmp_path / 'a.json', content)
    assert len(records.read(path)) == 101
    monkeypatch.setattr(records, 'MAX_VALUES', 150)
    assert 'more than 150 values' in refused(records.read, path)


def test_a_large_file_is_refused_unread(tmp_path):
    path = write(tmp_path / 'a.json', b'[]')
    os.truncate(path, 1 << 40)  # takes no room on the disk
    tracemalloc.start()
    try:
        refused(records.read, path)
        assert tracemalloc.get_traced_memory()[1] < 2 * records.MAX_BYTES
    finally:
        tracemalloc.stop()


def test_keys_that_nobody_wants_are_left_out(tmp_path):
    path = write(tmp_path / 'a.json', [{'a': 1, 'b': [2] * 9, 'c': {'a': 3, 'd': 4}}] * 3)
    assert records.read(path, keep={'a', 'c'}) == [{'a': 1, 'c': {'a': 3}}] * 3


NOT_NUMBERS = ['1', '', None, True, False, [], [1], {}, 'x' * 100]


@pytest.mark.parametrize('value, result', [(1, 1), (9, 9), (1.0, 1), (9.0, 9)])
def test_whole_numbers(value, result):
    found = records.whole(1, 9)(value, 'n')
    assert found == result and type(found) is int


@pytest.mark.parametrize(
    'value', [0, 10, -1, 1.5, 1e30, 10**30, math.nan, math.inf, -math.inf] + NOT_NUMBERS
)
def test_no_whole_numbers(value):
    assert 'expected a whole number from 1 to 9' in refused(records.whole(1, 9), value, 'n')


@pytest.mark.parametrize('value', [0, 1, 0.5, 1.0])
@pytest.mark.parametrize('finite', [True, False])
def test_numbers(value, finite):
    found = records.number(0, 1, finite)(value, 'n')
    assert found == value and type(found) is float


@pytest.mark.parametrize('value', [-0.1, 1.1, 1e308, 10**24, -math.inf, math.nan] + NOT_NUMBERS)
def test_no_numbers(value):
    assert 'expected a number from 0 to 1' in refused(records.number(0, 1), value, 'n')


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf, None])
def test_numbers_that_need_not_be_finite(value):
    found = records.number(0, 1, finite=False)(value, 'n')
    assert math.isnan(found) if value is None or math.isnan(value) else found == value


@pytest.mark.parametrize('value', [-0.1, 1.1, 1e308, '1', True, [], {}])
def test_numbers_that_need_not_be_finite_have_a_range_as_well(value):
    refused(records.number(0, 1, finite=False), value, 'n')


@pytest.mark.parametrize('value', ['', 'abc', '\u6f22\u5b57', '\ud800'])
def test_text(value):
    assert records.text(3)(value, 'n') == value


@pytest.mark.parametrize('value', ['abcd', b'abc', 1, None, [], ['a'], {}])
def test_no_text(value):
    assert 'expected text of at most 3 characters' in refused(records.text(3), value, 'n')


@pytest.mark.parametrize('value', [True, False, 0, -1.5, 10**24, '', 'abc'])
def test_scalars(value):
    assert records.scalar(3)(value, 'n') is value


@pytest.mark.parametrize('value', [None, [], {}, math.nan, math.inf, 'abcd'])
def test_no_scalars(value):
    refused(records.scalar(3), value, 'n')


def test_lists_and_objects():
    ones = records.list_of(records.whole(1, 1), 3)
    assert ones([], 'n') == [] and ones([1, 1.0], 'n') == [1, 1]
    assert 'n[1] is 2' in refused(ones, [1, 2], 'n')
    assert 'n has 4 items: at most 3' in refused(ones, [1] * 4, 'n')
    named = records.dict_of(records.whole(1, 1), 2)
    assert named({'a': 1, '\ud800': 1}, 'n') == {'a': 1, '\ud800': 1}
    assert "n['a'] is 'x'" in refused(named, {'a': 'x'}, 'n')
    assert 'n has 3 keys: at most 2' in refused(named, {'a': 1, 'b': 1, 'c': 1}, 'n')
    for value in (None, 1, 'abc', {}):
        assert 'expected a list' in refused(ones, value, 'n')
    for value in (None, 1, 'abc', []):
        assert 'expected an object' in refused(named, value, 'n')


def test_fields():
    schema = records.fields({'a': records.text(9)}, {'b': records.optional(records.whole(1, 9))})
    assert schema({'a': 'x', 'b': 3, 'c': 4}, 'n') == {'a': 'x', 'b': 3}
    assert schema({'a': 'x'}, 'n') == schema({'a': 'x', 'b': None}, 'n') == {'a': 'x', 'b': None}
    assert "n has no 'a'" in refused(schema, {'b': 3}, 'n')
    assert "n['b'] is 'x'" in refused(schema, {'a': 'x', 'b': 'x'}, 'n')
    assert 'expected an object' in refused(schema, ['a', 'b'], 'n')


@pytest.mark.parametrize(
    'value',
    ['x' * 10**7, [[[[[[1] * 10**6]]]]], {'a' * 10**6: 1}, 10**10000, list(range(10**6))],
    ids=['text', 'nested', 'object', 'number', 'list'],
)
def test_wrong_values_are_shown_in_a_few_characters(value):
    assert len(records.shown(value)) < 70
