"""Numbers that grow or shrink from block to block."""

from __future__ import annotations


def linear_schedule(first: float, last: float, blocks: int, start: int = 0) -> list[float]:
    """Return one number for each block, linear from ``first`` to ``last``.

    Block i (from 0) has first + (last - first) / blocks * (i + start). With ``start=0`` the first
    block has ``first`` and the last one misses ``last`` by one step. With ``start=1`` the last
    block has ``last``, as Huang et al. 2016, equation 4, count.

    Args:
        first (float): the number at position 0.
        last (float): the number at position ``blocks``.
        blocks (int): how many numbers.
        start (int): the position of the first block.

    Returns:
        list of float: ``blocks`` numbers.
    """
    step = (float(last) - first) / blocks
    return [step * (i + start) + first for i in range(blocks)]
