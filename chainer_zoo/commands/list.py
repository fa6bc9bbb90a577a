"""``python -m chainer_zoo list``: one line a model. The README's table is its Markdown."""

from chainer_zoo import catalog
from chainer_zoo.report import listing
from chainer_zoo.report import table


def add_arguments(parser):
    """Add the table's style."""
    table.add_style(parser)


def run(args):
    """Print the table of all models; return the exit status."""
    print(
        listing.render([listing.count(catalog.entry(name)) for name in catalog.names()], args.style)
    )
    return 0
