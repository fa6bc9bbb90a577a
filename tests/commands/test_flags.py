"""Every flag of the 23 original programs is accepted, short and long, with its meaning."""

import pytest

import chainer_zoo
from chainer_zoo.commands import flags
from chainer_zoo.commands import train


def parse(name, argv):
    """Parse flags of a training run."""
    argv = ['--model', name, *argv]
    parser = flags.Parser()
    train.add_arguments(parser, argv)
    return parser.parse_args(argv)


#: Short flag, long flag, where we keep the value, a value to give and what it means.
COMMON = (
    ('-m', '--load_model', 'load_model', 'a.model', 'a.model'),
    ('-o', '--load_optimizer', 'load_optimizer', 'a.optimizer', 'a.optimizer'),
    ('-l', '--load_log', 'load_log', 'log.json', 'log.json'),
    ('-p', '--save_path', 'out', 'here', 'here'),
    ('-e', '--epoch', 'epoch', '3', 3),
    ('-b', '--batch', 'batch', '8', 8),
    ('-g', '--gpu', 'gpu', '1', 1),
    ('-s', '--start_epoch', 'start_epoch', '2', 2),
    ('-trb', '--train_batch_divide', 'train_batch_divide', '2', 2),
    ('-teb', '--test_batch_divide', 'test_batch_divide', '2', 2),
    ('-lr', '--lr', 'lr', '0.25', 0.25),
)

_LAYERS = ('-n', '--N', '40', 'depth', 40)  # -n counts all layers
_K = ('-k', '--k', '3', 'k', 3)
_PYRAMID = (
    _LAYERS,
    ('-alpha', '--alpha', '48', 'alpha', 48),
    ('-initC', '--initC', '8', 'initial_channel', 8),
)

#: Name: epoch, batch, train_batch_divide, test_batch_divide and lr as the original's defaults,
#: then its other flags: short, long, a value to give, the option and what the value means there.
ORIGINALS = {
    'nin': (307, 128, 1, 1, 0.1),
    'nin_bn': (307, 128, 4, 4, 0.1),
    'vgg_a': (150, 256, 1, 1, 0.01),
    'googlenet': (200, 32, 4, 4, 0.0015),
    'googlenet_v2': (200, 128, 4, 4, 0.045),
    'googlenet_v3': (200, 128, 4, 4, 0.045),
    'prelu_net': (300, 128, 4, 4, 0.01),
    'highway': (240, 128, 4, 4, 0.1),
    'resnet': (164, 128, 4, 4, 0.1, ('-n', '--N', '9', 'depth', 56), _K),  # 9 blocks a stage
    'squeezenet': (300, 64, 1, 1, 0.1),
    'preresnet': (164, 128, 4, 4, 0.1, ('-n', '--N', '9', 'depth', 83), _K),
    'rir': (300, 500, 4, 4, 0.1, ('-channel', '--channel', '24', 'channel', 24)),
    'stochastic_depth': (500, 128, 4, 4, 0.1, _LAYERS),
    'swapout': (256, 128, 4, 4, 0.1, _LAYERS, _K),
    'wide_resnet': (200, 128, 4, 4, 0.1, _LAYERS, _K),
    'fractalnet': (400, 100, 4, 4, 0.04),
    'weighted_resnet': (164, 128, 4, 4, 0.1, _LAYERS, _K),
    'ror': (500, 128, 8, 8, 0.1, _LAYERS, _K),
    'densenet': (
        300,
        64,
        4,
        4,
        0.1,
        ('-depth', '--depth', '22', 'depth', 22),
        ('-growth_rate', '--growth_rate', '8', 'growth_rate', 8),
    ),
    'pyramidnet': (300, 128, 4, 4, 0.5) + _PYRAMID,
    'pyramidnet_sepdrop': (300, 128, 4, 4, 0.5) + _PYRAMID,
    'nas': (200, 128, 4, 4, 0.1),
    'resnext': (
        300,
        256,
        4,
        4,
        0.1,
        ('-C', '--C', '4', 'C', 4),
        ('-d', '--d', '8', 'd', 8),
        ('-multi', '--multi', '2', 'multiplier', 2),
    ),
}


def test_these_are_all_models_that_have_an_original():
    assert set(ORIGINALS) == {
        name for name in chainer_zoo.names() if chainer_zoo.entry(name).original
    }
    assert len(ORIGINALS) == 23


@pytest.mark.parametrize('name', ORIGINALS)
@pytest.mark.parametrize('short, long, where, text, value', COMMON)
def test_flags_that_all_originals_have(name, short, long, where, text, value):
    for flag in (short, long):
        args = parse(name, [flag, text])
        assert getattr(args, where) == value
        assert type(getattr(args, where)) is type(value)


@pytest.mark.parametrize(
    'name, short, long, text, option, value',
    [(name,) + flag for name, original in ORIGINALS.items() for flag in original[5:]],
)
def test_flags_of_single_originals(name, short, long, text, option, value):
    entry = chainer_zoo.entry(name)
    for flag in (short, long):
        args = parse(name, [flag, text])
        assert flags.options_of(args, entry)[option] == value


@pytest.mark.parametrize('name', ORIGINALS)
def test_no_flag_of_an_original_is_left_out(name):
    """The entry's flags are those listed above, and no others."""
    assert {flag for option in chainer_zoo.entry(name).options for flag in option.flags} == {
        flag for listed in ORIGINALS[name][5:] for flag in listed[:2]
    }


@pytest.mark.parametrize('name', ORIGINALS)
def test_defaults_are_the_originals(name):
    args = parse(name, [])
    assert (
        args.epoch,
        args.batch,
        args.train_batch_divide,
        args.test_batch_divide,
        args.lr,
    ) == ORIGINALS[name][:5]
    assert (args.load_model, args.load_optimizer, args.load_log) == (None, None, None)
    assert (args.gpu, args.start_epoch) == (-1, 1)


@pytest.mark.parametrize(
    'name, words, depth',
    [
        ('resnet', ['-n', '18'], 110),
        ('preresnet', ['-n', '18'], 164),
        ('stochastic_depth', ['-n', '110'], 110),
        ('weighted_resnet', ['-n', '1192'], 1192),
        ('ror', ['-n', '40', '-k', '2'], 40),
        ('pyramidnet_sepdrop', ['-n', '182'], 182),
    ],
)
def test_n_is_blocks_a_stage_for_resnet_and_preresnet_and_layers_in_all_elsewhere(
    name, words, depth
):
    args = parse(name, words)
    assert flags.options_of(args, chainer_zoo.entry(name))['depth'] == depth


@pytest.mark.parametrize('name', ['nin', 'resnext', 'densenet'])
def test_a_flag_of_another_model_is_refused(name, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(name, ['-initC', '16'])
    assert caught.value.code == 2
    assert '-initC' in capsys.readouterr().err


@pytest.mark.parametrize('digits', [1, 19, 400, 4300, 5000, 100_000])
def test_a_number_of_any_length_is_refused_in_one_short_line(digits, capsys):
    for flag in ('--batch', '--epoch', '--seed', '-d', '--n_class', '--keep', '-lr', '--minutes'):
        with pytest.raises(SystemExit):
            parse('resnext', [flag, '-' + digits * '9'])
        said = capsys.readouterr().err
        assert 'must be a' in said and said.count('\n') == 1 and len(said) < 300


BOUNDS = {
    '-b': (1, 10**6),
    '-e': (1, 10**5),
    '-s': (1, 10**5),
    '-trb': (1, 10**6),
    '-teb': (1, 10**6),
    '--seed': (0, 2**32 - 3),
    '--iterations': (1, 10**9),
    '--limit_train': (1, 10**9),
    '--limit_test': (1, 10**9),
    '--keep': (1, 10**9),
    '--snapshot_every': (0, 10**9),
    '-g': (-1, 255),
}


@pytest.mark.parametrize('flag', BOUNDS)
def test_whole_numbers_have_bounds_that_the_message_names(flag, capsys):
    least, most = BOUNDS[flag]
    for value in (least, most):
        parse('resnext', [flag, str(value)])
    for value in (least - 1, most + 1, 10**30, -(10**30), 1.5, '', 'x', 'nan', '1e3', '0x10'):
        with pytest.raises(SystemExit) as caught:
            parse('resnext', [f'{flag}={value}'])
        assert caught.value.code == 2
        assert f'at least {least} and at most {most:,}, not' in capsys.readouterr().err


@pytest.mark.parametrize('flag, most', [('-lr', '1e+30'), ('--minutes', '1e+07')])
@pytest.mark.parametrize('value', ['0', '-1', 'nan', 'inf', '-inf', '1e31', '1e400', '', 'x'])
def test_other_numbers_have_bounds_that_the_message_names(flag, most, value, capsys):
    with pytest.raises(SystemExit) as caught:
        parse('resnext', [f'{flag}={value}'])
    assert caught.value.code == 2
    assert f'larger than 0 and at most {most}, not' in capsys.readouterr().err


@pytest.mark.parametrize('flag', ['--out', '-p', '-m', '-l', '--data'])
def test_an_empty_path_is_refused(flag, capsys):
    with pytest.raises(SystemExit) as caught:
        parse('resnext', [flag, ''])
    assert caught.value.code == 2
    assert 'must not be empty' in capsys.readouterr().err
