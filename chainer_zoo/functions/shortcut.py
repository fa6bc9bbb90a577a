"""Shortcuts with stride and zero channels."""
import chainer.functions as F


def _append(x, channels, before=0):
    pads = ((0, 0), (before, channels - before - x.shape[1]), (0, 0), (0, 0))
    return F.pad(x, pads, 'constant') if channels != x.shape[1] else x


def shortcut(x, channels, stride=1):
    """Every ``stride``-th pixel of ``x``, then zero channels up to ``channels``."""
    if stride != 1:
        x = x[:, :, ::stride, ::stride]
    return _append(x, max(channels, x.shape[1]))


def residual_add(h, x, stride=1, scale=1.0, offset=0):
    """scale * h (from channel ``offset`` on) + shortcut(x)."""
    channels = max(h.shape[1] + offset, x.shape[1])
    return _append(h * scale, channels, offset) + shortcut(x, channels, stride)
