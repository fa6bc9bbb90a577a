"""The original's training curves, as they were read off its plots."""

import numpy as np
import pytest

import chainer_zoo
from chainer_zoo.catalog import results
from chainer_zoo.errors import UserError
from chainer_zoo.report import original_curves

RESULTS = [result for name in chainer_zoo.names() for result in results.results_of(name)]


def test_every_published_result_has_its_curves():
    with np.load(original_curves.FILE) as npz:
        keys = set(npz.files)
    assert keys == {
        f'{result.model}/{result.figure}/{curve}'
        for result in RESULTS
        for curve in ('train loss', 'test loss', 'accuracy')
    }


@pytest.mark.parametrize('result', RESULTS, ids=lambda result: f'{result.model}-{result.figure}')
def test_the_best_accuracy_is_the_published_one(result):
    found = original_curves.curves(result.model, result.figure)
    assert found.result is result
    best = np.nanmax(found.accuracy)
    # a pixel of fractalnet's last plot is 0.2%; all others are read to 0.05%
    assert best == pytest.approx(result.accuracy / 100, abs=9e-4)
    if result.figure != '94.05':
        near = found.accuracy[max(0, result.epoch - 2) : result.epoch + 1]
        assert np.nanmax(near) >= best - 6e-4, 'the printed epoch is a peak'


@pytest.mark.parametrize('result', RESULTS, ids=lambda result: f'{result.model}-{result.figure}')
def test_losses_are_per_image_and_not_divided(result):
    """Before anything is learned a loss is ln 10, whatever it was divided by."""
    found = original_curves.curves(result.model, result.figure)
    assert len(found.train_loss) == len(found.test_loss) == len(found.accuracy)
    assert 0.95 < np.nanmean(found.train_loss[:3]) < 3.2
    for name, values in found.uncertainties.items():
        assert len(values) == len(found.accuracy)
        assert (np.isnan(values) == np.isnan(getattr(found, name))).all()


def test_points_that_could_not_be_read_are_gaps():
    found = original_curves.curves('fractalnet', '94.05')
    assert np.isnan(found.train_loss).sum() == 128
    assert not np.isnan(found.test_loss).any()


def test_the_articles_result_is_shown_if_none_is_named():
    assert original_curves.curves('fractalnet').result.figure == '93.77'
    assert original_curves.curves('fractalnet', '92.28').result.figure == '92.28'


@pytest.mark.parametrize(
    'model, figure, first, later, epoch',
    [('prelu_net', '94.98', 4, 8, 209), ('fractalnet', '91.3', 25, 5, 188)],
)
def test_a_run_that_was_resumed_with_other_micro_batches_is_continuous(
    model, figure, first, later, epoch
):
    found = original_curves.curves(model, figure).train_loss
    before, after = found[epoch - 6 : epoch - 1].mean(), found[epoch - 1 : epoch + 4].mean()
    assert after == pytest.approx(before, rel=0.15)
    caveats = ' '.join(original_curves.curves(model, figure).caveats)
    assert f'multiplied by {first} and later {later}' in caveats


def test_swapouts_test_loss_carries_its_caveat():
    found = original_curves.curves('swapout')
    assert np.nanmin(found.test_loss) > np.log(1 + 9 / np.e)
    assert any('1.461' in text for text in found.caveats)
    assert not any('1.461' in text for text in original_curves.curves('resnet').caveats)


@pytest.mark.parametrize(
    'model, figure, message',
    [
        ('ror', None, 'published no accuracy of ror'),
        ('xception', None, 'published no accuracy of xception'),
        ('fractalnet', '99', 'fractalnet has no figure .99.; its figures are 91.3, 92.28'),
        ('lenet', None, 'no model'),
    ],
)
def test_curves_that_do_not_exist_are_refused(model, figure, message):
    with pytest.raises(UserError, match=message):
        original_curves.curves(model, figure)
