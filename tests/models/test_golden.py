"""Every model computes what the original code computes."""

import golden_cases
import pytest

from chainer_zoo import engines
from chainer_zoo import initializers
from chainer_zoo import parameters
from chainer_zoo.engines.cpu import openmp
from chainer_zoo.report import golden


@pytest.mark.parametrize('case', golden_cases.CASES, ids=lambda case: case.case)
def test_paths_shapes_and_weight_count_are_the_originals(case):
    with initializers.unfilled():
        model = case.build()
    shapes = {path: list(array.shape) for path, array in parameters.arrays(model).items()}
    assert shapes == case.numbers['arrays']
    assert parameters.count_weights(model) == case.numbers['count_parameters']


#: Of these one interpreter is enough: half a minute and more each.
LONG = 'vgg_a', 'prelu_net', 'nas', 'pyramidnet'
HELD = [
    pytest.param(case, id=case.case, marks=[pytest.mark.slow] * (case.case in LONG))
    for case in golden_cases.CASES
    if case.logits is not None
]
ENGINES = [
    pytest.param(False, id='numpy'),
    pytest.param(
        True,
        id='onednn',
        marks=(
            pytest.mark.slow,
            pytest.mark.skipif(
                not engines.CPU.is_available(), reason=f'oneDNN: {engines.CPU.why_not()}'
            ),
        ),
    ),
]


@pytest.mark.parametrize('engine', ENGINES)
@pytest.mark.parametrize('case', HELD)
def test_logits_gradients_statistics_and_updates_are_the_originals(case, engine):
    elsewhere = golden_cases.IN_FLOAT64.get(case.case, set())
    undecided = golden_cases.IN_FLOAT64_BUT_FOR_NUMPY.get(case.case, set()) if engine else set()
    if engine and openmp.can_run():  # else oneDNN adds up as NumPy does
        case = golden_cases.with_float64_logits(case)
    with engines.CPU.using(engine):
        # another engine rounds otherwise, and what grows from update to update is not its doing
        found = golden.check(case, updates=not (engine and elsewhere))
    assert {'test_logits', 'train_logits', 'grads'} <= set(found)
    too_far = {
        what: deviation
        for what, deviation in found.items()
        if not deviation <= golden.TOLERANCES[what] and what not in elsewhere | undecided
    }
    assert not too_far, too_far
