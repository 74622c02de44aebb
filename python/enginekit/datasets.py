"""MNIST's handwritten digits, found on this machine, downloaded, or replaced offline by a smaller set that says so."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import logging
import os
import tempfile
import zlib
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import numpy as np
from numpy.typing import NDArray

from engine.errors import FormatError

_LOG = logging.getLogger(__name__)
_ROOT = Path(__file__).resolve().parents[2]
_SIDE = 28
#: Of scikit-learn's 1,797 digits the last 500 are the test set; other people wrote them.
_FALLBACK_TEST = 500

#: Public copies of the original files, tried in order.
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


@dataclass(frozen=True)
class IdxFile:
    """One file of the data set: `name` without ``.gz``, SHA-256 of the uncompressed content, and its array shape."""

    name: str
    sha256: str
    shape: tuple[int, ...]


#: The four files, in the order of :class:`Digits`.
FILES = (
    IdxFile("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", (60000, 28, 28)),
    IdxFile("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", (60000,)),
    IdxFile("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", (10000, 28, 28)),
    IdxFile("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", (10000,)),
)


@dataclass(frozen=True, eq=False)
class Digits:
    """Images of handwritten digits with their labels; arrays are read-only.

    Parameters
    ----------
    train_x, test_x : uint8[n, 28, 28]
        Pixels, 0 is background. 60,000 and 10,000 images of MNIST; fewer in the offline set.
    train_y, test_y : uint8[n]
        Digits 0 to 9.
    source : str
        Where the images came from, one line for people.
    is_mnist : bool
        False for the offline set.
    """

    train_x: NDArray[np.uint8]
    train_y: NDArray[np.uint8]
    test_x: NDArray[np.uint8]
    test_y: NDArray[np.uint8]
    source: str
    is_mnist: bool


def mnist(*, download: bool = True, fallback: bool = True, progress: bool = False) -> Digits:
    """Get MNIST from the first place that has it.

    The places, in order: the folder named by the environment variable ``ENGINE_DATA`` or its subfolder ``mnist``; the
    cache (``$XDG_CACHE_HOME/engine/mnist``, else ``~/.cache/engine/mnist``); ``../shared/data/mnist`` beside the
    repository; a download into the cache; scikit-learn's 8x8 digits scaled up to 28x28, whose `source` says so. Files
    are IDX, plain or ``.gz``, and their uncompressed content must have the known SHA-256.

    Parameters
    ----------
    download : bool
        Whether the network may be used.
    fallback : bool
        Whether scikit-learn's digits may stand in.
    progress : bool
        Show the download's progress on stderr.

    Returns
    -------
    Digits
        Images and labels, in the files' original order.

    Raises
    ------
    FormatError
        If a file is there but damaged, or some of the four files of a folder are missing (the cache may be
        incomplete: the rest is downloaded). A damaged file is never passed over for another place.
    FileNotFoundError
        If no place has the data and `fallback` is False, or ``ENGINE_DATA`` is not a folder.
    """
    for folder in _folders():
        paths = _locate(folder)
        if paths is not None:
            return _read_all(paths, f"MNIST from {folder}")
    cache = cache_folder()
    reason = "download switched off"
    if download:
        try:
            _download_missing(cache, progress=progress)
            return _read_all(_required(cache), f"MNIST downloaded to {cache}")
        except OSError as error:
            reason = f"download failed: {error}"
            if fallback:
                _LOG.warning("MNIST is not on this machine and could not be downloaded: scikit-learn's digits take its place")
    if fallback:
        return _scikit_digits(reason)
    raise FileNotFoundError(
        f"MNIST is not on this machine ({reason}); put its four files into a folder and set ENGINE_DATA to it"
    )


def cache_folder() -> Path:
    """Return the folder that downloads go to; it need not exist."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "engine" / "mnist"


def shared_models() -> Path | None:
    """Return the folder of public .tflite models for tests, or None where there is none.

    ``$ENGINE_DATA/models``, else ``../shared/data/models`` beside the repository.
    """
    data = os.environ.get("ENGINE_DATA")
    candidates = [Path(data) / "models"] if data else []
    candidates.append(_ROOT.parent / "shared" / "data" / "models")
    return next((folder for folder in candidates if folder.is_dir()), None)


def read_idx(path: str | Path) -> NDArray[np.uint8]:
    """Read a file of unsigned bytes in IDX layout, plain or gzip by its first two bytes.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    uint8[...]
        Read-only, with the shape that the header states.

    Raises
    ------
    FormatError
        If the file is damaged, not IDX, or holds another type than unsigned bytes.
    """
    path = Path(path)
    return parse_idx(_content(path), str(path))


def parse_idx(content: bytes, name: str) -> NDArray[np.uint8]:
    """Read IDX `content` of unsigned bytes; `name` is for the error messages. See :func:`read_idx`.

    >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]), "three")
    array([7, 8, 9], dtype=uint8)
    """
    if len(content) < 4 or content[:2] != b"\0\0":
        raise FormatError(f"{name}: not an IDX file (it begins with {content[:4].hex(' ') or 'nothing'}, expected 00 00 08 ..)")
    if content[2] != 8:
        raise FormatError(f"{name}: IDX type 0x{content[2]:02x}; only 0x08 (unsigned byte) is supported")
    rank = content[3]
    start = 4 + 4 * rank
    shape = tuple(int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank))
    expected = start + int(np.prod(shape, dtype=object)) if rank else start + 1
    if len(content) < start or len(content) != expected:
        raise FormatError(f"{name}: {len(content)} bytes, but its IDX header {shape} asks for {expected}; fetch the file again")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _folders() -> Iterable[Path]:
    """Candidate folders, most explicit first."""
    data = os.environ.get("ENGINE_DATA")
    if data:
        if not Path(data).is_dir():
            raise FileNotFoundError(
                f"ENGINE_DATA={data} is not a folder; set it to the one that holds MNIST's files, or unset it"
            )
        yield Path(data)
        yield Path(data) / "mnist"
    if all(_present(cache_folder(), file) for file in FILES):
        yield cache_folder()
    yield _ROOT.parent / "shared" / "data" / "mnist"


def _present(folder: Path, file: IdxFile) -> Path | None:
    candidates = (folder / file.name, folder / f"{file.name}.gz")
    return next((path for path in candidates if path.is_file()), None)


def _locate(folder: Path) -> list[Path] | None:
    """Paths of the four files, or None if the folder has none of them."""
    return _required(folder) if any(_present(folder, file) for file in FILES) else None


def _required(folder: Path) -> list[Path]:
    paths = []
    for file in FILES:
        path = _present(folder, file)
        if path is None:
            raise FormatError(f"{folder} holds a part of MNIST, but not {file.name}(.gz); add it, or remove the others")
        paths.append(path)
    return paths


def _content(path: Path) -> bytes:
    raw = path.read_bytes()
    if raw[:2] != b"\x1f\x8b":
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise FormatError(f"{path}: damaged gzip file ({error}); remove it or fetch it again") from error


def _checked(content: bytes, file: IdxFile, where: str) -> bytes:
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise FormatError(
            f"{where}: its uncompressed content ({len(content)} bytes) has SHA-256 {found}, but MNIST's {file.name} has "
            f"{file.sha256}; the file is damaged: remove it or fetch it again"
        )
    return content


def _read_all(paths: list[Path], source: str) -> Digits:
    arrays = []
    for path, file in zip(paths, FILES, strict=True):
        array = parse_idx(_checked(_content(path), file, str(path)), str(path))
        if array.shape != file.shape:
            raise FormatError(f"{path}: shape {array.shape}, expected {file.shape}")
        arrays.append(array)
    train_x, train_y, test_x, test_y = arrays
    return Digits(train_x, train_y, test_x, test_y, source=source, is_mnist=True)


def _download_missing(folder: Path, *, progress: bool) -> None:
    missing = [file for file in FILES if _present(folder, file) is None]
    folder.mkdir(parents=True, exist_ok=True)
    for file in missing:
        content = _fetch(file, progress=progress)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".part-", delete=False) as part:
            part.write(content)
        Path(part.name).replace(folder / f"{file.name}.gz")


def _fetch(file: IdxFile, *, progress: bool, timeout: float = 20.0) -> bytes:
    """Compressed content of `file` from the first mirror that gives the right bytes; OSError if none does."""
    failures = []
    for mirror in MIRRORS:
        url = f"{mirror}{file.name}.gz"
        try:
            raw = _get(url, file.name, progress=progress, timeout=timeout)
            _checked(gzip.decompress(raw), file, url)
        except (OSError, EOFError, zlib.error, http.client.HTTPException, FormatError) as error:
            failures.append(f"{url}: {getattr(error, 'reason', error)}")
        else:
            return raw
    raise OSError("; ".join(failures))


def _get(url: str, title: str, *, progress: bool, timeout: float) -> bytes:
    with ExitStack() as stack:
        response = stack.enter_context(urlopen(url, timeout=timeout))
        if not progress:
            return bytes(response.read())
        from rich.console import Console
        from rich.progress import wrap_file

        total = int(response.headers.get("Content-Length") or 0)
        reader = stack.enter_context(wrap_file(response, total, description=title, console=Console(stderr=True)))
        return bytes(reader.read())


def _scikit_digits(reason: str) -> Digits:
    """scikit-learn's digits in MNIST's format: 8x8 pixels of 0..16, scaled up to 24x24 of 0..255, 2 pixels of border."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise FileNotFoundError(
            f"MNIST is not on this machine ({reason}) and scikit-learn is not installed: set ENGINE_DATA to a folder with "
            "MNIST's four files, or run: pip install scikit-learn"
        ) from error
    digits = load_digits()
    images = _upscale(digits.images)
    labels = digits.target.astype(np.uint8)
    for array in (images, labels):
        array.flags.writeable = False
    split = len(images) - _FALLBACK_TEST
    source = (
        f"NOT MNIST ({reason}): scikit-learn's digits, 8x8 scaled up to 28x28, first {split} for training, last "
        f"{_FALLBACK_TEST} for testing"
    )
    return Digits(images[:split], labels[:split], images[split:], labels[split:], source=source, is_mnist=False)


def _upscale(small: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Bilinear [n, 8, 8] of 0..16 to [n, 28, 28] of 0..255."""
    inner = _SIDE - 4
    centre = np.clip((np.arange(inner) + 0.5) * small.shape[1] / inner - 0.5, 0, small.shape[1] - 1)
    low = np.minimum(centre.astype(int), small.shape[1] - 2)
    weights = np.zeros((inner, small.shape[1]))
    weights[np.arange(inner), low] = 1 - (centre - low)
    weights[np.arange(inner), low + 1] += centre - low
    large = np.einsum("ip,npq,jq->nij", weights, small, weights) * (255 / 16)
    return np.pad(np.rint(large).astype(np.uint8), ((0, 0), (2, 2), (2, 2)))
