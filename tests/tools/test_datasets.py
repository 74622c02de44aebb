"""Where MNIST is looked for, in which order, and what happens to damaged files."""

import gzip
import hashlib
import http.server
import logging
import threading

import numpy as np
import pytest

from engine.errors import FormatError
from enginekit import datasets

SMALL = {
    "train-images-idx3-ubyte": np.arange(6 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(6, 28, 28),
    "train-labels-idx1-ubyte": np.array([0, 1, 2, 3, 4, 5], np.uint8),
    "t10k-images-idx3-ubyte": np.full((2, 28, 28), 7, np.uint8),
    "t10k-labels-idx1-ubyte": np.array([8, 9], np.uint8),
}


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def write_small(folder, *, compress):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in SMALL.items():
        if compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (folder / name).write_bytes(idx(array))


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A machine without MNIST and without network, whose known files are the small ones."""
    files = tuple(datasets.IdxFile(name, hashlib.sha256(idx(a)).hexdigest(), a.shape) for name, a in SMALL.items())
    monkeypatch.setattr(datasets, "FILES", files)
    monkeypatch.setattr(datasets, "MIRRORS", ())
    monkeypatch.setattr(datasets, "_ROOT", tmp_path / "repository")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ENGINE_DATA", raising=False)
    return tmp_path


@pytest.fixture
def server(place, monkeypatch):
    """An HTTP server on this machine that serves ``place / "www"``; returns the paths that it was asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, directory=str(place / "www"), **kwargs)

        def log_message(self, *_):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as instance:
        threading.Thread(target=instance.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{instance.server_port}"
        monkeypatch.setattr(datasets, "MIRRORS", (f"{base}/nowhere/", f"{base}/good/"))
        yield asked
        instance.shutdown()


def assert_small(digits):
    for got, want in zip((digits.train_x, digits.train_y, digits.test_x, digits.test_y), SMALL.values(), strict=True):
        assert got.dtype == np.uint8
        assert not got.flags.writeable
        np.testing.assert_array_equal(got, want)
    assert digits.is_mnist


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("sub", ["", "mnist"])
def test_engine_data_folder(place, monkeypatch, compress, sub):
    write_small(place / "data" / sub, compress=compress)
    monkeypatch.setenv("ENGINE_DATA", str(place / "data"))
    digits = datasets.mnist()
    assert_small(digits)
    assert str(place / "data") in digits.source


def test_order_is_engine_data_cache_shared(place, monkeypatch):
    shared = place / "shared" / "data" / "mnist"
    write_small(shared, compress=True)
    assert str(shared) in datasets.mnist().source
    write_small(datasets.cache_folder(), compress=True)
    assert str(datasets.cache_folder()) in datasets.mnist().source
    write_small(place / "mine", compress=False)
    monkeypatch.setenv("ENGINE_DATA", str(place / "mine"))
    assert str(place / "mine") in datasets.mnist().source


def test_engine_data_without_mnist_goes_on(place, monkeypatch):
    (place / "data" / "models").mkdir(parents=True)
    write_small(datasets.cache_folder(), compress=True)
    monkeypatch.setenv("ENGINE_DATA", str(place / "data"))
    assert_small(datasets.mnist())


def test_engine_data_must_be_a_folder(place, monkeypatch):
    monkeypatch.setenv("ENGINE_DATA", str(place / "missing"))
    with pytest.raises(FileNotFoundError, match=r"ENGINE_DATA=.*missing is not a folder"):
        datasets.mnist()


def flip_a_byte(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0x10
    path.write_bytes(raw)


@pytest.mark.parametrize("compress", [False, True])
def test_damaged_file_is_named_and_not_passed_over(place, monkeypatch, compress):
    write_small(place / "data", compress=compress)
    write_small(datasets.cache_folder(), compress=True)
    bad = place / "data" / ("t10k-images-idx3-ubyte" + (".gz" if compress else ""))
    flip_a_byte(bad)
    monkeypatch.setenv("ENGINE_DATA", str(place / "data"))
    with pytest.raises(FormatError, match=f"{bad}.*damaged"):
        datasets.mnist()


def test_truncated_gzip_is_named(place):
    write_small(datasets.cache_folder(), compress=True)
    bad = datasets.cache_folder() / "train-images-idx3-ubyte.gz"
    bad.write_bytes(bad.read_bytes()[:-9])
    with pytest.raises(FormatError, match=f"{bad}: damaged gzip file"):
        datasets.mnist()


def test_missing_file_is_named(place):
    shared = place / "shared" / "data" / "mnist"
    write_small(shared, compress=True)
    (shared / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FormatError, match="not t10k-labels-idx1-ubyte"):
        datasets.mnist()


def test_download_goes_to_the_cache_once(place, server):
    write_small(place / "www" / "good", compress=True)
    digits = datasets.mnist()
    assert_small(digits)
    assert "downloaded" in digits.source
    assert sorted(p.name for p in datasets.cache_folder().iterdir()) == sorted(f"{name}.gz" for name in SMALL)
    before = len(server)
    assert_small(datasets.mnist())
    assert len(server) == before


def test_download_completes_the_cache(place, server, capsys):
    write_small(place / "www" / "good", compress=True)
    write_small(datasets.cache_folder(), compress=True)
    (datasets.cache_folder() / "t10k-labels-idx1-ubyte.gz").unlink()
    assert_small(datasets.mnist(progress=True))
    assert all("t10k-labels" in path for path in server)
    assert "t10k-labels" in capsys.readouterr().err


def test_wrong_download_is_not_kept(place, server, caplog):
    write_small(place / "www" / "good", compress=True)
    name = "train-labels-idx1-ubyte.gz"
    (place / "www" / "good" / name).write_bytes(gzip.compress(b"<html>log in first</html>"))
    with caplog.at_level(logging.WARNING):
        digits = datasets.mnist()
    assert not digits.is_mnist
    assert "SHA-256" in digits.source
    assert "take its place" in caplog.text
    assert not (datasets.cache_folder() / name).exists()
    assert not list(datasets.cache_folder().glob(".part-*"))


def test_offline_set_says_so(place):
    digits = datasets.mnist(download=False)
    assert not digits.is_mnist
    assert digits.source.startswith("NOT MNIST")
    assert "scikit-learn" in digits.source
    assert digits.train_x.shape == (1297, 28, 28)
    assert digits.test_x.shape == (500, 28, 28)
    assert set(digits.test_y) == set(range(10))
    assert digits.train_x.max() == 255
    assert not digits.train_x[:, [0, 1, 26, 27], :].any()
    assert not digits.train_x.flags.writeable


def test_offline_without_fallback_is_an_error(place):
    with pytest.raises(FileNotFoundError, match="ENGINE_DATA"):
        datasets.mnist(download=False, fallback=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (b"\x89PNG....", "begins with 89 50 4e 47"),
        (bytes([0, 0, 0x0D, 1, 0, 0, 0, 1, 0, 0, 0, 0]), "type 0x0d"),
        (bytes([0, 0, 8, 3, 0, 0]), "asks for"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 5, 1, 2]), r"10 bytes, but its IDX header \(5,\) asks for 13"),
        (bytes([0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255, 1]), "asks for 184467440"),
    ],
)
def test_bad_idx(tmp_path, content, message):
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message):
        datasets.read_idx(path)


def test_the_real_one_if_it_is_here():
    digits = datasets.mnist(download=False)
    sizes = (60000, 10000) if digits.is_mnist else (1297, 500)
    assert (len(digits.train_x), len(digits.test_x)) == sizes
    assert (len(digits.train_y), len(digits.test_y)) == sizes
    if digits.is_mnist:
        assert digits.train_y[:5].tolist() == [5, 0, 4, 1, 9]
        assert np.bincount(digits.test_y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_shared_models(place, monkeypatch):
    assert datasets.shared_models() is None
    shared = place / "shared" / "data" / "models"
    shared.mkdir(parents=True)
    assert datasets.shared_models() == shared
    (place / "data" / "models").mkdir(parents=True)
    monkeypatch.setenv("ENGINE_DATA", str(place / "data"))
    assert datasets.shared_models() == place / "data" / "models"
