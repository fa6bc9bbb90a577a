"""``list`` prints the catalog, and the table of docs/models.md is what it prints."""

import csv
import io
import pathlib

import pytest

from chainer_zoo import catalog
from chainer_zoo import commands
from chainer_zoo.report import listing

PAGE = pathlib.Path(__file__).parents[2] / 'docs' / 'models.md'
MARKS = '<!-- list:begin -->', '<!-- list:end -->'


@pytest.fixture(scope='module')
def rows():
    return [listing.count(catalog.entry(name)) for name in catalog.names()]


def test_the_table_of_the_docs_is_the_generated_one(rows):
    text = PAGE.read_text(encoding='utf-8')
    assert [text.count(mark) for mark in MARKS] == [1, 1]
    table = text.split(MARKS[0])[1].split(MARKS[1])[0].strip()
    assert table == listing.render(rows, 'markdown'), (
        'the table of docs/models.md is not what the code gives: put the output of '
        "'python -m chainer_zoo list --markdown' between its two marks"
    )


def test_there_is_a_line_for_each_model_in_the_articles_order(rows):
    lines = listing.render(rows, 'text').splitlines()
    assert [line.split()[0] for line in lines[1:]] == catalog.names()
    assert len(listing.render(rows, 'markdown').splitlines()) == 2 + len(catalog.names())


def test_counts_are_the_catalogs_and_the_articles_stand_beside_them(rows):
    text = listing.render(rows, 'csv')
    found = {row['model']: row for row in csv.DictReader(io.StringIO(text))}
    for name in catalog.names():
        entry = catalog.entry(name)
        if entry.weights is not None:
            assert int(found[name]['weights']) == entry.weights
        assert found[name]['article_millions'] == (
            '' if entry.article_millions is None else str(entry.article_millions)
        )
        assert found[name]['year'] == entry.date[:4]
        assert found[name]['note'] == entry.note
        assert found[name]['top5_error'] == (entry.top5_error or '')


# where the article's count is not the code's, to the digits that it prints
@pytest.mark.parametrize(
    'name,code,article',
    [
        ('nin', '965,568', '0.1 M'),
        ('nin_bn', '965,568', '0.1 M'),
        ('resnet', '1,719,856', '1.6 M'),
        ('googlenet_v3', '21,549,920', '22.5 M'),
        ('resnext', '8,463,104', '68.3 M'),
    ],
)
def test_both_counts_are_shown_where_they_differ(rows, name, code, article):
    (line,) = [
        line
        for line in listing.render(rows, 'markdown').splitlines()
        if line.startswith(f'| `{name}` |')
    ]
    assert f'| {code} | {article} |' in line


def test_accuracies_say_what_they_belong_to(rows):
    (line,) = [
        line for line in listing.render(rows, 'markdown').splitlines() if '`densenet`' in line
    ]
    assert '| 96.26 (depth 100, growth rate 24) | 95.12 (depth 40, growth rate 12) |' in line


@pytest.mark.parametrize(
    'flag,start', [([], 'model'), (['--csv'], 'model,paper'), (['--markdown'], '| model |')]
)
def test_styles(flag, start, rows, capsys, monkeypatch):
    monkeypatch.setattr(listing, 'count', {row.entry: row for row in rows}.__getitem__)
    assert commands.main(['list', *flag]) == 0
    assert capsys.readouterr().out.startswith(start)


@pytest.mark.parametrize(
    'name, verdict, top5',
    [
        ('squeezenet', 'matches paper', '17.5 (without BN; single)'),
        ('fractalnet', 'below paper', '7.39 (FractalNet-34)'),
        ('ror', 'not verified', None),
        ('xception', 'not implemented', '5.5 (single)'),
    ],
)
def test_the_articles_verdict_and_the_top5_error_are_shown(name, verdict, top5, rows):
    [row] = [row for row in rows if row.entry.name == name]
    assert (row.entry.status, row.entry.top5_error) == (verdict, top5)
    for style in 'text', 'markdown':
        text = listing.render([row], style)
        assert verdict in text and (top5 is None or top5 in text)
        assert 'its verdict' in text and 'top-5 error %' in text
