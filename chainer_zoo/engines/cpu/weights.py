"""What is made of weights, kept for as long as they are what they were.

Nothing tells when a parameter changes: an optimizer, a serializer or a user writes into its array
at any time. So a copy is kept with what was made, and compared. That stops at the first
difference, and else takes about half the time in which oneDNN puts weights in its own order.
"""

import ctypes

import numpy as np

from chainer_zoo.engines.cpu import primitive

CAPACITY = 1 << 28  # bytes that a thread keeps; the oldest go first

_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]


class Derived:
    """Weights of a convolution that are computed from other arrays, and its bias.

    Args:
        name (hashable): what is computed, beside the arrays it is computed from.
        sources (sequence of numpy.ndarray): these, in C order.
        shape (tuple of int): (O, C / groups, K_h, K_w).
        has_bias (bool): whether there is a bias.
        make (callable): returns weights and bias, float32 of ``shape`` and (O,), or None for no
            bias. Both are new arrays.
    """

    def __init__(self, name, sources, shape, has_bias, make):
        self.name = name
        self.sources = sources
        self.shape = shape
        self.has_bias = has_bias
        self.make = make


class _Kept:
    """What was made of some arrays.

    Attributes:
        copies (list of numpy.ndarray): of the arrays.
        made (dict): name -> tuple of arrays and None.
        nbytes (int): of all of them.
    """

    def __init__(self, sources):
        self.copies = [source.copy() for source in sources]
        self.made = {}
        self.nbytes = self._copied = sum([copy.nbytes for copy in self.copies])

    def refresh(self, sources):
        """Forget everything if one of the arrays is not what it was; return how many bytes."""
        for copy, source in zip(self.copies, sources):
            if _memcmp(primitive.pointer(copy), primitive.pointer(source), copy.nbytes):
                break
        else:
            return 0
        self.made.clear()
        forgotten = self.nbytes - self._copied
        self.nbytes = self._copied
        for copy, source in zip(self.copies, sources):
            np.copyto(copy, source)
        return forgotten

    def keep(self, name, made):
        """Keep a tuple of arrays and None; return how many bytes."""
        self.made[name] = made
        added = sum([array.nbytes for array in made if array is not None])
        self.nbytes += added
        return added


def kept(name, sources, make):
    """Return ``make()``, or what it returned last time if no array has changed since.

    Args:
        name (hashable): what is made, beside the arrays it is made of.
        sources (sequence of numpy.ndarray): these, in C order; with 0 bytes changed they count as
            unchanged, whichever array they are.
        make (callable): returns a tuple of arrays, which nobody changes, and None.
    """
    here = primitive.context()
    key = tuple([(id(source), source.shape) for source in sources])
    found = here.kept.get(key)
    if found is None:
        if 4 * sum([source.nbytes for source in sources]) > CAPACITY:
            return make()
        found = here.kept[key] = _Kept(sources)
        here.kept_bytes += found.nbytes
    else:
        here.kept_bytes -= found.refresh(sources)
    made = found.made.get(name)
    if made is None:
        made = make()
        here.kept_bytes += found.keep(name, made)
        while here.kept_bytes > CAPACITY:
            here.kept_bytes -= here.kept.pop(next(iter(here.kept))).nbytes
    return made
