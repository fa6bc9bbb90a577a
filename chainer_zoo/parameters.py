"""A model's arrays by path, and the article's count of weights."""

from __future__ import annotations

from typing import Any

import chainer


def arrays(model: chainer.Link) -> dict[str, Any]:
    """Return every array of ``model`` that the original's npz has, by path.

    Parameters and running statistics; the counter ``N`` of batch normalization is a number.
    """
    found = {path.lstrip('/'): param.array for path, param in model.namedparams()}
    for path, link in model.namedlinks():
        for name in link._persistent:
            if name != 'N':
                found[f'{path}/{name}'.lstrip('/')] = getattr(link, name)
    return found


def is_weight(param: chainer.Parameter) -> bool:
    """Return whether the article counts a parameter: W of a convolution or a linear layer."""
    return param.name == 'W' and param.ndim >= 2


def count_weights(model: chainer.Link) -> int:
    """Return the article's count of weights."""
    return sum(param.size for param in model.params() if is_weight(param))
