"""Reading JSON from an untrusted source: bounded in size, and checked against a schema.

A schema is a function that takes a value and what to call it, and returns the value or raises a
:class:`~chainer_zoo.errors.UserError`. The functions here make schemas, and put them together::

    schema = fields({'epoch': whole(1, 10**6), 'loss': number(0, 1e50, finite=False)})
    log = list_of(schema, 10**5)(read(path), path)
"""

from __future__ import annotations

import json
import math
import os
import reprlib
from collections.abc import Collection
from typing import Any
from typing import Callable

from chainer_zoo.errors import UserError
from chainer_zoo.files import open_regular

#: Bytes of a file at most.
MAX_BYTES = 1 << 27

#: Values in a file at most, which is what memory and time are spent on.
MAX_VALUES = 5_000_000

_SHOWN = 60  # characters of a wrong value that a message shows
_DIGITS = 25  # of a whole number; one with more is read as a float, in time that does not explode

Schema = Callable[[Any, str], Any]


def read(path: str | os.PathLike[str], keep: Collection[str] | None = None) -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        keep: What to keep of each object, by key; everything if None. What is left out takes no
            memory.

    Returns:
        Its value. NaN and Infinity are read as Python writes them.

    Raises:
        UserError: The file cannot be read, is too large or is no JSON.
    """
    with open_regular(path) as file:
        data = file.read(min(os.fstat(file.fileno()).st_size, MAX_BYTES) + 1)
    if len(data) > MAX_BYTES:
        raise UserError(f'{path} has more than {MAX_BYTES:,} bytes')
    # every value but the first follows one of these
    if data.count(b',') + data.count(b'[') + data.count(b'{') > MAX_VALUES:
        raise UserError(f'{path} holds more than {MAX_VALUES:,} values')
    hook = None if keep is None else lambda pairs: {k: v for k, v in pairs if k in keep}
    try:
        text = data.decode('utf-8')
        del data
        return json.loads(text, parse_int=_int, object_pairs_hook=hook)
    except (ValueError, RecursionError) as error:
        raise UserError(f'{path} is damaged or no JSON: {error}') from error


def _int(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS else float(digits)


_reprs = reprlib.Repr()
_reprs.maxstring = _reprs.maxother = _SHOWN


def shown(value: object) -> str:
    """Return a wrong value as a message shows it: on one line, cut where it is long."""
    try:
        text = _reprs.repr(value)
    except ValueError:  # Python refuses to print numbers of more than 4,300 digits
        return 'a number of thousands of digits'
    return text if len(text) <= _SHOWN else f'{text[:_SHOWN]}...'


def wrong(name: str, value: object, expected: str) -> UserError:
    """Return the error that a schema raises."""
    return UserError(f'{name} is {shown(value)}: expected {expected}')


def whole(low: int, high: int) -> Schema:
    """Return a schema of whole numbers. A float without a fraction is one; the result is int."""

    def check(value: Any, name: str) -> int:
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int or not low <= value <= high:
            raise wrong(name, value, f'a whole number from {low:,} to {high:,}')
        return value

    return check


def number(low: float, high: float, finite: bool = True) -> Schema:
    """Return a schema of numbers; the result is float.

    Args:
        low: The smallest.
        high: The largest.
        finite: If not, NaN and infinity are right as well, and so is null, which becomes NaN.
    """
    expected = f'a number from {low:g} to {high:g}' + ('' if finite else ', NaN, infinity or null')

    def check(value: Any, name: str) -> float:
        if value is None and not finite:
            return float('nan')
        if type(value) not in (int, float):
            raise wrong(name, value, expected)
        if not low <= value <= high and (finite or math.isfinite(value)):
            raise wrong(name, value, expected)
        return float(value)

    return check


def text(longest: int) -> Schema:
    """Return a schema of text."""

    def check(value: Any, name: str) -> str:
        if not isinstance(value, str) or len(value) > longest:
            raise wrong(name, value, f'text of at most {longest:,} characters')
        return value

    return check


def scalar(longest: int) -> Schema:
    """Return a schema of booleans, finite numbers and text of at most ``longest`` characters."""

    def check(value: Any, name: str) -> Any:
        if isinstance(value, str):
            return text(longest)(value, name)
        if type(value) not in (bool, int, float) or not math.isfinite(value):
            raise wrong(name, value, 'a number or text')
        return value

    return check


def optional(schema: Schema) -> Schema:
    """Return a schema by which null is right as well."""
    return lambda value, name: None if value is None else schema(value, name)


def list_of(schema: Schema, longest: int) -> Schema:
    """Return a schema of lists whose items are right by another schema."""

    def check(value: Any, name: str) -> list[Any]:
        if not isinstance(value, list):
            raise wrong(name, value, 'a list')
        if len(value) > longest:
            raise UserError(f'{name} has {len(value):,} items: at most {longest:,} are read')
        return [schema(item, f'{name}[{i}]') for i, item in enumerate(value)]

    return check


def dict_of(schema: Schema, longest: int) -> Schema:
    """Return a schema of objects with any keys, whose values are right by another schema."""

    def check(value: Any, name: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise wrong(name, value, 'an object')
        if len(value) > longest:
            raise UserError(f'{name} has {len(value):,} keys: at most {longest:,} are read')
        return {key: schema(item, f'{name}[{shown(key)}]') for key, item in value.items()}

    return check


def fields(required: dict[str, Schema], others: dict[str, Schema] | None = None) -> Schema:
    """Return a schema of objects with known keys; all other keys are left out.

    Args:
        required: Schemas by key.
        others: Schemas of keys that may be absent; they are None then.
    """

    def check(value: Any, name: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise wrong(name, value, 'an object')
        for key in required:
            if key not in value:
                raise UserError(f'{name} has no {key!r}')
        found = {key: schema(value[key], f'{name}[{key!r}]') for key, schema in required.items()}
        for key, schema in (others or {}).items():
            found[key] = schema(value[key], f'{name}[{key!r}]') if key in value else None
        return found

    return check
