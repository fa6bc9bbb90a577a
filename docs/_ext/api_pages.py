"""A Sphinx extension: the API reference, one page a package, with every public name.

Written at build time from the package's tree, so that a new module is there without being listed.
"""

from __future__ import annotations

import importlib
import pathlib
import pkgutil

from docutils import nodes
from sphinx.addnodes import pending_xref

ROOT = 'chainer_zoo'

#: Pages that gather modules which are no packages of their own.
GROUND = 'ground'

#: Modules that a function of the same name hides, with the classes that are described.
_HIDDEN = {'chainer_zoo.catalog.entry': ('Option', 'Recipe', 'Entry')}

_INDEX = """\
# API reference

Start with {{py:mod}}`chainer_zoo`: it has what most programs need. The other pages follow the
[architecture](../architecture.md), from the top down.

```{{toctree}}
:maxdepth: 1
{pages}
```

(ndarray)=
## ndarray

In these pages an *ndarray* is an array of NumPy, on the CPU, or of CuPy, on a GPU.
"""


def setup(app):
    app.connect('builder-inited', _write_pages)
    app.connect('doctree-read', _leave_words_alone)
    app.connect('autodoc-skip-member', _skip_fields)
    return {'parallel_read_safe': True, 'version': '1'}


def modules() -> dict[str, bool]:
    """Return the dotted names of all public modules, and whether each is a package."""
    package = importlib.import_module(ROOT)
    found = {ROOT: True}
    for module in pkgutil.walk_packages(package.__path__, ROOT + '.'):
        if not any(part.startswith('_') for part in module.name.split('.')):
            found[module.name] = module.ispkg
    return found


def pages(names: dict[str, bool]) -> dict[str, list[str]]:
    """Return the modules of each page, by the page's name.

    Args:
        names: what :func:`modules` returns.
    """
    found: dict[str, list[str]] = {ROOT: [ROOT], GROUND: []}
    for name, is_package in names.items():
        owner = name if is_package else name.rpartition('.')[0]
        if name != ROOT:
            found.setdefault(GROUND if owner == ROOT else owner, []).append(name)
    return found


def _write_pages(app):
    folder = pathlib.Path(app.srcdir, 'api')
    folder.mkdir(exist_ok=True)
    found = pages(modules())
    order = [ROOT, *_from_the_top(set(found) - {ROOT, GROUND}, app.srcdir), GROUND]
    write(folder / 'index.md', _INDEX.format(pages='\n'.join(order)))
    for page, members in found.items():
        write(folder / f'{page}.rst', _page(page, members))


def _from_the_top(packages, srcdir):
    """Return packages as the import contract orders them, what imports before what is imported."""
    text = pathlib.Path(srcdir, '..', 'pyproject.toml').read_text(encoding='utf-8')
    return sorted(packages, key=lambda name: (text.find('"' + name.split('.')[1]), name))


def _page(page, members):
    title = 'The ground floor' if page == GROUND else page
    lines = [title, '=' * len(title), '']
    for name in members:
        if name != page:
            lines += [name, '-' * len(name), '']
        try:
            importlib.import_module(name)
        except (ImportError, OSError) as error:  # a library of C that this machine lacks
            lines += [f'Not described here: it cannot be imported ({error}).', '']
            continue
        if name in _HIDDEN:
            lines += [f'.. autoclass:: {name}.{cls}\n   :members:\n' for cls in _HIDDEN[name]]
            continue
        lines += [
            f'.. automodule:: {name}',
            '   :members:',
            '   :undoc-members:',
            '   :show-inheritance:',
        ]
        # what a package takes from its modules stands with them
        lines += [] if name == ROOT else ['   :ignore-module-all:']
        lines += ['']
    return '\n'.join(lines)


def write(path: pathlib.Path, text: str):
    """Write a page, unless it is there as it should be: Sphinx then need not read it again."""
    if not path.exists() or path.read_text(encoding='utf-8') != text:
        path.write_text(text, encoding='utf-8')


def _leave_words_alone(app, document):
    """Take the links off types that are words: ``sequence`` is no property of that name here."""
    for reference in list(document.findall(pending_xref)):
        target = reference.get('reftarget', '')
        if reference.get('reftype') == 'class' and target.islower() and '.' not in target:
            reference.replace_self(nodes.literal('', reference.astext()))


def _skip_fields(app, what, name, obj, skip, options):
    """Leave out fields that the class docstring explains already, and fields of named tuples."""
    if isinstance(obj, type) and not obj.__module__.startswith(ROOT):
        return True  # a class of another library, as a class attribute
    if type(obj).__name__ in ('_tuplegetter', 'member_descriptor'):
        return True
    return None
