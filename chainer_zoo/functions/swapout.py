"""Swapout."""
from chainer_zoo.functions.dropout import dropout


def swapout(x, f, theta1, theta2):
    """y = dropout(x, theta1) + dropout(f, theta2)."""
    return dropout(x, theta1) + dropout(f, theta2)
