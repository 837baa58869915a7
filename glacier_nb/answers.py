"""Answers over HTTP: the session that asks, which failures may pass and how long to wait, and no token in a log."""

import contextlib
import datetime as dt
import email.utils
import functools
import logging
import os
import re
import socket
import threading
from urllib.parse import urlsplit

import requests
import requests.adapters
import requests.utils

PASSING = (408, 425, 429, 500, 502, 503, 504, 509)
"""HTTP statuses that may be another one a moment later."""


class Passing(OSError):
    """A failure that may be gone at the next try."""

    wait = 0.0
    """Seconds the server asks to be left alone."""
    counts = True


class Line:
    """The connection that a thread asks over, so that another thread can break it off."""

    def __init__(self) -> None:
        self.socket, self.ended = None, False

    def end(self) -> None:
        """Break off: what is waited for fails at once."""
        self.ended = True
        if self.socket is not None:
            with contextlib.suppress(OSError):  # it is closed already
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)


here = threading.local()
"""`line`: the `Line` of this thread, if another one may break it off."""


class _Known:
    """A connection whose socket its thread's line knows once it has asked."""

    def request(self, *given, **more) -> None:
        super().request(*given, **more)
        if (line := getattr(here, "line", None)) is not None:
            line.socket = self.sock
            if line.ended:
                line.end()


class _Adapter(requests.adapters.HTTPAdapter):
    """Connections that can be broken off."""

    def get_connection_with_tls_context(self, *given, **more):
        pool = super().get_connection_with_tls_context(*given, **more)
        if not issubclass(pool.ConnectionCls, _Known):
            pool.ConnectionCls = type("Known", (_Known, pool.ConnectionCls), {})
        return pool


def session(url: str) -> requests.Session:
    """Connections of this process to a host; proxies, certificates and .netrc as the environment says."""
    parts = urlsplit(url)
    return _session(os.getpid(), f"{parts.scheme}://{parts.netloc}")


@functools.cache
def _session(process: int, host: str) -> requests.Session:
    """The environment is asked once: asking at each request takes as long as the request itself."""
    made = requests.Session()
    found = made.merge_environment_settings(host, {}, None, None, None)
    made.proxies, made.verify, made.cert = found["proxies"], found["verify"], found["cert"]
    made.auth, made.trust_env = requests.utils.get_netrc_auth(host), False
    made.mount(host, _Adapter(pool_connections=2, pool_maxsize=64))
    logging.getLogger("urllib3.connectionpool").addFilter(_unsigned)  # at DEBUG it writes down every address
    return made


def _unsigned(record: logging.LogRecord) -> bool:
    """Cut query strings, which may hold tokens, out of a log record."""
    record.msg, record.args = re.sub(r"\?[^\s\"]+", "?...", record.getMessage()), ()
    return True


def refusal(answer: requests.Response) -> OSError:
    """The error for a status that is no success."""
    said = f"HTTP {answer.status_code} {answer.reason or ''}".strip()
    if answer.status_code not in PASSING:
        return FileNotFoundError(said) if answer.status_code in (404, 410) else OSError(said)
    error = Passing(said)
    after = answer.headers.get("Retry-After", "")
    if after.isdigit():
        error.wait = float(after)
    elif after:
        with contextlib.suppress(ValueError, TypeError):  # no date either
            error.wait = max(0.0, (email.utils.parsedate_to_datetime(after) - dt.datetime.now(dt.UTC)).total_seconds())
    if answer.status_code == 429:
        error.wait, error.counts = error.wait or 1.0, False
    return error


def broken(error: requests.RequestException) -> OSError:
    """The error for a connection that did not hold: only a false certificate or address is final."""
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text or isinstance(error, requests.exceptions.InvalidURL):
        return OSError(f"{type(error).__name__}: {text.splitlines()[0][:200]}")
    if isinstance(error, requests.Timeout) or "timed out" in text:
        return Passing("no answer in time")
    for sign, said in (("NameResolution", "the host's name is not found"), ("IncompleteRead", "cut off")):
        if sign in text:
            return Passing(said)
    return Passing("connection lost" if "onnection" in text else type(error).__name__)
