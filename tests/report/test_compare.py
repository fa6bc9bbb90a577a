"""compare puts runs beside the figures of the article and the papers."""

import base64
import html.parser
import io
import os
import re

import numpy as np
import pytest
import run_folders
from PIL import Image

import chainer_zoo
from chainer_zoo import commands
from chainer_zoo.commands import train
from chainer_zoo.legacy.log import Log
from chainer_zoo.report import comparison
from chainer_zoo.report import plots
from chainer_zoo.report import runs
from chainer_zoo.report.page import Page


class Reader(html.parser.HTMLParser):
    """Reads an HTML page: the cells of its tables, its images, and whether tags are balanced."""

    VOID = {'meta', 'img'}

    def __init__(self, text):
        super().__init__()
        self.tables, self.images, self.outside, self.open = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ('src', 'href'):
                (self.images if value.startswith('data:') else self.outside).append(value)
        if tag == 'table':
            self.tables.append([])
        elif tag == 'tr':
            self.tables[-1].append([])
        elif tag in ('td', 'th'):
            self.tables[-1][-1].append('')

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ('td', 'th'):
            self.tables[-1][-1][-1] += data


def rows_of(table):
    return [dict(zip(table[0], row)) for row in table[1:]]


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """Where runs and pages are, the runs (two of ours, one of the original), all models' costs."""
    folder = tmp_path_factory.mktemp('compare')
    run_folders.write(folder / 'dense', 'densenet', [0.5, 0.9, 0.875], [2.0, 1.0, 1.5])
    run_folders.write(folder / 'small <b>', 'resnext', [0.25], [2.0], 2000, 500, seed=7, d=4)
    log = Log(range(10), np.zeros(2000), np.arange(500) % 10, '<resnext.ResNext object at 0x7f>')
    log.add_epoch(4374.5, 2458.25, np.diag([28, 0, 0, 0, 0, 0, 0, 0, 27, 0]))
    log.save(folder / 'log.json')
    found = runs.read_all(
        [
            str(folder / 'dense'),
            str(folder / 'small <b>'),
            '{}:C=2,d=4,divide=1'.format(folder / 'log.json'),
        ]
    )
    page = Page('A comparison')
    costs = comparison.costs(found)
    comparison.add_runs(page, found, costs)
    page.save(str(folder / 'out'), 'compare')
    return folder, found, costs


@pytest.fixture(scope='module')
def read(made):
    return Reader((made[0] / 'out' / 'compare.html').read_text(encoding='utf-8'))


def test_every_model_has_its_row_and_what_was_not_run_is_said(read):
    rows = rows_of(read.tables[0])
    assert [
        row['model'] for row in rows if row['run'] in ('-', 'dense', 'small <b>')
    ] == chainer_zoo.names()
    assert {row['model'] for row in rows if row['ours: last'] == 'not run'} == set(
        chainer_zoo.names()
    ) - {'densenet', 'resnext'}


def test_figures_of_article_and_papers_are_the_catalogs(read):
    for row in rows_of(read.tables[0]):
        entry = chainer_zoo.entry(row['model'])
        for column, error, value in (
            ('original (article)', 'error: article', entry.article_accuracy),
            ('paper', 'error: paper', entry.paper_accuracy),
        ):
            assert (
                (row[column], row[error]) == ('-', '-')
                if value is None
                else (
                    float(row[column]) == value
                    and float(row[error]) == pytest.approx(100 - value, abs=1e-9)
                )
            )


def test_last_and_best_epoch_and_error_of_our_runs(read):
    (dense,) = [row for row in rows_of(read.tables[0]) if row['run'] == 'dense']
    assert (dense['ours: last'], dense['ours: best']) == ('87.50', '90.00 @2')
    assert dense['error: ours'] == '12.50' and dense['its log: last'] == '-'
    assert 'article: depth 40, growth rate 12' in dense['figures belong to']


def test_a_log_of_the_original_has_columns_of_its_own(read, made):
    (log,) = [row for row in rows_of(read.tables[0]) if row['run'].endswith('(original)')]
    assert log['model'] == 'resnext' and log['ours: last'] == '-'
    assert (log['its log: last'], log['its log: best'], log['error: its log']) == (
        '11.00',
        '11.00 @1',
        '89.00',
    )


def test_weights_are_counted_in_the_models(read):
    rows = {(row['model'], row['run']): row for row in rows_of(read.tables[1])}
    dense, small = rows['densenet', 'dense'], rows['resnext', 'small <b>']
    assert dense['weights, ours'] == '1,001,616' and dense['weights, original (article)'] == '27 M'
    assert dense['multiply-adds, ours'] == '265 M' and dense['pixels'] == '32'
    assert (
        small['options'].startswith('C=2, d=4, multiplier=4') and small['weights, ours'] == '34,064'
    )
    assert small['parameters, ours'] == '36,158'


def test_runs_are_told_with_time_seed_versions_and_machine(read):
    dense, small, log = rows_of(read.tables[2])
    assert (dense['epochs'], dense['time'], dense['time an epoch']) == ('3', '4 min', '90.0 s')
    assert (dense['seed'], small['seed'], log['seed']) == ('0', '7', 'not in the log')
    assert dense['versions'] == 'chainer 7.8.1, python 3.11.7, commit c0ffeec0ff'
    assert dense['machine'] == 'Linux, 2 CPUs, onednn'
    assert small['data'] == 'CIFAR-10: 2,000 + 500 images'
    reasons = small['not comparable with the article because of']
    assert reasons.startswith('other options than the article: d=4; 1 of 300 epochs')


def test_the_html_page_is_one_file_that_needs_no_other(read):
    assert not read.outside
    assert len(read.images) == 3
    for image in read.images:
        kind, data = image.split(',', 1)
        assert kind == 'data:image/png;base64'
        image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
        image.load()
        assert min(image.size) > 400


def test_names_of_runs_cannot_break_the_page(made):
    text = (made[0] / 'out' / 'compare.html').read_text(encoding='utf-8')
    assert 'small &lt;b&gt;' in text and 'small <b>' not in text


def test_markdown_has_the_same_tables_and_its_images_beside_it(made, read):
    text = (made[0] / 'out' / 'compare.md').read_text(encoding='utf-8')
    tables = [
        [
            [re.sub(r'\\(.)', r'\1', cell.strip()) for cell in line.strip('|').split(' | ')]
            for line in block.splitlines()
            if not re.match(r'^\|[ :|-]+\|$', line)
        ]
        for block in re.findall(r'(?:^\|.*\n)+', text, re.MULTILINE)
    ]
    assert tables == [[[cell.strip() for cell in row] for row in table] for table in read.tables]
    images = re.findall(r'!\[.*\]\((.*)\)', text)
    assert len(images) == 3
    assert all((made[0] / 'out' / image).exists() for image in images)


@pytest.mark.parametrize('x_of', [lambda cost: cost.multiply_adds, lambda cost: cost.weights])
def test_labels_of_the_scatter_plots_cover_no_marker_and_no_other_label(made, x_of):
    points = comparison._points(made[1], made[2], x_of)
    assert len(points) == 25 + len(made[1])
    _, labels, markers = plots.scatter_figure(points, 'size')
    assert not [(a, b) for i, a in enumerate(labels) for b in labels[:i] if a.overlaps(b)]
    assert not [1 for label in labels for marker in markers if label.overlaps(marker)]


def test_labels_stay_apart_in_a_crowd():
    points = [
        plots.Point(f'model_{i}', 1e6 * 1.02**i, 95 + 0.03 * (i % 3), 'article') for i in range(18)
    ]
    _, labels, markers = plots.scatter_figure(points, 'size')
    assert not [(a, b) for i, a in enumerate(labels) for b in labels[:i] if a.overlaps(b)]


def test_two_runs_never_look_the_same():
    styles = {
        (plots.COLORS[i % len(plots.COLORS)], plots.MARKERS[i % len(plots.MARKERS)])
        for i in range(56)
    }
    assert len(styles) == 56


def test_the_command_prints_the_table_and_says_where_the_pages_are(
    made, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(comparison, 'costs', lambda found: made[2])  # they take seconds
    out = str(tmp_path / 'out')
    assert commands.main(['compare', str(made[0] / 'dense'), '--out', out]) == 0
    text = capsys.readouterr().out
    assert re.search(r'densenet +dense +87\.50 +90\.00 @2 +95\.12 +96\.26', text)
    assert 'its log' not in text  # no column for what was not given
    assert sorted(os.listdir(out)) == [
        'accuracy-weights.png',
        'accuracy-work.png',
        'compare.html',
        'compare.md',
        'curves.png',
    ]
    assert 'written: {}'.format(os.path.join(out, 'compare.md')) in text


@pytest.mark.parametrize(
    'arguments, words', [([], 'give folders of runs'), (['nowhere'], 'nowhere: No such file')]
)
def test_mistakes_are_told_in_one_line(arguments, words, capsys):
    assert commands.main(['compare'] + arguments) == 2
    message = capsys.readouterr().err
    assert words in message and message.count('\n') == 1


def test_an_unwritable_folder_is_told_in_one_line(made, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(comparison, 'costs', lambda found: made[2])  # they take seconds
    (tmp_path / 'file').write_text('')
    assert commands.main(['compare', str(made[0] / 'dense'), '--out', str(tmp_path / 'file')]) == 2
    assert 'cannot make the folder' in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_made_here_and_the_run_of_the_original(shared, tmp_path, capsys):
    assert (
        train.main(
            [
                '--model',
                'resnext',
                '-C',
                '2',
                '-d',
                '4',
                '-e',
                '2',
                '-b',
                '16',
                '-trb',
                '1',
                '--dataset',
                'shapes',
                '--limit_train',
                '64',
                '--limit_test',
                '40',
                '--out',
                str(tmp_path / 'here'),
            ]
        )
        == 0
    )
    assert (
        commands.main(
            [
                'compare',
                str(tmp_path / 'here'),
                '{}:C=2,d=4,divide=1'.format(shared / 'original' / 'run' / 'log.json'),
                '--out',
                str(tmp_path / 'out'),
            ]
        )
        == 0
    )
    assert re.search(
        r'^resnext +here +[0-9.]+ +[0-9.]+ @[12] ', capsys.readouterr().out, re.MULTILINE
    )
    read = Reader((tmp_path / 'out' / 'compare.html').read_text(encoding='utf-8'))
    here, original = rows_of(read.tables[2])
    assert (here['run'], here['epochs'], here['code']) == ('here', '2', 'ours')
    assert (original['run'], original['epochs'], original['code']) == (
        'run (original)',
        '2',
        'original',
    )
    (log,) = [row for row in rows_of(read.tables[0]) if row['run'] == 'run (original)']
    assert (log['its log: last'], log['its log: best']) == ('12.80', '12.80 @2')
