"""Where libraries are found: by the file list of the distribution that brings them."""

import pathlib
import sys

import pytest

from chainer_zoo.engines import c_library
from chainer_zoo.engines.cpu import library


def install(site: pathlib.Path, record: str, library: pathlib.Path) -> str:
    """Write what pip leaves of a package with a library; return where that lies."""
    info = site / 'zoo_onednn-1.0.dist-info'
    info.mkdir(parents=True)
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: zoo-onednn\nVersion: 1.0\n')
    (info / 'RECORD').write_text(f'{record},,\nzoo_onednn-1.0.dist-info/RECORD,,\n')
    library.parent.mkdir(parents=True, exist_ok=True)
    library.write_bytes(b'')
    return str(library.resolve())


@pytest.mark.parametrize(
    'site, record, path',
    [
        ('env/lib/python3.11/site-packages', '../../libdnnl.so.3', 'env/lib/libdnnl.so.3'),
        ('home/lib/python3.9/site-packages', '../../libdnnl.so.3', 'home/lib/libdnnl.so.3'),
        ('target', 'lib/libdnnl.so.3', 'target/lib/libdnnl.so.3'),
        ('usr/lib/python3/dist-packages', '../../../lib64/libdnnl.so.3', 'usr/lib64/libdnnl.so.3'),
        ('folder with spaces/é', 'zoo/libdnnl.so.3', 'folder with spaces/é/zoo/libdnnl.so.3'),
    ],
)
def test_a_library_is_found_wherever_its_package_was_installed(
    site, record, path, tmp_path, monkeypatch
):
    expected = install(tmp_path / site, record, tmp_path / path)
    monkeypatch.syspath_prepend(str(tmp_path / site))
    assert list(c_library.installed('zoo-onednn', 'libdnnl.so.3')) == [expected]
    assert list(c_library.installed('zoo-onednn', 'libdnnl.so')) == []


def test_a_listed_library_that_is_not_there_is_passed_over(tmp_path, monkeypatch):
    pathlib.Path(install(tmp_path, 'lib/libdnnl.so.3', tmp_path / 'lib' / 'libdnnl.so.3')).unlink()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert list(c_library.installed('zoo-onednn', 'libdnnl.so.3')) == []


def test_a_package_that_is_not_installed_has_no_library():
    assert list(c_library.installed('no-such-package', 'libdnnl.so.3')) == []


def test_onednn_is_looked_for_in_its_package_first(tmp_path, monkeypatch):
    found = install(tmp_path, 'lib/' + library.NAME, tmp_path / 'lib' / library.NAME)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(library, 'DISTRIBUTION', 'zoo-onednn')
    monkeypatch.setattr(sys, 'prefix', str(tmp_path / 'no'))
    candidates = list(library._candidates())
    assert candidates[0] == found and candidates[-1] == library.NAME
