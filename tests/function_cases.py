"""Every function with a kernel, as (node, inputs) to run: on a CPU, through g++, on a GPU."""

import numpy as np

from chainer_zoo.functions.drop_path import DropPath
from chainer_zoo.functions.drop_path import MaskImages
from chainer_zoo.functions.dropout import Dropout
from chainer_zoo.functions.shortcut import ResidualAdd
from chainer_zoo.functions.shortcut import Shortcut
from chainer_zoo.functions.shortcut import ShortcutGrad
from chainer_zoo.functions.swapout import Swapout
from chainer_zoo.functions.swapout import SwapoutGrad

# A seed and a draw number that fill their 64 bits, so that a cut one would show.
KEY = 0xFEDCBA9876543210, 0x8000000000000003

IMAGES = 3, 5, 4, 6
BIGGER = 3, 4, 8, 12  # IMAGES' 4 x 6 pixels at stride 2
ODD = 3, 7, 7, 11  # the same, odd

# name, what makes the node, shapes of its inputs
CASES = [
    ('dropout', lambda: Dropout(0.3, KEY), [IMAGES]),
    ('dropout nothing', lambda: Dropout(0.0, KEY), [IMAGES]),
    ('swapout', lambda: Swapout(0.2, 0.5, KEY), [IMAGES, IMAGES]),
    ('swapout one side', lambda: Swapout(0.0, 0.4, KEY), [IMAGES, IMAGES]),
    ('swapout gradient', lambda: SwapoutGrad(0.2, 0.5, KEY), [IMAGES]),
    ('shortcut', lambda: Shortcut(9, 2), [BIGGER]),
    ('shortcut odd', lambda: Shortcut(7, 2), [ODD]),
    ('shortcut channels', lambda: Shortcut(6, 1), [IMAGES]),
    ('shortcut gradient', lambda: ShortcutGrad(BIGGER, 2), [IMAGES]),
    ('shortcut gradient odd', lambda: ShortcutGrad((3, 5, 7, 11), 2), [IMAGES]),
    ('residual add', lambda: ResidualAdd(), [IMAGES, IMAGES]),
    ('residual add stride', lambda: ResidualAdd(2, 0.3), [IMAGES, BIGGER]),
    ('residual add wide shortcut', lambda: ResidualAdd(2, 0.3), [IMAGES, ODD]),
    ('residual add offset', lambda: ResidualAdd(2, 1.0, 4), [IMAGES, BIGGER]),
    ('residual add gap', lambda: ResidualAdd(1, 0.3, 8), [IMAGES, IMAGES]),
    ('drop path', lambda: DropPath(0.5, None, 1, KEY), [IMAGES, IMAGES]),
    ('drop path stride', lambda: DropPath(0.5, None, 2, KEY), [IMAGES, BIGGER]),
    ('drop path wide shortcut', lambda: DropPath(0.5, None, 2, KEY), [IMAGES, ODD]),
    ('separated drop path', lambda: DropPath(0.5, 4, 2, KEY), [IMAGES, BIGGER]),
    ('separated drop path gradient', lambda: MaskImages(0.5, 4, KEY), [IMAGES]),
    ('drop path gradient', lambda: MaskImages(0.5, None, KEY), [IMAGES]),
]

NAMES = [name for name, _, _ in CASES]


def layout(x, how, xp=np):
    """Return a copy of (B, C, H, W) array ``x`` on ``xp`` whose memory is laid out otherwise."""
    x = xp.array(x)
    if how == 'contiguous':
        return x
    if how == 'channels last':
        return xp.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert how == 'strided'
    # every second image and column of a larger array, rows from the end
    big = xp.zeros((2 * x.shape[0],) + x.shape[1:3] + (2 * x.shape[3],), x.dtype)
    view = big[::2, :, ::-1, ::2]
    view[...] = x
    return view


def inputs(shapes, dtype, how='contiguous', seed=0, xp=np):
    """Return arrays on ``xp`` for a case, with -0.0, inf and nan in each that has room."""
    rng = np.random.RandomState(seed)
    arrays = []
    for shape in shapes:
        x = rng.standard_normal(shape).astype(dtype)
        if x.size > 3:
            x.ravel()[:3] = -0.0, np.inf, np.nan
        arrays.append(layout(x, how, xp))
    return tuple(arrays)


def assert_same_bits(actual, expected):
    """Compare NumPy arrays' shape, dtype, axes in memory and bits, but for a nan's."""
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected):
        assert (a.dtype, a.shape) == (e.dtype, e.shape)
        assert a.size <= 1 or a.strides == e.strides
        np.testing.assert_array_equal(np.isnan(a), np.isnan(e))
        bits = f'u{a.dtype.itemsize}'
        a, e = (np.where(np.isnan(v), 0, v).astype(v.dtype).view(bits) for v in (a, e))
        np.testing.assert_array_equal(a, e)
