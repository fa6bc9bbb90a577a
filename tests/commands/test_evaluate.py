"""evaluate prints what a saved model reaches, exactly as the original counts it."""

import re

import chainer
import numpy as np
import pytest

import chainer_zoo
from chainer_zoo import commands
from chainer_zoo.commands import evaluate as command
from chainer_zoo.data.images import ImagePipeline
from chainer_zoo.errors import UserError
from chainer_zoo.legacy import model_file
from chainer_zoo.legacy.log import Log
from chainer_zoo.report import evaluation
from chainer_zoo.report import golden
from chainer_zoo.training.evaluation import evaluate
from chainer_zoo.training.evaluation import Evaluation


@pytest.fixture
def original(shared, cifar10_folder):
    """The arguments for the original's run, but for the file."""
    return [
        'evaluate',
        '--model',
        'resnext',
        '-C',
        '2',
        '-d',
        '4',
        '-multi',
        '4',
        '--per_class',
        '50',
        '-b',
        '64',
        '--data',
        str(cifar10_folder),
        '-m',
    ]


@pytest.mark.parametrize('engine', ['numpy', 'auto'])
@pytest.mark.parametrize('epoch, loss', [(1, '4.91655'), (2, '2.68274')])
def test_the_originals_own_model_reaches_what_the_original_logged(
    original, shared, capsys, epoch, loss, engine
):
    run = shared / 'original' / 'run'
    history = Log.load(run / 'log.json').history()
    assert (
        commands.main(original + [str(run / f'ResNext_10_2_{epoch}.model'), '--cpu', engine]) == 0
    )
    lines = capsys.readouterr().out.splitlines()
    start = [line.startswith('test loss') for line in lines].index(True)
    right = int(round(history.accuracy[epoch - 1] * 500))
    said = re.match(r'test loss ([0-9.]+), (.*)', lines[start])
    assert float(said.group(1)) == pytest.approx(float(loss), abs=1.01e-5)  # its last digit printed
    assert (
        said.group(2) == f'test accuracy {history.accuracy[epoch - 1]:.2%} ({right} of 500 images)'
    )
    classes = [line.split() for line in lines[start + 2 : start + 12]]
    assert [float(words[1].rstrip('%')) for words in classes] == pytest.approx(
        100 * history.confusion[epoch - 1].diagonal() / 50
    )
    matrix = [[int(n) for n in line.split()[1:]] for line in lines[start + 15 : start + 25]]
    np.testing.assert_array_equal(matrix, history.confusion[epoch - 1])


class Fixed(chainer.Chain):
    """Takes the class from the first pixel; never noisy, never traced."""

    def forward(self, x):
        assert not chainer.config.train and not chainer.config.enable_backprop
        self.seen.append(len(x))
        return np.float32(3) * np.eye(3, dtype=np.float32)[x[:, 0, 0, 0].astype(int)]


class Plain:
    """Images as they are."""

    def test(self, x):
        return x.astype(np.float32)


def fixed(predictions):
    """Return a model that predicts just that, and the images that make it so."""
    model = Fixed()
    model.seen = []
    x = np.zeros((len(predictions), 3, 2, 2), np.uint8)
    x[:, 0, 0, 0] = predictions
    # logits as a Variable, as models give them
    forward = model.forward
    model.forward = lambda x: chainer.Variable(forward(x))
    return model, x


def test_loss_accuracy_and_confusion_worked_out_by_hand():
    model, x = fixed([0, 0, 1, 2, 2])
    found = evaluate(model, x, np.array([0, 1, 1, 2, 0]), Plain(), 2, 3)
    assert found.confusion.tolist() == [[1, 0, 1], [1, 1, 0], [0, 0, 1]]
    log_z = np.log(np.exp(3) + 2)
    assert found.loss == pytest.approx(log_z - 3 * 3 / 5)
    assert found.accuracy == 3 / 5 and found.n == 5
    assert found.per_class == [0.5, 0.5, 1]


def test_no_more_than_a_batch_of_images_is_computed_at_a_time():
    model, x = fixed([0] * 7)
    evaluate(model, x, np.zeros(7, int), Plain(), 3, 3)
    assert model.seen == [3, 3, 1]


def test_the_size_of_the_batches_does_not_matter():
    model = chainer_zoo.build('resnext', C=2, d=2)
    golden.fill_model(model)
    rng = np.random.RandomState(0)
    x, y = rng.randint(0, 256, (12, 3, 32, 32)).astype(np.uint8), rng.randint(0, 10, 12)
    results = [
        evaluate(model, x, y, ImagePipeline('small'), batch, 10) for batch in (1, 5, 12, 100)
    ]
    for result in results[1:]:
        assert result.loss == pytest.approx(results[0].loss, rel=1e-6)
        np.testing.assert_array_equal(result.confusion, results[0].confusion)


def test_a_class_without_images_has_no_accuracy():
    result = Evaluation(1.0, np.array([[2, 0], [0, 0]]))
    assert result.per_class[0] == 1 and np.isnan(result.per_class[1])
    assert '-  (0 of 0)' in evaluation.render(result, ['a', 'b'])


@pytest.mark.parametrize(
    'labels, words',
    [([0, 3], 'labels go from 0 to 3'), ([-1, 0], 'labels go from -1'), ([], 'no images')],
)
def test_labels_without_a_class_are_refused(labels, words):
    model, x = fixed([0] * len(labels))
    with pytest.raises(UserError, match=words):
        evaluate(model, x, np.array(labels), Plain(), 3, 3)


def test_the_first_images_of_each_class_come_class_after_class():
    y = np.array([1, 0, 2, 1, 0, 0, 2, 1])
    assert command.first_of_each_class(y, 2, 3).tolist() == [1, 4, 0, 3, 2, 6]
    with pytest.raises(UserError, match='class 2 has only 2'):
        command.first_of_each_class(y, 3, 3)


def test_drawn_images_need_no_data_on_the_disk(tmp_path, capsys):
    model = chainer_zoo.build('resnext', C=2, d=2)
    model_file.save(tmp_path / 'a.model', model)
    assert (
        commands.main(
            [
                'evaluate',
                '--model',
                'resnext',
                '-d',
                '2',
                '--dataset',
                'shapes',
                '-b',
                '50',
                '--limit_test',
                '70',
                '-m',
                str(tmp_path / 'a.model'),
            ]
        )
        == 0
    )
    assert 'of 70 images' in capsys.readouterr().out


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / 'a.model'
    model_file.save(path, chainer_zoo.build('resnext', C=2, d=2))
    return ['evaluate', 'resnext', '-d', '2', '--dataset', 'shapes', '-m', str(path)]


@pytest.mark.parametrize('sizes, images', [(['-b', '70'], 70), (['-b', '64', '-teb', '2'], 32)])
def test_images_that_the_memory_cannot_hold_are_refused(saved, sizes, images, monkeypatch, capsys):
    # enough for the weights, and for the results of a few images
    monkeypatch.setattr('chainer_zoo.memory.available', lambda: 10**6)
    assert commands.main([*saved, '--limit_test', '70', *sizes]) == 2
    assert f'resnext with {images} images at a time takes more memory' in capsys.readouterr().err


@pytest.mark.parametrize(
    'flag', ['-b', '--batch', '-teb', '--test_batch_divide', '--limit_test', '--per_class', '-g']
)
@pytest.mark.parametrize('value', ['-2', str(10**9 + 1), str(10**30), '9' * 50, '1e3', 'inf', ''])
def test_numbers_have_bounds_that_the_message_names(saved, flag, value, capsys):
    with pytest.raises(SystemExit) as caught:
        commands.main([*saved, f'{flag}={value}'])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    least, most = {'-g': ('-1', '255')}.get(
        flag, ('1', '1,000,000,000' if flag in ('--limit_test', '--per_class') else '1,000,000')
    )
    assert f'must be a whole number of at least {least} and at most {most}, not ' in said
    assert said.count('\n') == 1 and len(said) < 300


@pytest.mark.parametrize(
    'words, said',
    [
        (['-m', 'nowhere.model'], 'cannot read nowhere.model: No such file'),
        (['-m', '/dev/zero'], 'it is a device'),
        (['-m', '.'], 'it is a folder'),
        (['-d', '0'], 'd must be a whole number'),
        (['--n_class', '0'], 'must be a whole number of at least 1'),
        (['-g', '7'], '-g 7'),
    ],
)
def test_what_is_wrong_is_noticed_before_any_data_is_read(saved, words, said, monkeypatch, capsys):
    def read(*args, **kwargs):
        raise AssertionError('the data set was read')

    monkeypatch.setattr('chainer_zoo.commands.evaluate.read', read)
    try:
        assert commands.main([*saved, *words]) == 2
    except SystemExit as error:  # the parser's own way out
        assert error.code == 2
    assert said in capsys.readouterr().err
