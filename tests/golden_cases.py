"""The golden files of the models, and which of their numbers rounding decides."""

import copy

from chainer_zoo.report import golden

#: Where rounding grows so much that the original itself leaves these bounds from one BLAS thread to
#: two (the third loss of highway: 1.86 and 1.39, exactly 1.00), or this code from one NumPy to the
#: next (swapout's losses), test_float64.py decides.
IN_FLOAT64 = {
    'highway': {'grads', 'train_losses', 'params_after_3_updates'},
    'squeezenet': {'train_losses', 'params_after_3_updates'},
    'googlenet_v2': {'train_losses', 'params_after_3_updates'},
    'googlenet_v3': {'train_losses', 'params_after_3_updates'},
    'swapout': {'train_losses', 'params_after_3_updates'},
    'pyramidnet': {'params_after_3_updates'},
    'preresnet': {'grads', 'train_losses', 'params_after_3_updates'},
    'stochastic_depth': {'train_losses', 'params_after_3_updates'},
    'ror': {'train_losses', 'params_after_3_updates'},
    'ror-40-2': {'train_losses', 'params_after_3_updates'},
    # networks of published figures
    'googlenet_v3-article': {'train_losses', 'params_after_3_updates'},
    'preresnet-article': {'grads', 'train_losses', 'params_after_3_updates'},
    'preresnet-2016-11-11': {'grads', 'train_losses', 'params_after_3_updates'},
    'squeezenet-article-122': {'train_losses', 'params_after_3_updates'},
    'squeezenet-wd1e-3': {'train_losses', 'params_after_3_updates'},
    'swapout-95.15': {'train_losses', 'params_after_3_updates'},
}
#: Likewise for code that adds up otherwise than NumPy, whose own sums stay within the bounds here:
#: the original leaves them with another BLAS (third losses of fractalnet 0.209 and 0.196, of resnet
#: 1.91 and 1.85).
IN_FLOAT64_BUT_FOR_NUMPY = {'resnet': {'train_losses'}, 'fractalnet': {'train_losses'}}
#: Whose logits of a training pass the original's float32 has further from its float64 than the
#: bound (by 4e-3): there NumPy adds up BN's variance pixel after pixel.
LOGITS_IN_FLOAT64 = {'preresnet', 'preresnet-article', 'preresnet-2016-11-11'}
CASES = [golden.Golden(path) for path in sorted(golden.FOLDER.glob('*.json'))]


def with_float64_logits(case):
    """Return a case for code that adds up otherwise than NumPy: held to the float64 logits."""
    if case.case not in LOGITS_IN_FLOAT64:
        return case
    case = copy.copy(case)
    case.logits = dict(case.logits, train_logits=case.float64['train_logits'])
    return case
