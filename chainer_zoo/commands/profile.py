"""``python -m chainer_zoo profile --model NAME``: where the time of a training step goes."""

import time

import chainer
import numpy as np

from chainer_zoo import catalog
from chainer_zoo import engines
from chainer_zoo.commands import flags
from chainer_zoo.data.images import SIZE_CLASSES
from chainer_zoo.engines import devices
from chainer_zoo.errors import UserError
from chainer_zoo.report import profiling
from chainer_zoo.report import table
from chainer_zoo.training import optimizer as optimizers


def _inside_table(model, optimizer, x, t, steps, style):
    """Return a table of what :func:`inside` finds in a training step and in an evaluation."""

    def evaluate():
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            model(x)

    evaluate()
    found = [
        profiling.inside(function, steps)
        for function in (
            lambda: profiling.step(model, optimizer, x, t, time.perf_counter),
            evaluate,
        )
    ]
    wholes = [seconds for seconds, _ in found]
    parts = {
        kind: [kinds[kind] for _, kinds in found]
        for kind in set().union(*[kinds for _, kinds in found])
    }
    parts = sorted(parts.items(), key=lambda item: -sum(item[1]))
    together = [sum(kinds.values()) for _, kinds in found]
    parts.append(('(together)', together))
    parts.append(('(Python, NumPy, Chainer)', list(np.subtract(wholes, together))))
    rows = [
        [name]
        + [
            text
            for part, whole in zip(seconds, wholes)
            for text in (f'{1e3 * part:.2f}', f'{part / whole:.1%}')
        ]
        for name, seconds in parts
    ]
    header = ['inside oneDNN and loops', 'training ms', 'share', 'evaluation ms', 'share']
    return table.render(header, rows, style, header[1:])


def add_arguments(parser):
    """Add the command's flags to its parser."""
    parser.add_argument(
        '--model', metavar='NAME', required=True, help='one of ' + ' '.join(catalog.names())
    )
    parser.add_argument(
        '--option',
        metavar='NAME=VALUE',
        action='append',
        default=[],
        help='an option of the model, such as depth=20; may be repeated',
    )
    parser.add_argument('--batch', metavar='N', type=flags.whole(1), default=32)
    parser.add_argument(
        '--steps',
        metavar='N',
        type=flags.whole(1),
        default=3,
        help='how many steps to average (default: 3)',
    )
    flags.add_device(parser)
    table.add_style(parser)


def _options(entry, given):
    """Return the options that NAME=VALUE strings say, of the types that the model wants."""
    kinds = {option.name: option for option in (catalog.N_CLASS,) + tuple(entry.options)}
    options = {}
    for text in given:
        name, equals, value = text.partition('=')
        if name not in kinds or not equals:
            raise UserError(
                '--option {}: {} has {}; write --option NAME=VALUE'.format(
                    text, entry.name, ', '.join(sorted(kinds))
                )
            )
        try:
            options[name] = (
                (value == 'True') if kinds[name].type is bool else (kinds[name].type(value))
            )
        except ValueError as error:
            raise UserError(f'--option {text}: {error}') from error
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
    size = SIZE_CLASSES[entry.image_class(options)].crop
    random = np.random.RandomState(0)
    x = random.uniform(-1, 1, (args.batch, 3, size, size)).astype(np.float32)
    t = random.randint(0, options['n_class'], args.batch).astype(np.int32)
    found = profiling.profile(model, optimizer, device.send(x), device.send(t), args.steps)
    total = found.forward + found.backward + found.update
    header = ['function', 'computed by', 'calls', 'ms', 'share']
    rows = [
        [
            row.function,
            row.where,
            f'{round(row.calls, 2):g}',
            f'{1e3 * row.seconds:.2f}',
            f'{row.seconds / total:.1%}',
        ]
        for row in found.rows
    ]
    inside = sum(row.seconds for row in found.rows)
    rest = found.forward + found.backward - inside
    rows.append(['(between functions)', 'Python', '', f'{1e3 * rest:.2f}', f'{rest / total:.1%}'])
    rows.append(
        [
            '(update)',
            'CuPy' if args.gpu >= 0 else 'NumPy',
            '',
            f'{1e3 * found.update:.2f}',
            f'{found.update / total:.1%}',
        ]
    )
    print(table.render(header, rows, args.style, header[2:]))
    if args.style != 'csv':
        print(
            '\n{} batch {} on {}: {:.1f} ms a step; forward {:.1f}, backward {:.1f}, update '
            '{:.1f}'.format(
                entry.name,
                args.batch,
                engine,
                *(
                    1e3 * seconds
                    for seconds in (total, found.forward, found.backward, found.update)
                ),
            )
        )
        if engines.CPU.is_enabled():
            print(
                '\n'.join(
                    f'copied into another layout: {round(count, 2):g} arrays, {size / 2.0**20:.1f} MiB ({why})'
                    for why, (count, size) in found.copies.items()
                )
                or 'no array was copied'
            )
            print('\nThe same steps without a look at functions, which takes time itself:\n')
            print(_inside_table(model, optimizer, x, t, args.steps, args.style))
    return 0
