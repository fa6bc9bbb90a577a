# make demo          installs, trains a small ResNeXt for a minute, says what it reached
# make test          installs, runs the tests that do not take long
# make test-all      installs, runs all tests
# make lint          format, faults that ruff finds, layers of imports, type hints
# make docs          this documentation as a site, docs/_build/html; needs Python 3.11 or newer
# make docs-links    are the addresses that the site links to still there?
# make gpu-check     everything that needs a GPU, into one report file; CUDA=13 takes CuPy 14
# make test-install  every way to install, in fresh environments; writes the table in docs/install.md
# make test-newest   the tests on Python 3.14 and newer, from Debian's next release (needs root)

# The newest Python here that has what a virtual environment needs, else the newest.
PYTHONS = 3.15 3.14 3.13 3.12 3.11 3.10 3.9 3
PYTHON ?= $(shell for module in ensurepip,venv sys; do for version in $(PYTHONS); do \
	python$$version -c "import $$module, sys; sys.exit(sys.version_info < (3, 9))" 2>/dev/null \
	&& echo python$$version && exit; done; done)
VENV ?= .venv
NUMPY ?= numpy
PYTEST_ARGS ?=
GPU_CHECK_ARGS ?=
CUDA = 12

# without what setuptools has to say about every package that is used from its folder
PIP = PYTHONWARNINGS=ignore $(VENV)/bin/python -m pip install -q
# One thread a process, two processes: faster than the other way round, and repeatable.
PYTEST = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2

.PHONY: demo test test-all lint docs docs-links gpu-check test-install test-newest install clean

demo: install
	rm -rf results/demo
	$(VENV)/bin/python train_cifar10.py --model resnext -d 4 -b 32 -lr 0.02 -trb 1 \
		-teb 1 --dataset auto --limit_test 1000 --iterations 468 --whole_schedule \
		--out results/demo
	@echo
	@echo 'Next:'
	@echo '    . $(VENV)/bin/activate'
	@echo '    chainer-zoo list'
	@echo '    chainer-zoo compare results/demo'
	@echo 'To train on the real CIFAR-10, which is downloaded once (170 MB):'
	@echo '    python train_cifar10.py --model resnext -d 4 --minutes 10 --whole_schedule'
	@echo 'or name a copy with --data PATH. docs/start.md has more.'

test: $(VENV)/tests-installed
	$(PYTEST) -m 'not slow' $(PYTEST_ARGS)

test-all: $(VENV)/tests-installed
	$(PYTEST) $(PYTEST_ARGS)

lint: $(VENV)/tests-installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/mypy

# A warning is an error: a link within the site that leads nowhere, a name that is not there.
SPHINX = OMP_NUM_THREADS=1 $(VENV)/bin/python -m sphinx -q -W --keep-going docs

docs: $(VENV)/docs-installed
	$(SPHINX) -b html docs/_build/html
	@echo 'open docs/_build/html/index.html'

docs-links: $(VENV)/docs-installed
	$(SPHINX) -b linkcheck docs/_build/links

gpu-check: $(VENV)/gpu-installed-$(CUDA)
	$(VENV)/bin/python benchmarks/gpu_check.py $(GPU_CHECK_ARGS)

test-install:
	$(PYTHON) .ci/install_matrix.py

test-newest:
	.ci/newest

install: $(VENV)/installed

# Chainer's source archive needs the pkg_resources of old setuptools to build; without isolation it
# finds those that are installed first.
$(VENV)/installed: setup.py pyproject.toml
	@test -n "$(PYTHON)" || { echo 'needs Python 3.9 or newer: name one by make PYTHON=...'; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '$(PYTHON) lacks venv: apt install python3-venv'; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) 'setuptools>=64' -c constraints.txt wheel '$(NUMPY)'
	$(PIP) --no-build-isolation -e . '$(NUMPY)'
	@$(VENV)/bin/python -W ignore -c 'from chainer_zoo.commands import doctor; doctor.prepare()'
	touch $@

$(VENV)/tests-installed: $(VENV)/installed
	$(PIP) --no-build-isolation -e '.[test]' '$(NUMPY)'
	touch $@

$(VENV)/docs-installed: $(VENV)/installed
	$(PIP) --no-build-isolation -e '.[docs]' '$(NUMPY)'
	touch $@

# 2 GB: CUDA and cuDNN as wheels, so that the machine needs nothing but the driver. Two CuPys would
# overwrite each other.
$(VENV)/gpu-installed-$(CUDA): $(VENV)/tests-installed
	rm -f $(VENV)/gpu-installed-*
	$(VENV)/bin/python -m pip uninstall -qq -y cupy-cuda12x cupy-cuda13x
	$(PIP) --no-build-isolation -e '.[cuda$(CUDA)]' '$(NUMPY)'
	touch $@

clean:
	rm -rf .venv* build *.egg-info docs/_build docs/api docs/models
