"""Identity Mappings in Deep Residual Networks (He et al. 2016)."""
import chainer
import chainer.functions as F

from chainer_zoo.functions import bn_relu
from chainer_zoo.functions import residual_add
from chainer_zoo.links import BatchNormalization
from chainer_zoo.links import BNReLUConv
from chainer_zoo.links import Convolution2D


class PreResNetStage(chainer.Chain):
    """Pre-activated bottlenecks, 1x1, 3x3, 1x1: figure 4 (e) of the paper.

    Args:
        in_channels (int): channels of the input.
        width (int): channels inside a bottleneck; it ends with four times as many.
        stride (int): of the stage, at its first convolution and first shortcut.
        blocks (int): number of bottlenecks.

    Input: float (B, in_channels, H, W). Output: float (B, 4 width, H / stride, W / stride).
    """

    def __init__(self, in_channels, width, stride, blocks):
        super(PreResNetStage, self).__init__()
        self.stride = stride
        self.blocks = blocks
        with self.init_scope():
            self.skip_bn = BatchNormalization(in_channels)
            for i in range(1, blocks + 1):
                setattr(self, 'bn_relu_conv1_%d' % i, BNReLUConv(
                    in_channels if i == 1 else 4 * width, width, 1, stride if i == 1 else 1, 0))
                setattr(self, 'bn_relu_conv2_%d' % i, BNReLUConv(width, width, 3, 1, 1))
                setattr(self, 'bn_relu_conv3_%d' % i, BNReLUConv(width, 4 * width, 1, 1, 0))

    def branch(self, x, i):
        """Return what bottleneck ``i`` (from 1) adds to its input."""
        for layer in (1, 2, 3):
            x = self['bn_relu_conv%d_%d' % (layer, i)](x)
        return x

    def forward(self, x):
        # as the original: the first shortcut is activated too, by a normalization of its own
        x = residual_add(self.branch(x, 1), bn_relu(x, self.skip_bn), self.stride)
        for i in range(2, self.blocks + 1):
            x = residual_add(self.branch(x, i), x)
        return x


class PreResNet(chainer.Chain):
    """Pre-activated ResNet for CIFAR-10: ResNet-164 of the paper's table 3.

    Args:
        n_class (int): number of classes.
        depth (int): number of layers, 9 n + 2 with n bottlenecks a stage.
        k (int): width; bottlenecks have 16 k, 32 k and 64 k channels inside.

    Input: float32 pictures (B, 3, 32, 32). Output: float32 logits (B, n_class).

    Source: nutszebra/residual_net, residual_net.py.

    Differences:
        From the paper: where channels change the shortcut picks pixels and appends zero channels,
        and has BN and ReLU of its own; ReLU without BN behind the first convolution and once more
        behind the last stage; the classifier is a 1x1 convolution ahead of the global average
        (the same as a linear layer behind it); convolutions have biases.
        From the original: none.
    """

    def __init__(self, n_class=10, depth=164, k=1):
        super(PreResNet, self).__init__()
        blocks = (depth - 2) // 9
        channels = 16 * k
        with self.init_scope():
            self.conv1 = Convolution2D(3, channels, 3, 1, 1)
            for stage, width in enumerate((16 * k, 32 * k, 64 * k), 1):
                setattr(self, 'res_block%d' % stage, PreResNetStage(
                    channels, width, 1 if stage == 1 else 2, blocks))
                channels = 4 * width
            self.bn_relu_conv = BNReLUConv(channels, n_class, 1, 1, 0)

    def forward(self, x):
        h = F.relu(self.conv1(x))  # (B, 16, 32, 32)
        h = self.res_block1(h)  # (B, 64, 32, 32)
        h = self.res_block2(h)  # (B, 128, 16, 16)
        h = self.res_block3(h)  # (B, 256, 8, 8)
        # as the original: a ReLU ahead of the last BN and ReLU
        h = self.bn_relu_conv(F.relu(h))  # (B, n_class, 8, 8)
        return F.average(h, axis=(2, 3))
