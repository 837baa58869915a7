"""Files as rasterio opens them: over HTTP by our own ranges, others by GDAL; tried again, and no error is lost."""

import contextlib
import ctypes
import functools
import os
import pathlib
import random
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import rasterio

from glacier_nb import kept, mount, ranges

GDAL = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MAX_RETRY": "2",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    "GDAL_CACHEMAX": 64 * 2**20,  # rasterio passes bytes on; the default is 5 % of the memory, in each process
}
"""Settings of every read; what the caller set with `odc.stac.configure_rio` or a rasterio Env goes before them."""

HEAD = 32_768
"""Bytes read at opening, as many as GDAL asks a plugin for first: the header of nearly every COG."""

STEP = 16_384
"""Bytes read at least, where GDAL asks for fewer."""

SUFFIXES = (".tif", ".tiff", ".jp2", "")

OWN_WAY = (
    "GDAL_HTTP_AUTH", "GDAL_HTTP_BEARER", "GDAL_HTTP_COOKIE", "GDAL_HTTP_COOKIEFILE", "GDAL_HTTP_HEADERS",
    "GDAL_HTTP_HEADER_FILE", "GDAL_HTTP_PROXY", "GDAL_HTTP_SSLCERT", "GDAL_HTTP_UNSAFESSL", "GDAL_HTTP_USERPWD",
)  # fmt: skip
"""GDAL settings by which a user says how to get in; where one is set, GDAL reads by itself."""


def ours(uri: str, gdal: dict[str, Any]) -> bool:
    """Whether `uri` is read by our own ranges: a raster over HTTP, and no way of GDAL's own to get in.

    >>> ours("http://127.0.0.1/a.tif", {}), ours("s3://bucket/a.tif", {}), ours("/data/a.tif", {})
    (True, False, False)
    """
    url = ranges.plain(uri)[0]
    there = url.startswith(("http://", "https://")) and _suffix(url) in SUFFIXES
    return there and not any(key in gdal or key in os.environ for key in OWN_WAY)


_FINAL = re.compile(
    r"response code: 4(0[0134]|10)|NoSuch|Access ?Denied|InvalidAccessKey|SignatureDoesNotMatch|does not exist"
    "|request signature we calculated"
)
_UNSURE = re.compile("not recognized|IReadBlock|TIFF")
_NEVER_KEPT = "/vsicurl/:/vsis3/:/vsigs/:/vsiaz/:/vsiadls/:/vsioss/:/vsiswift/"


class Remote:
    """One file while it is read: what is here of it, and the first error."""

    def __init__(self, uri: str, patience: ranges.Patience, tally: ranges.Tally) -> None:
        self.uri, self.patience, self.tally, self.error = uri, patience, tally, None
        self.near: list[tuple[int, bytes]] = []

    @property
    def total(self) -> int:
        """Length of the file."""
        return self.file.total

    def begin(self) -> None:
        """Fetch the beginning, where it is not kept from another window; OSError."""
        self.file = kept.head(self.uri, HEAD, self.patience, self.tally)
        self.near = [(0, *kept.several(self.file, [(0, HEAD)], self.patience, self.tally))]

    def several(self, wanted: list[tuple[int, int]]) -> list[bytes]:
        """(start, size) each; empty, with `error` set, where they cannot be had: GDAL takes no exception."""
        within = [(start, max(0, min(size, self.total - start))) for start, size in wanted]
        if self.error is None:
            try:
                return kept.several(self.file, within, self.patience, self.tally)
            except OSError as error:
                self.error = error
        return [b""] * len(wanted)

    def some(self, start: int, size: int) -> bytes:
        """What GDAL reads piece by piece, in steps that are kept."""
        size = min(size, self.total - start)
        if size <= 0:
            return b""
        for low, body in reversed(self.near):
            if low <= start and start + size <= low + len(body):
                return body[start - low : start - low + size]
        low = start // STEP * STEP
        (body,) = self.several([(low, -(-(start + size) // STEP) * STEP - low)])
        self.near.append((low, body))
        return body[start - low : start - low + size]


def opened(source: Remote, action: Callable[[str], Any]) -> Any:
    """What `action` returns for a path under which rasterio opens the remote file.

    OSError where a byte of it could not be had, whatever `action` made of that; else the action's own error.
    """
    source.begin()
    try:
        return mount.opened(source, _suffix(ranges.plain(source.uri)[0]) or ".tif", action)
    finally:
        if source.error is not None:
            kept.forget(source.uri)
            raise source.error from None


def tried(uri: str, read: Callable[[str], Any], patience: ranges.Patience, tally: ranges.Tally) -> Any:
    """What `read` returns for the path of `uri`, tried as `patience` says. OSError: why it cannot be had."""
    gdal = rasterio.env.getenv() if rasterio.env.hasenv() else {}
    if ours(uri, gdal):
        try:
            try:
                return opened(Remote(uri, patience, tally), read)
            except kept.Changed:
                tally.add(retries=1)
                return opened(Remote(uri, patience, tally), read)
        except rasterio.errors.RasterioError as error:  # every byte is what the server has: the file itself is bad
            kept.forget(uri)
            raise OSError(f"corrupt, or no raster: {clean(error)}") from None
    if not ("://" in uri or uri.startswith("/vsi")):
        return _as_os_error(lambda: read(uri))
    begun = time.monotonic()
    with ranges.place(urlsplit(uri).netloc or uri.split("/")[1], patience):
        while True:
            try:
                again = {"CPL_VSIL_CURL_NON_CACHED": _NEVER_KEPT} if tally.retries else {}
                with rasterio.Env(**again):
                    return _as_os_error(lambda: read(uri))
            except OSError as error:
                _uncache(uri)
                tries = 1 if _FINAL.search(str(error)) else 3 if _UNSURE.search(str(error)) else patience.attempts
                pause = min(patience.longest, patience.delay * 2**tally.retries) * random.uniform(0.5, 1)
                if tally.retries + 1 >= tries or time.monotonic() - begun + pause > patience.total:
                    raise
                tally.add(retries=1)
                time.sleep(pause)


def _as_os_error(read: Callable[[], Any]) -> Any:
    """The result, or GDAL's error with its causes as an OSError."""
    try:
        return read()
    except rasterio.errors.RasterioError as error:
        said, cause = [], error
        while cause is not None and str(cause) not in said:
            said.append(str(cause))
            cause = cause.__cause__
        raise OSError(" <- ".join(said)) from None


def _uncache(uri: str) -> None:
    """Let GDAL forget what it knows of a remote file, its failure above all. No other way leads there from Python."""
    kinds = {"s3": "/vsis3", "gs": "/vsigs", "az": "/vsiaz", "oss": "/vsioss"}
    scheme, _, rest = uri.partition("://")
    path = uri if uri.startswith("/vsi") else f"{kinds[scheme]}/{rest}" if scheme in kinds else f"/vsicurl/{uri}"
    with contextlib.suppress(AttributeError, OSError):
        _gdal().VSICurlPartialClearCache(path.encode())


@functools.cache
def _gdal() -> ctypes.CDLL:
    """rasterio's GDAL."""
    return ctypes.CDLL(rasterio._base.__file__)


def clean(error: Exception) -> str:
    """What an error says, on one line, without query strings, which may hold tokens."""
    return " ".join(re.sub(r"\?\S+", "?...", str(error)).split()) or type(error).__name__


def settings(gdal: dict[str, str], patience: ranges.Patience) -> dict[str, Any]:
    """GDAL's settings, a provider's own before ours."""
    limits = {"GDAL_HTTP_TIMEOUT": f"{patience.timeout:g}", "GDAL_HTTP_CONNECTTIMEOUT": f"{patience.connect:g}"}
    return {**GDAL, **limits, **gdal}


def _suffix(url: str) -> str:
    return pathlib.PurePosixPath(urlsplit(url).path).suffix.lower()
