"""Blocks one after another."""

import chainer


class ChainedBlocks(chainer.Chain):
    """A stage: blocks one after another, called ``prefix0``, ``prefix1``, ...

    Args:
        blocks (iterable of chainer.Link): each takes what the one before it gives.
        prefix (str): what the children are called.
    """

    def __init__(self, blocks, prefix='block'):
        super().__init__()
        self._names = []
        for i, block in enumerate(blocks):
            self._names.append(f'{prefix}{i}')
            self.add_link(self._names[-1], block)

    def forward(self, x):
        for name in self._names:
            x = self[name](x)
        return x
