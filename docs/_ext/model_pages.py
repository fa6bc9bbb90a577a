"""A Sphinx extension: writes one page a model, ``models/NAME.md``, from the catalog.

The pages are not committed. They say what the catalog, the docstring and the network itself say.
"""

from __future__ import annotations

import inspect
import pathlib
import re

import block_drawing
import block_graph
from api_pages import write
from docutils import nodes
from sphinx.addnodes import pending_xref

from chainer_zoo import catalog
from chainer_zoo.report import listing
from chainer_zoo.report import summary

GITHUB = 'https://github.com/nutszebra/'

#: What the text calls fields of a recipe.
_WORDS = {
    'lr': 'learning rate',
    'micro_batches': 'micro-batches',
    'weight_decay': 'weight decay',
    'drop_after': 'drops after epochs',
}

_PAGE = """\
# {name}

**{paper}**, {year} ([arXiv:{arxiv}](https://arxiv.org/abs/{arxiv}))

{about}

## Figures

{figures}

{results}

## {drawing_title}

{drawing_text}

```{{raw}} html
<div class="drawing">
{drawing}
</div>
```

## Run it

<!-- not run: the full recipe takes hours on a GPU -->
```sh
python train_cifar10.py --model {name}
```

{work}

{recipe}

## Options

{options}

## Differences

{differences}

## Code

{code}
"""


def setup(app):
    app.connect('builder-inited', _write_pages)
    app.connect('doctree-read', _link_table)
    return {'parallel_read_safe': True, 'version': '1'}


def _write_pages(app):
    folder = pathlib.Path(app.srcdir, 'models')
    folder.mkdir(exist_ok=True)
    for name in catalog.names():
        write(folder / f'{name}.md', page(name))


def _link_table(app, document):
    """Let the names in the table of all models lead to their pages."""
    if app.env.docname != 'models':
        return
    for table in document.findall(nodes.table):
        table['classes'].append('models')
        for name in list(table.findall(nodes.literal)):
            if name.astext() in catalog.names():
                link = pending_xref(
                    '', refdomain='std', reftype='doc', reftarget='/models/' + name.astext(),
                    refexplicit=True, refdoc='models', refwarn=True,
                )  # fmt: skip
                name.replace_self(link)
                link += nodes.inline('', name.astext())


def page(name: str) -> str:
    """Return the page of a model as MyST Markdown."""
    entry = catalog.entry(name)
    about, differences = _from_docstring(entry.model)
    what, graph = block_graph.trace(name)
    row = listing.count(entry)
    return _PAGE.format(
        name=name,
        paper=entry.paper,
        arxiv=entry.arxiv,
        year=entry.year,
        about=about,
        figures=_figures(entry, row),
        results=_results(entry),
        drawing_title='The network' if what == block_graph.WHOLE else 'The block',
        drawing_text=_drawing_text(what),
        drawing=block_drawing.draw(graph, f'{what} of {name}'),
        work=_work(entry.recipe, row),
        recipe=_recipe(entry.recipe),
        options=_options(entry),
        differences=differences,
        code=_code(entry),
    )


def _from_docstring(model):
    """Return what a class is, and how it differs from paper and original."""
    text = inspect.getdoc(model)
    about = text.split('\n\nArgs:')[0]
    found = re.search(r'^Differences:\n((?:    .*\n?|\n)+)', text, re.M)
    differences = inspect.cleandoc(found.group(1)) if found else 'None are known.'
    # each statement of whom it differs from is a paragraph of its own
    differences = re.sub(r'\n(?=From|Not known)', '\n\n', differences)
    return _markdown(about), _markdown(differences)


def _markdown(text):
    """Return a docstring's reStructuredText as Markdown."""
    text = re.sub(r':[\w:]+:`~?([^`]+)`', lambda m: f'`{m[1].rpartition(".")[2]}`', text)
    return text.replace('``', '`')


def _table(rows, head=('', '')):
    lines = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    return '\n'.join(lines + ['| ' + ' | '.join(map(str, row)) + ' |' for row in rows])


def _percent(value, note=''):
    return f'{value:g}%' + (f' ({note})' if note else '')


def _figures(entry, row):
    rows = []
    if entry.paper_accuracy is not None:
        rows.append(('accuracy, paper', _percent(entry.paper_accuracy, entry.paper_note)))
    if entry.article_accuracy is not None:
        rows.append(('accuracy, article', _percent(entry.article_accuracy, entry.article_note)))
    if entry.status:
        rows.append(("the article's verdict", entry.status))
    if entry.top5_error is not None:
        rows.append(('top-5 error on ImageNet, as the article prints it (%)', entry.top5_error))
    weights = f'{row.weights:,}'
    if entry.article_millions is not None:
        weights += f' (the article prints {entry.article_millions:g} million)'
    rows += [
        ('weights of convolutions and linear layers', weights),
        ('multiply-adds for one image', summary.with_unit(row.multiply_adds)),
        ('image size', f'{row.size} x {row.size}'),
    ]
    text = 'Accuracies are on CIFAR-10.\n\n' + _table(rows)
    return text + (f'\n\n{entry.note}' if entry.note else '')


def _results(entry):
    """Return a list of what the original published, and where each figure comes from."""
    if not entry.results:
        return ''
    return (
        'The original published these accuracies. Each is that of the best epoch on the test '
        'images, which flatters it.\n\n'
        + '\n'.join(f'- {_result(entry, r)}' for r in entry.results)
    )


def _result(entry, result):
    where = ', in the article' if result.in_article else ''
    text = f'**{result.figure}%**{where}: epoch {result.epoch}, {result.date}.'
    differs = [
        f'{_WORDS.get(key, key)} {value}'
        for key, value in {**result.options, **result.recipe}.items()
    ]
    differs += [f'{result.images} images'] if result.images else []
    if differs:
        text += f' Trained with {", ".join(differs)}.'
    if result.note:
        text += f' {result.note}'
    for doubt in result.doubts:
        text += f' Not certain ({doubt.certainty}): {doubt.about}, {doubt.why}.'
    commits = ', '.join(
        f'{what} [{commit}]({GITHUB}{_repository(entry, what)}/commit/{commit})'
        for what, commit in result.commits.items()
    )
    return f'{text} Commits: {commits}.'


def _repository(entry, what):
    return 'trainer' if what == 'trainer' else entry.original


def _drawing_text(what):
    shown = '' if what == block_graph.WHOLE else f'`{what}`, as it comes first. '
    return f'{shown}Dropout, dropped paths and swapout are left out.'


def _work(recipe, row):
    """Return how much an epoch and the whole recipe compute, which tells how long they take."""
    updates = 50_000 // recipe.batch
    images = updates * recipe.batch
    # the gradient of the weights and that of the input take as much as the forward pass each
    products = 3 * images * row.multiply_adds
    return (
        f'The recipe has {recipe.epochs} epochs of {updates:,} updates. An epoch takes about '
        f'{products / 1e12:,.0f} T multiply-adds, forward and backward. '
        '`chainer-zoo profile` tells how long a step takes on your machine; '
        '[On a CPU](../cpu.md) and [On a GPU](../gpu.md) have measured times.'
    )


def _recipe(recipe):
    rows = [
        ('optimizer', _optimizer(recipe)),
        ('learning rate', _schedule(recipe)),
        ('batch size', f'{recipe.batch}, in {recipe.micro_batches} micro-batches'),
        ('weight decay', f'{recipe.weight_decay:g}'),
    ]
    if recipe.clip is not None:
        rows.append(('gradients clipped at', f'{recipe.clip:g}'))
    if recipe.skip_dropped:
        rows.append(('dropped blocks', 'are left out of the update'))
    if recipe.source:
        rows.append(('source', recipe.source))
    return _table(rows)


def _optimizer(recipe):
    if recipe.optimizer == 'MomentumSGD':
        return f'momentum SGD, momentum {recipe.momentum:g}'
    return f'{recipe.optimizer}, decay {recipe.rms_decay:g}, epsilon {recipe.rms_epsilon:g}'


def _schedule(recipe):
    """Return the schedule in words, from the learning rates themselves."""
    if recipe.drop_every:
        factor = recipe.times / recipe.divide_by
        return f'{recipe.lr:g}, times {factor:g} every {recipe.drop_every} epochs'
    steps, last = [], None
    for epoch in range(1, recipe.epochs + 1):
        rate = recipe.lr_at(epoch)
        if rate != last:
            steps.append(f'{rate:g} from epoch {epoch}' if steps else f'{rate:g}')
            last = rate
    return ', '.join(steps)


def _options(entry):
    rows = []
    for option in (catalog.N_CLASS, *entry.options):
        flags = dict.fromkeys((f'--{option.name}', *option.flags))
        rows.append(
            (', '.join(f'`{flag}`' for flag in flags), option.default, option.help, option.allowed)
        )
    return _table(rows, ('flag', 'default', 'what it is', 'must be'))


def _code(entry):
    model = entry.model
    text = f'The class is {{py:class}}`{model.__module__}.{model.__name__}`.'
    if entry.original:
        address = GITHUB + entry.original
        text += f' The original is [{address.removeprefix("https://")}]({address})'
        text += f', at its commit [{entry.commit}]({address}/tree/{entry.commit}).'
    return text
