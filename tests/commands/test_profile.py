"""The profile of a training step."""

import chainer
import numpy as np
import pytest

import chainer_zoo
from chainer_zoo import engines
from chainer_zoo.commands import main
from chainer_zoo.report import profiling


def found(on):
    model = chainer_zoo.build('resnet', depth=8)
    optimizer = chainer.optimizers.MomentumSGD(0.01).setup(model)
    x = np.random.RandomState(0).uniform(-1, 1, (4, 3, 32, 32)).astype(np.float32)
    with engines.CPU.using(on):
        return profiling.profile(model, optimizer, x, np.arange(4, dtype=np.int32), steps=1)


def test_every_convolution_is_seen_forward_and_backward():
    rows = {row.function: row for row in found(False).rows}
    assert rows['Convolution2DFunction'].calls == rows['Convolution2DGradW'].calls == 8
    assert rows['Deconvolution2DFunction'].calls == 7  # images want no gradient
    assert {row.where for row in rows.values()} == {'Chainer'}


def test_functions_take_no_longer_than_the_step():
    result = found(False)
    assert 0 < sum(row.seconds for row in result.rows) <= result.forward + result.backward


@pytest.mark.skipif(not engines.CPU.is_available(), reason='oneDNN does not load')
def test_it_says_what_onednn_computed():
    rows = {row.function: row for row in found(True).rows}
    assert rows['Convolution2D'].where == rows['Sequence'].where == 'oneDNN'
    assert rows['SoftmaxCrossEntropy'].where == 'Chainer'


@pytest.mark.skipif(not engines.CPU.is_available(), reason='oneDNN does not load')
def test_the_stages_of_a_sequence_are_rows():
    rows = {row.function: row for row in found(True).rows}
    # six convolutions in blocks, one before them and one after
    assert rows['Convolution2D'].calls == rows['gradient of Convolution2D'].calls == 8
    assert rows['Sequence'].calls == rows['SequenceGrad'].calls >= 3


@pytest.mark.skipif(not engines.CPU.is_available(), reason='oneDNN does not load')
def test_what_runs_inside_onednn_is_found_and_no_more_than_the_step():
    model = chainer_zoo.build('resnet', depth=8)
    x = np.random.RandomState(0).uniform(-1, 1, (4, 3, 32, 32)).astype(np.float32)

    def step():
        model.cleargrads()
        chainer.functions.sum(model(x)).backward()

    with engines.CPU.using(True):
        step()
        seconds, kinds = profiling.inside(step, 2)
    assert {
        'convolution forward',
        'convolution backward data',
        'convolution backward weights',
        'batch normalization, moments',
    } <= set(kinds)
    assert min(kinds.values()) > 0 and sum(kinds.values()) < seconds
    with engines.CPU.using(False):
        assert not profiling.inside(step, 1)[1]


@pytest.mark.skipif(not engines.CPU.is_available(), reason='oneDNN does not load')
def test_the_command_says_what_runs_inside_onednn(capsys):
    assert (
        main(
            [
                'profile',
                '--model',
                'resnet',
                '--option',
                'depth=8',
                '--batch',
                '2',
                '--steps',
                '1',
                '--cpu',
                'onednn',
            ]
        )
        == 0
    )
    lines = {line.split('  ')[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines['convolution backward weights'].endswith('0.00   0.0%')  # of an evaluation
    assert '(Python, NumPy, Chainer)' in lines


def test_the_command_prints_a_table(capsys):
    assert (
        main(
            [
                'profile',
                '--model',
                'resnet',
                '--option',
                'depth=8',
                '--batch',
                '2',
                '--steps',
                '1',
                '--cpu',
                'numpy',
            ]
        )
        == 0
    )
    assert 'Convolution2DFunction' in capsys.readouterr().out


def test_options_may_be_said_in_their_older_words_which_is_told(capsys):
    words = ['profile', 'resnet', '--batch', '2', '--steps', '1', '--cpu', 'numpy', '--csv']
    counts = []
    for depth in (['--depth', '14'], ['--option', 'depth=14'], ['--option', 'depth=8']):
        assert main(words + depth) == 0
        out, err = capsys.readouterr()
        counts.append(out.count('\n') and [row.split(',')[:3] for row in out.splitlines()])
        assert ('--option' in err) is (depth[0] == '--option')
    assert sorted(counts[0]) == sorted(counts[1]) != sorted(counts[2])


@pytest.mark.parametrize('option', ['depht=8', 'depth', 'depth=x', 'depth=9', 'depth=', '=8', ''])
def test_an_unknown_option_is_one_line(option, capsys):
    assert main(['profile', '--model', 'resnet', '--option', option]) == 2
    err = capsys.readouterr().err
    assert 'depth' in err


@pytest.mark.parametrize('cpu', ['numpy', 'auto'])
@pytest.mark.parametrize('free, status', [(2e6, 2), (None, 0), (1e12, 0)])
def test_a_batch_that_the_memory_cannot_hold_is_refused(cpu, free, status, monkeypatch, capsys):
    monkeypatch.setattr('chainer_zoo.memory.available', lambda: free and int(free))
    words = ['profile', 'resnet', '--depth', '8', '--batch', '16', '--steps', '1', '--cpu', cpu]
    assert main(words) == status
    if status:
        said = capsys.readouterr().err
        assert 'resnet with 16 images at a time takes more memory than the 2.0 MB' in said


@pytest.mark.parametrize('flag', ['-b', '--batch', '--steps'])
@pytest.mark.parametrize(
    'value', ['0', '-1', '1000001', str(10**30), '9' * 50, '1e3', 'nan', '', 'x', str(2**63)]
)
def test_numbers_have_bounds_that_the_message_names(flag, value, capsys):
    with pytest.raises(SystemExit) as caught:
        main(['profile', 'resnet', f'{flag}={value}'])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    most = '10,000' if flag == '--steps' else '1,000,000'
    assert f'must be a whole number of at least 1 and at most {most}, not ' in said
    assert said.count('\n') == 1 and len(said) < 300
