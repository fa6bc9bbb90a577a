"""compare --original: golden checks and learning curves, computed when asked."""

import json
import re
import shutil

import numpy as np
import pytest

from chainer_zoo import commands
from chainer_zoo import engines
from chainer_zoo.data import cifar10
from chainer_zoo.data import shapes
from chainer_zoo.errors import UserError
from chainer_zoo.report import golden
from chainer_zoo.report import original
from chainer_zoo.report.page import Page

NETWORKS = ('resnext', 'resnet', 'densenet', 'wide_resnet')


@pytest.fixture(scope='module')
def curves(shared):
    return original.read_curves(shared / 'original' / 'curve.json')


@pytest.fixture(scope='module')
def images_of_the_curves(cifar10_folder):
    data = cifar10.read(str(cifar10_folder))
    return data.train_x[: 64 * 120], data.train_y[: 64 * 120]


@pytest.mark.slow
@pytest.mark.parametrize('name', NETWORKS)
def test_the_first_losses_on_real_images_are_the_originals(name, curves, images_of_the_curves):
    # Chainer's own CPU code, as the original: rounding grows from update to update, so oneDNN's
    # order of sums alone moves the tenth loss by 2%
    curve = dict(curves[name], losses=curves[name]['losses'][:10])
    with engines.CPU.using(False):
        first, _ = original.deviations(
            original.learn(name, curve, *images_of_the_curves), curve['losses']
        )
    assert first <= original.FIRST <= 0.03


@pytest.mark.slow
@pytest.mark.parametrize('name', NETWORKS)
def test_real_images_are_learned_as_the_original_learns_them(name, curves, images_of_the_curves):
    with engines.CPU.using(engines.CPU.is_available()):  # many times as fast
        _, last = original.deviations(
            original.learn(name, curves[name], *images_of_the_curves), curves[name]['losses']
        )
    assert last <= original.LAST <= 0.05


def test_these_are_all_networks_with_a_curve(curves):
    assert set(curves) == set(NETWORKS)
    assert all(len(curve['losses']) == 120 for curve in curves.values())


@pytest.fixture
def images():
    rng = np.random.RandomState(0)
    return rng.randint(0, 256, (12, 3, 32, 32)).astype(np.uint8), rng.randint(0, 10, 12)


def test_learning_is_repeatable_and_follows_the_rate(images, monkeypatch):
    monkeypatch.setattr(original, '_BATCH', 4)
    curve = {'args': {'C': 2, 'd': 2}, 'rate': 0.1, 'losses': [0.0] * 3}
    once, twice = (original.learn('resnext', curve, *images) for _ in range(2))
    other = original.learn('resnext', dict(curve, rate=0.2), *images)
    assert once == twice and len(once) == 3
    assert once[0] == other[0] and once[1] != other[1]


def test_deviations_worked_out_by_hand():
    theirs = np.full(40, 2.0)
    ours = theirs.copy()
    ours[3] = 2.1  # among the first 10
    ours[15] = 9.0  # in neither part
    ours[-4:] = 2.5
    first, last = original.deviations(ours, theirs)
    assert first == pytest.approx(0.05) and last == pytest.approx(0.05)


def test_the_command_shows_deviations_and_what_is_missing(tmp_path, capsys, monkeypatch):
    assert commands.main(['compare', '--original', '--only', 'nin', '--out', str(tmp_path)]) == 0
    text = capsys.readouterr().out
    row = re.search(r'^nin +(.*)$', text, re.MULTILINE).group(1).split()
    limits = re.search(r'^tolerance +(.*)$', text, re.MULTILINE).group(1).split()
    assert len(row) == len(limits) == 6
    for value, limit in zip(row, limits):
        assert value == '-' or float(value) <= float(limit)
    assert 'Learning curves: not computed' in text and '--curves' in text
    assert 'nin' in (tmp_path / 'compare.html').read_text()


def test_a_deviation_over_the_tolerance_is_marked(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        original.golden,
        'check',
        lambda case, model: {'test_logits': 0.5, 'train_logits': 1e-7, 'grads': 1e-7},
    )
    assert commands.main(['compare', '--original', '--only', 'nin', '--out', str(tmp_path)]) == 0
    assert re.search(
        r'^nin +5.0e-01 \(!\) +1.0e-07 +1.0e-07', capsys.readouterr().out, re.MULTILINE
    )


def test_curves_are_drawn_where_their_images_are_given(
    tmp_path, capsys, monkeypatch, cifar10_folder
):
    curves = {'resnext': {'args': {'C': 2, 'd': 2}, 'rate': 0.1, 'losses': [2.3] * 2}}
    (tmp_path / 'curve.json').write_text(json.dumps(curves))
    monkeypatch.setattr(original.golden, 'check', lambda case, model: {})
    monkeypatch.setattr(original, '_BATCH', 4)
    assert (
        commands.main(
            [
                'compare',
                '--original',
                '--only',
                'resnext',
                '--out',
                str(tmp_path),
                '--curves',
                str(tmp_path / 'curve.json'),
                '--data',
                str(cifar10_folder),
            ]
        )
        == 0
    )
    assert re.search(r'^resnext +C=2, d=2 +2 ', capsys.readouterr().out, re.MULTILINE)
    assert (tmp_path / 'learning-curves.png').exists()


CURVE = '{"args": {"C": 2}, "rate": 0.1, "losses": [1, 2]}'


@pytest.mark.parametrize(
    'content, words',
    [
        ('', 'damaged or no JSON'),
        ('[]', 'expected an object'),
        ('{"resnext": {}}', "has no 'args'"),
        ('{"resnext": {"args": {"C": 2}, "rate": 0.1}}', "has no 'losses'"),
        (f'{{"resnext": {CURVE.replace("0.1", "NaN")}}}', 'expected a number'),
        (f'{{"resnext": {CURVE.replace("0.1", "1e400")}}}', 'expected a number'),
        (f'{{"resnext": {CURVE.replace("1, 2", "null")}}}', 'expected a number'),
        (f'{{"resnext": {CURVE.replace("1, 2", "")}}}', 'no losses'),
        (f'{{"resnext": {CURVE.replace("2}", "[2]}")}}}', 'expected a number or text'),
        (f'{{"resnext": {CURVE.replace("C", "x")}}}', 'no option x'),
        (f'{{"other": {CURVE}}}', 'no model'),
    ],
)
def test_files_that_hold_no_curves_are_told_in_one_line(tmp_path, content, words):
    (tmp_path / 'curve.json').write_text(content)
    with pytest.raises(UserError, match=words) as caught:
        original.read_curves(tmp_path / 'curve.json')
    assert '\n' not in str(caught.value) and 'curve.json' in str(caught.value)


def test_curves_that_need_more_images_than_there_are_are_refused(tmp_path, monkeypatch):
    (tmp_path / 'curve.json').write_text(f'{{"resnext": {CURVE}}}')
    monkeypatch.setattr(original.cifar10, 'read', lambda path: shapes.read(15, 2))
    with pytest.raises(UserError, match='15 training images: the curves need 128'):
        original.add_curves(Page('a'), tmp_path / 'curve.json', 'somewhere', None)


@pytest.mark.parametrize(
    'name, content',
    [
        ('arguments.json', b'{"model": "nin", "options": {}}'),
        ('nin.json', b'[]'),
        ('nin.json', b'{}'),
        ('nin.json', b'{'),
        ('nin.json', b'{"args": {}}'),  # and no rates.csv
        ('nin.npz', b'PK'),
        ('nin.npz', b''),
        ('rates.csv', b'a,b\n1,2'),
        ('rates.csv', b'name,optimizer_rate_for_the_three_updates\nnin,fast'),
    ],
)
def test_other_files_than_golden_ones_are_told_in_one_line(tmp_path, capsys, name, content):
    if not name.endswith('.json'):
        for file in ('nin.json', 'nin.npz', 'rates.csv'):
            shutil.copy(golden.FOLDER / file, tmp_path)
    (tmp_path / name).write_bytes(content)
    assert commands.main(['compare', '--original', '--golden', str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.count('\n') == 1 and str(tmp_path) in message


def test_no_golden_files_are_told_in_one_line(tmp_path, capsys):
    assert commands.main(['compare', '--original', '--golden', str(tmp_path)]) == 2
    assert 'no golden files' in capsys.readouterr().err
