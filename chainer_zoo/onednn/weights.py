"""What is made of weights, kept for as long as they are what they were.

Nothing tells when a parameter changes: an optimizer, a serializer or a user writes into its array
at any time. So a copy is kept with what was made, and compared. That stops at the first
difference, and else takes about half the time in which oneDNN puts weights in its own order.
"""
import ctypes

import numpy as np

from chainer_zoo.onednn import memory
from chainer_zoo.onednn import primitive

CAPACITY = 1 << 26  # bytes that a thread keeps; the least recently used go first

_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]


class _Kept(object):
    """What was made of some arrays.

    Attributes:
        copies (list of numpy.ndarray): of the arrays.
        made (dict): name -> tuple of arrays.
    """

    def __init__(self, sources):
        self.copies = [source.copy() for source in sources]
        self.made = {}

    def refresh(self, sources):
        """Forget everything if one of the arrays is not what it was."""
        for copy, source in zip(self.copies, sources):
            if _memcmp(memory.address(copy), memory.address(source), copy.nbytes):
                break
        else:
            return
        self.made.clear()
        for copy, source in zip(self.copies, sources):
            np.copyto(copy, source)

    @property
    def nbytes(self):
        return sum(a.nbytes for made in [self.copies] + list(self.made.values()) for a in made)


def kept(name, sources, make):
    """Return ``make()``, or what it returned last time if no array has changed since.

    Args:
        name (hashable): what is made, beside the arrays it is made of.
        sources (sequence of numpy.ndarray): these, in C order; with 0 bytes changed they count as
            unchanged, whichever array they are.
        make (callable): returns a tuple of arrays, which nobody changes.
    """
    if 4 * sum(source.nbytes for source in sources) > CAPACITY:
        return make()
    here = primitive.context()
    key = tuple([(id(source), source.shape) for source in sources])
    found = here.kept.pop(key, None)
    if found is None:
        found = _Kept(sources)
    else:
        here.kept_bytes -= found.nbytes
        found.refresh(sources)
    if name not in found.made:
        found.made[name] = make()
    here.kept[key] = found
    here.kept_bytes += found.nbytes
    while here.kept_bytes > CAPACITY:
        _, oldest = here.kept.popitem(last=False)
        here.kept_bytes -= oldest.nbytes
    return found.made[name]
