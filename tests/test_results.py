"""The published figures: where each comes from, and what it was measured with."""

import csv
import json
import pathlib
import re

import pytest

import chainer_zoo
from chainer_zoo import initializers
from chainer_zoo.catalog import results
from chainer_zoo.errors import UserError

GOLDEN = pathlib.Path(__file__).parent / 'golden'
with open(GOLDEN / 'provenance.csv', newline='') as file:
    PROVENANCE = list(csv.DictReader(file))
#: The optimizers of the day, asked epoch by epoch: runs of one learning rate.
SCHEDULES = json.loads((GOLDEN / 'schedules-article.json').read_text())
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
    assert result.images in ('original', 'article')
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


@pytest.mark.parametrize('row', PROVENANCE, ids=lambda row: f'{row["model"]}-{row["figure"]}')
def test_the_recipe_is_that_of_the_day(row):
    entry = chainer_zoo.entry(row['model'])
    recipe = entry.result(row['figure']).of(entry.recipe)
    for field in 'epochs', 'batch', 'micro_batches', 'lr', 'weight_decay', 'clip', 'warm_up':
        expected = float(row[field]) if row[field] else None
        if (row['model'], row['figure'], field) == ('swapout', '95.34', 'epochs'):
            expected = 256  # 254 are drawn
        assert getattr(recipe, field) == expected, field


#: By name in SCHEDULES, where it is not a model's result in the article; what was not run is None.
FIGURES = {
    'fractalnet-92.28': '92.28',
    'fractalnet-93.32': '93.32',
    'fractalnet-93.53': '93.53',
    'fractalnet-94.05': '94.05',
    'googlenet_v3-0.045': '94.07',
    'squeezenet-wd1e-3': '91.81',
    'rir-as-committed': None,
    'rir-by-5': None,
}


@pytest.mark.parametrize('case', sorted(SCHEDULES))
def test_the_learning_rate_of_every_epoch_is_that_of_the_day(case):
    entry, original = chainer_zoo.entry(case.split('-')[0]), SCHEDULES[case]
    figure = FIGURES.get(case, entry.article_result.figure)
    if figure is None:
        assert entry.result().doubt('schedule') is not None
        return
    recipe = entry.result(figure).of(entry.recipe)
    rates = [rate for rate, epochs in original['lr_runs'] for _ in range(epochs)]
    assert [recipe.lr_at(epoch) for epoch in range(1, recipe.epochs + 1)] == rates
    assert (recipe.optimizer, recipe.momentum) == (original['optimizer'], original['momentum'])
    hooks = [['WeightDecay', recipe.weight_decay]] if recipe.weight_decay else []
    hooks += [] if recipe.clip is None else [['GradientClipping', recipe.clip]]
    assert hooks == original['hooks']


def test_the_images_are_the_older_ones_where_the_crop_was():
    for row in PROVENANCE:
        result = chainer_zoo.entry(row['model']).result(row['figure'])
        assert (result.images == 'article') == (row['crop'] in ('26', '122'))


def test_the_article_figures_are_the_catalogs():
    accuracies = {name: chainer_zoo.entry(name).article_accuracy for name in NAMES}
    assert accuracies['fractalnet'] == 93.77 and accuracies['nin'] == 90.1
    nothing = {name for name, accuracy in accuracies.items() if accuracy is None}
    assert nothing == {'inception_v4', 'xception', 'weighted_resnet', 'ror', 'pyramidnet_sepdrop'}


@pytest.mark.parametrize(
    'model, figure, message',
    [
        ('ror', None, 'published no accuracy of ror'),
        ('nas', '96', 'nas has no figure .96.; its figures are 88.52, 90.35, 90.23'),
    ],
)
def test_a_figure_that_was_not_published_is_refused(model, figure, message):
    with pytest.raises(UserError, match=message):
        chainer_zoo.entry(model).result(figure)


@pytest.mark.parametrize('name', NAMES)
def test_the_original_is_a_commit(name):
    entry = chainer_zoo.entry(name)
    assert (entry.commit is None) == (entry.original is None)
    assert entry.commit is None or re.fullmatch('[0-9a-f]{7}', entry.commit)


@pytest.mark.parametrize('name', NAMES)
def test_the_docstring_names_the_originals_commit(name):
    """And so what "as the original" refers to there."""
    entry = chainer_zoo.entry(name)
    if entry.commit is not None:
        source = entry.model.__doc__.split('Source:')[1].split('Differences:')[0]
        assert entry.commit in source and entry.original in source
