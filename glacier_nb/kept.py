"""Bytes of remote files, kept for a while: what one window fetched, or is fetching, no other fetches again."""

import collections
import concurrent.futures
import functools
import os
import threading
import time
from dataclasses import dataclass, field

from glacier_nb import ranges, stored

AGE = 600.0
"""Seconds after which a file is asked again whether it is the same."""


class Changed(ranges.Passing):
    """The file became another one while it was read."""


@dataclass
class File:
    """Pieces of one file: (first byte, byte after the last, what brings it)."""

    uri: str
    total: int = 0
    version: str | None = None
    born: float = field(default_factory=time.monotonic)
    pieces: list[tuple[int, int, concurrent.futures.Future]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def size(self) -> int:
        """Bytes that are here or on their way."""
        return sum(stop - start for start, stop, _ in self.pieces)

    def bring(self, start: int, size: int, patience: ranges.Patience, tally: ranges.Tally) -> list:
        """The pieces that hold `size` bytes from `start` on, those that are not here asked for now."""
        with self.lock:
            size = min(size, self.total - start) if self.total else size
            found, here = [], start
            near = [piece for piece in self.pieces if piece[0] < start + size and piece[1] > start]
            lost = [piece for piece in near if isinstance(piece[2], stored.Piece) and not piece[2].whole()]
            self.pieces = [piece for piece in self.pieces if piece not in lost]
            held = sorted((piece for piece in near if piece not in lost), key=_first)
            for piece in [*held, (start + size, start + size, None)]:
                if piece[0] > here:
                    asked = ranges.apart(_fetch, self.uri, here, piece[0] - here, patience, tally)
                    found.append((here, piece[0], asked))
                    self.pieces.append(found[-1])
                if piece[2] is not None:
                    found.append(piece)
                here = max(here, piece[1])
            return found

    def body(self, start: int, size: int, pieces: list) -> bytes:
        """`size` bytes from `start` on out of these pieces, fewer at the end of the file.

        OSError: it cannot be read. Changed: it is another file now.
        """
        parts = []
        for first, stop, asked in pieces:
            try:
                part = asked.result()
            except OSError:
                with self.lock:
                    self.pieces = [piece for piece in self.pieces if piece[2] is not asked]
                raise
            if self.total and (part.total, part.version) != (self.total, self.version):
                forget(self.uri)
                raise Changed("the file changed while it was read")
            low, high = max(first, start), min(stop, start + size)
            if low < high:
                parts.append(memoryview(part.body)[low - first : high - first])
                start = high
                size -= high - low
        return b"".join(parts)


def head(uri: str, size: int, patience: ranges.Patience, tally: ranges.Tally) -> File:
    """The file, its first `size` bytes here; OSError. What was kept of an old or changed one is let go."""
    file = _file(uri, patience)
    if not file.total and patience.offline:
        with file.lock:  # pieces before the total, which tells other threads that they are there
            if not file.total:
                total, version = stored.newest(patience.folder, uri)
                file.pieces += stored.pieces(patience.folder, uri, version)
                file.total, file.version = total, version
    wait = file.bring(0, size, patience, tally)
    file.body(0, size, wait)
    if not file.total:
        part = wait[0][2].result()
        with file.lock:
            if not file.total and patience.folder:
                file.pieces += stored.pieces(patience.folder, uri, part.version)
            file.total, file.version = part.total, part.version
    return file


def several(file: File, wanted: list[tuple[int, int]], patience: ranges.Patience, tally: ranges.Tally) -> list[bytes]:
    """(start, size) each, asked for at the same time. OSError."""
    waits = [file.bring(*one, patience, tally) for one in wanted]
    bodies, failed = [], None
    for one, wait in zip(wanted, waits, strict=True):
        try:
            bodies.append(file.body(*one, wait))
        except Changed:
            raise
        except OSError as error:  # all are heard before any is given up, so that none stays here as failed
            failed = error
    if failed is not None:
        raise failed
    return bodies


def _fetch(uri: str, start: int, size: int, patience: ranges.Patience, tally: ranges.Tally) -> ranges.Part:
    """Bytes from the network, which stay in the folder where there is one."""
    if patience.offline:
        raise OSError(
            f"offline, and bytes {start} to {start + size} are not in {patience.folder!r}: run it online once"
        )
    part = ranges.fetch(uri, start, size, patience, tally)
    if patience.folder:
        stored.keep(patience.folder, uri, part)
    return part


def forget(uri: str | None = None) -> None:
    """Let go what is kept of a file, or of all."""
    files, lock = _all(os.getpid())
    with lock:
        files.clear() if uri is None else files.pop(uri, None)


def _file(uri: str, patience: ranges.Patience) -> File:
    """The file as it is kept; those used longest ago make place for it."""
    files, lock = _all(os.getpid())
    with lock:
        file = files.pop(uri, None)
        if file is None or time.monotonic() - file.born > AGE:
            file = File(uri)
        files[uri] = file
        while len(files) > 1 and sum(one.size for one in files.values()) > patience.keep * 2**20:
            files.popitem(last=False)
        if file.size > patience.keep * 2**20:
            with file.lock:
                file.pieces = [piece for piece in file.pieces if not piece[2].done()]
        return file


def _first(piece: tuple) -> int:
    return piece[0]


@functools.cache
def _all(process: int) -> tuple[collections.OrderedDict[str, File], threading.Lock]:
    return collections.OrderedDict(), threading.Lock()
