"""Whole runs on a GPU: data set, images, updates, evaluation, snapshots, in both precisions."""

import json

import pytest

from chainer_zoo.commands import train
from chainer_zoo.functions import noise

pytestmark = pytest.mark.gpu


def log_of_run(out, *args):
    """Train on the built-in drawn images; return the log, one record an epoch."""
    state = noise.generator.state()
    assert (
        train.main(
            [
                '--dataset',
                'shapes',
                '--limit_train',
                '1024',
                '--limit_test',
                '256',
                '-b',
                '64',
                '-g',
                '0',
                '--out',
                str(out),
            ]
            + list(args)
        )
        == 0
    )
    noise.generator.restore(state)
    return json.loads((out / 'log').read_text())


@pytest.mark.parametrize('dtype', ['float32', 'mixed16'])
@pytest.mark.parametrize(
    'model',
    [
        ['--model', 'resnext', '-d', '8'],
        ['--model', 'swapout', '-n', '14', '-k', '1'],
        ['--model', 'stochastic_depth', '-n', '14'],
    ],
    ids=lambda model: model[1],
)
def test_a_run_learns(model, dtype, tmp_path):
    log = log_of_run(tmp_path / 'run', '-e', '4', '--dtype', dtype, *model)
    assert log[-1]['main/loss'] < log[0]['main/loss'] < 4


def test_a_run_resumes(tmp_path):
    model = ['--model', 'stochastic_depth', '-n', '14']
    through = log_of_run(tmp_path / 'through', '-e', '2', *model)
    log_of_run(tmp_path / 'parts', '-e', '1', *model)
    resumed = log_of_run(tmp_path / 'parts', '-e', '2', '--resume', *model)
    # cuDNN may sum in another order, which two epochs amplify a little
    assert resumed[-1]['main/loss'] == pytest.approx(through[-1]['main/loss'], rel=0.05)
