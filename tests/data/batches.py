"""Small files in the layout of CIFAR-10, as Python 2 pickled the official ones."""

import io
import pickle
import struct
import tarfile
import zipfile

import numpy as np

TRAIN = [f'data_batch_{i}' for i in range(1, 6)]
NAMES = TRAIN + ['test_batch']
LABELS = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck']


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2's ``str``."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_text(self, text):
        raw = text.encode('latin-1') if isinstance(text, str) else text
        if len(raw) < 256:
            self.write(pickle.SHORT_BINSTRING + struct.pack('<B', len(raw)) + raw)
        else:
            self.write(pickle.BINSTRING + struct.pack('<i', len(raw)) + raw)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = save_text


def dumps(value, protocol=2):
    """Pickle as the official files are; protocol 0 to 5 with Python 3's own pickler where not 2."""
    if protocol != 2:
        return pickle.dumps(value, protocol)
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(value)
    return buffer.getvalue().replace(b'cnumpy._core.multiarray\n', b'cnumpy.core.multiarray\n')


def batch(n, seed):
    """Return the content of a batch of ``n`` images."""
    rng = np.random.RandomState(seed)
    return {
        'batch_label': 'made for a test',
        'labels': rng.randint(0, 10, n).tolist(),
        'data': rng.randint(0, 256, (n, 3072)).astype(np.uint8),
        'filenames': [f'image_{i}.png' for i in range(n)],
    }


def contents(lengths=(3, 3, 3, 3, 3, 2)):
    """Return a dict from name to content of all seven files."""
    files = {name: batch(n, seed) for seed, (name, n) in enumerate(zip(NAMES, lengths))}
    files['batches.meta'] = {
        'num_cases_per_batch': lengths[0],
        'label_names': LABELS,
        'num_vis': 3072,
    }
    return files


def write_folder(folder, files, protocol=2):
    """Write files into ``cifar-10-batches-py`` in ``folder`` and return that path."""
    folder = folder / 'cifar-10-batches-py'
    folder.mkdir()
    for name, content in files.items():
        raw = content if isinstance(content, bytes) else dumps(content, protocol)
        (folder / name).write_bytes(raw)
    return folder


def write_archive(path, files, prefix='cifar-10-batches-py/', compression='gz', form=None):
    """Write files in their order into a tar archive and return its path.

    Compression: '' for none, 'gz', 'bz2' or 'xz'; form: as of ``tarfile``.
    """
    form = tarfile.DEFAULT_FORMAT if form is None else form
    with tarfile.open(str(path), 'w:' + compression, format=form) as archive:
        for name, content in files.items():
            raw = content if isinstance(content, bytes) else dumps(content)
            member = tarfile.TarInfo(prefix + name)
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    return path


def write_zip(path, files, prefix='cifar-10-batches-py/', compression=zipfile.ZIP_DEFLATED):
    """Write files in their order into a zip archive and return its path."""
    with zipfile.ZipFile(str(path), 'w', compression) as archive:
        for name, content in files.items():
            archive.writestr(
                prefix + name, content if isinstance(content, bytes) else dumps(content)
            )
    return path
