"""Reading a pickle from an untrusted source: numbers, text, flat containers and NumPy arrays.

A pickle is a program for a stack machine that can call any importable function. The machine here
knows only the operations that data files are made of, and a few functions of this module that stand
for those with which NumPy rebuilds arrays. Everything else is refused before it has an effect.

What a file can cost is bounded as well. There is a limit to the number of operations, and each
takes constant time and memory, apart from reading bytes that are really in the file. Keys are short
text. Containers and long strings are in one place only, and are nested a few levels deep at most,
so whoever walks through the result meets no more than the file holds.
"""

from __future__ import annotations

import codecs
import math
import pickletools
import struct
from typing import Any
from typing import BinaryIO
from typing import Callable

import numpy as np

from chainer_zoo.errors import UserError
from chainer_zoo.files import printable

#: The most operations in one file. A batch of CIFAR-10 takes about 30,000, three for each image.
MAX_OPERATIONS = 1_000_000

#: How deep containers are nested at most. An array takes three levels: dict, state, shape.
MAX_DEPTH = 8

_SHORT = 200  # characters of a name, a number or a key at most


_ALL_NAMES = {op.code.encode('latin-1'): op.name for op in pickletools.opcodes}


class _RefusedError(Exception):
    """The file asks for something that no data file needs."""


class _DType:
    """Stands for ``numpy.dtype`` while a file is read."""

    _CODES = {'b1', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'f2', 'f4', 'f8'}

    def __init__(self, code: Any, *_: Any) -> None:
        self._code = _text(code)
        self._order = '|'
        if self._code not in self._CODES:
            raise _RefusedError(f'an array of type {self._code[:20]!r}')

    def set_state(self, state: Any) -> None:
        self._order = _text(state[1])
        if self._order not in ('<', '>', '=', '|'):
            raise ValueError('an unknown byte order')

    def numpy(self) -> np.dtype:
        return np.dtype(self._order + self._code)


class _Array:
    """Stands for ``numpy.ndarray`` while a file is read; ``value`` is the array, once known."""

    def __init__(self, value: np.ndarray | None = None) -> None:
        self.value = value

    def set_state(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        if isinstance(raw, str):  # a string of Python 2 that Python 3 has pickled again
            raw = raw.encode('latin-1')
        self.value = _array(raw, dtype, shape, 'F' if fortran else 'C')


class _Function:
    """Stands for a function that a file may call."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call


def _array(raw: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    flat = np.frombuffer(raw, dtype.numpy())
    if not all(type(n) is int and n >= 0 for n in shape) or math.prod(shape) != flat.size:
        raise ValueError(f'{flat.size} values do not fill an array')
    return flat.reshape(shape, order='F' if _text(order) == 'F' else 'C')


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    return _Array(_array(raw, dtype, shape, order))


def _scalar(dtype: Any, raw: Any) -> Any:
    return np.frombuffer(raw, dtype.numpy(), 1)[0].item()


def _encode(text: str, encoding: Any) -> bytes:
    if _text(encoding) != 'latin1':
        raise _RefusedError(f'text in the encoding {encoding!r}')
    return text.encode('latin-1')


def _no_bytes() -> bytes:
    return b''


def _text(value: Any) -> str:
    """Return short text that Python 2 wrote as bytes and Python 3 as text."""
    return value.decode('ascii') if isinstance(value, bytes) else str(value)


# What NumPy's pickles ask for, and what they get.
_GLOBALS = {
    ('numpy', 'ndarray'): _Function(_reconstruct),
    ('numpy', 'dtype'): _Function(_DType),
    # how Python 3 writes bytes into a pickle that Python 2 can read
    ('_codecs', 'encode'): _Function(_encode),
    ('__builtin__', 'bytes'): _Function(_no_bytes),
}
for _core in ('numpy.core', 'numpy._core'):  # the second is NumPy 2's
    _GLOBALS[_core + '.multiarray', '_reconstruct'] = _Function(_reconstruct)
    _GLOBALS[_core + '.multiarray', 'scalar'] = _Function(_scalar)
    _GLOBALS[_core + '.numeric', '_frombuffer'] = _Function(_from_buffer)


class _Input:
    """A file that makes no room for more than is left of it."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, n: int) -> bytes:
        if not 0 <= n <= self._left:
            raise EOFError('it ends too early')
        data = self._file.read(n)
        if len(data) != n:
            raise EOFError('it ends too early')
        self._left -= n
        return data

    def line(self, limit: int | None = None) -> bytes:
        """Return a line without its line feed, of ``limit`` characters at most."""
        limit = self._left if limit is None else min(limit, self._left)
        line = self._file.readline(limit)
        if not line.endswith(b'\n'):
            raise EOFError('it ends too early, or a line is too long')
        self._left -= len(line)
        return line[:-1]

    def skip(self, n: int) -> None:
        self.read(n)

    def number(self, code: str) -> Any:
        """Return a number in the format ``code`` of :mod:`struct`."""
        return struct.unpack(code, self.read(struct.calcsize(code)))[0]

    def protocol(self) -> None:
        number = self.number('<B')
        if number > 5:
            raise ValueError(f'protocol {number} is unknown')

    def decimal(self) -> int:
        """Return a number that is written as a line."""
        return int(self.line(_SHORT))

    def name(self) -> str:
        """Return a name that is written as a line."""
        return self.line(_SHORT).decode('ascii')


def _whole(line: bytes) -> int | bool:
    """Return the whole number of an ``I`` or ``L`` line; 00 and 01 are the booleans."""
    if line in (b'00', b'01'):
        return line == b'01'
    if len(line) > 40:  # the time that int() takes grows with the square of the digits
        raise _RefusedError(f'a number of {len(line)} digits')
    return int(line.rstrip(b'L'))


def _quoted(line: bytes) -> bytes:
    """Return the string of an ``S`` line, which is written as Python 2 source."""
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b'"', b"'"):
        raise ValueError('a string without its quotes')
    # the only function that reads bytes in this notation; pickle itself uses it
    return codecs.escape_decode(line[1:-1])[0]  # type: ignore[attr-defined]


def _utf8(data: bytes) -> str:
    return str(data, 'utf-8', 'surrogatepass')


def _signed(data: bytes) -> int:
    return int.from_bytes(data, 'little', signed=True)


# Operations that push a value: how it is read.
_VALUES: dict[bytes, Callable[[_Input], Any]] = {
    b'N': lambda file: None,
    b'\x88': lambda file: True,
    b'\x89': lambda file: False,
    b'I': lambda file: _whole(file.line(_SHORT)),
    b'L': lambda file: _whole(file.line(_SHORT)),
    b'J': lambda file: file.number('<i'),
    b'K': lambda file: file.number('<B'),
    b'M': lambda file: file.number('<H'),
    b'\x8a': lambda file: _signed(file.read(file.number('<B'))),
    b'F': lambda file: float(file.line(_SHORT)),
    b'G': lambda file: file.number('>d'),
    # strings of Python 2, which are bytes
    b'S': lambda file: _quoted(file.line()),
    b'T': lambda file: file.read(file.number('<i')),
    b'U': lambda file: file.read(file.number('<B')),
    # bytes
    b'B': lambda file: file.read(file.number('<I')),
    b'C': lambda file: file.read(file.number('<B')),
    b'\x8e': lambda file: file.read(file.number('<Q')),
    b'\x96': lambda file: file.read(file.number('<Q')),  # a bytearray, which nobody changes here
    # text
    b'V': lambda file: str(file.line(), 'raw-unicode-escape'),
    b'X': lambda file: _utf8(file.read(file.number('<I'))),
    b'\x8c': lambda file: _utf8(file.read(file.number('<B'))),
    b'\x8d': lambda file: _utf8(file.read(file.number('<Q'))),
    # empty containers
    b']': lambda file: [],
    b'}': lambda file: {},
    b')': lambda file: (),
}


_Item = tuple[Any, int]  # a value and its depth


class _Machine:
    """Runs one pickle.

    A value's depth is 0, or for a container, one more than that of its deepest item.

    Args:
        file: Where the operations are read.
    """

    def __init__(self, file: _Input) -> None:
        self.file = file
        self._stack: list[_Item] = []
        self._marks: list[int] = []
        self._memo: dict[int, _Item] = {}

    def run(self) -> Any:
        """Return the value that the pickle describes."""
        for _ in range(MAX_OPERATIONS):
            code = self.file.read(1)
            if code in _VALUES:
                value = _VALUES[code](self.file)
                self._push(value, int(isinstance(value, (list, dict, tuple))))
            elif code in _OPERATIONS:
                _OPERATIONS[code](self)
            elif code == b'.':
                return self.pop(1)[0][0]
            elif code in _ALL_NAMES:
                raise _RefusedError(f'the operation {_ALL_NAMES[code]}')
            else:
                raise ValueError(f'there is no operation {code!r}')
        raise _RefusedError(f'more than {MAX_OPERATIONS:,} operations')

    def _push(self, value: Any, depth: int = 0) -> None:
        if depth > MAX_DEPTH:
            raise _RefusedError(f'containers nested more than {MAX_DEPTH} levels deep')
        self._stack.append((value, depth))

    def pop(self, n: int) -> list[_Item]:
        """Take the last ``n`` items from the stack."""
        start = len(self._stack) - n
        if start < (self._marks[-1] if self._marks else 0):
            raise ValueError('a value is missing')
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def pop_to_mark(self) -> list[_Item]:
        """Take all items since the last mark."""
        items = self._stack[self._marks[-1] :]
        del self._stack[self._marks.pop() :]
        return items

    def values(self, n: int) -> list[Any]:
        """Take the last ``n`` items from the stack, without their depths."""
        return [value for value, _ in self.pop(n)]

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def push_tuple(self, items: list[_Item]) -> None:
        self._push(tuple([value for value, _ in items]), _depth_around(items))

    def push_list(self, items: list[_Item]) -> None:
        self._push([], 1)
        self.append(items)

    def push_dict(self, items: list[_Item]) -> None:
        self._push({}, 1)
        self.set_items(items)

    def append(self, items: list[_Item]) -> None:
        ((target, depth),) = self.pop(1)
        if type(target) is not list:
            raise ValueError(f'something is appended to {_kind(target)}')
        target.extend([value for value, _ in items])
        self._push(target, max(depth, _depth_around(items)))

    def set_items(self, items: list[_Item]) -> None:
        ((target, depth),) = self.pop(1)
        if type(target) is not dict or len(items) % 2:
            raise ValueError(f'items are set in {_kind(target)}')
        for (key, _), (value, _) in zip(items[::2], items[1::2]):
            # hashes of numbers can be made to collide, and comparing long text takes long
            if type(key) not in (str, bytes) or len(key) > _SHORT:
                raise _RefusedError(f'a key that is no short text, but {_kind(key)}')
            target[key] = value
        self._push(target, max(depth, _depth_around(items)))

    def remember(self, index: int | None = None) -> None:
        """Let the last item be recalled by a number, the next one if none is given."""
        self._memo[len(self._memo) if index is None else index] = self._stack[-1]

    def recall(self, index: int) -> None:
        value, depth = self._memo[index]
        if depth or isinstance(value, (str, bytes)) and len(value) > _SHORT:
            raise _RefusedError(f'{_kind(value)} in two places')
        self._push(value)

    def push_global(self, module: Any, name: Any) -> None:
        if (module, name) not in _GLOBALS:
            raise _RefusedError(f'{module}.{name}')
        self._push(_GLOBALS[module, name])

    def call(self, function: Any, arguments: Any) -> None:
        if not isinstance(function, _Function) or type(arguments) is not tuple:
            raise ValueError(f'{_kind(function)} is called')
        self._push(function.call(*arguments))

    def set_state(self, target: Any, state: Any) -> None:
        if not isinstance(target, (_DType, _Array)):
            raise ValueError(f'{_kind(target)} is given a state')
        target.set_state(state)
        self._push(target)


def _depth_around(items: list[_Item]) -> int:
    """Return the depth of a container with these items."""
    return 1 + max([depth for _, depth in items], default=0)


# Operations that do not push what they have read.
_OPERATIONS: dict[bytes, Callable[[_Machine], None]] = {
    b'\x80': lambda machine: machine.file.protocol(),
    b'\x95': lambda machine: machine.file.skip(8),  # the size of a frame
    b'(': _Machine.mark,
    b't': lambda machine: machine.push_tuple(machine.pop_to_mark()),
    b'\x85': lambda machine: machine.push_tuple(machine.pop(1)),
    b'\x86': lambda machine: machine.push_tuple(machine.pop(2)),
    b'\x87': lambda machine: machine.push_tuple(machine.pop(3)),
    b'l': lambda machine: machine.push_list(machine.pop_to_mark()),
    b'a': lambda machine: machine.append(machine.pop(1)),
    b'e': lambda machine: machine.append(machine.pop_to_mark()),
    b'd': lambda machine: machine.push_dict(machine.pop_to_mark()),
    b's': lambda machine: machine.set_items(machine.pop(2)),
    b'u': lambda machine: machine.set_items(machine.pop_to_mark()),
    b'p': lambda machine: machine.remember(machine.file.decimal()),
    b'q': lambda machine: machine.remember(machine.file.number('<B')),
    b'r': lambda machine: machine.remember(machine.file.number('<I')),
    b'\x94': lambda machine: machine.remember(),
    b'g': lambda machine: machine.recall(machine.file.decimal()),
    b'h': lambda machine: machine.recall(machine.file.number('<B')),
    b'j': lambda machine: machine.recall(machine.file.number('<I')),
    b'c': lambda machine: machine.push_global(machine.file.name(), machine.file.name()),
    b'\x93': lambda machine: machine.push_global(*machine.values(2)),
    b'R': lambda machine: machine.call(*machine.values(2)),
    b'b': lambda machine: machine.set_state(*machine.values(2)),
}


def load_dict(file: BinaryIO, size: int, name: str) -> dict[str, Any]:
    """Read one dictionary.

    Args:
        file: The pickle, open for reading bytes, at its beginning.
        size: How many bytes it has.
        name: What to call it in an error.

    Returns:
        With str keys. Strings of Python 2 are bytes. Arrays are read-only views of what was read.

    Raises:
        UserError: It is no pickle, is damaged, asks for anything but containers and arrays, or
            holds no dictionary.
    """
    try:
        value = _Machine(_Input(file, size)).run()
    except _RefusedError as error:
        raise UserError(
            f'{name} is refused: it asks for {_one_line(error)}, and a data file needs nothing but '
            'plain containers and arrays; get it from a source you trust'
        ) from error
    except UserError:
        raise
    except OSError as error:
        raise UserError(f'{name} cannot be read: {error}') from error
    except Exception as error:  # what damaged bytes lead to: IndexError, TypeError, ValueError, ...
        raise UserError(
            f'{name} is damaged or no pickle ({type(error).__name__}: {_one_line(error)}); '
            'get it again'
        ) from error
    if not isinstance(value, dict):
        raise UserError(f'{name} holds {_kind(value)} where a dictionary belongs')
    return {
        key.decode('latin-1') if isinstance(key, bytes) else key: (
            item.value if isinstance(item, _Array) else item
        )
        for key, item in value.items()
    }


def _kind(value: Any) -> str:
    if isinstance(value, (str, bytes)):
        return f'text of {len(value):,} characters'
    return type(value).__name__.strip('_')


def _one_line(error: Exception) -> str:
    return printable(' '.join(str(error).split())[:_SHORT])
