"""GoogLeNet's auxiliary classifiers and what all three networks' modules concatenate."""

import chainer
import chainer.functions as F
import numpy as np
import pytest

import chainer_zoo
from chainer_zoo import initializers
from chainer_zoo.errors import UserError
from chainer_zoo.links import BatchNormalization
from chainer_zoo.links import Convolution2D
from chainer_zoo.models import googlenet
from chainer_zoo.models import googlenet_v2
from chainer_zoo.models import googlenet_v3
from chainer_zoo.report import golden

# a module, then its paths in the order of their channels: the last link, how many channels;
# 'x' is the pooled input itself
MODULES = [
    (
        'v1',
        lambda: googlenet.Inception(6, 1, 7, 2, 8, 3, 4),
        [('conv1x1', 1), ('conv3x3', 2), ('conv5x5', 3), ('pool_proj', 4)],
    ),
    (
        'v2',
        lambda: googlenet_v2.Inception(6, 1, 7, 2, 8, 3, 4),
        [('conv1x1', 1), ('conv3x3', 2), ('conv5x5_2', 3), ('pool_proj', 4)],
    ),
    (
        'v2, stride 2',
        lambda: googlenet_v2.Inception(6, 0, 7, 2, 8, 3, 0, F.max_pooling_2d, 2),
        [('conv3x3', 2), ('conv5x5_2', 3), ('x', 6)],
    ),
    (
        'v3, figure 5',
        lambda: googlenet_v3.InceptionA(6, (7, 8, 1), (9, 2), 3, 4),
        [('conv5x5_3', 1), ('conv3x3_2', 2), ('conv_pool', 3), ('conv1x1', 4)],
    ),
    (
        'v3, figure 10',
        lambda: googlenet_v3.InceptionA(6, (7, 8, 1), (9, 2), stride=2),
        [('conv5x5_3', 1), ('conv3x3_2', 2), ('x', 6)],
    ),
    (
        'v3, figure 6',
        lambda: googlenet_v3.InceptionB(6, 5),
        [('double_convnxn_5', 192), ('convnxn_3', 192), ('conv_pool', 192), ('conv1x1', 192)],
    ),
    (
        'v3, second reduction',
        lambda: googlenet_v3.ReductionB(6),
        [('double_convnxn_4', 192), ('convnxn_2', 320), ('x', 6)],
    ),
    (
        'v3, figure 7',
        lambda: googlenet_v3.InceptionC(6),
        [
            ('conv3x3U_3', 384),
            ('conv3x3U_4', 384),
            ('conv1x1U_2', 384),
            ('conv1x1U_3', 384),
            ('conv_pool', 192),
            ('conv1x1', 320),
        ],
    ),
]


@pytest.mark.parametrize(
    'make, paths', [case[1:] for case in MODULES], ids=[case[0] for case in MODULES]
)
def test_paths_are_concatenated_in_order(make, paths):
    with initializers.unfilled():
        module = make()
    for link in module.links():
        if isinstance(link, Convolution2D):
            link.W.array[...] = 1.0 / link.W.array[0].size  # averages, so ones stay ones
        elif isinstance(link, BatchNormalization):
            link.avg_var[...] = 1 - link.eps
    expected = []
    for number, (path, width) in enumerate(paths, 2):
        if path == 'x':
            number = 1
        elif isinstance(module[path], Convolution2D):
            module[path].W.array[...] *= number
        else:
            module[path].bn.gamma.array[...] = number
        expected += [number] * width
    with chainer.using_config('train', False):
        y = module(np.ones((1, 6, 15, 15), np.float32)).array
    middle = y.shape[2] // 2  # no zero of a padding reaches it
    np.testing.assert_allclose(y[0, :, middle, middle], expected, rtol=1e-4)


def test_pools_with_stride_1_average_over_the_padding_too():
    with initializers.unfilled():
        module = googlenet_v2.Inception(1, 1, 1, 1, 1, 1, 1)
    for path in module.children():
        path.conv.W.array[...] = 1
        path.bn.avg_var[...] = 1 - path.bn.eps
    with chainer.using_config('train', False):
        pooled = module(np.full((1, 1, 3, 3), 9, np.float32)).array[0, 3]
    np.testing.assert_allclose(pooled, [[4, 6, 4], [6, 9, 6], [4, 6, 4]], rtol=1e-5)


@pytest.fixture(scope='module')
def auxiliary():
    with initializers.unfilled():
        model = chainer_zoo.build('googlenet', auxiliary=True)
    golden.fill_model(model)
    return model


@pytest.fixture(scope='module')
def images():
    return golden.batch(0, 2, 224)


def test_auxiliary_classifiers_have_the_papers_layers(auxiliary):
    shapes = {path: param.shape for path, param in auxiliary.namedparams() if 'auxiliary' in path}
    expected = {}
    for name, channels in (('4a', 512), ('4d', 528)):
        expected.update(
            {
                f'/auxiliary{name}/{link}/{param}': shape
                for link, weights in (
                    ('conv', (128, channels, 1, 1)),
                    ('fc', (1024, 2048)),
                    ('linear', (10, 1024)),
                )
                for param, shape in (('W', weights), ('b', weights[:1]))
            }
        )
    assert shapes == expected


def test_auxiliary_classifiers_can_be_left_out():
    with initializers.unfilled():
        model = chainer_zoo.build('googlenet')
    assert not [path for path, _ in model.namedlinks() if 'auxiliary' in path]


def test_an_auxiliary_classifier_in_numbers():
    with initializers.unfilled():
        classifier = googlenet.AuxiliaryClassifier(2, 3)
    for link in (classifier.conv, classifier.fc, classifier.linear):
        link.W.array[...] = 1.0 / link.W.array[0].size
    classifier.linear.b.array[...] = [0, 1, 2]
    # column c of 14 has value c; windows of 5 every 3 columns average 2, 5, 8, 11: mean 6.5
    x = np.broadcast_to(np.arange(14, dtype=np.float32), (1, 2, 14, 14))
    with chainer.using_config('train', False):
        np.testing.assert_allclose(classifier(x).array, [[6.5, 7.5, 8.5]], rtol=1e-5)


@pytest.mark.parametrize('train, weight', [(True, 0.3), (False, 0)])
def test_loss_adds_the_auxiliary_ones_in_training_only(
    auxiliary, images, train, weight, monkeypatch
):
    x, t = images
    monkeypatch.setattr(
        auxiliary,
        '_logits',
        lambda x, auxiliary=False: [
            chainer.Variable(np.log(np.array([[p] + [(1 - p) / 9] * 9] * 2, np.float32)))
            for p in ([0.5, 0.25, 0.125] if auxiliary else [0.5])
        ],
    )
    with chainer.using_config('train', train):
        loss = auxiliary.loss(x, np.zeros(2, np.int32))
    # nats: -ln of the probability that each classifier gives class 0
    assert float(loss.array) == pytest.approx((1 + weight * (2 + 3)) * np.log(2), rel=1e-5)


def test_auxiliary_classifiers_train_and_leave_the_logits_alone(auxiliary, images):
    x, t = images
    with initializers.unfilled():
        plain = chainer_zoo.build('googlenet')
    golden.fill_model(plain)
    with chainer.using_config('train', True), chainer_zoo.no_noise():
        np.testing.assert_array_equal(auxiliary(x[:1]).array, plain(x[:1]).array)
        auxiliary.cleargrads()
        plain.cleargrads()
        loss, plain_loss = auxiliary.loss(x, t), plain.loss(x, t)
        loss.backward()
        plain_loss.backward()
    assert float(loss.array) > float(plain_loss.array)
    theirs = dict(plain.namedparams())
    for path, param in auxiliary.namedparams():
        assert np.isfinite(param.grad).all() and np.abs(param.grad).max() > 0, path
        if path.startswith(('/conv', '/inception3', '/inception4a')):
            # the two classifiers' gradients arrive in what lies before 4a
            assert np.abs(param.grad - theirs[path].grad).max() > 0, path
        elif path.startswith(('/inception4e', '/inception5', '/linear')):
            np.testing.assert_allclose(param.grad, theirs[path].grad, rtol=1e-4, atol=1e-6)


def test_auxiliary_classifiers_refuse_images_of_other_sizes(auxiliary):
    with chainer.using_config('train', True), pytest.raises(UserError, match='224 pixels'):
        auxiliary.loss(np.zeros((1, 3, 64, 64), np.float32), np.zeros(1, np.int32))
