"""Libraries with an interface in C: where they lie, and how ctypes binds them."""

from __future__ import annotations

import ctypes
import importlib.metadata
import pathlib
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any


def installed(distribution: str, name: str) -> Iterator[str]:
    """Yield where an installed distribution has a file of some name.

    The distribution's own list of files says so, wherever it was installed: for the user alone,
    into a folder of its own, or in another environment that this one builds on.

    Args:
        distribution: as pip names it.
        name: of the file, without a folder.
    """
    try:
        files = importlib.metadata.files(distribution) or ()
    except importlib.metadata.PackageNotFoundError:
        return
    for file in files:
        path = pathlib.Path(str(file.locate()))
        if file.name == name and path.exists():
            yield str(path.resolve())


def load(paths: Iterable[str], signatures: Mapping[str, list[Any]], name: str) -> ctypes.CDLL:
    """Load a library and declare its functions that return a status.

    Args:
        paths: where it may lie; the first that loads is taken.
        signatures: of each function the types of its arguments.
        name: of the library and its major version, for an error.

    Returns:
        ctypes.CDLL: the library.

    Raises:
        OSError: it is not there, cannot be loaded, or is another major version.
    """
    errors = []
    for path in paths:
        try:
            library = ctypes.CDLL(path)
            break
        except OSError as error:
            errors.append(str(error))
    else:
        raise OSError('; '.join(dict.fromkeys(errors)))
    for function_name, arguments in signatures.items():
        function = getattr(library, function_name, None)
        if function is None:
            raise OSError(f'{path} has no function {function_name}: not {name}')
        function.argtypes = arguments
        function.restype = ctypes.c_int
    return library
