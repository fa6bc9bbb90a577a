"""What ``summary`` prints is what can be counted by hand."""

import collections
import csv
import io
import re

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np
import pytest

from chainer_zoo import catalog
from chainer_zoo import commands
from chainer_zoo import engines
from chainer_zoo import parameters
from chainer_zoo.commands import flags
from chainer_zoo.commands import summary as command
from chainer_zoo.report import summary


def summarize(name, **options):
    entry = catalog.entry(name)
    options = entry.complete(options)
    return summary.summarize(summary.build(entry, options), summary.image_size(entry, options))


def printed(capsys, *argv):
    parser = flags.Parser()
    command.add_arguments(parser, argv)
    assert command.run(parser.parse_args(argv)) == 0
    return capsys.readouterr().out


def test_first_layers_of_resnext_by_hand():
    layers = {layer.path: layer[1:] for layer in summarize('resnext').layers}
    expected = {
        # shape, weights, all parameters, multiply-adds
        'conv_bn_relu/conv': ((256, 32, 32), 6912, 6912 + 256, 6912 * 1024),
        'conv_bn_relu/bn': ((256, 32, 32), 0, 512, 0),
        'resnext_block_1_1/conv_bn_relu1_2/conv': ((64, 32, 32), 16384, 16448, 16384 * 1024),
        'resnext_block_1_1/conv_bn_relu2_2/conv': ((64, 32, 32), 36864, 36928, 36864 * 1024),
        'resnext_block_1_1/conv_bn_relu3/conv': ((256, 32, 32), 32768, 33024, 32768 * 1024),
        'resnext_block_2_1/conv_bn_relu1_1/conv': ((128, 32, 32), 32768, 32896, 32768 * 1024),
        'resnext_block_2_1/conv_bn_relu2_1/conv': ((128, 16, 16), 147456, 147584, 147456 * 256),
        'linear/conv': ((10, 1, 1), 10240, 10250, 10240),
    }
    assert {path: layers[path] for path in expected} == expected


# at the images' size of each and 1000 classes
@pytest.mark.parametrize(
    'name,published', [('vgg_a', 7.61e9), ('inception_v4', 12.28e9), ('xception', 8.40e9)]
)
def test_multiply_adds_are_the_published_ones(name, published):
    assert summarize(name, n_class=1000).multiply_adds == pytest.approx(published, rel=0.01)


def test_multiply_adds_of_googlenet_are_those_of_the_papers_table_1():
    # as the original's, maximum pooling covers the edges: more pixels a side than in the paper
    papers_side = {57: 56, 29: 28, 15: 14, 8: 7}
    found = collections.defaultdict(int)
    for path, shape, _, _, products in summarize('googlenet', n_class=1000).layers:
        side = shape[-1]
        stage = path.split('/')[0].split('_')[0]
        found[stage] += products * (papers_side.get(side, side) / float(side)) ** 2 / 1e6
    table = {
        'conv2': 360,
        'inception3a': 128,
        'inception3b': 304,
        'inception4a': 73,
        'inception4b': 88,
        'inception4c': 100,
        'inception4d': 119,
        'inception4e': 170,
        'inception5a': 54,
        'inception5b': 71,
        'linear': 1,
    }
    table['conv1'] = 118  # 64 x 112 x 112 pixels of 7 x 7 x 3; the paper's 34 cannot be
    assert found == pytest.approx(table, rel=0.06)


@pytest.mark.parametrize('name', catalog.names())
def test_rows_add_up_to_the_totals_and_the_totals_are_the_models(name):
    entry = catalog.entry(name)
    model = summary.build(entry, entry.complete({}))
    found = summary.summarize(model, summary.image_size(entry, entry.complete({})))
    assert sum(layer.weights for layer in found.layers) == found.weights
    assert sum(layer.parameters for layer in found.layers) == found.parameters
    assert sum(layer.multiply_adds for layer in found.layers) == found.multiply_adds
    assert found.weights == parameters.count_weights(model)
    assert entry.weights in (None, found.weights)
    assert found.parameters == sum(param.size for param in model.params())
    assert found.activation_bytes > 4 * 3 * found.size**2


def test_the_layers_of_the_deepest_model_are_found():
    found = summarize('weighted_resnet')
    # two in each of 3 x 198 blocks, the first and the last
    assert sum(layer.multiply_adds > 0 for layer in found.layers) == 2 * 3 * 198 + 2


def test_counts_do_not_depend_on_the_engine(engine):
    with engines.CPU.using(False):
        expected = summarize('resnext', d=4)
    with engines.CPU.using(True):
        assert summarize('resnext', d=4) == expected


@pytest.mark.parametrize('name, options', [('resnet', {'depth': 8}), ('vgg_a', {}), ('nas', {})])
def test_the_least_memory_is_that_of_convolutions_results(name, options):
    entry = catalog.entry(name)
    options = entry.complete(options)
    found = summarize(name, **options)
    results = [4 * np.prod(layer.shape, dtype=int) for layer in found.layers if layer.multiply_adds]
    assert 0 < sum(results) < found.activation_bytes
    for images in (1, 10**6):
        least = summary.least_bytes(entry, options, images, found.size, train=True)
        assert least == images * sum(results)
        least = summary.least_bytes(entry, options, images, found.size, train=False)
        assert least == images * max(results)


class Twice(chainer.Chain):
    """A layer that is called twice, and one that is never called."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.conv = L.Convolution2D(3, 3, 3, pad=1)
            self.spare = L.Linear(4, 5)

    def forward(self, x):
        return F.reshape(F.relu(self.conv(self.conv(x))), (len(x), -1))


def test_a_layer_has_a_row_a_call_and_its_parameters_count_once():
    found = summary.summarize(Twice(), 8)
    assert found.layers == [
        ('conv', (3, 8, 8), 81, 84, 81 * 64),
        ('conv', (3, 8, 8), 0, 0, 81 * 64),
        ('spare', (), 20, 20, 0),
        ('spare', (), 0, 5, 0),
    ]
    assert found[1:] == (101, 109, 2 * 81 * 64, 3 * 3 * 64 * 4, 8)


@pytest.mark.parametrize(
    'number,text',
    [
        (999, '999'),
        (1000, '1.00 k'),
        (999499, '999 k'),
        (999500, '1.00 M'),
        (12345678, '12.3 M'),
        (1357654016, '1.36 G'),
        (9.996e9, '10.0 G'),
        (128e9, '128 G'),
    ],
)
def test_counts_are_shown_in_three_digits(number, text):
    assert summary.with_unit(number) == text


def test_text_ends_with_the_totals_and_both_counts(capsys):
    out = printed(capsys, 'resnext')
    assert out.splitlines()[1].split() == [
        'conv_bn_relu/conv',
        '256',
        'x',
        '32',
        'x',
        '32',
        '6,912',
        '7,168',
        '7,077,888',
    ]
    assert 'as the article counts: 8,463,104\n' in out
    assert 'The article gives 68.3 million.' in out
    assert 'All parameters: 8,496,158\n' in out
    assert '1,357,654,016 (1.36 G)' in out


def test_csv_has_plain_numbers_and_markdown_a_rule(capsys):
    rows = list(csv.DictReader(io.StringIO(printed(capsys, 'resnext', '--csv'))))
    assert sum(int(row['weights']) for row in rows) == 8463104
    lines = printed(capsys, 'resnext', '--markdown').splitlines()
    assert lines[1] == '| --- | --- | ---: | ---: | ---: |'
    assert lines[2].count('|') == 6


def test_options_choose_the_model(capsys):
    assert 'as the article counts: 27,017,808\n' in printed(
        capsys, 'densenet', '--depth', '100', '--growth_rate', '24'
    )
    assert 'size 32' in printed(capsys, 'xception', '--size', '32')


def test_layers_that_only_training_has_are_there(capsys):
    without = printed(capsys, 'googlenet')
    found = printed(capsys, 'googlenet', '--auxiliary')
    assert 'auxiliary4a' in found and 'auxiliary4a' not in without and 'not called' not in found


@pytest.mark.parametrize(
    'argv,message',
    [
        (['resnxt'], "there is no model 'resnxt'; did you mean resnext"),
        (['--csv', 'resnxt'], "there is no model 'resnxt'; did you mean resnext"),
        (['resnext', '--depth', '29'], 'unrecognized arguments: --depth 29'),
        (['resnet', '--depth', '111'], r'resnet: depth must be 6 n \+ 2'),
    ],
)
def test_mistakes_are_named(argv, message, capsys):
    try:
        assert commands.main(['summary', *argv]) == 2
    except SystemExit as error:  # the parser's own way out
        assert error.code == 2
    assert re.search(message, capsys.readouterr().err)
