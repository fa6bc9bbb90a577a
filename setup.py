"""What is installed, and with what (how: docs/install.md; settings of tools: pyproject.toml)."""

import pathlib
import runpy

import setuptools

HERE = pathlib.Path(__file__).resolve().parent

# No CuPy with cuDNN has wheels for Python 3.14 and newer; CuPy 14 finds its CUDA libraries by
# itself, and chainer_zoo.engines.gpu brings cuDNN 9 to it.
CUPY_13 = 'python_version < "3.14"'
CUPY_14 = 'python_version >= "3.14"'
# CuPy's wheels as far as the tests need them: kernels are compiled without a GPU.
WITH_CUDA_WHEELS = 'platform_system == "Linux" and platform_machine == "x86_64"'

setuptools.setup(
    name='chainer_zoo',
    version=runpy.run_path(str(HERE / 'chainer_zoo' / 'version.py'))['__version__'],
    description='The image-recognition models of 2016 on Chainer 7.8.1, true to the original code',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author='The chainer_zoo authors',
    license='MIT',
    keywords=[
        'chainer',
        'cifar-10',
        'image classification',
        'resnet',
        'densenet',
        'resnext',
        'pyramidnet',
        'reproducibility',
    ],
    classifiers=[
        'Development Status :: 4 - Beta',
        'Environment :: Console',
        'Environment :: GPU :: NVIDIA CUDA',
        'Intended Audience :: Education',
        'Intended Audience :: Science/Research',
        'Natural Language :: English',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.9',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Programming Language :: Python :: 3.14',
        'Programming Language :: Python :: 3.15',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
        'Typing :: Typed',
    ],
    packages=[
        *setuptools.find_packages(include=['chainer_zoo', 'chainer_zoo.*']),
        'chainer_zoo.report.golden_files',  # data only, without an __init__.py
    ],
    package_data={
        'chainer_zoo': ['py.typed'],  # type checkers may use the hints
        'chainer_zoo.catalog': ['results.json'],  # where the published figures come from
        'chainer_zoo.report': ['original_curves.npz'],  # what the original's training went through
        # what `compare --original` compares with
        'chainer_zoo.report.golden_files': ['*', 'float64/*'],
    },
    entry_points={'console_scripts': ['chainer-zoo = chainer_zoo.commands:main']},
    install_requires=[
        'chainer==7.8.1',  # the last release; what newer tools took away is lent in compat.py
        'numpy>=1.22',  # everything is arrays; 1.22 is the oldest with a wheel for Python 3.10
        'matplotlib',  # loss and accuracy plots
        'pillow',  # reads the images that people give to predict
        'tqdm',  # progress bars
        'filelock',  # one run a folder, one download at a time
        'shtab',  # completion of commands and flags in the shell
        'platformdirs',  # the user's cache folder, for code that Numba has compiled
        # compiles loops: images prepared in one pass exactly as Pillow rounds, where NumPy needs
        # many, and convolutions with fewer multiplications than oneDNN's
        'numba',
        # oneDNN, the CPU kernels: a plain shared library, called through its C interface
        'onednn-cpu-gomp==2023.2.0; platform_system == "Linux" and platform_machine == "x86_64"',
    ],
    extras_require={
        # the site that `make docs` builds
        'docs': [
            # makes the API reference from docstrings; older ones lack what newer Docutils want
            'sphinx>=8.2; python_version >= "3.11"',
            'myst-nb; python_version >= "3.11"',  # pages in Markdown, and the notebook
            'furo; python_version >= "3.11"',  # a theme that reads well on a phone, too
            'sphinx-copybutton; python_version >= "3.11"',  # a click copies a command
        ],
        'cuda12': [
            f'cupy-cuda12x==13.6.0; {CUPY_13}',  # the last CuPy with cuDNN
            f'nvidia-cudnn-cu12==8.9.7.29; {CUPY_13}',  # the last cuDNN that CuPy 13 works with
            # the CUDA 12 libraries that CuPy calls, for machines that have only the driver
            f'nvidia-cublas-cu12==12.*; {CUPY_13}',
            f'nvidia-cuda-nvrtc-cu12==12.*; {CUPY_13}',
            f'nvidia-cuda-runtime-cu12==12.*; {CUPY_13}',
            f'nvidia-cufft-cu12==11.*; {CUPY_13}',
            f'nvidia-curand-cu12==10.*; {CUPY_13}',
            f'nvidia-cusolver-cu12==11.*; {CUPY_13}',
            f'nvidia-cusparse-cu12==12.*; {CUPY_13}',
            f'nvidia-nvjitlink-cu12==12.*; {CUPY_13}',
            f'cupy-cuda12x[ctk]==14.*; {CUPY_14}',  # with the CUDA 12 libraries that it calls
            f'nvidia-cudnn-cu12==9.*; {CUPY_14}',
        ],
        # for CUDA 13 and GPUs newer than Hopper; Python 3.10 and NumPy 2.0 at least
        'cuda13': [
            # with the CUDA 13 libraries that CuPy calls
            'cupy-cuda13x[ctk]==14.*; python_version >= "3.10"',
            # CuPy 14 has none of its own: chainer_zoo.engines.gpu calls the C interface of cuDNN 9
            'nvidia-cudnn-cu13==9.*; python_version >= "3.10"',
        ],
        'test': [
            'pytest',
            'pytest-xdist',  # two cores, two test processes
            'hypothesis',  # shapes and values that nobody thought of
            'nbclient',  # executes the notebook of the docs...
            'ipykernel',  # ...in a kernel of this Python
            # one format for all: another minor version would format some lines differently
            'ruff==0.17.*; python_version >= "3.10"',
            # holds the layers that docs/architecture.md draws: imports go down only
            'import-linter; python_version >= "3.10"',
            # type hints that are wrong are worse than none
            'mypy; python_version >= "3.10"',
            # GPU kernels are compiled without a GPU: CuPy writes their source, NVRTC compiles it
            f'cupy-cuda12x==13.6.0; {WITH_CUDA_WHEELS} and {CUPY_13}',
            f'cupy-cuda12x==14.*; {WITH_CUDA_WHEELS} and python_version == "3.14"',
            f'nvidia-cuda-nvrtc-cu12==12.9.86; {WITH_CUDA_WHEELS}',
            f'nvidia-cuda-runtime-cu12==12.9.79; {WITH_CUDA_WHEELS}',
        ],
    },
)
