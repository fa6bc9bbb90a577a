"""Batch normalization as Chainer 1 starts it."""

from __future__ import annotations

import chainer.links as L


class BatchNormalization(L.BatchNormalization):
    """Chainer's batch normalization whose running variance starts at 0, as Chainer 1 does.

    eps 2e-5 is added to the variance; running statistics keep 0.9 of the old value.

    Differences:
        From the original on a CPU: there Chainer 1.24 adds eps to the running variance too, a
        matter of 2e-5. On a GPU, where the article's networks were trained, it does not.

    Args:
        size (int): the number of channels C.

    Input and output: float (B, C, H, W) or (B, C).
    """

    def __init__(self, size: int) -> None:
        super().__init__(
            size,
            decay=0.9,
            eps=2e-5,
            # as the original: Chainer 1 starts at 0, Chainer 7 would start at 1
            initial_avg_var=0,
            # unlike the original on a CPU: Chainer 7 leaves eps out of the running variance
        )
