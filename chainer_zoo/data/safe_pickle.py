"""Reading pickles from strangers: plain containers and NumPy arrays, nothing else.

A pickle is a program that may call any importable function. The unpickler here knows none but a few
of its own that build arrays, so that nothing a file asks for is ever called.

It is the one that Python has in Python, not the fast one in C: there a damaged or malicious file
of a few bytes takes all memory (one memo index near 2 ** 31), and long strings are copied.
"""

import os
import pickle
import struct

import numpy as np

from chainer_zoo.errors import UserError


class _RefusedError(pickle.UnpicklingError):
    """The pickle asks for something that is not allowed."""


class _DType:
    """Stands for ``numpy.dtype`` while a pickle is read."""

    def __init__(self, code, *_):
        self.code = code.decode('ascii') if isinstance(code, bytes) else code
        self.order = '|'

    def __setstate__(self, state):
        order = state[1]
        self.order = order.decode('ascii') if isinstance(order, bytes) else order

    def __call__(self):
        dtype = np.dtype(self.code).newbyteorder(self.order)
        if dtype.kind not in 'biuf' or dtype.itemsize > 8:
            raise _RefusedError(f'an array of type {dtype}')
        return dtype


class _Array:
    """Stands for ``numpy.ndarray`` while a pickle is read; ``value`` is the array."""

    value = None

    def __setstate__(self, state):
        _, shape, dtype, fortran, raw = state
        if isinstance(raw, str):  # a Python 2 string that was pickled again by Python 3
            raw = raw.encode('latin-1')
        self.value = np.frombuffer(raw, dtype()).reshape(shape, order='F' if fortran else 'C')


def _reconstruct(*_):
    return _Array()


def _from_buffer(raw, dtype, shape, order):
    array = _Array()
    array.value = np.frombuffer(raw, dtype()).reshape(shape, order=order)
    return array


def _scalar(dtype, raw):
    return np.frombuffer(raw, dtype(), 1)[0].item()


def _encode(text, encoding):
    if encoding not in ('latin1', b'latin1'):
        raise _RefusedError(f'text in the encoding {encoding!r}')
    return text.encode('latin-1')


def _no_bytes():
    return b''


# What NumPy's pickles ask for, and what they get. `multiarray` and `numeric` moved in NumPy 2.
_ALLOWED = {
    ('numpy', 'ndarray'): _Array,
    ('numpy', 'dtype'): _DType,
    # how Python 3 writes bytes in a pickle that Python 2 can read
    ('_codecs', 'encode'): _encode,
    ('__builtin__', 'bytes'): _no_bytes,
}
for _core in ('numpy.core', 'numpy._core'):
    _ALLOWED[_core + '.multiarray', '_reconstruct'] = _reconstruct
    _ALLOWED[_core + '.multiarray', 'scalar'] = _scalar
    _ALLOWED[_core + '.numeric', '_frombuffer'] = _from_buffer


class _File:
    """A file that does not make room for more than is left of it."""

    def __init__(self, file):
        self._file = file
        self._size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self.readline = file.readline

    def read(self, n):
        if n > 1 << 16 and n > self._size - self._file.tell():
            raise EOFError('it ends too early')
        return self._file.read(n)


class _Unpickler(pickle._Unpickler):
    # Without what builds objects in other ways than by a call, refers to things outside of the
    # file, or takes memory before there is anything to put into it.
    dispatch = dict(pickle._Unpickler.dispatch)
    for _code in (
        pickle.INST,
        pickle.OBJ,
        pickle.NEWOBJ,
        pickle.NEWOBJ_EX,
        pickle.PERSID,
        pickle.BINPERSID,
        pickle.EXT1,
        pickle.EXT2,
        pickle.EXT4,
        pickle.NEXT_BUFFER,
        pickle.READONLY_BUFFER,
    ):
        del dispatch[_code[0]]
    del _code

    def load_bytearray8(self):
        (size,) = struct.unpack('<Q', self.read(8))
        self.append(self.read(size))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8

    def find_class(self, module, name):
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _RefusedError(f'{module}.{name}') from None


def load_dict(file, name):
    """Read one dictionary.

    Args:
        file (file): The pickle, open for reading bytes, at its beginning. It can seek.
        name (str): What to call it in an error.

    Returns:
        dict: With str keys. Strings of Python 2 come as bytes. Arrays are read-only views of what
        was read.

    Raises:
        UserError: If it is no pickle, is damaged, asks for anything but containers and arrays, or
            holds no dictionary.
    """
    try:
        value = _Unpickler(_File(file), encoding='bytes').load()
    except _RefusedError as error:
        raise UserError(
            f'{name} is refused: it asks for {error}, and a data file needs nothing but plain '
            'containers and arrays; get it from a source you trust'
        )
    except OSError as error:
        raise UserError(f'{name} cannot be read: {error}')
    except Exception as error:  # a damaged pickle can end in any exception, says Python's manual
        raise UserError(
            f'{name} is damaged or no pickle ({type(error).__name__}: {_one_line(error)}); get it again'
        )
    if not isinstance(value, dict):
        raise UserError(f'{name} holds {type(value).__name__} where a dictionary belongs')
    return {
        key.decode('latin-1') if isinstance(key, bytes) else str(key): item.value
        if isinstance(item, _Array)
        else item
        for key, item in value.items()
    }


def _one_line(error):
    return ' '.join(str(error).split())[:200]
