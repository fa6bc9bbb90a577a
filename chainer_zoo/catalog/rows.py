"""The 25 rows of the article, in its order: figures, options and recipes.

Figures are the article's table, but for its accuracies, which ``results.json`` has; weights and
recipes are those of the original code. This file is long because it is a table.
"""

from __future__ import annotations

from typing import Any
from typing import Callable

from chainer_zoo.catalog.entry import Entry
from chainer_zoo.catalog.entry import Option
from chainer_zoo.catalog.entry import Recipe
from chainer_zoo.models.densenet import DenseNet
from chainer_zoo.models.fractalnet import FractalNet
from chainer_zoo.models.googlenet import GoogLeNet
from chainer_zoo.models.googlenet_v2 import GoogLeNetV2
from chainer_zoo.models.googlenet_v3 import GoogLeNetV3
from chainer_zoo.models.highway import Highway
from chainer_zoo.models.inception_v4 import InceptionV4
from chainer_zoo.models.nas import NAS
from chainer_zoo.models.nin import NIN
from chainer_zoo.models.nin import NINBN
from chainer_zoo.models.prelu_net import PReLUNet
from chainer_zoo.models.preresnet import PreResNet
from chainer_zoo.models.pyramidnet import PyramidNet
from chainer_zoo.models.pyramidnet_sepdrop import PyramidNetSepDrop
from chainer_zoo.models.resnet import ResNet
from chainer_zoo.models.resnext import ResNeXt
from chainer_zoo.models.rir import RiR
from chainer_zoo.models.ror import RoR
from chainer_zoo.models.squeezenet import SqueezeNet
from chainer_zoo.models.stochastic_depth import StochasticDepth
from chainer_zoo.models.swapout import Swapout
from chainer_zoo.models.vgg_a import VGGA
from chainer_zoo.models.weighted_resnet import WeightedResNet
from chainer_zoo.models.wide_resnet import WideResNet
from chainer_zoo.models.xception import Xception

#: No option may be larger. What is larger is a slip of the keyboard.
_MOST_LAYERS = 10_000
_MOST_CHANNELS = 100_000
_LARGEST_FACTOR = 1_000
_MOST_SAMPLES = 10_000
_MOST_COLUMNS = 8  # the longest has 128 layers a block
_MOST_PATHS = 256  # each a layer of its own


def _whole(
    name: str,
    default: int,
    help: str,
    flags: tuple[str, ...] = (),
    at_most: int = _LARGEST_FACTOR,
) -> Option:
    """Return an option that is a whole number of at least 1."""
    return Option(
        name,
        default,
        help,
        f'a whole number from 1 to {at_most:,}',
        lambda value: 1 <= value <= at_most,
        flags,
    )


def _depth(
    default: int,
    step: int,
    rest: tuple[int, ...],
    flags: tuple[str, ...] = ('-n', '--N'),
    from_flag: Callable[[int], int] | None = None,
) -> Option:
    """Return the option for the number of layers with weights, as the paper counts them.

    Args:
        default: the article's depth.
        step: layers that one more block in each stage adds.
        rest: layers that belong to no block; several numbers where papers count differently.
        flags: see :class:`Option`.
        from_flag: see :class:`Option`.
    """
    forms = ' or '.join(f'{step} n + {layers}' for layers in rest)
    first = sorted(step * n + layers for n in (1, 2, 3) for layers in rest)[:3]
    return Option(
        'depth',
        default,
        'number of layers',
        f'{forms} ({", ".join(map(str, first))}, ...) and at most {_MOST_LAYERS:,}',
        lambda depth: (
            first[0] <= depth <= _MOST_LAYERS and depth % step in {n % step for n in rest}
        ),
        flags,
        from_flag,
    )


def _blocks(depth: int) -> int:
    """Return the blocks of a stage.

    The original takes int(depth / 6) of any number; papers count 6 n + 2 or 6 n + 4.
    """
    return int(depth / 3.0 / 2.0)


def _three(blocks: int) -> tuple[int, int, int]:
    return blocks, blocks, blocks


def _widths(k: int) -> tuple[int, int, int]:
    return 16 * k, 32 * k, 64 * k


def _variant(meaning: str, *variants: str) -> Option:
    """Return the option for which code of the original a model is; its last state by default."""
    return Option(
        'variant',
        'original',
        meaning,
        ' or '.join(repr(variant) for variant in variants),
        lambda variant: variant in variants,
    )


def _switch(name: str, default: bool, help: str) -> Option:
    """Return an option that is on or off."""
    return Option(name, default, help, 'True or False', lambda value: True)


def _share(name: str, default: float, help: str, one: bool = True) -> Option:
    """Return an option that is a number from 0 to 1; ``one`` says which of the two is left out."""
    if one:
        return Option(
            name, default, help, 'a number above 0 and at most 1', lambda value: 0 < value <= 1
        )
    return Option(
        name, default, help, 'a number of at least 0 and below 1', lambda value: 0 <= value < 1
    )


_LAST_SURVIVAL = _share(
    'last_survival',
    0.5,
    "survival probability that the blocks' line runs to; 1: no stochastic depth",
)
_K = _whole('k', 1, 'width: stages have 16 k, 32 k and 64 k channels', ('-k', '--k'))
_SIZE = Option(
    'size',
    299,
    "side of the images: the paper's 299, or 32 for a first part without its strides",
    '299 or 32',
    lambda size: size in (299, 32),
)


def _huge_or_small(options: dict[str, Any]) -> str:
    return 'huge' if options['size'] == 299 else 'small'


_ROWS = (
    Entry(
        name='nin',
        number=1,
        date='2013-11-16',
        paper='Network In Network',
        arxiv='1312.4400',
        row='Caffe reference implementation',
        model=NIN,
        recipe=Recipe(lr=0.1, epochs=307, micro_batches=1, drop_after=(256,)),
        original='network_in_network',
        commit='0760dc2',
        original_module='network_in_network',
        file_stem=lambda n_class, **_: f'Network_In_Network_{n_class}',
        weights=965568,
        article_millions=0.1,
        paper_accuracy=91.19,
        status='below paper',
        note='The code has 0.966 M weights: 0.1 is an error of the article.',
    ),
    Entry(
        name='nin_bn',
        number=1,
        date='2013-11-16',
        paper='Network In Network',
        arxiv='1312.4400',
        row='Caffe reference implementation with BN',
        model=NINBN,
        recipe=Recipe(lr=0.1, epochs=307, drop_after=(256,)),
        original='network_in_network_with_bn',
        commit='dff8132',
        original_module='network_in_network_with_bn',
        file_stem=lambda n_class, **_: f'Network_In_Network_{n_class}',
        weights=965568,
        article_millions=0.1,
        status='no paper to compare',
        note='The code has 0.966 M weights: 0.1 is an error of the article.',
    ),
    Entry(
        name='vgg_a',
        number=2,
        date='2014-09-04',
        paper='Very Deep Convolutional Networks for Large-Scale Image Recognition',
        arxiv='1409.1556',
        row='model A',
        model=VGGA,
        images='bigger',
        options=(
            Option(
                'column',
                'A',
                'column of table 1 of the paper: A is VGG-11, E VGG-19',
                "'A', 'B', 'D' or 'E'",
                lambda column: column in ('A', 'B', 'D', 'E'),
            ),
        ),
        recipe=Recipe(
            lr=0.01,
            epochs=150,
            batch=256,
            micro_batches=1,
            weight_decay=5e-4,
            drop_every=2,
            divide_by=1,
            times=0.94,
        ),
        original='vgg',
        commit='6e4fc33',
        original_module='vgg_a',
        file_stem=lambda n_class, column, **_: f'VGG_{column}_{n_class}',
        weights=128796352,
        article_millions=129,
        status='model A',
        top5_error='6.8 (model E)',
    ),
    Entry(
        name='googlenet',
        number=3,
        date='2014-09-17',
        paper='Going deeper with convolutions',
        arxiv='1409.4842',
        row='GoogLeNet',
        model=GoogLeNet,
        images='bigger',
        options=(_switch('auxiliary', False, "the paper's two auxiliary classifiers"),),
        recipe=Recipe(
            lr=0.0015,
            epochs=200,
            batch=32,
            weight_decay=2e-4,
            drop_every=8,
            divide_by=1,
            times=0.96,
        ),
        original='googlenet',
        commit='e5e01b2',
        original_module='googlenet',
        file_stem=lambda n_class, **_: f'googlenet_{n_class}',
        weights=5976512,
        article_millions=6,
        top5_error='6.67',
    ),
    Entry(
        name='googlenet_v2',
        number=4,
        date='2015-02-11',
        paper='Batch Normalization: Accelerating Deep Network Training by Reducing Internal '
        'Covariate Shift',
        arxiv='1502.03167',
        row='Inception v2',
        model=GoogLeNetV2,
        images='bigger',
        recipe=Recipe(
            lr=0.045, epochs=200, weight_decay=2e-4, drop_every=8, divide_by=1, times=0.96
        ),
        original='googlenet_v2',
        commit='0968123',
        original_module='googlenet_v2',
        file_stem=lambda n_class, **_: f'googlenet_{n_class}',
        weights=10250432,
        article_millions=10,
        top5_error='4.9',
    ),
    Entry(
        name='googlenet_v3',
        number=5,
        date='2015-12-02',
        paper='Rethinking the Inception Architecture for Computer Vision',
        arxiv='1512.00567',
        row='Inception v3',
        model=GoogLeNetV3,
        images='bigger',
        recipe=Recipe(
            lr=0.045, epochs=200, weight_decay=4e-5, clip=2.0, drop_every=2, divide_by=1, times=0.94
        ),
        original='googlenet_v3',
        commit='dbd50c6',
        original_module='googlenet_v3',
        file_stem=lambda n_class, **_: f'googlenet_v3_{n_class}',
        weights=21549920,
        article_millions=22.5,
        top5_error='3.58',
        note='The article says 22.5 M weights, the code has 21.55 M.',
    ),
    Entry(
        name='prelu_net',
        number=6,
        date='2015-02-06',
        paper='Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet '
        'Classification',
        arxiv='1502.01852',
        row='model A',
        model=PReLUNet,
        images='bigger',
        recipe=Recipe(lr=0.01, epochs=300, weight_decay=5e-4, drop_after=(150, 225)),
        original='prelu_net',
        commit='6f30121',
        original_module='prelu',
        file_stem=lambda n_class, **_: f'PReLUNet_{n_class}_(5, 5, 5)_(256, 512, 512)_0.25',
        weights=43923232,
        article_millions=43.9,
        top5_error='4.94',
        note='Global average pooling in place of spatial pyramid pooling.',
    ),
    Entry(
        name='highway',
        number=7,
        date='2015-07-22',
        paper='Training Very Deep Networks',
        arxiv='1507.06228',
        row='Highway (Fitnet19)',
        model=Highway,
        recipe=Recipe(
            # unlike the original: its highway ignores -lr
            lr=0.1,
            epochs=240,
            weight_decay=5e-4,
            drop_after=(60, 120, 160),
            divide_by=1,
            times=0.2,
        ),
        original='highway_networks',
        commit='5f990f3',
        original_module='highway_networks',
        file_stem=lambda n_class, **_: f'highway_fitnet4_{n_class}',
        weights=2795360,
        article_millions=2.8,
        paper_accuracy=92.46,
        status='matches paper',
        note='BN is added, and the highway part is built differently.',
    ),
    Entry(
        name='resnet',
        number=8,
        date='2015-12-10',
        paper='Deep Residual Learning for Image Recognition',
        arxiv='1512.03385',
        row='ResNet110',
        model=ResNet,
        options=(
            _depth(110, 6, (2,), from_flag=lambda blocks: 6 * blocks + 2),
            _K,
        ),
        recipe=Recipe(lr=0.1, epochs=164, drop_after=(81, 122), warm_up=0.01),
        original='original_residual_net',
        commit='020e827',
        original_module='original_residual_net',
        file_stem=lambda n_class, k, depth, **_: (
            f'residual_network_{n_class}_{_widths(k)}_{_three((depth - 2) // 6)}'
        ),
        weights=1719856,
        article_millions=1.6,
        paper_accuracy=93.57,
        status='matches paper',
        top5_error='3.57',
        note='The article says 1.6 M weights, the code has 1.72 M.',
    ),
    Entry(
        name='inception_v4',
        number=9,
        date='2016-02-23',
        paper='Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning',
        arxiv='1602.07261',
        row='Inception v4',
        model=InceptionV4,
        images=_huge_or_small,
        options=(_SIZE,),
        recipe=Recipe(
            lr=0.045,
            epochs=200,
            weight_decay=4e-5,
            optimizer='RMSprop',
            rms_decay=0.9,
            rms_epsilon=1.0,
            drop_every=2,
            divide_by=1,
            times=0.94,
            source='Section 4 of the paper: RMSProp with decay 0.9 and epsilon 1.0, rate '
            '0.045 times 0.94 every two epochs. Epochs, batch and weight decay '
            'are those of googlenet_v3.',
        ),
        status='not implemented',
        top5_error='3.1',
        note='The article never implemented it.',
    ),
    Entry(
        name='squeezenet',
        number=10,
        date='2016-02-24',
        paper='SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size',
        arxiv='1602.07360',
        row='SqueezeNet with BN',
        model=SqueezeNet,
        images='big',
        recipe=Recipe(lr=0.1, epochs=300, batch=64, micro_batches=1, drop_after=(150, 225)),
        original='squeeze_net',
        commit='85a0f99',
        original_module='squeeze_net',
        file_stem=lambda **_: 'squeeze_res_net',
        weights=737568,
        article_millions=0.7,
        paper_accuracy=82,
        paper_note='AlexNet without augmentation',
        status='matches paper',
        top5_error='17.5 (without BN; single)',
    ),
    Entry(
        name='preresnet',
        number=11,
        date='2016-03-16',
        paper='Identity Mappings in Deep Residual Networks',
        arxiv='1603.05027',
        row='ResNet164',
        model=PreResNet,
        options=(
            _depth(164, 9, (2,), from_flag=lambda blocks: 9 * blocks + 2),
            _K,
            _variant(
                "the original's last state, its first bottlenecks, or the blocks of two 3x3 "
                'convolutions of 93.88',
                'original',
                '2016-11-11',
                '2016-11-09',
            ),
        ),
        recipe=Recipe(lr=0.1, epochs=164, drop_after=(81, 122), warm_up=0.01),
        original='residual_net',
        commit='a07da94',
        original_module='residual_net',
        file_stem=lambda n_class, k, depth, variant, **_: (
            f'residual_network_{n_class}_3_{_widths(k)}_'
            + (
                f'{_three((depth - 2) // 3)}'
                if variant == '2016-11-09'
                else f'{_three((depth - 2) // 9)}_4'
            )
        ),
        weights=1637040,
        article_millions=1.6,
        paper_accuracy=94.54,
        status='matches paper',
        top5_error='4.8 (single)',
    ),
    Entry(
        name='rir',
        number=12,
        date='2016-03-25',
        paper='Resnet in Resnet: Generalizing Residual Architectures',
        arxiv='1603.08029',
        row='18-layer + wide RiR',
        model=RiR,
        options=(
            Option(
                'channel',
                96,
                'channels of the first stage, both streams together',
                f'an even number from 2 to {_MOST_CHANNELS:,}',
                lambda channel: 2 <= channel <= _MOST_CHANNELS and channel % 2 == 0,
                ('-channel', '--channel'),
            ),
        ),
        recipe=Recipe(lr=0.1, epochs=300, batch=500, drop_after=(150, 225)),
        original='resnet_in_resnet',
        commit='5db6164',
        original_module='resnet_in_resnet',
        file_stem=lambda n_class, channel, **_: f'resnet_in_resnet_{n_class}_{channel}',
        weights=9462048,
        article_millions=9.5,
        paper_accuracy=94.99,
        status='below paper',
    ),
    Entry(
        name='stochastic_depth',
        number=13,
        date='2016-03-30',
        paper='Deep Networks with Stochastic Depth',
        arxiv='1603.09382',
        row='ResNet110',
        model=StochasticDepth,
        options=(_depth(110, 6, (2, 4)), _LAST_SURVIVAL),
        recipe=Recipe(lr=0.1, epochs=500, drop_after=(250, 375), skip_dropped=True),
        original='stochastic_depth',
        commit='8c63cbb',
        original_module='stochastic_depth',
        file_stem=lambda n_class, depth, last_survival, **_: (
            f'stochastic_depth_{n_class}_{_three(_blocks(depth))}_(16, 32, 64)'
            f'_(1.0, {float(last_survival)})'
        ),
        weights=1719856,
        article_millions=1.7,
        paper_accuracy=94.75,
        status='matches paper',
    ),
    Entry(
        name='swapout',
        number=14,
        date='2016-05-20',
        paper='Swapout: Learning an ensemble of deep architectures',
        arxiv='1605.06465',
        row='Swapout v2(32) W x4',
        model=Swapout,
        options=(
            _depth(32, 6, (2, 4)),
            _whole('k', 4, 'width: stages start with 16 k, 32 k and 64 k channels', ('-k', '--k')),
            _share(
                'first_theta', 0.0, 'where the line of thetas over the blocks starts', one=False
            ),
            _share(
                'last_theta', 0.5, 'where it ends, which the last block misses by a step', one=False
            ),
            _switch(
                'stochastic_inference',
                True,
                'average the softmax of several passes with the masks on at test',
            ),
            _whole('samples', 30, 'how many passes are averaged', at_most=_MOST_SAMPLES),
            _variant(
                "the original's last state, or the blocks of two 3x3 convolutions of 94.35",
                'original',
                '2016-11-24',
            ),
        ),
        averaged_by='stochastic_inference',
        recipe=Recipe(lr=0.1, epochs=256, drop_after=(196, 224)),
        original='swapout',
        commit='ff1b5c0',
        original_module='swapout',
        file_stem=lambda n_class, k, depth, first_theta, last_theta, variant, **options: (
            f'swapout_{n_class}_3_{_widths(k)}_{_three(_blocks(depth))}'
            f'_{float(first_theta), float(last_theta)}_{float(first_theta), float(last_theta)}'
            f'_{options["stochastic_inference"]}' + ('_4' if variant == 'original' else '')
        ),
        weights=7147200,
        article_millions=7.1,
        paper_accuracy=95.24,
        status='matches paper',
    ),
    Entry(
        name='wide_resnet',
        number=15,
        date='2016-05-23',
        paper='Wide Residual Networks',
        arxiv='1605.07146',
        row='WRN28-10',
        model=WideResNet,
        options=(
            _depth(28, 6, (2, 4)),
            _whole('k', 10, 'width: stages have 16 k, 32 k and 64 k channels', ('-k', '--k')),
            _share(
                'dropout_ratio',
                0.0,
                "of dropout between a block's convolutions; the paper takes 0.3",
                one=False,
            ),
            _variant(
                "the original's last state, or the network with max pooling of 94.33",
                'original',
                '2016-10-28',
            ),
        ),
        recipe=Recipe(
            lr=0.1, epochs=200, weight_decay=5e-4, drop_after=(60, 120, 160), divide_by=1, times=0.2
        ),
        original='wide_residual_net',
        commit='0a75c1d',
        original_module='wide_residual_net',
        file_stem=lambda n_class, k, depth, **_: (
            f'wide_residual_network_{n_class}_3_{_widths(k)}_{_three(_blocks(depth))}'
        ),
        weights=36202672,
        article_millions=36.2,
        paper_accuracy=96.0,
        status='matches paper',
    ),
    Entry(
        name='fractalnet',
        number=16,
        date='2016-05-24',
        paper='FractalNet: Ultra-Deep Neural Networks without Residuals',
        arxiv='1605.07648',
        row='20 layers',
        model=FractalNet,
        options=(
            _whole('columns', 3, 'columns of a block; 4 make 40 layers', at_most=_MOST_COLUMNS),
            _whole('width', 64, 'channels of the first block', at_most=_MOST_CHANNELS),
            _variant(
                "the original's last state, the last layer of the article's 93.77, or that of "
                '93.32 and before',
                'original',
                'article',
                '2016-12-30',
            ),
        ),
        recipe=Recipe(
            lr=0.04, epochs=400, batch=100, drop_after=(200, 300, 350, 375), skip_dropped=True
        ),
        original='fractal_net',
        commit='8cc644e',
        original_module='fractal_net',
        file_stem=lambda n_class, **_: f'fractal_net_{n_class}',
        weights=33704000,
        article_millions=33.7,
        paper_accuracy=95.41,
        status='below paper',
        top5_error='7.39 (FractalNet-34)',
    ),
    Entry(
        name='weighted_resnet',
        number=17,
        date='2016-05-28',
        paper='Weighted Residuals for Very Deep Networks',
        arxiv='1605.08831',
        row='WResNet-d (depth 1192)',
        model=WeightedResNet,
        options=(
            _depth(1192, 6, (4,)),
            _K,
            _LAST_SURVIVAL,
        ),
        recipe=Recipe(lr=0.1, epochs=164, drop_after=(81, 122), skip_dropped=True, alpha_lr=0.001),
        original='weighted_residual_net',
        commit='05404fe',
        original_module='weighted_residual_net',
        file_stem=lambda n_class, k, depth, **_: (
            f'residual_network_{n_class}_{_widths(k)}_{_three((depth - 4) // 6)}'
        ),
        weights=19138690,
        article_millions=19.1,
        paper_accuracy=95.3,
        status='not verified',
    ),
    Entry(
        name='ror',
        number=18,
        date='2016-08-09',
        paper='Residual Networks of Residual Networks: Multilevel Residual Networks',
        arxiv='1608.02908',
        row='RoR-3-WRN58-4',
        model=RoR,
        options=(
            _depth(58, 6, (2, 4)),
            _whole('k', 4, 'width: stages have 16 k, 32 k and 64 k channels', ('-k', '--k')),
            _LAST_SURVIVAL,
        ),
        recipe=Recipe(
            lr=0.1, epochs=500, micro_batches=8, drop_after=(250, 375), skip_dropped=True
        ),
        original='residual_networks_of_residual_networks',
        commit='417b3f5',
        original_module='resnet_of_resnet',
        file_stem=lambda n_class, depth, k, last_survival, **_: (
            f'resnet_of_resnet_{n_class}_{_three(_blocks(depth))}_{_widths(k)}'
            f'_(1.0, {float(last_survival)})'
        ),
        weights=13672640,
        article_millions=13.6,
        paper_accuracy=96.23,
        status='not verified',
        note="The original's own defaults are depth 40 and k 2: 2,258,016 weights.",
    ),
    Entry(
        name='densenet',
        number=19,
        date='2016-08-25',
        paper='Densely Connected Convolutional Networks',
        arxiv='1608.06993',
        row='k=24, depth=100',
        model=DenseNet,
        options=(
            _depth(40, 3, (4,), ('-depth', '--depth')),
            _whole(
                'growth_rate',
                12,
                'channels that each layer adds',
                ('-growth_rate', '--growth_rate'),
                _MOST_CHANNELS,
            ),
            _switch('bottleneck', False, '1x1 convolutions before the 3x3 ones (DenseNet-B)'),
            _share(
                'compression', 1.0, 'share of the channels that a transition keeps (DenseNet-C)'
            ),
        ),
        recipe=Recipe(lr=0.1, epochs=300, batch=64, drop_after=(150, 225)),
        original='dense_net',
        commit='6b4f60c',
        original_module='dense_net',
        file_stem=lambda n_class, depth, growth_rate, **_: (
            f'densenet_{n_class}_3_{int((depth - 2) / 3.0)}_{growth_rate}'
        ),
        weights=1001616,
        article_millions=27.0,
        paper_accuracy=96.26,
        paper_note='depth 100, growth rate 24',
        article_note='depth 40, growth rate 12',
        status='matches paper',
        note="The article's 27.0 M are those of depth 100 and growth rate 24 (27,017,808).",
    ),
    Entry(
        name='xception',
        number=20,
        date='2016-10-07',
        paper='Xception: Deep Learning with Depthwise Separable Convolutions',
        arxiv='1610.02357',
        row='Xception',
        model=Xception,
        images=_huge_or_small,
        options=(_SIZE,),
        recipe=Recipe(
            lr=0.045,
            epochs=200,
            weight_decay=1e-5,
            drop_every=2,
            divide_by=1,
            times=0.94,
            source='Sections 4.2 and 4.3 of the paper, for ImageNet: SGD with momentum 0.9, '
            'rate 0.045 times 0.94 every two epochs, weight decay 1e-5, dropout '
            '0.5. Epochs and batch are those of googlenet_v3.',
        ),
        status='not implemented',
        top5_error='5.5 (single)',
        note='The article never implemented it.',
    ),
    Entry(
        name='pyramidnet',
        number=21,
        date='2016-10-10',
        paper='Deep Pyramidal Residual Networks',
        arxiv='1610.02915',
        row='alpha=270 (depth 110)',
        model=PyramidNet,
        options=(
            _depth(110, 6, (2, 4)),
            _whole(
                'alpha',
                270,
                'channels that the blocks add in all',
                ('-alpha', '--alpha'),
                _MOST_CHANNELS,
            ),
            _whole(
                'initial_channel',
                16,
                'channels before the first block',
                ('-initC', '--initC'),
                _MOST_CHANNELS,
            ),
            _switch('bottleneck', False, 'blocks of 1x1, 3x3 and 1x1 convolutions'),
        ),
        recipe=Recipe(lr=0.5, epochs=300, drop_after=(150, 225)),
        original='pyramidal_residual_networks',
        commit='e3b700f',
        original_module='pyramidal_residual_networks',
        file_stem=lambda n_class, depth, initial_channel, alpha, **_: (
            f'pyramidal_resnet_{n_class}_{_three(_blocks(depth))}_{initial_channel}_{alpha}'
        ),
        weights=28435669,
        article_millions=28.4,
        paper_accuracy=96.23,
        status='matches paper',
        top5_error='4.7 (alpha=450)',
    ),
    Entry(
        name='nas',
        number=22,
        date='2016-11-05',
        paper='Neural Architecture Search with Reinforcement Learning',
        arxiv='1611.01578',
        row='depth=49',
        model=NAS,
        options=(
            _variant(
                "the original's last state, the paper's connections as far as they are known, or "
                "the last layer of the article's 90.35",
                'original',
                'paper',
                'article',
            ),
        ),
        recipe=Recipe(lr=0.1, epochs=200, drop_after=(150, 175)),
        original='neural_architecture_search_with_reinforcement_learning_appendix_a',
        commit='8726118',
        original_module='neural_architecture_search_appendix_a',
        file_stem=lambda n_class, variant, **_: (
            # as the original: the name is misspelled
            f'appndix_a_{n_class}_paper' if variant == 'paper' else f'appndix_a_{n_class}'
        ),
        weights=4119708,
        article_millions=32,
        paper_accuracy=96.16,
        paper_note='depth 49, 32 M weights',
        article_note='Appendix A, 4.1 M weights',
        status='below paper',
        note="The article's 32 M are those of the paper's depth 49; it built Appendix A, 4.1 M.",
    ),
    Entry(
        name='resnext',
        number=23,
        date='2016-11-16',
        paper='Aggregated Residual Transformations for Deep Neural Networks',
        arxiv='1611.05431',
        row='ResNeXt-29, 16x64d',
        model=ResNeXt,
        options=(
            _whole('C', 2, 'cardinality: number of paths', ('-C', '--C'), _MOST_PATHS),
            _whole('d', 64, 'channels of a path in the first stage', ('-d', '--d'), _MOST_CHANNELS),
            _whole(
                'multiplier',
                4,
                'a block ends with d * multiplier channels (first stage)',
                ('-multi', '--multi'),
            ),
            Option(
                'variant',
                'b',
                'form of the blocks in figure 3 of the paper, which all compute the same; b is the '
                "original's",
                "'a', 'b' or 'c'",
                lambda variant: variant in ('a', 'b', 'c'),
            ),
        ),
        recipe=Recipe(lr=0.1, epochs=300, batch=256, weight_decay=5e-4, drop_after=(150, 225)),
        original='resnext',
        commit='8083294',
        original_module='resnext',
        file_stem=lambda n_class, C, variant, **_: (
            f'ResNext_{n_class}_{C}' if variant == 'b' else f'ResNext_{n_class}_{C}_{variant}'
        ),
        weights=8463104,
        article_millions=68.3,
        paper_accuracy=96.42,
        paper_note='16x64d',
        article_note='2x64d',
        status='matches paper',
        note="The article's 68.3 M are the paper's for 16x64d; the code has 67.585 M there.",
    ),
    Entry(
        name='pyramidnet_sepdrop',
        number=24,
        date='2016-12-05',
        paper='Deep Pyramidal Residual Networks with Separated Stochastic Depth',
        arxiv='1612.01230',
        row='depth=182, alpha=150',
        model=PyramidNetSepDrop,
        options=(
            _depth(182, 6, (2, 4)),
            _whole(
                'alpha',
                150,
                'channels that the blocks add in all',
                ('-alpha', '--alpha'),
                _MOST_CHANNELS,
            ),
            _whole(
                'initial_channel',
                16,
                'channels before the first block',
                ('-initC', '--initC'),
                _MOST_CHANNELS,
            ),
            _LAST_SURVIVAL,
        ),
        recipe=Recipe(
            lr=0.5,
            epochs=300,
            drop_after=(150, 225),
            skip_dropped=True,
            source="The paper's section 4, which the original's code of 2016-12-22 (b76821c) "
            'agrees with. In January 2017 it clipped the gradients of each link at 2.0 (890a8e8) '
            'and then became an unfinished experiment with Adam that divides by zero (4a3d25e).',
        ),
        original='pyramidal_residual_networks_with_separated_stochastic_depth',
        commit='9dd962c',
        original_module='pyramidal_residual_networks_with_separated_stochastic_depth',
        file_stem=lambda n_class, depth, initial_channel, alpha, **_: (
            f'pyramidal_resnet_{n_class}_{_three(_blocks(depth))}_{initial_channel}_{alpha}'
        ),
        weights=16479517,
        article_millions=16.5,
        paper_accuracy=96.69,
        status='not verified',
    ),
)

ENTRIES = {row.name: row for row in _ROWS}
