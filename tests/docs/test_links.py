"""What the documentation points at is there: files, headings, modules, models, make's targets."""

import importlib
import re

import doc_blocks
import pytest
from test_commands import name_of

from chainer_zoo import catalog
from chainer_zoo.commands import flags as command_flags
from chainer_zoo.commands import train

#: Written by the build of the documentation.
GENERATED = 'docs/models/', 'docs/api/'

pages = pytest.mark.parametrize('page', doc_blocks.WRITTEN, ids=name_of)


def prose(page):
    """Return a page without its code blocks and comments."""
    text = re.sub(r'^ *```.*?^ *```', '', page.read_text(encoding='utf-8'), flags=re.M | re.S)
    return re.sub(r'<!--.*?-->', '', text, flags=re.S)


def slug(heading):
    """Return the anchor that a heading gets, in a repository browser and on the site."""
    text = re.sub(r'[^\w\- ]', '', heading.strip().lower())
    return text.replace(' ', '-')


@pages
def test_links_within_the_project_lead_somewhere(page):
    for target in re.findall(r'\]\(([^)\s]+)\)', prose(page)):
        if re.match(r'\w+:', target):
            continue  # the link check of the site looks at addresses
        path, _, anchor = target.partition('#')
        file = (page.parent / path).resolve() if path else page
        name = str(file.relative_to(doc_blocks.ROOT))
        assert file.exists() or name.startswith(GENERATED), f'{target}: there is no {name}'
        if anchor:
            headings = re.findall(r'^#+ (.*)', file.read_text(encoding='utf-8'), re.M)
            assert anchor in map(slug, headings), f'{target}: {name} has no such heading'


@pages
def test_files_that_are_named_exist(page):
    for name in re.findall(r'`((?:chainer_zoo|tests|benchmarks|docs|\.ci)/[\w./]+)`', prose(page)):
        if 'NAME' not in name and not name.startswith(('docs/_build', *GENERATED)):
            assert (doc_blocks.ROOT / name).exists(), f'there is no {name}'


@pages
def test_modules_and_names_of_the_package_exist(page):
    for dotted in re.findall(r'`(chainer_zoo(?:\.\w+)+)', page.read_text(encoding='utf-8')):
        module, rest = dotted, []
        while True:
            try:
                found = importlib.import_module(module)
                break
            except ModuleNotFoundError:
                module, _, name = module.rpartition('.')
                rest.insert(0, name)
        for name in rest:
            found = getattr(found, name)


@pages
def test_targets_of_make_exist(page):
    makefile = (doc_blocks.ROOT / 'Makefile').read_text(encoding='utf-8')
    for target in re.findall(r'\bmake ([a-z][\w-]*)', page.read_text(encoding='utf-8')):
        if f'`make {target}' in page.read_text(encoding='utf-8'):
            assert re.search(rf'^{target}:', makefile, re.M), f'make has no target {target}'


@pages
def test_models_that_commands_name_exist(page):
    text = page.read_text(encoding='utf-8')
    for name in re.findall(r'--model ([a-z]\w*)', text):
        assert name in catalog.names()


# words of earlier versions, and what is said instead
@pages
@pytest.mark.parametrize(
    'old',
    [
        r'\bpictures?\b',  # image
        r'onednn\.md',  # cpu.md
        r'chainer_zoo[./]onednn',  # chainer_zoo.engines.cpu
        r'chainer_zoo[./]cudnn',  # chainer_zoo.engines.gpu
        r'functions\.in_sequence',  # chainer_zoo.sequence
        r'images an update',  # batch size
        r'parts of a batch',  # micro-batches
        r'[Tt]o mend',  # to fix
        r'nothing else has to be there',
    ],
)
def test_old_words_are_gone(page, old):
    assert not re.search(old, prose(page))


@pytest.mark.parametrize('page', ['docs/train.md', 'docs/ja/train.md'])
def test_flags_of_training_that_a_page_names_exist(page):
    text = (doc_blocks.ROOT / page).read_text(encoding='utf-8')
    table = '\n'.join(line for line in text.splitlines() if line.startswith('| `-'))
    known = {flag for action in training_flags() for flag in action.option_strings}
    options = [option for name in catalog.names() for option in catalog.entry(name).options]
    known |= {flag for option in options for flag in (f'--{option.name}', *option.flags)}
    for flag in re.findall(r'`(--?[a-z_-]+)', table, re.I):
        assert flag in known, f'{flag} is no flag'


def test_every_flag_of_training_is_explained():
    text = (doc_blocks.ROOT / 'docs/train.md').read_text(encoding='utf-8')
    for action in training_flags():
        flags = action.option_strings
        if not {'-h', '-o', '--n_class'} & set(flags):  # help; never read; told by its own help
            assert any(f'`{flag}' in text for flag in flags), f'docs/train.md lacks {flags}'


def training_flags():
    """Return what argparse knows of the flags that training has for every model."""
    parser = command_flags.Parser()
    train.add_arguments(parser, ['--model', 'nin'])
    return [action for action in parser._actions if action.option_strings]
