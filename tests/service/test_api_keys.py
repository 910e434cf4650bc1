"""Keys: what a file may say, what is let in, and what a change of the file does."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from service.api_keys import ApiKeys, KeysError, new_key, parse_keys

HASH = hashlib.sha256(b"sesame").hexdigest()
OTHER = hashlib.sha256(b"open").hexdigest()


def test_lines_comments_rates() -> None:
    text = f"# keys of the shops\n\nshop:{HASH}\n  crm-2.eu:{OTHER.upper()}:20:50  \n"
    shop, crm = parse_keys(text, "keys")
    assert (shop.name, shop.digest, shop.rate) == ("shop", hashlib.sha256(b"sesame").digest(), None)
    assert (crm.name, crm.digest, crm.rate, crm.burst) == ("crm-2.eu", bytes.fromhex(OTHER), 20, 50)


@pytest.mark.parametrize(("rate", "burst"), [("20", 20), ("0.5", 1), ("2:7", 7)])
def test_a_burst_is_a_seconds_worth(rate: str, burst: float) -> None:
    assert parse_keys(f"shop:{HASH}:{rate}", "keys")[0].burst == burst


@pytest.mark.parametrize(
    "line",
    [
        "shop",
        "shop:",
        f":{HASH}",
        f"my shop:{HASH}",
        f"-shop:{HASH}",
        f"läden:{HASH}",
        f"{'s' * 65}:{HASH}",
        f"shop:{HASH[:-1]}",
        f"shop:{HASH}0",
        "shop:sesame",
        f"shop:{HASH}:",
        f"shop:{HASH}:fast",
        f"shop:{HASH}:0",
        f"shop:{HASH}:-1",
        f"shop:{HASH}:nan",
        f"shop:{HASH}:1e9",
        f"shop:{HASH}:1:0.5",
        f"shop:{HASH}:1:2:3",
        f"shop:{HASH}:5\nshop:{OTHER}",
        f"shop:{HASH}\ncrm:{HASH}",
    ],
)
def test_what_cannot_be_read_is_told_with_its_place_and_without_its_hash(line: str) -> None:
    with pytest.raises(KeysError, match="keys") as caught:
        parse_keys(f"# first\n{line}", "keys")
    assert HASH[:-1] not in str(caught.value)


def test_a_new_key_is_let_in_by_its_line() -> None:
    key, line = new_key("shop")
    assert ApiKeys(line).find(key.encode()) == parse_keys(line, "")[0]
    assert new_key("shop")[0] != key
    assert new_key("shop", 2.5)[1].endswith(":2.5")
    for name, rate in (("no name", None), ("shop", -1.0)):
        with pytest.raises(KeysError):
            new_key(name, rate)


def test_without_keys_none_is_required() -> None:
    assert not ApiKeys().required
    assert not ApiKeys("", "").required
    assert len(ApiKeys()) == 0


@pytest.mark.parametrize("between", [" ", ",", "\n", ", ", " \n "])
def test_a_variable_holds_several(between: str) -> None:
    keys = ApiKeys(f"shop:{HASH}{between}crm:{OTHER}")
    assert keys.required
    assert keys.names == ["shop", "crm"]
    for _ in range(2):  # looked up, then remembered
        assert getattr(keys.find(b"sesame"), "name", None) == "shop"
        assert getattr(keys.find(b"open"), "name", None) == "crm"
        for wrong in (b"", b"Sesame", b"sesame ", HASH.encode(), bytes.fromhex(HASH), b"x" * 100_000):
            assert keys.find(wrong) is None


def test_a_key_and_its_successor_share_name_and_rate() -> None:
    keys = ApiKeys(f"shop:{HASH}:5 shop:{OTHER}:5")
    assert (len(keys), keys.names, list(keys.buckets)) == (2, ["shop"], ["shop"])
    assert keys.find(b"sesame") is not None
    assert keys.find(b"open") is not None


# The file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"shop:{HASH}\n")
    return path


def _write(path: Path, text: str) -> None:
    """Replaces the file, as an editor or a mounted secret does."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)


def test_a_changed_file_is_read_again(file: Path) -> None:
    keys = ApiKeys(None, str(file))
    assert keys.find(b"sesame") is not None
    keys.accepted["shop"] = 7
    _write(file, f"shop:{OTHER}\nnew:{hashlib.sha256(b'n').hexdigest()}:1\n")
    keys.refresh()
    assert keys.find(b"sesame") is None
    assert keys.find(b"open") is not None
    assert keys.accepted == {"shop": 7, "new": 0}
    assert not keys.failed


@pytest.mark.parametrize("content", [b"shop", b"\xff\xfe", None])
def test_a_broken_file_keeps_the_keys_and_is_told(
    file: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    keys = ApiKeys(None, str(file))
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with caplog.at_level("ERROR", logger="segserve"):
        keys.refresh()
        keys.refresh()
    assert keys.failed
    assert keys.find(b"sesame") is not None
    assert [record.message for record in caplog.records] == ["keys not reloaded"]  # once for each change
    _write(file, f"shop:{OTHER}")
    keys.refresh()
    assert not keys.failed
    assert keys.find(b"open") is not None


def test_an_emptied_file_lets_nobody_in(file: Path) -> None:
    keys = ApiKeys(None, str(file))
    _write(file, "# none any more\n")
    keys.refresh()
    assert keys.required
    assert not keys.failed
    assert keys.find(b"sesame") is None


def test_variable_and_file_count_together(file: Path) -> None:
    keys = ApiKeys(f"crm:{OTHER}", str(file))
    assert keys.names == ["crm", "shop"]
    with pytest.raises(KeysError, match="same hash"):
        ApiKeys(f"crm:{HASH}", str(file))


def test_a_missing_file_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="SEGSERVE_API_KEYS_FILE"):
        ApiKeys(None, str(tmp_path / "none"))


def test_a_bucket_outlives_a_reload_that_leaves_its_rate(file: Path) -> None:
    file.write_text(f"shop:{HASH}:1\ncrm:{OTHER}:1\n")
    keys = ApiKeys(None, str(file))
    shop, crm = keys.buckets["shop"], keys.buckets["crm"]
    _write(file, f"shop:{HASH}:1\ncrm:{OTHER}:2\n")
    keys.refresh()
    assert keys.buckets["shop"] is shop
    assert keys.buckets["crm"] is not crm
