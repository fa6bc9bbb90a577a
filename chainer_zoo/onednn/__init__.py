"""Chainer's CPU functions on oneDNN.

The library (package ``onednn-cpu-gomp``) is bound with ctypes and lent to Chainer at the seam that
:mod:`chainer_zoo.onednn.seam` lists. Arrays stay NumPy arrays. What oneDNN does not do, and every
type but float32, goes to Chainer's own code. See docs/onednn.md.

    >>> from chainer_zoo import onednn
    >>> onednn.enable()              # everywhere
    >>> with onednn.using(False):    # except here, in this thread
    ...     y = model(x)
"""
import contextlib
import os
import sys

import chainer

from chainer_zoo.errors import UserError

chainer.global_config.chainer_zoo_onednn = False

listeners = []  # of what is computed, for the profile: see Listener

_state = {'reason': None, 'tried': False}


def why_not():
    """Return why the engine cannot be used here (str), or None if it can."""
    if not _state['tried']:
        from chainer_zoo.onednn import primitive
        try:
            primitive.start()
        except (OSError, RuntimeError) as error:
            _state['reason'] = str(error)
        _state['tried'] = True
    return _state['reason']


def is_available():
    """Return whether the library loads on this machine."""
    return why_not() is None


def _prepare():
    reason = why_not()
    if reason is not None:
        raise UserError(
            'oneDNN cannot be used: {}; install the package onednn-cpu-gomp (x86-64 Linux), or go '
            'on with Chainer\'s own code (--cpu numpy)'.format(reason))
    from chainer_zoo.onednn import seam
    seam.install()


def enable():
    """Switch the engine on, in every thread that :func:`using` does not tell otherwise.

    Raises:
        ~chainer_zoo.errors.UserError: if the library does not load.
    """
    _prepare()
    chainer.global_config.chainer_zoo_onednn = True


def disable():
    """Switch the engine off, and give its free memory back."""
    chainer.global_config.chainer_zoo_onednn = False
    if 'chainer_zoo.onednn.memory' in sys.modules:
        from chainer_zoo.onednn import memory
        from chainer_zoo.onednn import primitive
        primitive.forget_kept()
        memory.pool.clear()


def is_enabled():
    """Return whether the engine is on in this thread."""
    return chainer.config.chainer_zoo_onednn


@contextlib.contextmanager
def using(flag):
    """Switch the engine on or off inside a ``with`` block, in this thread.

    Args:
        flag (bool): on or off.

    Raises:
        ~chainer_zoo.errors.UserError: if it is to be on and the library does not load.
    """
    if flag:
        _prepare()
    with chainer.using_config('chainer_zoo_onednn', bool(flag)):
        yield


class Listener(object):
    """What may be put among ``listeners``."""

    def node(self, node, taken):
        """Hear whether (bool) oneDNN computes the function node ``node``."""

    def begin(self):
        """Hear that a part of a node begins."""

    def end(self, name):
        """Hear that the part that began last is done; ``name`` (str) says what it was."""


def note(node, taken):
    """Tell whoever listens whether oneDNN computes the function node ``node``."""
    for listener in listeners:
        listener.node(node, taken)


def part(prefix, stage, function, *args):
    """Return ``function(*args)``, the part of a node that is called ``prefix + stage.name``."""
    if not listeners:
        return function(*args)
    for listener in listeners:
        listener.begin()
    result = function(*args)
    for listener in listeners:
        listener.end(prefix + stage.name)
    return result


def _after_fork():
    """Run one thread in a forked child.

    GNU's OpenMP keeps its idle threads for the next parallel region. They do not exist in a child,
    which would wait for them for ever; a region of one thread asks for none.
    """
    primitive = sys.modules.get('chainer_zoo.onednn.primitive')
    if primitive is not None:
        primitive.run_single_threaded()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_after_fork)
