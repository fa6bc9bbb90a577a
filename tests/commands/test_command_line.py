"""A model is named in one way everywhere, and a command's errors are one line and status 2."""

import sys

import pytest

import chainer_zoo
from chainer_zoo import commands
from chainer_zoo import engines
from chainer_zoo.commands import console
from chainer_zoo.commands import flags
from chainer_zoo.commands import train
from chainer_zoo.errors import UserError


@pytest.fixture
def asked(monkeypatch):
    """Run a command line; return the model and the options that it asks for, without the work."""

    def ask(*argv):
        found = []

        def note(args):
            found.append((args.entry.name, flags.options_of(args, args.entry)))
            return 0

        for name in ('summary', 'profile', 'evaluate', 'predict'):
            monkeypatch.setattr(f'chainer_zoo.commands.{name}.run', note)
        assert commands.main(argv) == 0
        return found[0]

    return ask


NAMED_FIRST = {
    'summary': [],
    'profile': ['--batch', '4'],
    'evaluate': ['-m', 'a.model'],
}
NAMED_BY_FLAG = dict(NAMED_FIRST, predict=['-m', 'a.model', 'a.png'])


@pytest.mark.parametrize('command', NAMED_FIRST)
@pytest.mark.parametrize(
    'words, name, option, value',
    [
        (['resnext', '-d', '4'], 'resnext', 'd', 4),
        (['resnext', '--d', '4'], 'resnext', 'd', 4),
        (['resnext', '-d4', '-C', '8'], 'resnext', 'C', 8),
        (['resnext', '-multi', '2'], 'resnext', 'multiplier', 2),
        (['resnet', '--depth', '20'], 'resnet', 'depth', 20),
        (['resnet', '-n', '3'], 'resnet', 'depth', 20),
        (['densenet', '-growth_rate', '24', '--depth', '100'], 'densenet', 'growth_rate', 24),
        (['googlenet', '--auxiliary'], 'googlenet', 'auxiliary', True),
        (['swapout', '--no-stochastic_inference'], 'swapout', 'stochastic_inference', False),
        (['nin', '--n_class', '100'], 'nin', 'n_class', 100),
        (['nas'], 'nas', 'variant', 'original'),
    ],
)
def test_the_first_word_names_the_model_and_its_flags_follow(
    command, words, name, option, value, asked
):
    found = asked(command, *words, *NAMED_FIRST[command])
    assert found[0] == name and found[1][option] == value


@pytest.mark.parametrize('command', NAMED_BY_FLAG)
@pytest.mark.parametrize(
    'words',
    [['--model', 'resnet', '-k', '2'], ['-k', '2', '--model=resnet'], ['-k2', '--model', 'resnet']],
)
def test_a_flag_names_the_model_at_any_place(command, words, asked):
    rest = NAMED_BY_FLAG[command]
    for argv in (words + rest, rest + words):
        name, options = asked(command, *argv)
        assert name == 'resnet' and options['k'] == 2


@pytest.mark.parametrize('command', ['summary', 'profile'])
@pytest.mark.parametrize('words', [['--csv', 'resnet'], ['--depth', '20', 'resnet', '--markdown']])
def test_the_name_may_follow_flags_where_it_must_be_given(command, words, asked):
    assert asked(command, *words)[0] == 'resnet'


@pytest.mark.parametrize('command', ['evaluate', 'predict'])
def test_resnext_is_meant_where_no_model_is_named(command, asked):
    # also where a file is called like another model
    words = ['-m', 'nin'] + NAMED_BY_FLAG[command][2:]
    assert asked(command, *words)[0] == 'resnext'


@pytest.mark.parametrize(
    'argv, said',
    [
        (['summary'], 'required: NAME'),
        (['profile', '--batch', '2'], 'required: NAME'),
        (['summary', 'resnet', 'resnext'], 'unrecognized arguments: resnext'),
        (['summary', 'resnet', '--model', 'resnext'], 'unrecognized arguments'),
        (['summary', 'resnext', '--depth', '20'], 'unrecognized arguments: --depth 20'),
        (['evaluate', 'resnet', '-m', 'a', '-C', '2'], 'unrecognized arguments: -C 2'),
        (['summary', ''], "there is no model ''"),
        (['summary', '--model', ''], "there is no model ''"),
        (['predict', '--model', 'resnxt', '-m', 'a', 'b'], 'did you mean resnext'),
        (['train', 'resnxt'], 'did you mean resnext'),
        (['profile', '--csv', 'resnxt'], 'did you mean resnext'),
        (['nothing'], 'invalid choice'),
        ([], 'required: COMMAND'),
    ],
)
def test_what_names_no_model_is_one_line(argv, said, capsys):
    assert status(argv) == 2
    err = capsys.readouterr().err
    assert said in err and err.count('\n') == 1


def status(argv):
    """Run a command line; return its exit status, whoever gives it."""
    try:
        return commands.main(argv)
    except SystemExit as e:
        return e.code


@pytest.mark.parametrize('command', ['summary', 'profile', 'evaluate', 'predict', 'train'])
def test_help_lists_the_flags_of_the_named_model_and_no_others(command, capsys):
    assert status([command, '--model', 'resnet', '--help']) == 0
    out = capsys.readouterr().out
    assert '--depth' in out and '--k' in out
    assert '--growth_rate' not in out and '--auxiliary' not in out


@pytest.mark.parametrize('command', ['summary', 'profile'])
def test_help_without_a_model_says_how_to_ask_for_one(command, capsys):
    assert status([command, '--help']) == 0
    out = capsys.readouterr().out
    assert f'{command} NAME --help' in ' '.join(out.split()) and 'resnext' in out
    assert '--csv' in out and '--growth_rate' not in out


@pytest.mark.parametrize('command', commands.COMMANDS)
def test_every_command_has_help(command, capsys):
    assert status([command, '--help']) == 0
    assert capsys.readouterr().out.startswith(f'usage: python -m chainer_zoo {command}')


@pytest.mark.parametrize('words', [['resnet', '-b', '0'], ['--model', 'resnet', '-lr', 'x']])
def test_train_is_train_cifar10(words, capsys):
    """Both refuse in the same words, and each calls itself by its own name."""
    said = []
    for run, argv in ((commands.main, ['train', *words]), (train.main, words)):
        with pytest.raises(SystemExit) as caught:
            run(argv)
        assert caught.value.code == 2
        said.append(capsys.readouterr().err)
    assert said[0].replace('python -m chainer_zoo train', 'train_cifar10.py') == said[1]


def test_train_takes_the_flags_of_train_cifar10(monkeypatch):
    parsed = []
    monkeypatch.setattr(train, 'run', lambda args: parsed.append(vars(args)) or 0)
    words = [
        '--model',
        'resnet',
        '-n',
        '3',
        '-e',
        '2',
        '-b',
        '16',
        '-p',
        'here',
        '--dtype',
        'mixed16',
    ]
    assert commands.main(['train', *words]) == train.main(words) == 0
    assert {**parsed[0], 'prog': ''} == {**parsed[1], 'prog': ''}


def test_version(capsys):
    assert status(['--version']) == 0
    assert capsys.readouterr().out == f'chainer_zoo {chainer_zoo.__version__}\n'


@pytest.mark.parametrize(
    'called, prog',
    [
        ('/usr/bin/chainer-zoo', 'chainer-zoo'),
        (r'chainer-zoo.exe', 'chainer-zoo'),
        ('/somewhere/chainer_zoo/__main__.py', 'python -m chainer_zoo'),
    ],
)
def test_messages_call_the_program_as_it_was_called(called, prog, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', [called])
    assert status(['summary', 'resnxt']) == 2
    assert capsys.readouterr().err.startswith(prog + ' summary: ')


def run(function):
    return console.run(lambda parser, argv: None, function, [], prog='prog')


def test_an_error_that_people_can_fix_is_one_line(capsys):
    def fail(args):
        raise UserError('cannot read a\nb\x1b[0m\udce9')

    assert run(fail) == 2
    assert capsys.readouterr().err == 'prog: cannot read a\\nb\\x1b[0m\\udce9\n'


def test_ctrl_c_is_status_130(capsys):
    def fail(args):
        raise KeyboardInterrupt

    assert run(fail) == 130
    assert capsys.readouterr().err == 'prog: interrupted\n'


@pytest.mark.parametrize('on', [True, False])
def test_a_command_leaves_the_engine_as_it_was(on, engine):
    def switch(args):
        (engines.CPU.disable if on else engines.CPU.enable)()
        return 0

    with engines.CPU.using(on):
        assert run(switch) == 0
        assert engines.CPU.is_enabled() is on


@pytest.mark.parametrize('command', ['train', 'summary', 'predict', 'compare', 'doctor'])
@pytest.mark.parametrize('start', ['', '-', '--', '--cpu=', '--model='])
def test_a_word_of_any_length_is_one_short_line(command, start, capsys):
    assert status([command, start + 100_000 * 'x']) == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and len(said) < 2200


@pytest.mark.parametrize(
    'words, said',
    [
        (['--only', 'resnxt'], 'did you mean resnext'),
        (['--only', 'nin', 'resnxt'], 'did you mean resnext'),
        (['--curves', 'nowhere.json'], 'cannot read nowhere.json: No such file'),
        (['--curves', '/dev/zero'], 'it is a device'),
        (['--out', '/dev/null'], 'cannot make the folder /dev/null: another file is there'),
        (['--out', ''], 'must not be empty'),
        (['--golden', ''], 'must not be empty'),
        (['-g', '256'], 'at most 255'),
    ],
)
def test_compare_notices_what_is_wrong_before_it_computes(words, said, monkeypatch, capsys):
    def compute(*args):
        raise AssertionError('golden checks were computed')

    monkeypatch.setattr('chainer_zoo.report.original.add_golden', compute)
    assert status(['compare', '--original', *words]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count('\n') == 1


@pytest.mark.parametrize('word', ['--gpu=--', '-g=--', '-g--', '--batch=--', '-b--', '--model=--'])
@pytest.mark.parametrize('command', ['train', 'profile', 'evaluate'])
def test_two_dashes_are_no_value(command, word, capsys):
    assert status([command, 'resnet', word]) == 2
    assert 'expected one argument' in capsys.readouterr().err


def test_two_dashes_may_be_in_a_value(asked):
    name, _ = asked('predict', '-m', 'a.model', '--names=a=--', '--', '-a.png')
    assert name == 'resnext'
