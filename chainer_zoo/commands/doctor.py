"""``doctor``: versions, devices, and what is missing, with the command that fixes it."""

from __future__ import annotations

import argparse
import ctypes
import importlib.metadata
import os
import platform
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import chainer
import numpy as np

from chainer_zoo import compat
from chainer_zoo import engines
from chainer_zoo import jit
from chainer_zoo import threads

#: What the GPU path is installed by: CuPy, cuDNN and the CUDA that they need.
INSTALL_GPU = (
    "pip install '.[cuda12]' as docs/install.md says ('.[cuda13]' for GPUs newer than Hopper; "
    'two CuPys overwrite each other)'
)

#: System libraries that a minimal system may lack, and the Debian packages that have them.
SYSTEM_PACKAGES = {
    'libgomp.so': 'libgomp1',
    'libstdc++.so': 'libstdc++6',
    'libgcc_s.so': 'libgcc-s1',
}


class Finding(NamedTuple):
    """One line of the report.

    Attributes:
        name: what was looked for.
        found: what there is.
        remedy: a command or a sentence that fixes it; None where nothing needs fixing.
    """

    name: str
    found: str
    remedy: str | None


def version(package: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def blas() -> str | None:
    """Return name and version of the BLAS that NumPy was built with."""
    if hasattr(np, '__config__') and hasattr(np.__config__, 'CONFIG'):  # NumPy >= 1.25
        found = np.__config__.CONFIG.get('Build Dependencies', {}).get('blas', {})
        return ' '.join(str(found[key]) for key in ('name', 'version') if found.get(key)) or None
    for name in ('openblas64__info', 'openblas_info', 'blas_mkl_info', 'blas_opt_info'):
        found = np.__config__.get_info(name).get('libraries')  # type: ignore[attr-defined]
        if found:
            return ' '.join(dict.fromkeys(found))
    return None


def find_cpu() -> Iterator[Finding]:
    """Yield findings on the processor and what computes on it."""
    processors, computing = threads.usable_processors(), threads.limit()
    limited = '' if computing == processors else f', {computing} threads by OMP_NUM_THREADS'
    yield Finding('processor', f'{platform.machine()}, {processors} cores{limited}', None)
    library = blas()
    yield Finding(
        'BLAS',
        library or 'none that NumPy knows of',
        None if library else 'pip install --force-reinstall numpy (its wheels bring OpenBLAS)',
    )
    yield find_onednn()
    reason = jit.why_not()
    yield Finding(
        'Numba',
        (version('numba') or 'unknown version') if reason is None else first_line(reason),
        None
        if reason is None
        else 'pip install --upgrade numba (without it images are prepared, and convolutions '
        'computed, more slowly)',
    )


def find_onednn() -> Finding:
    """Return the finding on the CPU engine's library."""
    reason = engines.CPU.why_not()
    if reason is None:
        return Finding('oneDNN', version('onednn-cpu-gomp') or "the system's", None)
    if platform.system() != 'Linux' or platform.machine() != 'x86_64':
        return Finding('oneDNN', reason, "nothing to do: Chainer's own code computes, more slowly")
    missing = [package for library, package in SYSTEM_PACKAGES.items() if library in reason]
    if missing and version('onednn-cpu-gomp'):
        return Finding('oneDNN', reason, 'apt install ' + ' '.join(missing))
    return Finding('oneDNN', reason, 'pip install onednn-cpu-gomp==2023.2.0')


def driver_version() -> str | None:
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


def installed_cupys() -> list[str]:
    """Return the names of the packages that bring CuPy; more than one do not go together."""
    return [name for name in ('cupy-cuda12x', 'cupy-cuda13x', 'cupy') if version(name)]


def find_gpu() -> Iterator[Finding]:
    """Yield findings on GPUs, CuPy and cuDNN."""
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
            (f'{number}, ' if number else '') + f'for CUDA {driver[0]}.{driver[1]}',
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
            f"pip install '{' '.join(installed_cupys())}[ctk]'"
            if major >= 14
            else INSTALL_GPU + ', or CUDA 12 with LD_LIBRARY_PATH on its lib64',
        )
    elif cuda.cudnn_enabled or major < 14 or any(f.name != 'GPU' for f in devices):
        yield find_cudnn(cupy, major)


def find_cudnn(cupy: Any, major: int) -> Finding:
    """Return the finding on cuDNN; with CuPy 14 and newer this starts to use the GPU."""
    cuda = chainer.backends.cuda
    if cuda.cudnn_enabled:
        return Finding('cuDNN', cudnn_version() or 'unknown version', None)
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
        return Finding('cuDNN', cudnn_version() or 'unknown version', None)
    cuda_major = cupy.cuda.runtime.runtimeGetVersion() // 1000
    return Finding(
        'cuDNN',
        'none: ' + reason,
        f'pip install nvidia-cudnn-cu{cuda_major}==9.*, and a driver as new as that asks for',
    )


def cudnn_version() -> str | None:
    """Return the version of the cuDNN that there is for Chainer, or None; this starts no GPU."""
    cuda = chainer.backends.cuda
    if cuda.cudnn_enabled:
        found = cuda.libcudnn.getVersion()
        return f'{found // 1000}.{found // 100 % 10}.{found % 100}'
    return engines.GPU.version()


def find_devices(cupy: Any, driver: tuple[int, int] | None) -> Iterator[Finding]:
    """Yield a finding for each GPU, or one that there is none."""
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


def describe(runtime: Any, number: int) -> str:
    """Return name, compute capability and memory of a GPU, from ``cupy.cuda.runtime``."""
    found = runtime.getDeviceProperties(number)
    return (
        f'{found["name"].decode()}, compute capability {found["major"]}.{found["minor"]}, '
        f'{found["totalGlobalMem"] / 2**30:.0f} GiB'
    )


def find_packages() -> Iterator[Finding]:
    """Yield findings on the interpreter and the packages that are needed."""
    yield Finding('Python', f'{platform.python_version()} on {platform.system()}', None)
    for package in ('chainer_zoo', 'chainer', 'numpy', 'pillow', 'matplotlib', 'tqdm'):
        found = version(package)
        if package == 'chainer_zoo' and found is None:
            yield Finding(package, 'not installed: used from its folder', None)
        else:
            yield Finding(package, found or 'missing', None if found else f'pip install {package}')


def first_line(error: object) -> str:
    """Return the first line of an error's message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def prepare() -> None:
    """Do at the end of an installation what the first run would have to wait for.

    Compiles the loops, which takes ten seconds, and says what the CPU lacks to be fast.
    """
    if engines.CPU.why_not() is None:
        jit.loops('chainer_zoo.engines.cpu.loops')
    show_remedies(list(find_cpu()))


def show_remedies(findings: list[Finding]) -> None:
    """Print what to do, if there is something."""
    remedies = [f for f in findings if f.remedy]
    width = max((len(f.name) for f in findings), default=0)
    if remedies:
        print('\nTo fix:')
    for f in remedies:
        print(f'{f.name:{width}}  {f.remedy}')


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add this command's arguments: it has none."""


def run(args: argparse.Namespace) -> int:
    """Print the findings, then what to do.

    Returns:
        int: 0, the exit status.
    """
    findings = [f for find in (find_packages, find_cpu, find_gpu) for f in find()]
    width = max(len(f.name) for f in findings)
    for f in findings:
        print(f'{f.name:{width}}  {f.found}')
    show_remedies(findings)
    return 0
