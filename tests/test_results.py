"""The published figures: where each comes from, and what it was measured with."""

import csv
import pathlib
import re

import pytest

import chainer_zoo
from chainer_zoo import initializers
from chainer_zoo.catalog import results

GOLDEN = pathlib.Path(__file__).parent / 'golden'
with open(GOLDEN / 'provenance.csv', newline='') as file:
    PROVENANCE = list(csv.DictReader(file))
NAMES = chainer_zoo.names()
RESULTS = [result for name in NAMES for result in results.results_of(name)]


def name_of(result):
    return f'{result.model}-{result.figure}'


def test_there_are_20_figures_of_the_article_and_17_others():
    assert len(RESULTS) == 37
    assert sum(result.in_article for result in RESULTS) == 20
    names = [name_of(result) for result in RESULTS]
    assert len(set(names)) == len(names)
    assert sorted(names) == sorted(f'{row["model"]}-{row["figure"]}' for row in PROVENANCE)


@pytest.mark.parametrize('row', PROVENANCE, ids=lambda row: f'{row["model"]}-{row["figure"]}')
def test_figure_date_and_commits_are_those_of_the_histories(row):
    [result] = [one for one in results.results_of(row['model']) if one.figure == row['figure']]
    assert result.accuracy == float(row['accuracy'])
    assert result.epoch == int(row['epoch'])
    assert result.date == row['date']
    assert result.in_article == (row['in_article'] == 'yes')
    for what, column in (
        ('result', 'result'),
        ('model', 'model_code'),
        ('main', 'main'),
        ('optimizer', 'optimizer'),
        ('trainer', 'trainer'),
    ):
        assert result.commits[what] in row[column].split(), what
    if row['init']:
        assert result.init == row['init']
    else:
        assert result.doubt('initialization').certainty == 'unclear'


@pytest.mark.parametrize('result', RESULTS, ids=name_of)
def test_a_result_says_what_the_program_understands(result):
    assert re.fullmatch(r'201[67]-\d\d-\d\d', result.date)
    assert abs(float(result.figure) - result.accuracy) < 0.01
    assert result.init in initializers.RULES
    assert result.images in ('', 'article')
    assert all(re.fullmatch('[0-9a-f]{7}', commit) for commit in result.commits.values())


@pytest.mark.parametrize('about, certainty, why', [('x', 'certain', 'y'), ('x', 'likely', '')])
def test_a_doubt_without_a_degree_or_a_reason_is_refused(about, certainty, why):
    with pytest.raises(ValueError):
        results.Doubt(about, certainty, why)


def test_the_weights_that_the_original_converted_are_told_from_what_it_trained():
    assert [(one.model, one.top5_error) for one in results.CONVERTED] == [
        ('resnext', 5.86),
        ('resnext', 6.24),
        ('resnext', 6.96),
    ]
