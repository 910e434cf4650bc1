"""The decorator, its cache folder and the machine instructions."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kernels import _jit
from kernels._jit import (
    bits_float,
    equal_bytes,
    float_bits,
    fold_multiply,
    kernel,
    largest_of_8,
    load_u64,
    prefetch,
    readonly,
    store_u64,
)


@kernel
def _use_all(data: np.ndarray, word: np.uint64, x: float) -> tuple[int, int, float]:  # type: ignore[type-arg]
    prefetch(data, 3)
    store_u64(data, 1, word)
    return load_u64(data, 1), fold_multiply(word, word), bits_float(float_bits(x))


@pytest.mark.parametrize("word", [0, 1, 2**63, 2**64 - 1, 0x1122334455667788])
def test_instructions(word: int) -> None:
    data = np.zeros(9, dtype=np.uint8)
    loaded, folded, x = _use_all(data, np.uint64(word), -1.25)
    product = word * word
    assert (int(loaded), int(folded), x) == (word, (product >> 64) ^ (product & (2**64 - 1)), -1.25)
    assert data.tobytes() == b"\0" + word.to_bytes(8, "little")


@kernel
def _compare(words: np.ndarray, word: np.uint32, a: np.ndarray, b: np.ndarray, n: int) -> tuple[int, bool]:  # type: ignore[type-arg]
    return largest_of_8(words, 16, word), equal_bytes(a, 1, b, 2, n)


@pytest.mark.parametrize("word", [0, 7, 2**32 - 1])
def test_a_bucket_is_compared_at_once(word: int) -> None:
    words = np.zeros(32, dtype=np.uint32)
    words[[16, 19, 23]] = word
    words[24:] = [5, 90, 91, 2**32 - 2, 92, 93, 94, 6]
    expected = max(words[24 + i] for i in range(8) if words[16 + i] == word)
    a, b = np.arange(20, dtype=np.uint8), np.arange(20, dtype=np.uint8) - 1
    assert _compare(words, np.uint32(word), a, b, 18) == (expected, True)
    b[10] = 0
    assert _compare(words, np.uint32(1), a, b, 9) == (0, False)
    assert _compare(words, np.uint32(1), a, b, 8) == (0, True)


def test_readonly_is_a_view() -> None:
    array = np.arange(3)
    view = readonly(array)
    assert not view.flags.writeable
    assert view.base is array
    assert readonly(view) is view


def test_cache_folder_is_named_by_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    assert _jit.cache_folder() == tmp_path / "cache" / _jit.source_digest()
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert _jit.cache_folder() == tmp_path / "xdg" / "segserve" / _jit.source_digest()


def test_a_read_only_cache_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    baked = tmp_path / _jit.source_digest()
    baked.mkdir()
    (baked / "kernel.nbi").write_text("compiled")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(_jit, "_is_writable", lambda folder: False)
    folder = _jit.cache_folder()
    assert folder is not None
    assert folder != baked
    assert (folder / "kernel.nbi").read_text() == "compiled"


def test_nothing_writable_means_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(prefix: str) -> str:
        raise OSError("read-only file system")

    monkeypatch.setattr(_jit, "_is_writable", lambda folder: False)
    monkeypatch.setattr(_jit.tempfile, "mkdtemp", refuse)
    assert _jit.cache_folder() is None


def test_a_file_where_the_folder_should_be_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not _jit._is_writable(tmp_path / "file" / "folder")


WITHOUT_JIT = """
import numpy as np
from kernels import _jit, warmup_aggregation
assert _jit.JIT_DISABLED and not _jit.KERNELS
warmup_aggregation.warm()
"""


def test_everything_works_without_the_compiler() -> None:
    root = Path(__file__).parents[2]
    environment = {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-W", "error", "-c", WITHOUT_JIT], env=environment, check=True, timeout=100)
