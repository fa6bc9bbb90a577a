"""How a function node of Chainer gets a stand-in.

The seam is the method of a function node that computes on arrays: ``forward_cpu``,
``forward_gpu``, or ``forward`` where the node has only that. Each engine lists the methods it
replaces, each with a function that gets what the method gets and returns what it returns,
:data:`NOT_HERE` for what the engine does not compute (another dtype, a shape it refuses), or
:data:`CHOSEN`. Gradients of functions are function nodes too, so double backward runs on the same
seam.
"""

import functools

from chainer_zoo.engines import listeners

#: Chainer's own method computes this.
NOT_HERE = object()

#: Chainer's own method goes on, with an implementation that the stand-in has chosen.
CHOSEN = object()


class Refused(Exception):
    """An engine has no good code for what it was asked; Chainer's own takes over."""


def lend(engine, owner, name, ours):
    """Let a stand-in compute in place of a method, where an engine serves its arrays.

    Args:
        engine (chainer_zoo.engines.engine.Engine): whose stand-in it is.
        owner (type): a class of function nodes.
        name (str): the method: ``forward``, ``forward_cpu``, ``forward_gpu`` or ``backward``.
        ours (callable): takes the node and the method's arguments. It may raise :class:`Refused`.
    """
    theirs = getattr(owner, name)
    computes = name != 'backward'  # which only builds other nodes

    @functools.wraps(theirs)
    def method(self, *args):
        array = args[0][0] if computes else args[1][0].array
        if engine.serves(array):
            try:
                result = ours(self, *args)
            except Refused:
                result = NOT_HERE
            if computes:
                listeners.note(self, result is not NOT_HERE)
            if result is not NOT_HERE and result is not CHOSEN:
                return result
        return theirs(self, *args)

    setattr(owner, name, method)
