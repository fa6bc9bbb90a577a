"""Libraries with an interface in C, bound by ctypes."""

import ctypes


def load(paths, signatures, name):
    """Load a library and declare its functions that return a status.

    Args:
        paths (iterable of str): where it may lie; the first that loads is taken.
        signatures (dict): of each function the types of its arguments, a list.
        name (str): of the library and its major version, for an error.

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
        raise OSError('; '.join(errors))
    for function_name, arguments in signatures.items():
        function = getattr(library, function_name, None)
        if function is None:
            raise OSError(f'{path} has no function {function_name}: not {name}')
        function.argtypes = arguments
        function.restype = ctypes.c_int
    return library
