"""Names of runs are drawn as they are."""

import pathlib
import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib import font_manager

from chainer_zoo.report import fonts
from chainer_zoo.report import plots
from chainer_zoo.report.runs import Run

NAMES = [
    '$',
    '$x',
    '$x_1$',
    r'\frac',
    r'$\frac$',
    '_a',
    '__',
    'a_b',
    '%s',
    '{}',
    '\\',
    '^',
    'na\u00efve \u03a9',
]


def run(label, losses=(2.0, 1.0, 0.5), divided=False):
    n = len(losses)
    return Run(
        label=label,
        original=divided,
        entry=None,
        options=None,
        epochs=np.arange(1, n + 1),
        train_loss=np.array(losses),
        test_loss=np.array(losses) * 2,
        accuracy=np.linspace(10, 90, n),
        n_train=1,
        n_test=1,
        train_loss_divided=divided,
    )


def drawn(figure):
    """Draw a figure; matplotlib must not warn, of a missing glyph or a formula for example."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        figure.canvas.draw()
    # other categories are of libraries that matplotlib itself uses
    assert not [w.message for w in caught if w.category in (UserWarning, RuntimeWarning)]
    return figure


def legend_of(names):
    (legend,) = drawn(plots.curves_figure([run(name) for name in names])).legends
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize('name', NAMES)
def test_the_legend_names_every_run_as_it_is_called(name):
    assert legend_of([name, 'other']) == [
        f'{name}: train',
        f'{name}: test',
        'other: train',
        'other: test',
    ]


@pytest.mark.parametrize('name', NAMES)
def test_a_point_is_named_as_it_is_called(name):
    points = [plots.Point(name, 1e6, 95, 'ours'), plots.Point('low', 1e7, 10, 'log')]
    figure, boxes, _ = plots.scatter_figure(points, 'size')
    texts = [text.get_text() for text in drawn(figure).axes[0].texts if text.get_text()]
    assert texts == [name, 'low (10.0% \N{DOWNWARDS ARROW})'] and len(boxes) == 2


def test_a_training_loss_that_is_divided_is_marked():
    (legend,) = plots.curves_figure([run('a', divided=True)]).legends
    assert [text.get_text() for text in legend.get_texts()] == [
        'a: train / micro-batches',
        'a: test',
    ]


@pytest.mark.parametrize(
    'losses',
    [
        [1.0],
        [np.nan],
        [np.inf, np.inf],
        [1.0, np.nan, 2.0],
        [1.0, np.inf, 2.0],
        [0.0, 0.0],
        [-1.0, 1.0],
        [1e-50, 1e50],
        [1e45],
    ],
    ids=str,
)
def test_losses_of_all_sizes_are_drawn(losses):
    drawn(plots.curves_figure([run('a', losses)]))


@pytest.mark.parametrize('epochs', [1, 2, 10_000, 100_000])
def test_runs_of_all_lengths_are_drawn(epochs):
    drawn(plots.curves_figure([run('a', np.ones(epochs))]))


@pytest.fixture
def font_files(monkeypatch):
    """Say which fonts the machine has: paths in a list to be filled."""
    files = []
    monkeypatch.setattr(font_manager, 'findSystemFonts', lambda *args, **kwargs: files)
    return files


def character_of(path):
    """Return a character that the font of that path has and the default font lacks."""
    default = font_manager.get_font(font_manager.findfont(fonts.DEFAULT)).get_charmap()
    return chr(max(set(font_manager.get_font(path).get_charmap()) - set(default)))


@pytest.fixture
def other_font():
    """A font that comes with matplotlib, with signs that the default font lacks."""
    return str(pathlib.Path(matplotlib.get_data_path(), 'fonts', 'ttf', 'STIXSizFiveSymReg.ttf'))


def test_the_default_font_is_enough_where_it_has_all_characters(font_files):
    assert fonts.find(['abc', 'na\u00efve \u03a9', '\u0416']) == (['DejaVu Sans'], frozenset())


def test_a_font_is_taken_that_has_the_characters(font_files, other_font):
    font_files.append(other_font)
    families, missing = fonts.find(['a', character_of(other_font)])
    assert families == ['DejaVu Sans', 'STIXSizeFiveSym'] and not missing
    assert legend_of(['a' + character_of(other_font)])[0] == f'a{character_of(other_font)}: train'


def test_characters_that_no_font_has_are_escaped(font_files):
    assert fonts.find(['\u6f22\U00012000a']) == (['DejaVu Sans'], {'\u6f22', '\U00012000'})
    assert legend_of(['\u6f22\U00012000a'])[0] == r'\u6f22\U00012000a: train'


def test_damaged_fonts_are_passed_over(font_files, other_font, tmp_path):
    (tmp_path / 'a.ttf').write_bytes(b'no font')
    font_files += [str(tmp_path / 'a.ttf'), str(tmp_path / 'absent.ttf'), other_font]
    families, missing = fonts.find([character_of(other_font)])
    assert families[1:] == ['STIXSizeFiveSym'] and not missing


def test_upright_sans_serif_fonts_of_normal_weight_come_first():
    sans_serif_first = [
        'NotoSansCJK-Regular.ttc',
        'NotoSerifCJK-Regular.ttc',
        'NotoSansCJK-Bold.ttc',
        'NotoSerifCJK-Bold.ttc',
    ]
    assert sorted(set(sans_serif_first), key=fonts._preference) == sans_serif_first
