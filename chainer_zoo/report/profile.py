"""``python -m chainer_zoo profile --model NAME``: where the time of a training step goes."""
import collections
import time

import chainer
import chainer.functions as F
import numpy as np

from chainer_zoo import catalog
from chainer_zoo import devices
from chainer_zoo import onednn
from chainer_zoo.data.pictures import SIZE_CLASSES
from chainer_zoo.errors import UserError
from chainer_zoo.report import table
from chainer_zoo.training import arguments
from chainer_zoo.training import optimizer as optimizers

Row = collections.namedtuple('Row', 'function where calls seconds')
Row.__doc__ = """Calls of one function in a training step, and their seconds (exclusive)."""

Profile = collections.namedtuple('Profile', 'rows forward backward update copies')
Profile.__doc__ = """What :func:`profile` finds, for one step.

``rows`` are :class:`Row`, the longest first; ``forward``, ``backward`` and ``update`` are the
seconds of the parts, what lies between functions included; ``copies`` maps a reason to the number
and bytes of arrays that the CPU engine had to bring into another layout."""


class _Times(chainer.FunctionHook, onednn.Listener):
    """Seconds, calls and place of every function; a function inside another is not counted twice.

    The stages of a sequence count as functions.

    Args:
        on_gpu (bool): whether to wait for the GPU before the clock is read.
    """

    name = 'chainer_zoo profile'

    def __init__(self, on_gpu):
        self._on_gpu = on_gpu
        self._started = []
        self._places = {}
        self.calls = collections.Counter()
        self.seconds = collections.Counter()

    def now(self):
        if self._on_gpu:
            chainer.cuda.Stream.null.synchronize()
        return time.perf_counter()

    def node(self, node, taken):
        self._places[id(node)] = 'oneDNN' if taken else 'Chainer'

    def begin(self):
        self._started.append([self.now(), 0.0])

    def end(self, name, place='oneDNN'):
        start, inside = self._started.pop()
        seconds = self.now() - start
        if self._started:
            self._started[-1][1] += seconds
        self.calls[name, place] += 1
        self.seconds[name, place] += seconds - inside

    def _before(self, node, _):
        self._places.pop(id(node), None)  # of a node that is gone, whose number this one got
        self.begin()

    def _after(self, node, _):
        self.end(type(node).__name__,
                 self._places.pop(id(node), 'CuPy' if self._on_gpu else 'Chainer'))

    # Gradients are nodes of their own, whose forward is heard of here.
    forward_preprocess = _before
    forward_postprocess = _after


def profile(model, optimizer, x, t, steps=3):
    """Time training steps.

    Args:
        model (chainer.Chain): the model, on the device of ``x``.
        optimizer (chainer.Optimizer): set up for it; it updates the model.
        x (:ref:`ndarray`): float32 pictures (B, 3, H, W).
        t (:ref:`ndarray`): int32 classes (B,).
        steps (int): how many are averaged, after one that compiles and fills caches.

    Returns:
        Profile: for one step.
    """
    from chainer_zoo.onednn import memory
    times = _Times(chainer.backend.get_array_module(x) is not np)
    parts = np.zeros(3)
    _step(model, optimizer, x, t, times.now)
    memory.copies.clear()
    memory.copied_bytes.clear()
    onednn.listeners.append(times)
    try:
        with times:
            for _ in range(steps):
                parts += _step(model, optimizer, x, t, times.now)
    finally:
        onednn.listeners.remove(times)
    rows = [Row(name, place, times.calls[name, place] / float(steps), seconds / steps)
            for (name, place), seconds in times.seconds.items()]
    rows.sort(key=lambda row: -row.seconds)
    copies = {why: (count / float(steps), memory.copied_bytes[why] / float(steps))
              for why, count in memory.copies.most_common()}
    return Profile(rows, *(parts / steps).tolist() + [copies])


def _step(model, optimizer, x, t, now):
    start = now()
    y = model(x)
    loss = F.softmax_cross_entropy(y, t)
    forward = now()
    model.cleargrads()
    loss.backward()
    backward = now()
    del y, loss
    optimizer.update()
    return np.diff([start, forward, backward, now()])


def inside(step, steps=3):
    """Find out how much of a step runs inside oneDNN, or in compiled loops around its products.

    Args:
        step (callable): what is timed; it has run before.
        steps (int): how many to time. The one in the middle counts, whatever else delays others.

    Returns:
        tuple: seconds of a step; collections.Counter, seconds there by kind of primitive.
    """
    from chainer_zoo.onednn import primitive
    found = []
    for _ in range(steps):
        with primitive.timed() as kinds:
            start = time.perf_counter()
            step()
            found.append((time.perf_counter() - start, kinds))
    return sorted(found, key=lambda one: one[0])[steps // 2]


def _inside_table(model, optimizer, x, t, steps, style):
    """Return a table of what :func:`inside` finds in a training step and in an evaluation."""
    def evaluate():
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            model(x)

    evaluate()
    found = [inside(step, steps) for step in (
        lambda: _step(model, optimizer, x, t, time.perf_counter), evaluate)]
    wholes = [seconds for seconds, _ in found]
    parts = {kind: [kinds[kind] for _, kinds in found]
             for kind in set().union(*[kinds for _, kinds in found])}
    parts = sorted(parts.items(), key=lambda item: -sum(item[1]))
    together = [sum(kinds.values()) for _, kinds in found]
    parts.append(('(together)', together))
    parts.append(('(Python, NumPy, Chainer)', list(np.subtract(wholes, together))))
    rows = [[name] + [text for part, whole in zip(seconds, wholes)
                      for text in ('{:.2f}'.format(1e3 * part), '{:.1%}'.format(part / whole))]
            for name, seconds in parts]
    header = ['inside oneDNN and loops', 'training ms', 'share', 'evaluation ms', 'share']
    return table.render(header, rows, style, header[1:])


def add_arguments(parser):
    """Add the command's flags to its parser."""
    parser.add_argument('--model', metavar='NAME', required=True,
                        help='one of ' + ' '.join(catalog.names()))
    parser.add_argument('--option', metavar='NAME=VALUE', action='append', default=[],
                        help='an option of the model, such as depth=20; may be repeated')
    parser.add_argument('--batch', metavar='N', type=arguments.whole(1), default=32)
    parser.add_argument('--steps', metavar='N', type=arguments.whole(1), default=3,
                        help='how many steps to average (default: 3)')
    arguments.add_device(parser)
    table.add_style(parser)


def _options(entry, given):
    """Return the options that NAME=VALUE strings say, of the types that the model wants."""
    kinds = {option.name: option for option in (catalog.N_CLASS,) + tuple(entry.options)}
    options = {}
    for text in given:
        name, equals, value = text.partition('=')
        if name not in kinds or not equals:
            raise UserError('--option {}: {} has {}; write --option NAME=VALUE'.format(
                text, entry.name, ', '.join(sorted(kinds))))
        try:
            options[name] = (value == 'True') if kinds[name].type is bool else (
                kinds[name].type(value))
        except ValueError as error:
            raise UserError('--option {}: {}'.format(text, error)) from error
    return entry.complete(options)


def run(args):
    """Print the profile; return the exit status.

    Args:
        args (argparse.Namespace): what :func:`add_arguments` asked for.

    Raises:
        UserError: there is no such model, option or device.
    """
    entry = catalog.entry(args.model)
    options = _options(entry, args.option)
    device = devices.find(args.gpu)
    engine = devices.choose_engine(args.cpu, args.gpu)
    model = entry.build(**options)
    model.to_device(device)
    optimizer = optimizers.make_optimizer(entry.recipe, model)
    size = SIZE_CLASSES[entry.picture_class(options)].crop
    random = np.random.RandomState(0)
    x = random.uniform(-1, 1, (args.batch, 3, size, size)).astype(np.float32)
    t = random.randint(0, options['n_class'], args.batch).astype(np.int32)
    found = profile(model, optimizer, device.send(x), device.send(t), args.steps)
    total = found.forward + found.backward + found.update
    header = ['function', 'computed by', 'calls', 'ms', 'share']
    rows = [[row.function, row.where, '{:g}'.format(round(row.calls, 2)),
             '{:.2f}'.format(1e3 * row.seconds), '{:.1%}'.format(row.seconds / total)]
            for row in found.rows]
    inside = sum(row.seconds for row in found.rows)
    rest = found.forward + found.backward - inside
    rows.append(['(between functions)', 'Python', '', '{:.2f}'.format(1e3 * rest),
                 '{:.1%}'.format(rest / total)])
    rows.append(['(update)', 'CuPy' if args.gpu >= 0 else 'NumPy', '',
                 '{:.2f}'.format(1e3 * found.update), '{:.1%}'.format(found.update / total)])
    print(table.render(header, rows, args.style, header[2:]))
    if args.style != 'csv':
        print('\n{} batch {} on {}: {:.1f} ms a step; forward {:.1f}, backward {:.1f}, update '
              '{:.1f}'.format(entry.name, args.batch, engine, *(1e3 * seconds for seconds in (
                  total, found.forward, found.backward, found.update))))
        if onednn.is_enabled():
            print('\n'.join('copied into another layout: {:g} arrays, {:.1f} MiB ({})'.format(
                round(count, 2), size / 2. ** 20, why)
                for why, (count, size) in found.copies.items()) or 'no array was copied')
            print('\nThe same steps without a look at functions, which takes time itself:\n')
            print(_inside_table(model, optimizer, x, t, args.steps, args.style))
    return 0
