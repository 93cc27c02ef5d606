"""Data sets on remote file systems; no network is needed to refuse one."""

import sys
import types

import pytest
import tensorflow as tf

from kerasvid.data import DatasetError, load_info, remote
from kerasvid.data.remote import RemoteError, open_file_system
from tfrecords_tools import registry


@pytest.fixture
def known_schemes(monkeypatch):
    """The schemes that TensorFlow reads; what the import of tensorflow_io adds to them."""
    known = {"gs"}
    monkeypatch.setattr(remote, "_is_known", lambda folder: folder.partition("://")[0] in known)
    monkeypatch.setattr(tf, "__version__", "2.17.1")
    return known


def test_a_scheme_that_tensorflow_does_not_know_is_refused_in_one_line():
    message = r"^abc://bucket/a: .*cannot read abc:// paths"
    with pytest.raises(RemoteError, match=message) as error:
        load_info("abc://bucket/a")
    assert "\n" not in str(error.value)
    with pytest.raises(RemoteError, match="abc://bucket/a"):  # not taken for a misspelt name
        registry.locate("abc://bucket/a", make=False)


def test_local_folders_and_known_schemes_need_nothing(known_schemes, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_io", None)
    for folder in ("data/a", "/data/a", "gs://bucket/a"):
        open_file_system(folder)


def test_other_versions_of_tensorflow_never_import_it(known_schemes, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_io", types.ModuleType("tensorflow_io"))
    monkeypatch.setattr(tf, "__version__", "2.18.0")
    monkeypatch.setattr(remote.importlib, "import_module", lambda name: known_schemes.add("s3"))
    with pytest.raises(RemoteError, match=r"TensorFlow 2\.18\.0 cannot read s3:// paths"):
        open_file_system("s3://bucket/a")
    assert "s3" not in known_schemes


def test_the_extra_adds_file_systems_and_its_absence_is_reported(known_schemes, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_io", None)  # as if it were not installed
    with pytest.raises(RemoteError, match=r"s3:// paths need tensorflow-io; install kerasvid"):
        open_file_system("s3://bucket/a")
    monkeypatch.setattr(remote.importlib, "import_module", lambda name: known_schemes.add("s3"))
    open_file_system("s3://bucket/a")
    with pytest.raises(RemoteError, match="cannot read abc:// paths either"):
        open_file_system("abc://bucket/a")


def test_where_a_file_system_is_absent_so_is_the_data():
    assert issubclass(RemoteError, DatasetError)
