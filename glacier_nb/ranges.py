"""Byte ranges of files over HTTP: whole or an error, retried where it may help, signed and bounded at each request."""

import concurrent.futures
import datetime as dt
import functools
import os
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from glacier_nb import answers
from glacier_nb.answers import Passing

TOKENS = "https://planetarycomputer.microsoft.com/api/sas/v1/token"
"""Planetary Computer's token service; VSICURL_PC_SAS_TOKEN_URL or PC_SDK_SAS_URL name another one."""


@dataclass(frozen=True)
class Patience:
    """How a read is tried; `Patience.here()` takes what GLACIER_NB_READ_<FIELD> in the environment says."""

    attempts: int = 8
    """Times that one request is tried; answers that say "slow down" (429) do not count."""
    timeout: float = 60.0
    """Seconds for one try."""
    connect: float = 10.0
    """Seconds to be connected."""
    delay: float = 0.1
    """Seconds before the second try; doubled each time, half of it at random."""
    silence: float = 0.25
    """Seconds without an answer (and four times as long as the host takes as a rule) after which the same bytes are
    asked for once more, beside the first time, where the host has a place free: a request that hangs costs this and
    not the whole `timeout`."""
    longest: float = 30.0
    """Seconds between two tries at most, but for what the server asks for (Retry-After)."""
    total: float = 600.0
    """Seconds after which no request is tried again."""
    keep: int = 24
    """Megabytes of fetched bytes that a process keeps, so that neighbouring blocks share what both touch."""
    folder: str = ""
    """Folder in which all fetched bytes stay, by address and version; empty: none."""
    offline: bool = False
    """Whether nothing but that folder is read: a run again without a network, to the same numbers."""
    at_once: int = 16
    """Requests to one host at the same time, in each process."""

    @classmethod
    def here(cls) -> "Patience":
        """The defaults, or what the environment says. ValueError names a variable that cannot be meant so."""
        told = {}
        for one in fields(cls):
            if text := os.environ.get(name := f"GLACIER_NB_READ_{one.name.upper()}"):
                told[one.name] = value = _meant(text, one.default)
                if value is None:
                    wanted = {bool: "yes or no", str: "a folder"}.get(type(one.default), "a positive number")
                    raise ValueError(f"{name}={text}: give {wanted}, or unset it")
        return cls(**told)


def _meant(text: str, default: Any) -> Any:
    """A setting of the environment in the type of its default, None where it is none."""
    if isinstance(default, str):
        return text
    if isinstance(default, bool):
        return {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}.get(text.lower())
    try:
        return value if (value := type(default)(text)) > 0 else None
    except ValueError:
        return None


@dataclass
class Tally:
    """What one read took of the network."""

    requests: int = 0
    retries: int = 0
    """Requests that had to be made again."""
    fetched: int = 0
    """Bytes of bodies that were kept."""
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, requests: int = 0, retries: int = 0, fetched: int = 0) -> None:
        """Count; several threads may."""
        with self.lock:
            self.requests, self.retries = self.requests + requests, self.retries + retries
            self.fetched += fetched


@dataclass(frozen=True)
class Part:
    """Bytes of a file from `start` on, its length, and the mark (ETag or date) of the version they are from."""

    start: int
    body: bytes
    total: int
    version: str | None


def fetch(uri: str, start: int, size: int, patience: Patience, tally: Tally) -> Part:
    """`size` bytes (fewer at the end of the file) of `uri` from `start` on.

    uri: http(s), or GDAL's signing form of it (`reads.address`). Every try has a time limit and a place among the
    host's requests; a token is taken at each try and renewed when it is refused. OSError: why not, without a query
    string in it; at once where another try would not help.
    """
    begun, tried = time.monotonic(), 0
    url, collection = plain(uri)
    gate = _gate(os.getpid(), urlsplit(url).netloc, patience.at_once)
    while True:
        try:
            gate.wait(begun + patience.total)
            gate.places.acquire()
            part = _first(lambda: _once(url, collection, start, size, patience), gate, patience, tally)
            tally.add(fetched=len(part.body))
            return part
        except Passing as error:
            tried += error.counts
            pause = min(patience.longest, patience.delay * 2 ** max(tried - 1, 0)) * random.uniform(0.5, 1)
            if tried >= patience.attempts or time.monotonic() - begun + max(pause, error.wait) > patience.total:
                raise OSError(f"{error}, {tried} tries") from None
            tally.add(retries=1)
            if error.wait:
                gate.close(error.wait)
            if error.counts:
                time.sleep(pause)


def place(host: str, patience: Patience) -> threading.BoundedSemaphore:
    """A place among the requests to a host, to be held with `with`, for reads that are not made here."""
    return _gate(os.getpid(), host, patience.at_once).places


def plain(uri: str) -> tuple[str, str | None]:
    """The http address in `uri`, and the collection whose token it needs (None: none)."""
    if not uri.startswith("/vsicurl?"):
        return uri, None
    told = parse_qs(uri.removeprefix("/vsicurl?"))
    return told["url"][0], told["pc_collection"][0]


def _first(ask: Callable[[], Part], gate: "_Gate", patience: Patience, tally: Tally) -> Part:
    """One try: the first answer of one request, which has its place, or of two where the first is silent for long.

    The second one needs a place of its own and is not made where none is free: then it is the host that is busy. The
    slower one is broken off, so that it does not hold its place until its time is up.
    """
    begun, lines = time.monotonic(), [answers.Line(), answers.Line()]
    tally.add(requests=1)
    asked = [apart(gate.leave_after, lines[0], ask)]
    try:
        done, _ = concurrent.futures.wait(asked, max(patience.silence, 4 * gate.usual))
        if not done and gate.places.acquire(blocking=False):
            tally.add(requests=1, retries=1)
            asked.append(apart(gate.leave_after, lines[1], ask))
        done, _ = concurrent.futures.wait(asked, return_when=concurrent.futures.FIRST_COMPLETED)
        part = next(iter(done)).result()
    finally:
        for one, line in zip(asked, lines, strict=False):
            if not one.done():
                line.end()
    gate.usual += 0.1 * (time.monotonic() - begun - gate.usual)
    return part


def apart(action: Callable, *given: Any) -> concurrent.futures.Future:
    """`action` in a thread of its own, which does not keep the program from ending."""
    future: concurrent.futures.Future = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(action(*given))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="ranges", daemon=True).start()
    return future


def _once(url: str, collection: str | None, start: int, size: int, patience: Patience) -> Part:
    """One try."""
    token = _token(collection, patience) if collection else None
    end = time.monotonic() + patience.timeout
    asked = {"Range": f"bytes={start}-{start + size - 1}", "Accept-Encoding": "identity"}
    signed = f"{url}{'&' if '?' in url else '?'}{token}" if token else url
    try:
        limits = (min(patience.connect, patience.timeout), patience.timeout)
        with answers.session(url).get(signed, headers=asked, timeout=limits, stream=True) as answer:
            if answer.status_code in (401, 403) and token:
                _drop(collection, token)
                raise Passing(f"HTTP {answer.status_code}: the token was refused")
            if answer.status_code == 416 and start:
                raise OSError(f"HTTP 416: the file ends before byte {start}")
            if answer.status_code not in (200, 206):
                raise answers.refusal(answer)
            body = _body(answer, end)
    except requests.RequestException as error:
        raise answers.broken(error) from None
    version = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
    if answer.status_code == 200:  # a server without ranges sends the whole file
        return Part(start, body[start : start + size], len(body), version)
    told = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
    if told is None or int(told[1]) != start:
        raise Passing("another range came than was asked for")
    total = int(told[2])
    if len(body) != min(size, total - start):
        raise Passing(f"cut off after {len(body)} of {min(size, total - start)} bytes")
    return Part(start, body, total, version)


def _body(answer: requests.Response, end: float) -> bytes:
    """All that was announced, or Passing: a server that trickles is cut off at `end`."""
    pieces = []
    for piece in answer.iter_content(1 << 18):
        pieces.append(piece)
        if time.monotonic() > end:
            raise Passing("too slow")
    body, announced = b"".join(pieces), answer.headers.get("Content-Length")
    if announced is not None and len(body) != int(announced):
        raise Passing(f"cut off after {len(body)} of {announced} bytes")
    return body


class _Gate:
    """The way to one host: so many at once, and closed for a while when the host asks for it."""

    def __init__(self, at_once: int) -> None:
        self.places, self.opens, self.usual = threading.BoundedSemaphore(at_once), 0.0, 0.0

    def leave_after(self, line: answers.Line, ask: Callable[[], Part]) -> Part:
        """What is asked over a line; then the place is free again."""
        try:
            answers.here.line = line
            return ask()
        finally:
            self.places.release()

    def close(self, seconds: float) -> None:
        """Nobody passes for `seconds`."""
        self.opens = max(self.opens, time.monotonic() + seconds)

    def wait(self, end: float) -> None:
        """Until the gate is open; `end` is the last moment to wait for."""
        while (left := min(self.opens, end) - time.monotonic()) > 0:
            time.sleep(left + random.uniform(0, 0.05))  # not all in the same moment


@functools.cache
def _gate(process: int, host: str, at_once: int) -> _Gate:
    return _Gate(at_once)


def _drop(collection: str, token: str) -> None:
    """Forget a token that was refused; not the newer one that another request may have brought by now."""
    key = (os.getpid(), collection)
    with _asking:
        if _tokens.get(key, ("", 0.0))[0] == token:
            del _tokens[key]


_tokens: dict[tuple[int, str], tuple[str, float]] = {}
_asking = threading.Lock()


def _token(collection: str, patience: Patience) -> str:
    """A token of the collection that is good for a while yet; a subscription key is sent where there is one."""
    key = (os.getpid(), collection)
    with _asking:
        held = _tokens.get(key)
        if held and time.time() < held[1]:
            return held[0]
        service = os.environ.get("VSICURL_PC_SAS_TOKEN_URL") or os.environ.get("PC_SDK_SAS_URL") or TOKENS
        own = os.environ.get("PC_SDK_SUBSCRIPTION_KEY")
        headers = {"Ocp-Apim-Subscription-Key": own} if own else {}
        limits = (min(patience.connect, patience.timeout), patience.timeout)
        try:
            answer = answers.session(service).get(
                f"{service.rstrip('/')}/{collection}", headers=headers, timeout=limits
            )
        except requests.RequestException as error:
            raise Passing(f"token service: {answers.broken(error)}") from None
        if answer.status_code != 200:
            raise answers.refusal(answer)
        try:
            said = answer.json()
            ends = dt.datetime.fromisoformat(said["msft:expiry"].replace("Z", "+00:00")).timestamp()
            token = str(said["token"])
        except (ValueError, KeyError, TypeError):
            raise OSError(f"the token service of {collection} gave no token and expiry") from None
        _tokens[key] = token, ends - min(60.0, (ends - time.time()) / 4)
        return token
