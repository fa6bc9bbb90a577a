"""Chainer's CPU functions on oneDNN.

The library (package ``onednn-cpu-gomp``) is bound with ctypes and lent to Chainer at the seam that
:mod:`chainer_zoo.engines.cpu.nodes` lists. Arrays stay NumPy arrays. What oneDNN does not do, and
every type but float32, goes to Chainer's own code. See docs/cpu.md.
"""

import functools
import importlib.metadata
import os

import chainer
import numpy as np

from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import primitive
from chainer_zoo.engines.cpu.stages import OneDNNStages
from chainer_zoo.engines.engine import Engine


class OneDNN(Engine):
    """The engine for NumPy arrays."""

    name = 'oneDNN'
    ndarray = np.ndarray
    stages = OneDNNStages()
    _key = 'chainer_zoo_cpu_engine'

    @functools.cache  # noqa: B019  # the one engine lives as long as the process
    def why_not(self):
        """Return why the library does not load (str, one line), or None if it does."""
        try:
            primitive.start()
        except (OSError, RuntimeError) as error:
            return str(error)
        return None

    def version(self):
        """Return the version of the package that brings the library, or None."""
        try:
            return importlib.metadata.version('onednn-cpu-gomp')
        except importlib.metadata.PackageNotFoundError:
            return None

    def remedy(self):
        """Return what to do where the library does not load."""
        return (
            "install the package onednn-cpu-gomp (x86-64 Linux), or go on with Chainer's own "
            'code (--cpu numpy)'
        )

    def _free(self):
        primitive.clear_derived()
        memory.pool.clear()


chainer.global_config.chainer_zoo_cpu_engine = False
CPU = OneDNN()

# GNU's OpenMP keeps its idle threads for the next parallel region. They do not exist in a forked
# child, which would wait for them for ever; a region of one thread asks for none.
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=primitive.run_single_threaded)
