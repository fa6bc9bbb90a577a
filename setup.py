"""Install with ``pip install --no-build-isolation .`` (see the Makefile for why)."""

import setuptools

setuptools.setup(
    name='chainer_zoo',
    version='0.1.0',
    description='The image-recognition models of 2016 on Chainer 7.8.1, as the original computes them',
    license='MIT',
    python_requires='>=3.9, <3.14',
    packages=setuptools.find_packages(include=['chainer_zoo', 'chainer_zoo.*']),
    install_requires=[
        'chainer==7.8.1',  # the last release; what newer tools took away is lent in compat.py
        'numpy>=1.22',  # everything is arrays; 1.22 is the oldest with a wheel for Python 3.10
        'matplotlib',  # loss and accuracy plots
        'pillow',  # reads the images that people give to predict
        'tqdm',  # progress bars
        'filelock',  # one run a folder, one download at a time
        # compiles loops: images prepared in one pass exactly as Pillow rounds, where NumPy needs
        # many, and convolutions with fewer multiplications than oneDNN's
        'numba',
        # oneDNN, the CPU kernels: a plain shared library, called through its C interface
        'onednn-cpu-gomp==2023.2.0; platform_system == "Linux" and platform_machine == "x86_64"',
    ],
    extras_require={
        'cuda12': [
            'cupy-cuda12x==13.6.0',  # the last CuPy with cuDNN
            'nvidia-cudnn-cu12==8.9.7.29',  # the last cuDNN that CuPy 13 works with
            # the CUDA 12 libraries that CuPy calls, for machines that have only the driver
            'nvidia-cublas-cu12==12.*',
            'nvidia-cuda-nvrtc-cu12==12.*',
            'nvidia-cuda-runtime-cu12==12.*',
            'nvidia-cufft-cu12==11.*',
            'nvidia-curand-cu12==10.*',
            'nvidia-cusolver-cu12==11.*',
            'nvidia-cusparse-cu12==12.*',
            'nvidia-nvjitlink-cu12==12.*',
        ],
        # for CUDA 13 and GPUs newer than Hopper; Python 3.10 and NumPy 2.0 at least
        'cuda13': [
            'cupy-cuda13x[ctk]==14.*',  # with the CUDA 13 libraries that CuPy calls
            # CuPy 14 has none of its own: chainer_zoo.engines.gpu calls the C interface of cuDNN 9
            'nvidia-cudnn-cu13==9.*',
        ],
        'test': [
            'pytest',
            'pytest-xdist',  # two cores, two test processes
            'hypothesis',  # shapes and values that nobody thought of
            # GPU kernels are compiled without a GPU: CuPy writes their source, NVRTC compiles it
            'cupy-cuda12x==13.6.0; platform_system == "Linux" and platform_machine == "x86_64"',
            'nvidia-cuda-nvrtc-cu12==12.9.86; '
            'platform_system == "Linux" and platform_machine == "x86_64"',
            'nvidia-cuda-runtime-cu12==12.9.79; '
            'platform_system == "Linux" and platform_machine == "x86_64"',
        ],
    },
)
