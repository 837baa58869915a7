"""A range server that fails on purpose: late, overloaded, cut off, silent, or wanting tokens that expire."""

import asyncio
import contextlib
import datetime as dt
import os
import pathlib
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tornado.iostream import StreamClosedError

from glacier_nb import serve

KINDS = ("503", "reset", "cut", "hang")
"""Overloaded; connection reset; half of the body and the end; never an answer."""


@dataclass
class Faults:
    """What a server does to requests, and what it counted; may be changed while it runs."""

    latency: float = 0.0
    """Seconds before each answer."""
    share: float = 0.0
    """Part of the requests that fail."""
    kinds: tuple[str, ...] = KINDS
    """How they fail, each as often: one of `KINDS` or an HTTP status."""
    next: list[str] = field(default_factory=list)
    """Kinds for the very next requests ("" is a good answer), before any share."""
    hang: float = 60.0
    storm: tuple[float, float] = (0.0, 0.0)
    """From and until when, in seconds after the first request, all are told to come back a second later (429)."""
    lifetime: float | None = None
    """Seconds for which a token is good, where files want one; sas/COLLECTION gives it."""
    uses: int | None = None
    """Requests after which a token is refused, whatever end it announced."""
    refusal: int = 403
    """HTTP status of a refused token."""
    seed: int = 0
    counts: Counter = field(default_factory=Counter)
    """Of requests, bytes and each fault."""
    begun: float | None = None

    def __post_init__(self) -> None:
        self.random, self.tokens, self.lock = random.Random(self.seed), {}, threading.Lock()
        self.used: Counter = Counter()

    def fate(self) -> str:
        """What becomes of a request: empty, or a kind."""
        with self.lock:
            self.begun = self.begun or time.monotonic()
            age = time.monotonic() - self.begun
            if self.next:
                kind = self.next.pop(0)
            elif self.storm[0] <= age < self.storm[1]:
                kind = "429"
            else:
                kind = self.random.choice(self.kinds) if self.random.random() < self.share else ""
            self.counts["requests"] += 1
            self.counts[kind or "good"] += 1
            return kind

    def refuses(self, token: str) -> bool:
        """Whether a request with this token is turned away."""
        if self.lifetime is None:
            return False
        spent = self.uses is not None and self.used[token] >= self.uses
        if spent or self.tokens.get(token, 0) < time.time():
            return True
        self.used[token] += 1
        return False

    def token(self) -> tuple[str, dt.datetime]:
        """A new token and when it ends."""
        name, end = f"{self.random.getrandbits(64):016x}", time.time() + (self.lifetime or 0)
        self.tokens[name] = end
        self.counts["tokens"] += 1
        return f"sig={name}", dt.datetime.fromtimestamp(end, dt.UTC)


@contextlib.contextmanager
def files(folder: str | os.PathLike, faults: Faults) -> Iterator[str]:
    """Serve the files of a folder over HTTP with byte ranges and `faults`, until the block ends; yields the address.

    >>> import tempfile, urllib.request
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.txt")
    >>> _ = path.write_text("ice")
    >>> with files(path.parent, faults := Faults()) as address:
    ...     urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{address}/a.txt").read()
    b'ice'
    >>> faults.counts["requests"], faults.counts["bytes"]
    (1, 3)
    """
    with serve.files(folder, type("Handler", (_Faulty,), {"faults": faults})) as address:
        yield address


class _Faulty(serve.Ranges):
    """Static files after the faults."""

    faults: Faults

    def compute_etag(self) -> str | None:
        return super().compute_etag() if self.absolute_path and pathlib.Path(self.absolute_path).exists() else None

    async def get(self, path: str, include_body: bool = True) -> None:
        faults = self.faults
        if path.startswith("sas/"):
            self.absolute_path = None
            token, end = faults.token()
            self.write({"token": token, "msft:expiry": end.strftime("%Y-%m-%dT%H:%M:%SZ")})
            return
        kind = faults.fate()
        if faults.latency:
            await asyncio.sleep(faults.latency)
        self.absolute_path = None
        if kind == "hang":
            await asyncio.sleep(faults.hang)
        elif kind == "reset":
            linger = struct.pack("ii", 1, 0)  # the close becomes a reset
            stream = self.request.connection.stream
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            stream.close()
        elif kind == "cut":
            await self._half(path)
        elif kind:
            if kind == "429":
                self.set_header("Retry-After", "1")
            self.set_status(int(kind))
        elif faults.refuses(self.get_argument("sig", "")):
            faults.counts["refused"] += 1
            self.set_status(faults.refusal)
        else:
            await super().get(path, include_body)
            faults.counts["bytes"] += int(self._headers.get("Content-Length", 0)) if include_body else 0

    async def _half(self, path: str) -> None:
        """The right head, half of the body, and the end of the connection."""
        body = pathlib.Path(self.get_absolute_path(self.root, path)).read_bytes()
        first, _, last = self.request.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = body[int(first) : int(last or len(body)) + 1]
        head = f"bytes {first}-{int(first) + len(part) - 1}/{len(body)}"
        stream = self.request.connection.stream
        text = f"HTTP/1.1 206 Partial Content\r\nContent-Length: {len(part)}\r\nContent-Range: {head}\r\n\r\n"
        with contextlib.suppress(StreamClosedError):
            await stream.write(text.encode() + part[: len(part) // 2])
        stream.close()
