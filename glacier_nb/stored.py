"""Fetched bytes in a folder, by address and version of their file: what a run without a network reads again."""

import contextlib
import hashlib
import json
import os
import pathlib
import tempfile
from dataclasses import dataclass

from glacier_nb import ranges


@dataclass(frozen=True)
class Piece:
    """Bytes in a file of the folder; asked for like what is on its way over the network."""

    path: pathlib.Path
    start: int
    total: int
    version: str | None

    def done(self) -> bool:
        """It is here."""
        return True

    def result(self) -> ranges.Part:
        """The bytes. OSError where somebody took the file away."""
        return ranges.Part(self.start, self.path.read_bytes(), self.total, self.version)


def keep(folder: str, uri: str, part: ranges.Part) -> None:
    """Put bytes into the folder, whole or not at all; several processes may."""
    place = _place(folder, uri, part.version)
    place.mkdir(parents=True, exist_ok=True)
    facts = {"address": _plain(uri), "total": part.total, "version": part.version}
    body = {"facts.json": json.dumps(facts).encode(), f"{part.start}-{part.start + len(part.body)}": part.body}
    for name, content in body.items():
        if not (place / name).exists():
            handle, temporary = tempfile.mkstemp(dir=place, prefix=".")
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, place / name)


def newest(folder: str, uri: str) -> tuple[int, str | None]:
    """Length and version of a file as it was last fetched. OSError where it never was."""
    found = sorted(_place(folder, uri, None).parent.glob("*/facts.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise OSError(f"offline, and nothing of it is in {folder!r}: run it online once with that folder")
    facts = json.loads(found[-1].read_text())
    return facts["total"], facts["version"]


def pieces(folder: str, uri: str, version: str | None) -> list[tuple[int, int, Piece]]:
    """(first byte, byte after the last, piece) of what the folder holds of one version."""
    place, found = _place(folder, uri, version), []
    with contextlib.suppress(FileNotFoundError):
        total = json.loads((place / "facts.json").read_text())["total"]
        for path in place.glob("[0-9]*-[0-9]*"):
            start, stop = map(int, path.name.split("-"))
            found.append((start, stop, Piece(path, start, total, version)))
    return found


def _plain(uri: str) -> str:
    """The address without a query, which may hold a token."""
    return ranges.plain(uri)[0].partition("?")[0]


def _place(folder: str, uri: str, version: str | None) -> pathlib.Path:
    """Where the bytes of one version of a file lie."""
    address, mark = (hashlib.sha256(text.encode()).hexdigest() for text in (_plain(uri), str(version)))
    return pathlib.Path(folder) / address[:32] / mark[:16]
