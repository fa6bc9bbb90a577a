"""The three forms of figure 3 of ResNeXt's paper compute the same."""

import chainer
import chainer.functions as F
import numpy as np
import pytest

import chainer_zoo
from chainer_zoo import parameters
from chainer_zoo.report import golden

OPTIONS = dict(C=4, d=4, multiplier=2)


def as_grouped(arrays):
    """Return the arrays of form (c) that compute what those of form (b) do."""
    found = {}
    for path, array in arrays.items():
        block, *rest = path.split('/')
        if not rest or not rest[0].startswith(('conv_bn_relu1_', 'conv_bn_relu2_')):
            found[path] = array
            continue
        layer, number = rest[0].rsplit('_', 1)
        if number == '1':  # output channels of the paths, one path after the other
            paths = [f'{block}/{layer}_{i}/' + '/'.join(rest[1:]) for i in range(1, 5)]
            found['/'.join([block, layer] + rest[1:])] = np.concatenate([arrays[p] for p in paths])
    return found


def as_summed(arrays):
    """Return the arrays of form (a) that compute what those of form (b) do."""
    found = {}
    for path, array in arrays.items():
        block, *rest = path.split('/')
        if not rest or rest[0] != 'conv_bn_relu3':
            found[path] = array
        elif rest[1] == 'bn':
            found[f'{block}/bn3/{rest[2]}'] = array
        elif rest[2] == 'W':  # input channels of the paths, one path after the other
            for i, w in enumerate(np.split(array, 4, axis=1), 1):
                found[f'{block}/conv3_{i}/W'] = w
        else:  # a sum needs its bias once
            for i in range(1, 5):
                found[f'{block}/conv3_{i}/b'] = array * (i == 1)
    return found


@pytest.fixture(scope='module')
def original():
    model = chainer_zoo.build('resnext', **OPTIONS)
    golden.to_float64(model)
    golden.fill_model(model)
    return model


def computed(model, train):
    x, t = golden.batch(0, 4, 32)
    x = chainer.Variable(x.astype(np.float64))
    model.cleargrads()
    with chainer.using_config('train', train):
        y = model(x)
        F.softmax_cross_entropy(y, t).backward()
    return y.array, x.grad


@pytest.mark.parametrize('train', [True, False], ids=['train', 'test'])
@pytest.mark.parametrize('variant, convert', [('a', as_summed), ('c', as_grouped)])
def test_a_form_computes_what_b_does(variant, convert, train, original):
    model = chainer_zoo.build('resnext', **OPTIONS, variant=variant)
    golden.to_float64(model)
    arrays = parameters.arrays(model)
    golden.fill_model(original)  # training passes changed the running statistics
    given = convert(parameters.arrays(original))
    assert {path: array.shape for path, array in given.items()} == {
        path: array.shape for path, array in arrays.items()
    }
    for path, array in given.items():
        arrays[path][...] = array
    for ours, theirs in zip(computed(model, train), computed(original, train)):
        assert ours.dtype == np.float64
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-12 * np.abs(theirs).max())


@pytest.mark.parametrize('variant', ['a', 'b', 'c'])
def test_all_forms_have_the_same_number_of_weights(variant):
    model = chainer_zoo.build('resnext', variant=variant)
    assert parameters.count_weights(model) == chainer_zoo.entry('resnext').weights
