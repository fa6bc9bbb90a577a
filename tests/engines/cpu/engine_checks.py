"""What the tests of the CPU engine share."""

import chainer
import numpy as np

from chainer_zoo import engines
from chainer_zoo.engines import listeners

LAYOUTS = ('contiguous', 'channels last', 'strided', 'reversed')


def layout(x, how):
    """Return a copy of ``x`` whose memory is laid out as ``how`` says, with the same values."""
    if x.ndim != 4 or how == 'contiguous':
        return x.copy()
    if how == 'channels last':
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    if how == 'strided':
        big = np.zeros(x.shape[:3] + (2 * x.shape[3],), x.dtype)
        view = big[:, :, :, ::2]
    else:
        view = np.zeros(x.shape, x.dtype)[::-1, :, ::-1]
    view[...] = x
    return view


def values(seed, *shape):
    """Return float32 numbers between -1 and 1 that are not near 0."""
    random = np.random.RandomState(seed)
    x = random.uniform(0.05, 1, shape) * random.choice((-1, 1), shape)
    return x.astype(np.float32)


def run(function, inputs, on):
    """Return the outputs of ``function`` and the gradients of ``inputs``; and who computed them.

    Args:
        function (callable): from Variables to a Variable or a tuple of them.
        inputs (list of numpy.ndarray): float32, or float64, which no engine computes.
        on (bool): whether the engine is on.

    Returns:
        tuple: list of arrays; dict of node class name: whether oneDNN took it every time.
    """
    taken = {}

    class Listener(listeners.Listener):
        def node(self, node, took):
            name = type(node).__name__
            taken[name] = taken.get(name, True) and took

    listener = Listener()
    listeners.listeners.append(listener)
    try:
        with engines.CPU.using(on):
            variables = [chainer.Variable(x) for x in inputs]
            outputs = function(*variables)
            if not isinstance(outputs, (tuple, list)):
                outputs = [outputs]
            gys = [values(100 + i, *y.shape).astype(y.dtype) for i, y in enumerate(outputs)]
            sum(chainer.functions.sum(y * gy) for y, gy in zip(outputs, gys)).backward()
    finally:
        listeners.listeners.remove(listener)
    return [y.array for y in outputs] + [v.grad for v in variables], taken


def check(function, inputs, nodes=(), tolerance=2e-4):
    """Compare the engine with Chainer's own code in float64, outputs and gradients.

    Args:
        function, inputs: as in :func:`run`; the inputs are float32.
        nodes (tuple of str): classes of nodes that oneDNN must have computed, so that the
            comparison is not one of Chainer's code with itself.
        tolerance (float): relative to the largest number of each array.
    """
    theirs, _ = run(function, [x.astype(np.float64) for x in inputs], False)
    ours, taken = run(function, inputs, True)
    for a, b in zip(theirs, ours):
        assert (a is None) == (b is None)
        if a is None:
            continue
        assert a.shape == b.shape and b.dtype == np.float32
        scale = np.abs(a).max() if a.size else 0
        np.testing.assert_allclose(b, a, rtol=0, atol=tolerance * max(scale, 1e-3))
    for node in nodes:
        assert taken.get(node), f'{node} was not computed by oneDNN: {taken}'
