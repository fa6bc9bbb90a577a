"""``python -m chainer_zoo``."""

import sys

from chainer_zoo.commands import main

if __name__ == '__main__':
    sys.exit(main())
