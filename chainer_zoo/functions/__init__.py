"""What Chainer lacks: noise that a seed repeats, shortcuts without an array of zeros."""

from chainer_zoo.functions import noise
from chainer_zoo.functions.depthwise_convolution import depthwise_convolution
from chainer_zoo.functions.drop_path import drop_path
from chainer_zoo.functions.drop_path import separated_drop_path
from chainer_zoo.functions.drop_path import survival_scale
from chainer_zoo.functions.drop_path import survives
from chainer_zoo.functions.dropout import dropout
from chainer_zoo.functions.shortcut import residual_add
from chainer_zoo.functions.shortcut import shortcut
from chainer_zoo.functions.swapout import swapout

__all__ = [
    'depthwise_convolution',
    'drop_path',
    'dropout',
    'noise',
    'residual_add',
    'separated_drop_path',
    'shortcut',
    'survival_scale',
    'survives',
    'swapout',
]
