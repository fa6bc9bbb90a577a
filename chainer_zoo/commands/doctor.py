"""``python -m chainer_zoo doctor``: versions, devices, and what is missing with what mends it."""

import collections
import ctypes
import importlib.metadata
import os
import platform

import chainer
import numpy as np

from chainer_zoo import compat
from chainer_zoo import engines
from chainer_zoo import jit

Finding = collections.namedtuple('Finding', 'name found remedy')
Finding.__doc__ = """One line of the report.

``name`` is what was looked for and ``found`` what there is; ``remedy`` is a command or a sentence
that mends it, or None where nothing needs mending."""

#: What the GPU path is installed by: CuPy, cuDNN and the CUDA that they need.
INSTALL_GPU = (
    "pip install --no-build-isolation '.[cuda12]' (in this project's folder; "
    "'.[cuda13]' for GPUs newer than Hopper; two CuPys overwrite each other)"
)


def version(package):
    """Return the version of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def cores():
    """Return how many processors this process may use."""
    if hasattr(os, 'sched_getaffinity'):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def blas():
    """Return name and version of the BLAS that NumPy was built with."""
    if hasattr(np, '__config__') and hasattr(np.__config__, 'CONFIG'):  # NumPy >= 1.25
        found = np.__config__.CONFIG.get('Build Dependencies', {}).get('blas', {})
        return ' '.join(str(found[key]) for key in ('name', 'version') if found.get(key)) or None
    for name in ('openblas64__info', 'openblas_info', 'blas_mkl_info', 'blas_opt_info'):
        found = np.__config__.get_info(name).get('libraries')
        if found:
            return ' '.join(dict.fromkeys(found))
    return None


def find_cpu():
    """Return findings on the processor and what computes on it."""
    threads = os.environ.get('OMP_NUM_THREADS')
    yield Finding(
        'processor',
        '{}, {} cores{}'.format(
            platform.machine(),
            cores(),
            f', {threads} threads by OMP_NUM_THREADS' if threads else '',
        ),
        None,
    )
    library = blas()
    yield Finding(
        'BLAS',
        library or 'none that NumPy knows of',
        None if library else 'pip install --force-reinstall numpy (its wheels bring OpenBLAS)',
    )
    reason = engines.CPU.why_not()
    if reason is None:
        yield Finding('oneDNN', version('onednn-cpu-gomp') or "the system's", None)
    elif platform.system() == 'Linux' and platform.machine() == 'x86_64':
        yield Finding('oneDNN', reason, 'pip install onednn-cpu-gomp==2023.2.0')
    else:
        yield Finding('oneDNN', reason, "nothing to do: Chainer's own code computes, more slowly")
    reason = jit.why_not()
    yield Finding(
        'Numba',
        version('numba') if reason is None else first_line(reason),
        reason
        and 'pip install --upgrade numba (without it images are '
        'prepared, and convolutions computed, more slowly)',
    )


def driver_version():
    """Return the version of NVIDIA's driver as nvidia-smi writes it, or None."""
    try:
        library = ctypes.CDLL('nvml.dll' if os.name == 'nt' else 'libnvidia-ml.so.1')
    except OSError:
        return None
    text = ctypes.create_string_buffer(96)
    if library.nvmlInit_v2() != 0:
        return None
    try:
        found = library.nvmlSystemGetDriverVersion(text, len(text)) == 0
    finally:
        library.nvmlShutdown()
    return text.value.decode() if found else None


def installed_cupys():
    """Return the names of the packages that bring CuPy; more than one do not go together."""
    return [name for name in ('cupy-cuda12x', 'cupy-cuda13x', 'cupy') if version(name)]


def find_gpu():
    """Return findings on GPUs, CuPy and cuDNN."""
    driver = compat.cuda_driver()
    if driver is None:
        yield Finding(
            'GPU driver',
            'none',
            "install NVIDIA's driver where there is a GPU; without one, -g -1 computes on the CPU",
        )
    else:
        number = driver_version()
        yield Finding(
            'GPU driver',
            '{}for CUDA {}.{}'.format(number + ', ' if number else '', *driver),
            None if driver >= (12, 0) else "update NVIDIA's driver to 525 or newer (CUDA 12)",
        )
    try:
        import cupy
    except ImportError as e:
        yield Finding(
            'CuPy',
            f'does not load: {e}' if installed_cupys() else 'none',
            INSTALL_GPU if driver else INSTALL_GPU + ' where there is a GPU',
        )
        return
    major = int(cupy.__version__.split('.')[0])
    yield Finding('CuPy', cupy.__version__, None if major >= 13 else INSTALL_GPU)
    devices = list(find_devices(cupy, driver))
    yield from devices
    cuda = chainer.backends.cuda
    if not cuda.available:
        yield Finding(
            'Chainer on CuPy',
            f'off: {first_line(cuda._resolution_error)}',
            "pip install '{}[ctk]'".format(' '.join(installed_cupys()))
            if major >= 14
            else INSTALL_GPU + ', or CUDA 12 with LD_LIBRARY_PATH on its lib64',
        )
    elif cuda.cudnn_enabled or major < 14 or any(f.name != 'GPU' for f in devices):
        yield find_cudnn(cupy, major)


def find_cudnn(cupy, major):
    """Return the finding on cuDNN; with CuPy 14 and newer this starts to use the GPU."""
    cuda = chainer.backends.cuda
    if cuda.cudnn_enabled:
        return Finding('cuDNN', cudnn_version(), None)
    if cuda._cudnn_disabled_by_user:
        return Finding('cuDNN', 'none: CHAINER_CUDNN=0 is set', 'unset CHAINER_CUDNN')
    if major < 14:
        return Finding(
            'cuDNN',
            f'none: {first_line(cuda._resolution_error)}',
            'pip install nvidia-cudnn-cu12==8.9.7.29 (CuPy 13 works with 8.8 and 8.9)',
        )
    reason = engines.GPU.why_not()
    if reason is None:
        return Finding('cuDNN', cudnn_version(), None)
    return Finding(
        'cuDNN',
        'none: ' + reason,
        f'pip install nvidia-cudnn-cu{cupy.cuda.runtime.runtimeGetVersion() // 1000}==9.*, and a driver '
        'as new as that asks for',
    )


def cudnn_version():
    """Return the version of the cuDNN that there is for Chainer, or None; this starts no GPU."""
    cuda = chainer.backends.cuda
    if cuda.cudnn_enabled:
        found = cuda.libcudnn.getVersion()
        return f'{found // 1000}.{found // 100 % 10}.{found % 100}'
    return engines.GPU.version()


def find_devices(cupy, driver):
    """Return a finding for each GPU, or one that there is none."""
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as e:
        yield Finding(
            'GPU',
            f'none: {first_line(e)}',
            None if driver is None else 'nvidia-smi says whether the driver sees one',
        )
        return
    for number in range(count):
        yield Finding(f'GPU {number}', describe(runtime, number), None)


def describe(runtime, number):
    """Return name, compute capability and memory of a GPU, from ``cupy.cuda.runtime``."""
    found = runtime.getDeviceProperties(number)
    return '{}, compute capability {}.{}, {:.0f} GiB'.format(
        found['name'].decode(), found['major'], found['minor'], found['totalGlobalMem'] / 2.0**30
    )


def find_packages():
    """Return findings on the interpreter and the packages that are needed."""
    yield Finding('Python', f'{platform.python_version()} on {platform.system()}', None)
    for package in ('chainer_zoo', 'chainer', 'numpy', 'pillow', 'matplotlib', 'tqdm'):
        found = version(package)
        if package == 'chainer_zoo' and found is None:
            yield Finding(package, 'not installed: used from its folder', None)
        else:
            yield Finding(package, found or 'missing', None if found else f'pip install {package}')


def first_line(error):
    """Return the first line of an error's message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def add_arguments(parser):
    """Add this command's arguments: it has none."""


def run(args):
    """Print the findings, then what to do.

    Returns:
        int: 0, the exit status.
    """
    findings = [f for find in (find_packages, find_cpu, find_gpu) for f in find()]
    width = max(len(f.name) for f in findings)
    for f in findings:
        print('{:{}}  {}'.format(f.name, width, f.found))
    remedies = [f for f in findings if f.remedy]
    if remedies:
        print('\nTo mend:')
    for f in remedies:
        print('{:{}}  {}'.format(f.name, width, f.remedy))
    return 0
