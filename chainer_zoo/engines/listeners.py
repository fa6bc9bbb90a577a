"""Who hears of what an engine computes: the profile."""


class Listener:
    """What may be put among :data:`listeners`."""

    def node(self, node, taken):
        """Hear whether (bool) an engine computes the function node ``node``."""

    def begin(self):
        """Hear that a part of a node begins."""

    def end(self, name):
        """Hear that the part that began last is done; ``name`` (str) says what it was."""


listeners = []


def note(node, taken):
    """Tell whoever listens whether (bool) an engine computes the function node ``node``."""
    for listener in listeners:
        listener.node(node, taken)


def part(prefix, stage, function, *args):
    """Return ``function(*args)``, the part of a node that is called ``prefix + stage.name``."""
    if not listeners:
        return function(*args)
    for listener in listeners:
        listener.begin()
    result = function(*args)
    for listener in listeners:
        listener.end(prefix + stage.name)
    return result
