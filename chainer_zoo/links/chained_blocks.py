"""Blocks one after the other."""

from __future__ import annotations

from collections.abc import Iterable

import chainer

from chainer_zoo.sequence import SequentialChain
from chainer_zoo.sequence import Step


class ChainedBlocks(SequentialChain):
    """A stage: blocks one after the other, called ``prefix0``, ``prefix1``, ...

    Args:
        blocks (iterable of chainer.Link): each takes what the one before it gives.
        prefix (str): what the children's names start with.
    """

    def __init__(self, blocks: Iterable[chainer.Link], prefix: str = 'block') -> None:
        super().__init__()
        self._names = []
        for i, block in enumerate(blocks):
            self._names.append(f'{prefix}{i}')
            self.add_link(self._names[-1], block)

    @property
    def sequence(self) -> tuple[Step, ...]:
        return tuple([self[name] for name in self._names])
