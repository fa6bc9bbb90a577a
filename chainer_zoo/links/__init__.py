"""Blocks that several papers share, one class a file."""
from chainer_zoo.links.batch_normalization import BatchNormalization  # NOQA
from chainer_zoo.links.convolution import Convolution2D  # NOQA
from chainer_zoo.links.convolution import Linear  # NOQA
from chainer_zoo.links.conv_bn_relu import ConvBNReLU  # NOQA
from chainer_zoo.links.bn_relu_conv import BNReLUConv  # NOQA
from chainer_zoo.links.basic_block import BasicBlock  # NOQA
from chainer_zoo.links.bottleneck_stage import BottleneckStage  # NOQA
from chainer_zoo.links.chained_blocks import ChainedBlocks  # NOQA
from chainer_zoo.links.separable_convolution import SeparableConvolution  # NOQA
