"""Blocks one after the other."""

from chainer_zoo.sequence import SequentialChain


class ChainedBlocks(SequentialChain):
    """A stage: blocks one after the other, called ``prefix0``, ``prefix1``, ...

    Args:
        blocks (iterable of chainer.Link): each takes what the one before it gives.
        prefix (str): what the children's names start with.
    """

    def __init__(self, blocks, prefix='block'):
        super().__init__()
        self._names = []
        for i, block in enumerate(blocks):
            self._names.append(f'{prefix}{i}')
            self.add_link(self._names[-1], block)

    @property
    def sequence(self):
        return tuple([self[name] for name in self._names])
