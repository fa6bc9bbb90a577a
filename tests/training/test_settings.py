"""What a run may be asked to do: Python and the command line refuse alike, in one line."""

import dataclasses

import numpy as np
import pytest

import chainer_zoo
from chainer_zoo.commands import train as train_command
from chainer_zoo.commands.flags import Parser
from chainer_zoo.errors import UserError
from chainer_zoo.training.settings import Settings

HUGE = 10**30
FIELDS = {field.name for field in dataclasses.fields(Settings)}


def parsed(*argv):
    """The settings of a command line."""
    parser = Parser(prog='train_cifar10.py')
    train_command.add_arguments(parser, argv)
    return train_command.settings_of(parser.parse_args(argv))


@pytest.mark.parametrize('name', chainer_zoo.names())
def test_what_is_not_said_is_the_recipes(name):
    recipe = chainer_zoo.entry(name).recipe
    settings = Settings(name)
    assert (settings.batch, settings.epoch, settings.lr) == (recipe.batch, recipe.epochs, recipe.lr)
    assert settings.train_batch_divide == settings.test_batch_divide == recipe.micro_batches
    assert settings.out == f'results/{name}'


@pytest.mark.parametrize('name', chainer_zoo.names())
def test_python_and_the_command_line_mean_the_same(name):
    settings = parsed('--model', name)
    assert dataclasses.replace(settings, options={}) == Settings(name)
    assert settings.options == chainer_zoo.entry(name).defaults


@pytest.mark.parametrize('name', chainer_zoo.names())
def test_an_option_of_a_model_is_no_setting(name):
    assert not FIELDS & {'n_class', *chainer_zoo.entry(name).defaults}


#: Field, value, and a part of the line that refuses it.
WRONG = [
    ('model', 'resnxt', 'did you mean resnext'),
    ('model', '', 'there is no model'),
    ('batch', 0, '-b must be a whole number from 1 to 1,000,000, not 0'),
    ('batch', -1, 'from 1 to 1,000,000'),
    ('batch', 1_000_000_007, 'from 1 to 1,000,000'),
    ('batch', HUGE, 'from 1 to 1,000,000'),
    ('epoch', 0, '-e must be a whole number from 1 to 100,000, not 0'),
    ('epoch', 100_000_000, 'from 1 to 100,000'),
    ('start_epoch', 0, '-s must be a whole number from 1 to 100,000'),
    ('start_epoch', 100_000_000, 'from 1 to 100,000'),
    ('start_epoch', 301, '-s 301 comes after the last epoch, -e 300'),
    ('lr', 0, '-lr must be a number larger than 0 and at most 1e+30, not 0'),
    ('lr', -1.0, 'larger than 0'),
    ('lr', float('nan'), 'larger than 0'),
    ('lr', float('inf'), 'at most 1e+30'),
    ('lr', HUGE * 10, 'at most 1e+30'),
    ('train_batch_divide', 257, '-trb 257 is more than the 256 images of a batch'),
    ('train_batch_divide', 512, '-trb 512 is more'),
    ('train_batch_divide', 0, '-trb must be a whole number'),
    ('test_batch_divide', 300, '-teb 300 is more than the 256 images of a batch'),
    ('weight_decay', -0.1, '--weight_decay must be a number of at least 0 and at most 1e+06'),
    ('weight_decay', float('nan'), 'of at least 0'),
    ('init', 'A', '--init must be one of per_channel, whole, whole_2_over_cin'),
    ('images', 'new', '--images must be one of original, article'),
    ('figure', '95.73', "resnext has no figure '95.73'; its figures are 95.72"),
    ('test_batch_divide', HUGE, '-teb must be a whole number'),
    ('seed', -1, '--seed must be a whole number from 0 to 4,294,967,293, not -1'),
    ('seed', 4_294_967_294, 'from 0 to 4,294,967,293'),
    ('iterations', 0, '--iterations must be a whole number from 1 to 1,000,000,000'),
    ('iterations', HUGE, 'from 1 to 1,000,000,000'),
    ('minutes', 0, '--minutes must be a number larger than 0'),
    ('minutes', 1e300, 'at most 1e+07'),
    ('minutes', float('nan'), 'larger than 0'),
    ('keep', 0, '--keep must be a whole number from 1 to'),
    ('keep', HUGE, '--keep must be a whole number'),
    ('snapshot_every', -1, '--snapshot_every must be a whole number from 0'),
    ('snapshot_every', HUGE, '--snapshot_every must be a whole number'),
    ('limit_train', 0, '--limit_train must be a whole number from 1'),
    ('limit_test', HUGE, '--limit_test must be a whole number from 1'),
    ('gpu', -2, '-g must be a whole number from -1 to 255, not -2'),
    ('gpu', 256, 'from -1 to 255'),
    ('dtype', 'float64', '--dtype must be one of float32, mixed16'),
    ('cpu', 'mkl', '--cpu must be one of auto, onednn, numpy'),
    ('dataset', 'mnist', '--dataset must be one of cifar10, shapes, auto'),
    ('out', '', '--out must be a path'),
    ('out', 'a\0b', '--out must be a path'),
    ('data', '', '--data must be a path'),
    ('load_model', '', '-m must be a path'),
    ('load_log', '', '-l must be a path'),
]
#: What only Python can say.
WRONG_TYPES = [
    ('batch', 2.5, 'a whole number'),
    ('batch', '64', 'a whole number'),
    ('batch', True, 'a whole number'),
    ('epoch', [3], 'a whole number'),
    ('lr', '0.1', 'a number'),
    ('lr', True, 'a number'),
    ('minutes', 1j, 'a number'),
    ('out', 3, '--out must be a path, not 3'),
    ('load_model', object, '-m must be a path'),
    ('dtype', np.float32, '--dtype must be one of'),
    ('options', [('d', 4)], 'options must be a dict'),
    ('options', {'growth_rate': 4}, 'has no option growth_rate'),
    ('options', {'d': 4.5}, 'd must be a whole number'),
    ('options', {'n_class': HUGE}, 'n_class must be a whole number'),
]


@pytest.mark.parametrize('name, value, said', WRONG + WRONG_TYPES)
def test_what_makes_no_sense_is_refused_in_one_line(name, value, said):
    with pytest.raises(UserError) as error:
        Settings(**{name: value})
    message = str(error.value)
    assert said in message
    assert '\n' not in message and len(message) < 300


def test_a_number_that_python_does_not_print_is_refused_in_one_line():
    with pytest.raises(UserError, match='1,000,000, not a number of thousands of digits'):
        Settings(batch=10**5000)


@pytest.mark.parametrize(
    'name, value, said',
    [case for case in WRONG if case[1] != 'a\0b'],  # no line can hold it
)
def test_the_command_line_refuses_it_as_well(name, value, said, capsys):
    with pytest.raises((UserError, SystemExit)) as error:
        parsed(f'--{name}={value}')
    lines = capsys.readouterr().err.splitlines()
    if error.type is SystemExit:
        assert error.value.code == 2 and len(lines) == 1
    else:
        assert '\n' not in str(error.value) and not lines


@pytest.mark.parametrize(
    'given',
    [
        {'resume': True, 'load_model': 'a.model'},
        {'resume': 'a.npz', 'load_model': 'a.model'},
    ],
)
def test_a_snapshot_and_a_model_do_not_go_together(given):
    with pytest.raises(UserError, match='--resume brings its own weights: leave out -m'):
        Settings(**given)


@pytest.mark.parametrize(
    'name, value, kept',
    [
        ('batch', np.int64(64), 64),
        ('lr', np.float32(0.5), 0.5),
        ('lr', 1, 1.0),
        ('seed', 2**32 - 3, 2**32 - 3),
        ('resume', None, None),
        ('limit_test', None, None),
        ('out', b'results', 'results'),
    ],
)
def test_what_makes_sense_is_taken_as_it_is_meant(name, value, kept):
    settings = Settings(**{name: value})
    assert getattr(settings, name) == kept
    assert type(getattr(settings, name)) is type(kept)


def test_a_path_object_is_a_path(tmp_path):
    assert Settings(out=tmp_path).out == str(tmp_path)


@pytest.mark.parametrize(
    'line',
    [
        '--model resnext',
        '--model resnext -d 4 -C 8 --n_class 12',
        '--model swapout --no-stochastic_inference -n 14',
        '--model resnet -n 3 -b 64 -trb 2 -teb 1 -lr 0.25 -s 3 -e 9 --seed 5',
        '--model nin --out results/a\\ b --data /somewhere --dataset auto --limit_train 70',
        '--model nin --minutes 1.5 --iterations 7 --keep 3 --snapshot_every 4 --dtype mixed16',
        '--model nin --cpu numpy -g 1 --limit_test 5 -o some.file',
    ],
)
def test_the_line_that_goes_on_with_a_run_means_the_same_run(line):
    words = [word.replace('\\', '') for word in line.replace('\\ ', '\\_').split()]
    settings = parsed(*words)
    again = parsed(*train_command.resuming(settings))
    assert again == dataclasses.replace(settings, resume=True)


def test_the_line_that_goes_on_leaves_out_what_the_snapshot_has():
    settings = parsed('--model', 'nin', '-m', 'a.model', '-l', 'log.json', '-b', '64')
    assert train_command.resuming(settings) == ['--model', 'nin', '--batch', '64', '--resume']
    resumed = parsed('--model', 'nin', '--resume', 'results/nin/snapshot_00000001.npz')
    assert train_command.resuming(resumed) == ['--model', 'nin', '--resume']


def test_every_field_has_a_flag():
    parser = Parser(prog='train_cifar10.py')
    train_command.add_arguments(parser, [])
    flags = {flag for action in parser._actions for flag in action.option_strings}
    assert {f'--{name}' for name in FIELDS - {'options'}} <= flags
