"""Model files of the networks that the article's figures were measured with."""

import json
import pathlib

import numpy as np
import pytest

import chainer_zoo
from chainer_zoo import initializers
from chainer_zoo import parameters
from chainer_zoo.errors import UserError
from chainer_zoo.legacy import model_file

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden'


@pytest.fixture(params=['fractalnet', 'nas'])
def older(request, tmp_path):
    """A model's name, and a file with the arrays that the original saved then; N counts batches."""
    arrays = json.loads((GOLDEN / f'arrays-{request.param}-article.json').read_text())
    path = tmp_path / 'older.model'
    np.savez(
        path.with_suffix('.npz'),
        **{
            key: np.array(7, np.int64) if key.endswith('/N') else np.ones(shape, np.float32)
            for key, shape in arrays.items()
        },
    )
    path.with_suffix('.npz').rename(path)
    return request.param, path


def test_it_loads_into_the_articles_variant(older):
    name, path = older
    with initializers.unfilled():
        model = chainer_zoo.build(name, variant='article')
    model_file.load(path, model)
    assert all((array == 1).all() for array in parameters.arrays(model).values())


def test_it_is_refused_by_the_last_state_which_has_another_last_layer(older):
    name, path = older
    with initializers.unfilled():
        model = chainer_zoo.build(name)
    with pytest.raises(UserError, match='surplus (conv_bn_relu|linear/bn)/'):
        model_file.load(path, model)


@pytest.mark.parametrize(
    'name, options, file',
    [
        ('fractalnet', {'variant': 'article'}, 'fractal_net_10_329.model'),
        ('nas', {'variant': 'article'}, 'appndix_a_10_329.model'),
        ('nas', {'variant': 'paper'}, 'appndix_a_10_paper_329.model'),
        (
            'swapout',
            {'variant': '2016-11-24', 'depth': 62},
            'swapout_10_3_(64, 128, 256)_(10, 10, 10)_(0.0, 0.5)_(0.0, 0.5)_True_329.model',
        ),
        (
            'preresnet',
            {'variant': '2016-11-09'},
            'residual_network_10_3_(16, 32, 64)_(54, 54, 54)_329.model',
        ),
        (
            'preresnet',
            {'variant': '2016-11-11'},
            'residual_network_10_3_(16, 32, 64)_(18, 18, 18)_4_329.model',
        ),
        (
            'wide_resnet',
            {'variant': '2016-10-28', 'depth': 32, 'k': 8},
            'wide_residual_network_10_3_(128, 256, 512)_(5, 5, 5)_329.model',
        ),
    ],
)
def test_a_variant_is_saved_under_its_originals_name(name, options, file):
    entry = chainer_zoo.entry(name)
    assert entry.model_file(entry.complete(options), 329) == file
