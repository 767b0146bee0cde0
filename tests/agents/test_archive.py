"""Zip files from strangers: what is too much, leads elsewhere or is damaged is refused before it is unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from agents.archive import Archive, Limits, write_archive

LIMITS = Limits(file=10_000, unpacked=100_000, entries=3)


def test_the_same_contents_give_the_same_bytes(tmp_path: Path) -> None:
    """What is written reads back, and neither clock nor file name is in it."""
    contents = {"a.json": b"{}", "00/b.jsonl": bytes(range(256)) * 9}
    for name in ("one.zip", "two.zip"):
        write_archive(tmp_path / name, contents)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with Archive(tmp_path / "one.zip", LIMITS) as archive:
        assert {name: archive.read(name) for name in archive.names} == contents
        with pytest.raises(ValueError, match="it holds no 'c'"):
            archive.read("c")
    with pytest.raises(ValueError, match="cannot be written: No such file"):
        write_archive(tmp_path / "no" / "where.zip", contents)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"a": bytes(100_001)}, "100,001 bytes unpacked; at most 100,000"),
        ({"a": bytes(60_000), "b": bytes(60_000)}, "120,000 bytes unpacked"),
        ({"a": b"", "b": b"", "c": b"", "d": b""}, "4 entries; at most 3"),
        ({"../a": b""}, "'../a' has a name that leads elsewhere"),
        ({"/a": b""}, "leads elsewhere"),
        ({"b/../../a": b""}, "leads elsewhere"),
        ({"a\\b": b""}, "leads elsewhere"),
        ({"a/": b""}, "leads elsewhere"),
    ],
)
def test_what_is_too_much_or_leads_elsewhere_is_refused(
    entries: dict[str, bytes], message: str, tmp_path: Path
) -> None:
    """The table of contents alone is enough to refuse a file."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    assert (tmp_path / "a.zip").stat().st_size < 1000
    with pytest.raises(ValueError, match=message):
        Archive(tmp_path / "a.zip", LIMITS)


def test_a_file_that_is_large_missing_or_no_zip_is_refused(tmp_path: Path) -> None:
    """Nothing is read of a file beyond the limit; what is none is told in one sentence."""
    path = tmp_path / "a.zip"
    path.write_bytes(bytes(10_001))
    with pytest.raises(ValueError, match="the file has 10,001 bytes; at most 10,000 are read"):
        Archive(path, LIMITS)
    for data in (b"", b"PK\x03\x04", b"no zip at all"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="it is no zip file that can be read"):
            Archive(path, LIMITS)
    with pytest.raises(ValueError, match="No such file"):
        Archive(tmp_path / "none.zip", LIMITS)
    with pytest.raises(ValueError, match="directory"):
        Archive(tmp_path, LIMITS)


def test_other_packings_and_repeated_names_are_refused(tmp_path: Path) -> None:
    """Entries are stored or deflated, each name once."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a", b"x" * 100)
    with pytest.raises(ValueError, match="'a' is encrypted or packed in another way"):
        Archive(path, LIMITS)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", b"2")
    with pytest.raises(ValueError, match="'a' is there twice"):
        Archive(path, LIMITS)


def test_a_size_that_is_a_lie_unpacks_no_more(tmp_path: Path) -> None:
    """A bomb whose table of contents says that it is small gives an error, at the size that was said."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(5_000_000))
    data, real, told = path.read_bytes(), (5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    assert data.count(real) == 2
    path.write_bytes(data.replace(real, told))
    with Archive(path, LIMITS) as opened, pytest.raises(ValueError, match=r"entry 'a' (is damaged|has 11 bytes)"):
        opened.read("a")


def test_each_damaged_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    """A file with any byte changed is refused with a ValueError, or gives what was written under some name."""
    path = tmp_path / "a.zip"
    write_archive(path, {"a": b"some text, some text", "b": b"more"})
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        try:
            with Archive(path, LIMITS) as archive:
                found = {archive.read(name) for name in archive.names}
        except ValueError:
            continue
        assert found <= {b"some text, some text", b"more"}
