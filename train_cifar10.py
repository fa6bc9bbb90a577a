#!/usr/bin/env python
"""Train a model of the article on CIFAR-10: ``python train_cifar10.py --model resnext``."""

import sys

from chainer_zoo.commands.train import main

if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
