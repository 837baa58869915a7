"""Fetched bytes in a folder, each piece once under its own hash: what a run without a network reads again.

`objects` holds the bytes, each file named by the SHA-256 of what is in it; `files` says which of them are which part of
which version of a remote file.
"""

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
    """Bytes in the folder; asked for like what is on its way over the network."""

    path: pathlib.Path
    start: int
    total: int
    version: str | None

    def done(self) -> bool:
        """It is here."""
        return True

    def whole(self) -> bool:
        """Whether the bytes are those that were kept; damaged ones are taken away."""
        with contextlib.suppress(FileNotFoundError):
            if hashlib.sha256(self.path.read_bytes()).hexdigest() == self.path.name:
                return True
            self.path.unlink()
        return False

    def result(self) -> ranges.Part:
        """The bytes. OSError where somebody took them away."""
        return ranges.Part(self.start, self.path.read_bytes(), self.total, self.version)


def keep(folder: str, uri: str, part: ranges.Part) -> None:
    """Put bytes into the folder, whole or not at all; several processes may."""
    name, place = hashlib.sha256(part.body).hexdigest(), _place(folder, uri, part.version)
    facts = {"address": _plain(uri), "total": part.total, "version": part.version}
    for path, content in (
        (_object(folder, name), part.body),
        (place / "facts.json", json.dumps(facts).encode()),
        (place / f"{part.start}-{part.start + len(part.body)}", name.encode()),
    ):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, path)


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
            held = _object(folder, path.read_text())
            if held.exists():
                found.append((start, stop, Piece(held, start, total, version)))
    return found


def _plain(uri: str) -> str:
    """The address without a query, which may hold a token."""
    return ranges.plain(uri)[0].partition("?")[0]


def _place(folder: str, uri: str, version: str | None) -> pathlib.Path:
    """Where it stands what one version of a file consists of."""
    address, mark = (hashlib.sha256(text.encode()).hexdigest() for text in (_plain(uri), str(version)))
    return pathlib.Path(folder) / "files" / address[:32] / mark[:16]


def _object(folder: str, name: str) -> pathlib.Path:
    """Where the bytes of a hash are."""
    return pathlib.Path(folder) / "objects" / name[:2] / name
