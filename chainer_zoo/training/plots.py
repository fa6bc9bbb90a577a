"""The two plots of a run: loss and accuracy over its epochs."""

import os

from chainer_zoo.files import write_whole

#: Two colours that a colour-blind reader can tell apart (Okabe and Ito).
BLUE, ORANGE = '#0072B2', '#D55E00'


def save(log, out):
    """Write ``loss.png`` and ``accuracy.png`` into the folder ``out``.

    Args:
        log (list of dicts): Chainer's log, one record an epoch.
        out (str): the run's folder.
    """
    epochs = [record['epoch'] for record in log]
    _plot(
        os.path.join(out, 'loss.png'),
        'softmax cross entropy',
        epochs,
        (
            ('train', [record['main/loss'] for record in log], BLUE, '-'),
            ('test', [record['validation/main/loss'] for record in log], ORANGE, '--'),
        ),
    )
    _plot(
        os.path.join(out, 'accuracy.png'),
        'accuracy (%)',
        epochs,
        (('test', [100 * record['validation/main/accuracy'] for record in log], ORANGE, '--'),),
    )


def _plot(path, label, epochs, curves):
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # takes a second to import
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.4, 4.0), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, values, color, style in curves:
        axes.plot(
            epochs,
            values,
            style,
            color=color,
            label=name,
            marker='o' if len(epochs) < 30 else None,
            markersize=3,
        )
    axes.set_xlabel('epoch')
    axes.set_ylabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    with write_whole(path) as f:
        figure.savefig(f, format='png', dpi=100)
