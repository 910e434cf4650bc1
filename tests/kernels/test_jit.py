"""The decorator, its cache folder and the machine instructions."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kernels import _jit
from kernels._jit import (
    bits_float,
    count_ones,
    equal_bytes,
    equal_of_16,
    float_bits,
    fold_multiply,
    frozen,
    kernel,
    load_u64,
    lowest_one,
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
def _compare(a: np.ndarray, b: np.ndarray, n: int) -> bool:  # type: ignore[type-arg]
    prefetch(a.reshape(10, 2), 9)
    return equal_bytes(a, 1, b, 2, n)


def test_bytes_are_compared() -> None:
    a, b = np.arange(20, dtype=np.uint8), np.arange(20, dtype=np.uint8) - 1
    assert _compare(a, b, 18)
    b[10] = 0
    assert not _compare(a, b, 9)
    assert _compare(a, b, 8)


@kernel
def _look(group: np.ndarray, byte: np.uint8) -> tuple[np.uint64, np.uint64, np.int64]:  # type: ignore[type-arg]
    equal = equal_of_16(group, 16, byte)
    return equal, lowest_one(equal), count_ones(equal)


@pytest.mark.parametrize("places", [[], [0], [15], [3, 7, 8], list(range(16))])
def test_a_group_is_compared_at_once(places: list[int]) -> None:
    raw = np.zeros(128, dtype=np.uint8)
    group = raw[-raw.ctypes.data % 64 :][:48]
    group[:16] = group[32:] = 9
    group[16 + np.array(places, dtype=np.int64)] = 9
    expected = sum(1 << place for place in places), min(places, default=64), len(places)
    assert tuple(map(int, _look(group, np.uint8(9)))) == expected
    full = np.uint64(2**64 - 1)
    assert (int(count_ones_of(full)), int(lowest_of(np.uint64(1 << 63)))) == (64, 63)


@kernel
def count_ones_of(word: np.uint64) -> np.int64:
    return count_ones(word)


@kernel
def lowest_of(word: np.uint64) -> np.uint64:
    return lowest_one(word)


def test_readonly_is_a_view() -> None:
    array = np.arange(3)
    view = readonly(array)
    assert not view.flags.writeable
    assert view.base is array
    assert readonly(view) is view


@kernel
def _sum(values: np.ndarray) -> float:  # type: ignore[type-arg]
    total = 0.0
    for i in range(values.shape[0]):
        total += values[i]
    return total


@kernel
def _sum_of_own(n: int) -> float:
    own = np.ones(n)
    return _sum(frozen(own[1:])) + _sum(frozen(own))


def test_what_a_kernel_freezes_needs_no_signature_of_its_own() -> None:
    assert _sum(readonly(np.ones(3))) + _sum_of_own(4) == 10.0
    assert _jit.JIT_DISABLED or len(_sum.signatures) == 1


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
