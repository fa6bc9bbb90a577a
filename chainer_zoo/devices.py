"""Where to compute."""
import chainer

from chainer_zoo.errors import UserError


def find(gpu):
    """Return the device of a number.

    Args:
        gpu (int): -1 for the CPU, else the number of a GPU.

    Returns:
        chainer.backend.Device: made current.

    Raises:
        UserError: there is no such GPU.
    """
    if gpu < 0:
        device = chainer.get_device('@numpy')
    else:
        try:
            import cupy
            count = cupy.cuda.runtime.getDeviceCount()
        except ImportError as e:
            raise UserError('-g {}: CuPy is not installed; python -m chainer_zoo doctor says how, '
                            '-g -1 computes on the CPU'.format(gpu)) from e
        except Exception as e:  # CuPy's own error classes differ between its versions
            raise UserError('-g {}: no GPU can be used ({}); -g -1 computes on the CPU'.format(
                gpu, str(e).splitlines()[0])) from e
        if gpu >= count:
            raise UserError('-g {}: there are {} GPUs, numbered from 0'.format(gpu, count))
        device = chainer.get_device('@cupy:{}'.format(gpu))
    device.use()
    return device


def choose_engine(cpu, gpu):
    """Switch on what computes on a CPU, and return its name.

    Args:
        cpu (str): ``auto``, ``onednn`` or ``numpy``.
        gpu (int): -1 for the CPU, else the number of a GPU.

    Returns:
        str: ``cupy``, ``onednn`` or ``numpy``.

    Raises:
        UserError: oneDNN is asked for and does not load.
    """
    from chainer_zoo import onednn
    if gpu >= 0:
        return 'cupy'
    if cpu == 'numpy':
        onednn.disable()
        return 'numpy'
    reason = onednn.why_not()
    if reason is None:
        onednn.enable()
        return 'onednn'
    if cpu == 'onednn':
        raise UserError('--cpu onednn: {}'.format(reason))
    print("computing with Chainer's own CPU code: {}".format(reason))
    return 'numpy'
