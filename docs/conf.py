"""How the documentation is built: ``make docs``.

Sphinx, because half of the site is an API reference made from docstrings in Chainer's style, with
its cross-references; MyST, because the other half is Markdown that also reads well in a repository
browser.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / '_ext'), str(HERE.parent)]

import chainer_zoo  # noqa: E402

project = 'chainer_zoo'
author = 'the authors of chainer_zoo'
copyright = author
release = version = chainer_zoo.__version__

extensions = [
    'myst_nb',  # Markdown and the notebook
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',  # Google's style of docstrings
    'sphinx.ext.viewcode',
    'sphinx_copybutton',
    'model_pages',  # of this project: one page a model
    'api_pages',  # of this project: the API reference
]
exclude_patterns = ['_build', '_ext']
source_suffix = {'.md': 'myst-nb', '.ipynb': 'myst-nb', '.rst': 'restructuredtext'}

myst_enable_extensions = ['colon_fence', 'attrs_inline']
myst_heading_anchors = 3
nb_execution_mode = 'off'  # a test executes the notebook; the page shows what it printed

autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autodoc_inherit_docstrings = False
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = 'furo'
html_title = 'chainer_zoo'
html_static_path = ['_static']
html_css_files = ['site.css']
html_show_sphinx = False
copybutton_exclude = '.linenos, .gp, .go'

linkcheck_anchors = False
linkcheck_timeout = 20


def setup(app):
    app.connect('html-page-context', _say_what_language_a_page_has)


def _say_what_language_a_page_has(app, pagename, templatename, context, doctree):
    """Let browsers take Japanese glyphs for Japanese pages."""
    if pagename.startswith('ja/'):
        context['language'] = 'ja'
