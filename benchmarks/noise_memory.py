"""Memory of one training step of swapout 32x4 with stored masks and without.

    python benchmarks/noise_memory.py [--batch N] [--trace B]

Computed: what lives when backward starts, that is every distinct array that the graph of the loss
keeps for backward (found by walking it, for one and for two images, and carried on linearly to
N), and parameters, gradients and momenta. Measured: the most that NumPy had allocated at once
during forward and backward of B images, by tracemalloc. "Stored masks" is Chainer's dropout on each
of the two terms, which is what the original code does. Both on Chainer's own CPU functions.
"""

import argparse
import contextlib
import tracemalloc

import chainer_zoo  # before Chainer

# isort: split
import chainer
import chainer.functions as F
import numpy as np

from chainer_zoo import initializers
from chainer_zoo.models import swapout as module

MIB = 2.0**20


@contextlib.contextmanager
def stored_masks():
    """Let swapout be two of Chainer's dropouts, each with a mask that it keeps."""
    counted = module.swapout
    module.swapout = lambda x, f, theta1, theta2, sample=False: (
        F.dropout(x, theta1) + F.dropout(f, theta2)
    )
    try:
        yield
    finally:
        module.swapout = counted


def loss_of(model, batch):
    rng = np.random.RandomState(0)
    x = rng.standard_normal((batch, 3, 32, 32)).astype(np.float32)
    with chainer.using_config('train', True):
        return F.softmax_cross_entropy(model(x), rng.randint(0, 10, batch).astype(np.int32))


def whole(array):
    """Return the array that owns the memory of a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def kept(loss, model):
    """Return the bytes of all arrays that the graph of ``loss`` keeps, parameters left out."""
    parameters = {id(whole(p.array)) for p in model.params()}
    found, nodes, seen = {}, [loss.creator_node], set()
    while nodes:
        node = nodes.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        values = list(vars(node).values()) + [v.data for v in node.inputs]
        values += [ref().data for ref in node.outputs if ref() is not None]
        for value in values:
            for array in value if isinstance(value, (list, tuple)) else [value]:
                if isinstance(array, np.ndarray):
                    array = whole(array)
                    found[id(array)] = array
        nodes.extend(v.creator_node for v in node.inputs)
    return sum(array.nbytes for key, array in found.items() if key not in parameters)


def computed(model, batch):
    """Return the bytes that live for ``batch`` images when backward starts."""
    one, two = (kept(loss_of(model, n), model) for n in (1, 2))
    states = 3 * sum(p.array.nbytes for p in model.params())
    return one + (batch - 1) * (two - one) + states


def measured(model, batch):
    """Return the most bytes that were allocated at once in one training step."""
    tracemalloc.start()
    model.cleargrads()
    loss_of(model, batch).backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--batch', type=int, default=128, help='images to compute for')
    parser.add_argument('--trace', type=int, default=8, metavar='B', help='images to measure')
    args = parser.parse_args()
    with initializers.unfilled():
        model = chainer_zoo.build('swapout')
    rng = np.random.RandomState(1)
    for p in model.params():
        p.array[...] = rng.standard_normal(p.shape) * 0.05
    rows = []
    for name, masks in (('stored masks', stored_masks), ('no masks', contextlib.nullcontext)):
        with masks():
            rows.append((name, computed(model, args.batch), measured(model, args.trace)))
    print(
        '{:13} {:>22} {:>22}'.format(
            '', f'computed, batch {args.batch}', f'measured, batch {args.trace}'
        )
    )
    for name, graph, peak in rows + [
        ('saved',) + tuple(a - b for a, b in zip(rows[0][1:], rows[1][1:]))
    ]:
        print(f'{name:13} {graph / MIB:18,.0f} MiB {peak / MIB:18,.0f} MiB')


if __name__ == '__main__':
    main()
