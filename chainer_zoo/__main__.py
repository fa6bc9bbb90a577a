"""``python -m chainer_zoo``."""
import sys

from chainer_zoo.cli import main

if __name__ == '__main__':
    sys.exit(main())
