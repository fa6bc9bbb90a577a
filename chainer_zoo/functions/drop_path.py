"""Stochastic depth: residual branches that are dropped at random (Huang et al., 2016)."""
import chainer
import chainer.functions as F
import numpy as np

from chainer_zoo.functions import noise
from chainer_zoo.functions.shortcut import residual_add
from chainer_zoo.functions.shortcut import shortcut


def survives(p):
    """Draw once for a whole batch whether a branch that survives with probability ``p`` does.

    A model that asks before it computes the branch saves the computation, and the parameters of a
    dropped branch then have no gradient.

    Args:
        p (float): survival probability in [0, 1].

    Returns:
        bool: False where noise is on and p <= u, u uniform in [0, 1); else True.
    """
    return not noise.is_on() or p > noise.generator.uniform()


def expected(p):
    """Return the factor of a branch that survives with probability ``p``: p at test, else 1.0."""
    return 1.0 if chainer.config.train else p


def drop_path(h, x, p, stride=1, per_picture=False):
    """Residual add whose branch ``h`` survives with probability ``p``.

    The whole batch shares one draw, or each picture has its own. Where the branch is dropped the
    shortcut goes on alone; the result's shape does not depend on the draw. In test mode the branch
    is multiplied by ``p``; without noise it is kept as it is.

    Args:
        h (:class:`~chainer.Variable`): the branch, float (B, C_h, H, W).
        x (:class:`~chainer.Variable`): the block's input, float (B, C_x, H * stride, W * stride).
        p (float): survival probability in [0, 1].
        stride (int): the shortcut takes every ``stride``-th pixel.
        per_picture (bool): one draw for each picture instead of one for the batch.

    Returns:
        :class:`~chainer.Variable`: float (B, max(C_h, C_x), H, W).
    """
    if not noise.is_on():
        return residual_add(h, x, stride, expected(p))
    if not per_picture:
        if survives(p):
            return residual_add(h, x, stride)
        return shortcut(x, max(h.shape[1], x.shape[1]), stride)
    return residual_add(h * _keep(h, p), x, stride)


def separated_drop_path(h, x, p, split, stride=1, per_picture=False):
    """Residual add whose branch has two groups of channels that are dropped independently.

    As in PyramidNet with separated stochastic depth (Yamada et al., 2016): the first ``split``
    channels are those that the block's input has, the others are those that the block adds.

    Args:
        h (:class:`~chainer.Variable`): the branch, float (B, C_h, H, W).
        x (:class:`~chainer.Variable`): the block's input, float (B, C_x, H * stride, W * stride).
        p (float): survival probability of each group, in [0, 1].
        split (int): the number of channels in the first group, 0 < split < C_h.
        stride (int): the shortcut takes every ``stride``-th pixel.
        per_picture (bool): one draw a group for each picture instead of one for the batch.

    Returns:
        :class:`~chainer.Variable`: float (B, max(C_h, C_x), H, W).
    """
    old, added = F.split_axis(h, [split], axis=1)
    channels = max(h.shape[1], x.shape[1])
    y = drop_path(old, shortcut(x, channels, stride), p, per_picture=per_picture)
    if not noise.is_on():
        return residual_add(added, y, 1, expected(p), split)
    if per_picture:
        return residual_add(added * _keep(added, p), y, offset=split)
    return residual_add(added, y, offset=split) if survives(p) else y


def _keep(h, p):
    """Return 1 for pictures that survive and 0 for the others, shaped for ``h``."""
    keep = [noise.generator.uniform() < p for _ in range(h.shape[0])]
    keep = np.reshape(keep, (-1, 1, 1, 1)).astype(h.dtype)
    return F.broadcast_to(chainer.Variable(h.xp.asarray(keep)), h.shape)
