"""``python -m chainer_zoo compare``: runs beside the article's and the papers' figures."""

from chainer_zoo.errors import UserError
from chainer_zoo.report import comparison
from chainer_zoo.report import original
from chainer_zoo.report import runs as run_files
from chainer_zoo.report.page import Page


def add_arguments(parser):
    """Add the command's flags to its parser."""
    parser.add_argument(
        'runs',
        metavar='RUN',
        nargs='*',
        help='a folder of train_cifar10.py, or a log.json of the original; a log '
        'does not say options and parts of a batch: they can be written '
        'behind it, as log.json:C=2,d=4,divide=1',
    )
    parser.add_argument(
        '--out',
        metavar='FOLDER',
        default='compare',
        help='where compare.md, compare.html and the plots go',
    )
    original.add_arguments(parser)


def run(args):
    """Compare, print the tables, write the pages; return the exit status."""
    if not args.runs and not args.original:
        raise UserError('give folders of runs or log.json files, or --original')
    page = Page('chainer_zoo beside the original and the papers')
    found = run_files.read_all(args.runs)
    if found:
        comparison.add_runs(page, found, comparison.costs(found))
    if args.original:
        original.add(page, args)
    print(page.text())
    print('\nwritten: {} and {}'.format(*page.save(args.out, 'compare')))
    return 0
