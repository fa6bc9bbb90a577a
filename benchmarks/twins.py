"""PyTorch models with the layers of some of ours, for benchmarks/train_speed.py.

Modules are named as the links of the Chains, so that :func:`copy_parameters` can give both the same
weights and their outputs can be compared.
"""

import torch
import torch.nn.functional as F
from torch import nn


def conv(c_in, c_out, ksize=3, stride=1, pad=1):
    return nn.Conv2d(c_in, c_out, ksize, stride, pad)


def bn(channels):
    return nn.BatchNorm2d(channels, eps=2e-5, momentum=0.1)


def shortcut(x, channels, stride):
    """Every stride-th pixel, then zero channels."""
    if stride != 1:
        x = x[:, :, ::stride, ::stride]
    if channels != x.shape[1]:
        x = F.pad(x, (0, 0, 0, 0, 0, channels - x.shape[1]))
    return x


class ConvBNReLU(nn.Module):
    def __init__(self, c_in, c_out, ksize=3, stride=1, pad=1):
        super().__init__()
        self.conv = conv(c_in, c_out, ksize, stride, pad)
        self.bn = bn(c_out)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)), inplace=True)


class BNReLUConv(nn.Module):
    def __init__(self, c_in, c_out, ksize=3, stride=1, pad=1):
        super().__init__()
        self.bn = bn(c_in)
        self.conv = conv(c_in, c_out, ksize, stride, pad)

    def forward(self, x):
        return self.conv(F.relu(self.bn(x), inplace=True))


class ResNeXtBlock(nn.Module):
    def __init__(self, c_in, width, c_out, stride, C):
        super().__init__()
        self.stride, self.C, self.c_out = stride, C, c_out
        path = width // C
        for i in range(1, C + 1):
            self.add_module(f'conv_bn_relu1_{i}', ConvBNReLU(c_in, path, 1, 1, 0))
            self.add_module(f'conv_bn_relu2_{i}', ConvBNReLU(path, path, 3, stride, 1))
        self.conv_bn_relu3 = ConvBNReLU(width, c_out, 1, 1, 0)

    def forward(self, x):
        paths = [
            getattr(self, f'conv_bn_relu2_{i}')(getattr(self, f'conv_bn_relu1_{i}')(x))
            for i in range(1, self.C + 1)
        ]
        return self.conv_bn_relu3(torch.cat(paths, 1)) + shortcut(x, self.c_out, self.stride)


class ResNeXt(nn.Module):
    def __init__(self, n_class=10, C=2, d=64, multiplier=4):
        super().__init__()
        channels = d * multiplier
        self.conv_bn_relu = ConvBNReLU(3, channels)
        self.blocks = []
        for stage in (1, 2, 3):
            scale = 2 ** (stage - 1)
            for i in (1, 2, 3):
                name = f'resnext_block_{stage}_{i}'
                self.add_module(
                    name,
                    ResNeXtBlock(
                        channels,
                        C * d * scale,
                        d * multiplier * scale,
                        2 if stage > 1 and i == 1 else 1,
                        C,
                    ),
                )
                self.blocks.append(name)
                channels = d * multiplier * scale
        self.linear = ConvBNReLU(channels, n_class, 1, 1, 0)

    def forward(self, x):
        x = self.conv_bn_relu(x)
        for name in self.blocks:
            x = getattr(self, name)(x)
        return self.linear(x.mean((2, 3), keepdim=True)).flatten(1)


class WideStage(nn.Module):
    def __init__(self, c_in, c_out, stride, blocks):
        super().__init__()
        self.c_out, self.stride, self.blocks = c_out, stride, blocks
        for i in range(1, blocks + 1):
            self.add_module(
                f'bn_relu_conv1_{i}',
                BNReLUConv(c_in if i == 1 else c_out, c_out, 3, stride if i == 1 else 1, 1),
            )
            self.add_module(f'bn_relu_conv2_{i}', BNReLUConv(c_out, c_out, 3, 1, 1))

    def forward(self, x):
        for i in range(1, self.blocks + 1):
            h = getattr(self, f'bn_relu_conv1_{i}')(x)
            h = getattr(self, f'bn_relu_conv2_{i}')(h)
            x = h + shortcut(x, self.c_out, self.stride if i == 1 else 1)
        return x


class WideResNet(nn.Module):
    def __init__(self, n_class=10, depth=28, k=10):
        super().__init__()
        self.conv1 = conv(3, 16)
        channels = 16
        for stage, width in enumerate((16 * k, 32 * k, 64 * k), 1):
            self.add_module(
                f'wide_res_block{stage}',
                WideStage(channels, width, 1 if stage == 1 else 2, depth // 6),
            )
            channels = width
        self.bn_relu_conv = BNReLUConv(channels, n_class, 1, 1, 0)

    def forward(self, x):
        x = self.wide_res_block1(self.conv1(x))
        x = self.wide_res_block3(self.wide_res_block2(x))
        return self.bn_relu_conv(x).mean((2, 3))


class BasicBlock(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.c_out, self.stride = c_out, stride
        self.conv1, self.bn1 = conv(c_in, c_out), bn(c_out)
        self.conv2, self.bn2 = conv(c_out, c_out, 3, stride), bn(c_out)

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)), inplace=True)
        h = self.bn2(self.conv2(h))
        return F.relu(h + shortcut(x, self.c_out, self.stride), inplace=True)


class ResNet(nn.Module):
    def __init__(self, n_class=10, depth=110, k=1):
        super().__init__()
        blocks, channels = (depth - 2) // 6, 16 * k
        self.conv1 = ConvBNReLU(3, channels)
        for stage, width in enumerate((16 * k, 32 * k, 64 * k)):
            chain = nn.Module()
            for i in range(blocks):
                chain.add_module(
                    f'block{i}',
                    BasicBlock(width if i else channels, width, 1 if i or not stage else 2),
                )
            self.add_module(f'res_block{stage}', chain)
            channels = width
        self.linear = ConvBNReLU(channels, n_class, 1, 1, 0)

    def forward(self, x):
        x = self.conv1(x)
        for stage in range(3):
            for block in getattr(self, f'res_block{stage}').children():
                x = block(x)
        return self.linear(x.mean((2, 3), keepdim=True)).flatten(1)


class DenseBlock(nn.Module):
    def __init__(self, c_in, layers, growth_rate):
        super().__init__()
        for i in range(1, layers + 1):
            self.add_module(
                f'bn_relu_conv{i}', BNReLUConv(c_in + (i - 1) * growth_rate, growth_rate)
            )

    def forward(self, x):
        for layer in self.children():
            x = torch.cat((x, layer(x)), 1)
        return x


class DenseNet(nn.Module):
    def __init__(self, n_class=10, depth=40, growth_rate=12):
        super().__init__()
        layers, channels = (depth - 2) // 3, 16
        self.conv1 = conv(3, channels)
        for block in (1, 2, 3):
            self.add_module(f'dense{block}', DenseBlock(channels, layers, growth_rate))
            channels += layers * growth_rate
            if block < 3:
                transition = nn.Module()
                transition.bn_relu_conv = BNReLUConv(channels, channels, 1, 1, 0)
                self.add_module(f'trans{block}', transition)
        self.bn1 = bn(channels)
        self.fc1 = nn.Linear(channels, n_class)

    def forward(self, x):
        x = self.dense1(self.conv1(x))
        x = self.dense2(F.avg_pool2d(self.trans1.bn_relu_conv(x), 2))
        x = self.dense3(F.avg_pool2d(self.trans2.bn_relu_conv(x), 2))
        return self.fc1(F.relu(self.bn1(x), inplace=True).mean((2, 3)))


class Fire(nn.Module):
    def __init__(self, c_in, squeeze, expand):
        super().__init__()
        self.bn_relu_conv_s_1x1 = BNReLUConv(c_in, squeeze, 1, 1, 0)
        self.bn_relu_conv_e_1x1 = BNReLUConv(squeeze, expand, 1, 1, 0)
        self.bn_relu_conv_e_3x3 = BNReLUConv(squeeze, expand, 3, 1, 1)

    def forward(self, x):
        x = self.bn_relu_conv_s_1x1(x)
        return torch.cat((self.bn_relu_conv_e_1x1(x), self.bn_relu_conv_e_3x3(x)), 1)


class SqueezeNet(nn.Module):
    def __init__(self, n_class=10):
        super().__init__()
        self.conv1 = conv(3, 96, 7, 2, 2)
        for i, fire in enumerate(
            (
                (96, 16, 64),
                (128, 16, 64),
                (128, 32, 128),
                (256, 32, 128),
                (256, 48, 192),
                (384, 48, 192),
                (384, 64, 256),
                (512, 64, 256),
            )
        ):
            self.add_module(f'fire{i + 2}', Fire(*fire))
        self.bn_relu_conv10 = BNReLUConv(512, n_class, 1, 1, 0)

    @staticmethod
    def pool(x):
        return F.max_pool2d(x, 3, 2, 1, ceil_mode=True)

    def forward(self, x):
        x = self.fire2(self.pool(self.conv1(x)))
        x = self.fire4(self.fire3(x) + x)
        x = self.pool(x)
        x = self.fire5(x) + x
        x = self.fire6(x)
        x = self.fire8(self.fire7(x) + x)
        x = self.pool(x)
        x = self.fire9(x) + x
        return self.bn_relu_conv10(F.dropout(x, 0.5, self.training)).mean((2, 3))


MODELS = {
    'resnext': ResNeXt,
    'wide_resnet': WideResNet,
    'resnet': ResNet,
    'densenet': DenseNet,
    'squeezenet': SqueezeNet,
}


def copy_parameters(model, parameters):
    """Give a twin the values of a Chain's parameters.

    Args:
        model (torch.nn.Module): the twin, which is overwritten.
        parameters (dict of str: numpy.ndarray): the Chain's, by path ('/conv1/W').

    Raises:
        KeyError: the two do not have the same layers.
    """
    suffix = {'W': 'weight', 'b': 'bias', 'gamma': 'weight', 'beta': 'bias'}
    values = {}
    for path, array in parameters.items():
        head, last = path.strip('/').replace('/', '.').rsplit('.', 1)
        values[head + '.' + suffix[last]] = torch.from_numpy(array.copy())
    ours = dict(model.named_parameters())
    if sorted(ours) != sorted(values):
        raise KeyError(f'layers differ: {sorted(set(ours) ^ set(values))}')
    with torch.no_grad():
        for name, parameter in ours.items():
            parameter.copy_(values[name])
