"""What Chainer lacks: reproducible noise, shortcuts without zeros, layers in sequence."""
from chainer_zoo.functions import noise  # NOQA
from chainer_zoo.functions.depthwise_convolution import depthwise_convolution  # NOQA
from chainer_zoo.functions.drop_path import drop_path  # NOQA
from chainer_zoo.functions.drop_path import expected  # NOQA
from chainer_zoo.functions.drop_path import separated_drop_path  # NOQA
from chainer_zoo.functions.drop_path import survives  # NOQA
from chainer_zoo.functions.dropout import dropout  # NOQA
from chainer_zoo.functions.sequence import bn_relu  # NOQA
from chainer_zoo.functions.sequence import grow  # NOQA
from chainer_zoo.functions.sequence import has_hooks  # NOQA
from chainer_zoo.functions.sequence import in_parallel  # NOQA
from chainer_zoo.functions.sequence import in_sequence  # NOQA
from chainer_zoo.functions.sequence import Join  # NOQA
from chainer_zoo.functions.shortcut import residual_add  # NOQA
from chainer_zoo.functions.shortcut import Skip  # NOQA
from chainer_zoo.functions.shortcut import shortcut  # NOQA
from chainer_zoo.functions.swapout import swapout  # NOQA
