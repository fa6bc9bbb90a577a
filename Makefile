# make demo       installs, trains a small ResNeXt for a minute, says what it reached
# make test       installs, runs the tests
# make gpu-check  everything that needs a GPU, into one report file; CUDA=13 takes CuPy 14

# The first Python on this machine that Chainer runs on.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.10 python3.9; do \
	$$python -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$python && break; done)
VENV ?= .venv
NUMPY ?= numpy
PYTEST_ARGS ?=
GPU_CHECK_ARGS ?=
CUDA = 12

.PHONY: demo test gpu-check install clean

demo: install
	rm -rf results/demo
	$(VENV)/bin/python train_cifar10.py --model resnext -d 4 -b 32 -lr 0.02 -trb 1 \
		-teb 1 --dataset auto --limit_test 1000 --minutes 1.2 --out results/demo

# One thread a process, two processes: faster than the other way round, and repeatable.
test: $(VENV)/tests-installed
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2 $(PYTEST_ARGS)

gpu-check: $(VENV)/gpu-installed-$(CUDA)
	$(VENV)/bin/python benchmarks/gpu_check.py $(GPU_CHECK_ARGS)

install: $(VENV)/installed

# Chainer's source archive needs pkg_resources to build, hence the old setuptools and no isolation.
$(VENV)/installed: setup.py
	@test -n "$(PYTHON)" || { echo 'needs Python 3.9 to 3.13: name one by make PYTHON=...'; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '$(PYTHON) lacks venv: apt install python3-venv'; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q --upgrade pip
	$(VENV)/bin/python -m pip install -q 'setuptools>=64,<81' wheel '$(NUMPY)'
	$(VENV)/bin/python -m pip install -q --no-build-isolation -e .
	@# Now instead of in the first run, which would have to wait ten seconds.
	-$(VENV)/bin/python -W ignore -c 'from chainer_zoo import engines, jit; \
		engines.CPU.why_not() or jit.loops("chainer_zoo.engines.cpu.loops")'
	touch $@

$(VENV)/tests-installed: $(VENV)/installed
	$(VENV)/bin/python -m pip install -q --no-build-isolation -e '.[test]' '$(NUMPY)'
	touch $@

# 2 GB: CUDA and cuDNN as wheels, so that the machine needs nothing but the driver. Two CuPys would
# overwrite each other.
$(VENV)/gpu-installed-$(CUDA): $(VENV)/tests-installed
	rm -f $(VENV)/gpu-installed-*
	$(VENV)/bin/python -m pip uninstall -qq -y cupy-cuda12x cupy-cuda13x
	$(VENV)/bin/python -m pip install -q --no-build-isolation -e '.[cuda$(CUDA)]' '$(NUMPY)'
	touch $@

clean:
	rm -rf .venv* build *.egg-info
