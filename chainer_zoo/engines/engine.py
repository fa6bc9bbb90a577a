"""What both engines have in common: on, off, why not, and which version."""

import abc
import contextlib

import chainer

from chainer_zoo.engines.stages import NO_STAGES
from chainer_zoo.errors import UserError


class Engine(abc.ABC):
    """Computes in place of Chainer's own code for one kind of array, where it is on.

    Attributes:
        name: what it is called.
        ndarray: the class of the arrays that it computes with.
        stages: what it computes of a sequence in one function node.
    """

    name: str
    ndarray: type
    stages = NO_STAGES
    _key: str  # of chainer.config, where it is switched for each thread

    @abc.abstractmethod
    def why_not(self):
        """Return why the engine cannot be used here (str, one line), or None if it can."""

    @abc.abstractmethod
    def version(self):
        """Return the version of its library (str), or None where that is not there."""

    @abc.abstractmethod
    def remedy(self):
        """Return what to do where it cannot be used (str), to complete a message."""

    def is_available(self):
        """Return whether the engine can be used on this machine."""
        return self.why_not() is None

    def is_enabled(self):
        """Return whether the engine is on in this thread."""
        return getattr(chainer.config, self._key)

    def serves(self, array):
        """Return whether the engine computes with ``array`` (:ref:`ndarray`) in this thread."""
        return isinstance(array, self.ndarray) and self.is_enabled()

    def enable(self):
        """Switch the engine on, in every thread that :meth:`using` does not tell otherwise.

        Raises:
            ~chainer_zoo.errors.UserError: if it cannot be used here.
        """
        self._must_be_available()
        setattr(chainer.global_config, self._key, True)

    def disable(self):
        """Switch the engine off, and give its free memory back."""
        setattr(chainer.global_config, self._key, False)
        self._free()

    @contextlib.contextmanager
    def using(self, flag):
        """Switch the engine on or off inside a ``with`` block, in this thread.

        Args:
            flag (bool): on or off.

        Raises:
            ~chainer_zoo.errors.UserError: if it is to be on and cannot be used here.
        """
        if flag:
            self._must_be_available()
        with chainer.using_config(self._key, bool(flag)):
            yield

    def _must_be_available(self):
        reason = self.why_not()
        if reason is not None:
            raise UserError(f'{self.name} cannot be used: {reason}; {self.remedy()}')

    def _free(self):  # noqa: B027  # not every engine keeps memory
        """Give back memory that is kept for later arrays."""
