"""Blocks that several papers share, one class a file."""

from chainer_zoo.links.basic_block import BasicBlock
from chainer_zoo.links.basic_stage import BasicStage
from chainer_zoo.links.batch_normalization import BatchNormalization
from chainer_zoo.links.bn_relu_conv import BNReLUConv
from chainer_zoo.links.bottleneck_stage import BottleneckStage
from chainer_zoo.links.chained_blocks import ChainedBlocks
from chainer_zoo.links.conv_bn_relu import ConvBNReLU
from chainer_zoo.links.convolution import Convolution2D
from chainer_zoo.links.convolution import Linear
from chainer_zoo.links.residual_block import ResidualBlock
from chainer_zoo.links.separable_convolution import SeparableConvolution
from chainer_zoo.links.with_stochastic_depth import WithStochasticDepth

__all__ = [
    'BNReLUConv',
    'BasicBlock',
    'BasicStage',
    'BatchNormalization',
    'BottleneckStage',
    'ChainedBlocks',
    'ConvBNReLU',
    'Convolution2D',
    'Linear',
    'ResidualBlock',
    'SeparableConvolution',
    'WithStochasticDepth',
]
