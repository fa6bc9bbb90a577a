"""The text that says what a model reaches on test images."""

from __future__ import annotations

from collections.abc import Sequence

from chainer_zoo.training.evaluation import Evaluation


def render(result: Evaluation, names: Sequence[str]) -> str:
    """Return loss, accuracy, the accuracy of each class and the confusion matrix as text.

    Args:
        result: what was reached.
        names: the classes.
    """
    right = result.confusion.diagonal()
    width = max(map(len, names))
    lines = [
        f'test loss {result.loss:.5f}, test accuracy {result.accuracy:.2%} '
        f'({right.sum()} of {result.n} images)',
        '',
    ]
    for name, accuracy, n, images in zip(
        names, result.per_class, right, result.confusion.sum(axis=1)
    ):
        shown = f'{accuracy:.2%}' if images else '-'
        lines.append(f'{name:<{width}}  {shown:>7}  ({n} of {images})')
    column = max([5] + [len(str(n)) for n in result.confusion.ravel()])
    lines += [
        '',
        'images of each class (rows) by the class that was predicted (columns):',
        ' ' * width + ''.join(f'  {name[:column]:>{column}}' for name in names),
    ]
    for name, row in zip(names, result.confusion):
        lines.append(f'{name:<{width}}' + ''.join(f'  {n:>{column}}' for n in row))
    return '\n'.join(lines)
