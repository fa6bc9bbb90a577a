"""The engines: what computes in place of Chainer's own code, one for CPUs and one for GPUs.

Both have one interface, :class:`chainer_zoo.engines.engine.Engine`, and one seam to Chainer,
:mod:`chainer_zoo.engines.seam`.

    >>> from chainer_zoo import engines
    >>> engines.CPU.enable()              # everywhere
    >>> with engines.CPU.using(False):    # except here, in this thread
    ...     y = model(x)
"""

from chainer_zoo.engines import seam
from chainer_zoo.engines.cpu import CPU
from chainer_zoo.engines.cpu.nodes import REPLACED as _ON_CPUS
from chainer_zoo.engines.gpu import GPU
from chainer_zoo.engines.gpu.nodes import REPLACED as _ON_GPUS

__all__ = ['CPU', 'GPU', 'of']


def of(array):
    """Return the engine that computes with an array in this thread.

    Args:
        array (:ref:`ndarray`): of NumPy or CuPy.

    Returns:
        chainer_zoo.engines.engine.Engine: or None, where Chainer's own code computes.
    """
    for engine in (CPU, GPU):
        if engine.serves(array):
            return engine
    return None


for _engine, _replaced in ((CPU, _ON_CPUS), (GPU, _ON_GPUS)):
    for _owner, _name, _ours in _replaced:
        seam.lend(_engine, _owner, _name, _ours)
