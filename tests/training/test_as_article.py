"""A published figure names options, recipe, images and initialization of a run, all at once."""

import dataclasses

import chainer
import numpy as np
import pytest

import chainer_zoo
from chainer_zoo import commands
from chainer_zoo.commands import train as train_command
from chainer_zoo.commands.flags import Parser
from chainer_zoo.data.images import ImagePipeline
from chainer_zoo.data.sampler import RandomBatches
from chainer_zoo.errors import UserError
from chainer_zoo.report import provenance
from chainer_zoo.training import record
from chainer_zoo.training.optimizer import make_optimizer
from chainer_zoo.training.settings import Settings
from chainer_zoo.training.updater import MicroBatchUpdater

RESULTS = [result for name in chainer_zoo.names() for result in chainer_zoo.entry(name).results]


def name_of(result):
    return f'{result.model}-{result.figure}'


def parsed(*argv):
    parser = Parser(prog='train_cifar10.py')
    train_command.add_arguments(parser, argv)
    return train_command.settings_of(parser.parse_args(argv))


@pytest.mark.parametrize('result', RESULTS, ids=name_of)
def test_everything_is_that_of_the_figure(result):
    entry = chainer_zoo.entry(result.model)
    settings = parsed('--model', result.model, '--as-article', result.figure)
    recipe = result.of(entry.recipe)
    assert settings.result is result
    assert settings.recipe == recipe
    assert settings.options == {**entry.defaults, **result.options}
    assert (settings.batch, settings.epoch, settings.lr) == (recipe.batch, recipe.epochs, recipe.lr)
    assert settings.train_batch_divide == settings.test_batch_divide == recipe.micro_batches
    assert settings.weight_decay == recipe.weight_decay
    assert (settings.init, settings.images) == (result.init, result.images)
    # and from Python
    assert dataclasses.replace(settings, options={}) == Settings(
        result.model, figure=result.figure, options={}
    )


@pytest.mark.parametrize('result', RESULTS, ids=name_of)
def test_a_run_says_what_it_takes_and_what_is_only_likely(result):
    settings = Settings(result.model, figure=result.figure)
    text = '\n'.join(train_command.told(settings))
    assert f'as {result.model} {result.figure}%' in text
    assert f'epoch {result.epoch} ' in text and result.date in text
    for what in 'result', 'model', 'main', 'optimizer', 'trainer':
        assert result.commits[what] in text
    for doubt in result.doubts:
        assert f'({doubt.certainty}: {doubt.why})' in text, doubt.about
    assert 'but for' not in text


def test_without_it_nothing_changes_and_nothing_is_said():
    settings = parsed('--model', 'fractalnet')
    assert settings == Settings('fractalnet', options=settings.options)
    assert settings.figure is None and settings.lr == 0.04 and settings.weight_decay == 1e-4
    assert settings.options['variant'] == 'original'
    assert train_command.told(settings) == []


def test_the_articles_figure_is_meant_if_none_is_named():
    assert parsed('--model', 'fractalnet', '--as-article').figure == '93.77'
    assert parsed('--as-article', '--model', 'nas').figure == '90.35'
    assert parsed('--as-article', '94.05', '--model', 'fractalnet').figure == '94.05'


def test_a_flag_that_is_given_counts_more_and_is_said():
    settings = parsed(
        *'--model fractalnet --as-article -lr 0.02 --weight_decay 0.001 --variant original'.split()
    )
    assert (settings.lr, settings.weight_decay) == (0.02, 0.001)
    assert settings.options['variant'] == 'original'
    last = train_command.told(settings)[-1]
    assert last == (
        '  but for lr=0.02 instead of 0.06, weight_decay=0.001 instead of 0, '
        'variant=original instead of article'
    )


@pytest.mark.parametrize(
    'argv, message',
    [
        ('--model ror --as-article', 'published no accuracy of ror'),
        ('--model nas --as-article 96', 'its figures are 88.52, 90.35, 90.23'),
        ('--model vgg_a --images article', 'prepared in one way only'),
    ],
)
def test_what_was_not_published_is_refused(argv, message):
    with pytest.raises(UserError, match=message):
        parsed(*argv.split())


@pytest.mark.parametrize(
    'argv',
    [
        '--model fractalnet --weight_decay -1',
        '--model fractalnet --weight_decay nan',
        '--model fractalnet --init A',
        '--model fractalnet --images new',
    ],
)
def test_single_flags_refuse_what_makes_no_sense(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        parsed(*argv.split())
    assert caught.value.code == 2


def test_older_crops_are_those_of_the_size_class():
    assert Settings('densenet', figure='95.12').image_class({}) == 'small-article'
    assert Settings('squeezenet', images='article').image_class({}) == 'big-article'
    assert Settings('densenet').image_class({}) == 'small'


def test_a_stopped_run_goes_on_as_the_figure():
    argv = '--model fractalnet --as-article 91.3 -b 50 --columns 2 --out a'.split()
    settings = parsed(*argv)
    again = parsed(*train_command.resuming(settings))
    assert dataclasses.replace(again, resume=False) == settings


SHORT = '--dataset shapes --limit_train 8 --limit_test 4 --iterations 2 -b 4 -trb 2 -teb 2'.split()
IN_ARTICLE = [result for result in RESULTS if result.in_article]


@pytest.mark.parametrize(
    'result',
    [
        pytest.param(
            result,
            id=name_of(result),
            marks=[pytest.mark.slow] * (result.model not in ('nin', 'densenet', 'squeezenet')),
        )
        for result in IN_ARTICLE
    ],
)
def test_every_figure_of_the_article_trains(result, tmp_path, capsys):
    options = {'swapout': ['--samples', '2']}.get(result.model, [])
    argv = ['train', result.model, '--as-article', *SHORT, *options, '--out', str(tmp_path / 'run')]
    assert commands.main(argv) == 0
    text = capsys.readouterr().out
    assert f'as {result.model} {result.figure}%' in text and 'test accuracy' in text
    saved = record.records.read(tmp_path / 'run' / 'arguments.json')
    assert saved['figure'] == result.figure
    assert (saved['init'], saved['image_pipeline']) == (result.init, result.images)
    assert saved['weight_decay'] == result.of(chainer_zoo.entry(result.model).recipe).weight_decay


@pytest.mark.parametrize('figure, moves', [('93.77', False), ('94.05', True)])
def test_without_weight_decay_a_gradient_of_zero_moves_nothing(figure, moves):
    entry = chainer_zoo.entry('fractalnet')
    model = chainer_zoo.build('fractalnet', columns=2, width=1)
    optimizer = make_optimizer(entry.result(figure).of(entry.recipe), model)
    before = [param.array.copy() for param in model.params()]
    for param in model.params():
        param.grad = np.zeros_like(param.array)
    optimizer.update()
    assert moves == any((old != param.array).any() for old, param in zip(before, model.params()))


@pytest.mark.parametrize('batch, micro_batches, sizes', [(10, 3, [3, 3, 3, 1]), (8, 4, [2] * 4)])
def test_micro_batches_that_do_not_divide_are_the_originals(batch, micro_batches, sizes):
    """int(batch / micro-batches) images each, and one more for the rest; each loss is divided."""
    rng = np.random.RandomState(0)
    x = rng.randint(0, 256, (20, 3, 32, 32)).astype(np.uint8)
    t = rng.randint(0, 10, 20).astype(np.int32)
    model = chainer_zoo.build('densenet', depth=7, growth_rate=2)
    optimizer = chainer.optimizers.SGD(0.0).setup(model)
    images = ImagePipeline('small')
    batches = RandomBatches(20, batch, np.random.RandomState(1))
    updater = MicroBatchUpdater(
        batches, optimizer, x, t, images, np.random.RandomState(2), micro_batches
    )
    seen = []
    plain = images.train
    images.train = lambda x, rng: seen.append(len(x)) or plain(x, rng)
    with chainer.using_config('train', True):
        updater.update_core()
    assert seen == sizes
    found = [param.grad.copy() for param in model.params()]

    chosen = RandomBatches(20, batch, np.random.RandomState(1)).next()
    draws = np.random.RandomState(2)
    model.cleargrads()
    with chainer.using_config('train', True):
        for start in range(0, batch, batch // micro_batches):
            part = chosen[start : start + batch // micro_batches]
            loss = chainer.functions.softmax_cross_entropy(model(plain(x[part], draws)), t[part])
            (loss / micro_batches).backward()
    for ours, param in zip(found, model.params()):
        np.testing.assert_allclose(ours, param.grad, rtol=1e-4, atol=1e-6)


def test_a_run_says_that_its_micro_batches_do_not_divide():
    [line] = train_command.told(Settings('resnext', batch=10, train_batch_divide=3))
    assert line == (
        '-trb 3 does not divide a batch of 10: as the original, 4 micro-batches, the last of 1 '
        'images and the others of 3, each loss divided by 3'
    )
    assert train_command.told(Settings('resnext', batch=10, train_batch_divide=5)) == []


def test_a_facts_text_says_how_certain_it_is():
    entry = chainer_zoo.entry('rir')
    facts = {fact.what: str(fact) for fact in provenance.facts(entry, entry.result())}
    assert facts['schedule'].startswith(
        'schedule: divided by 10 after epochs 150, 225 (unclear: after 150 and 225 the learning '
    )
    assert facts['weight decay'] == 'weight decay: 0.0001'
    entry = chainer_zoo.entry('densenet')
    facts = {fact.what: fact.value for fact in provenance.facts(entry, entry.result())}
    assert 'cropped to 26, tested at 32, 0 added' in facts['images']
    assert facts['initialization'].startswith('whole_2_over_cin: ')
