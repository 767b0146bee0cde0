"""Zip files: written so that the same contents give the same bytes, and read without trust.

Entries are read by the names that are expected and into memory, so that no name can lead anywhere; nothing is unpacked
before its size is known and allowed, and never more than was said.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import NamedTuple, Self

EPOCH = (1980, 1, 1, 0, 0, 0)  # the date of every entry
UNIX, READABLE = 3, 0o644 << 16
ENCRYPTED = 0x1  # bit of an entry's flags
ALLOWED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
LEVEL = 9


class Limits(NamedTuple):
    """How much is read."""

    file: int  # bytes
    unpacked: int  # bytes of all entries
    entries: int


def write_archive(path: Path, entries: Mapping[str, bytes], packed: bool = True) -> None:
    """Write entries in their order; the same ones give the same bytes with the same version of zlib.

    Raises:
        ValueError: if the file cannot be written.
    """
    try:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in entries.items():
                entry = zipfile.ZipInfo(name, EPOCH)
                entry.create_system, entry.external_attr = UNIX, READABLE
                archive.writestr(entry, data, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED, LEVEL)
    except OSError as error:
        raise ValueError(f"file {str(path)!r} cannot be written: {error.strerror}") from error


class Archive:
    """A zip file that is open for reading, its table of contents checked.

    Args:
        path: The file.
        limits: What is more is refused.

    Raises:
        ValueError: if it cannot be read, is no zip file, or holds more or other than is allowed.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        try:
            if (size := path.stat().st_size) > limits.file:
                raise ValueError(f"the file has {size:,} bytes; at most {limits.file:,} are read")
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise ValueError(error.strerror or str(error)) from error
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
            raise ValueError(f"it is no zip file that can be read: {error}") from error
        try:
            self._entries = checked(self._zip.infolist(), limits)
        except ValueError:
            self._zip.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the entries, in order."""
        return tuple(self._entries)

    def read(self, name: str) -> bytes:
        """An entry.

        Raises:
            ValueError: if there is none of that name, or it is damaged or not as long as the table of contents says.
        """
        if name not in self._entries:
            raise ValueError(f"it holds no {name!r}")
        entry = self._entries[name]
        try:
            with self._zip.open(entry) as opened:
                # One more than there may be: a bound keeps the unpacking from going on.
                data = opened.read(entry.file_size + 1)
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise ValueError(f"entry {name!r} is damaged: {error}") from error
        if len(data) != entry.file_size:
            raise ValueError(f"entry {name!r} has {len(data):,} bytes, not {entry.file_size:,} as told")
        return data


def checked(held: list[zipfile.ZipInfo], limits: Limits) -> dict[str, zipfile.ZipInfo]:
    """A table of contents by names.

    Raises:
        ValueError: naming what is not allowed.
    """
    if len(held) > limits.entries:
        raise ValueError(f"it holds {len(held):,} entries; at most {limits.entries:,} are read")
    if (unpacked := sum(entry.file_size for entry in held)) > limits.unpacked:
        raise ValueError(f"it has {unpacked:,} bytes unpacked; at most {limits.unpacked:,} are read")
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in held:
        name = entry.filename
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name or entry.is_dir():
            raise ValueError(f"entry {name!r} has a name that leads elsewhere")
        if name in found:
            raise ValueError(f"entry {name!r} is there twice")
        if entry.flag_bits & ENCRYPTED or entry.compress_type not in ALLOWED:
            raise ValueError(f"entry {name!r} is encrypted or packed in another way than by deflate")
        found[name] = entry
    return found
