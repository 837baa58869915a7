"""What a server may say, and what is made of it."""

import asyncio
import datetime as dt
import email.utils
import os
import socket
from urllib.parse import urlsplit

import pytest
import requests
from tornado.web import RequestHandler

from glacier_nb import answers, faults, ranges, reads, serve

QUICK = ranges.Patience(timeout=1, silence=0.5, delay=0.01, attempts=2)


def answer(status, after=None):
    made = requests.Response()
    made.status_code, made.reason = status, "so"
    made.headers.update({} if after is None else {"Retry-After": after})
    return answers.refusal(made)


def test_how_long_the_server_wants_to_be_left_alone():
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)
    assert answer(429, "7").wait == 7 and not answer(429, "7").counts
    assert answer(503, email.utils.format_datetime(soon)).wait == pytest.approx(30, abs=2)
    assert answer(503, "Wed, 21 Oct 2015 07:28:00 GMT").wait == 0
    assert answer(503, "soon").wait == 0 and answer(503).counts
    assert answer(429).wait > 0  # a limit without a time is not asked again at once


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 501])
def test_what_will_not_pass_is_no_passing_failure(status):
    assert isinstance(answer(status), OSError) and not isinstance(answer(status), ranges.Passing)
    assert isinstance(answer(status), FileNotFoundError) == (status in (404, 410))


class Odd(RequestHandler):
    """A server with strange answers: the path says which."""

    def initialize(self, path):
        self.root = path

    def get(self, path):
        self.set_status(206)
        if path != "silent":
            self.set_header("Content-Range", {"other": "bytes 5-8/100", "endless": "bytes 0-3/*"}[path])
        self.write(b"abcd")


@pytest.mark.parametrize("path", ["other", "endless", "silent"])
def test_bytes_that_are_not_those_asked_for_are_refused(tmp_path, path):
    with serve.files(tmp_path, Odd) as address, pytest.raises(OSError, match=r"another range came.*2 tries"):
        ranges.fetch(f"{address}/{path}", 0, 4, QUICK, ranges.Tally())


def test_a_host_that_is_not_there_is_tried_and_named_without_its_query():
    tally = ranges.Tally()
    with pytest.raises(OSError, match="connection lost, 2 tries") as caught:
        ranges.fetch("http://127.0.0.1:9/a.tif?sig=SECRET", 0, 4, QUICK, tally)
    assert "SECRET" not in str(caught.value) and (tally.requests, tally.retries) == (2, 1)


def test_a_wait_longer_than_the_patience_is_not_begun(tmp_path):
    class Busy(RequestHandler):
        def initialize(self, path):
            self.root = path

        def get(self, path):
            self.set_status(503)
            self.set_header("Retry-After", "3600")

    with serve.files(tmp_path, Busy) as address, pytest.raises(OSError, match="HTTP 503"):
        ranges.fetch(f"{address}/a.tif", 0, 4, QUICK, ranges.Tally())


class Slow(RequestHandler):
    """A server that takes its time and counts how many requests it has at once."""

    def initialize(self, path):
        self.root, self.busy = path, False

    async def get(self, path):
        await asyncio.sleep(0.01)  # a request that was broken off before this one came is seen to be gone
        self.count(True)
        await asyncio.sleep(0.1)
        self.count(False)
        self.write(b"abcd")

    def on_connection_close(self):
        self.count(False)

    def count(self, busy):
        self.now[0] += busy - self.busy
        self.busy = busy
        self.most[0] = max(self.most[0], self.now[0])


@pytest.mark.parametrize("at_once", [1, 3])
def test_no_host_is_asked_for_more_at_once_than_it_has_places(tmp_path, at_once):
    patience, tally, most = ranges.Patience(silence=0.02, at_once=at_once), ranges.Tally(), [0]
    with serve.files(tmp_path, type("Handler", (Slow,), {"now": [0], "most": most})) as address:
        ranges.fetch(f"{address}/alone", 0, 4, patience, tally)
        assert tally.retries == (at_once > 1)  # a second request where a place is free
        asked = [ranges.apart(ranges.fetch, f"{address}/{n}", 0, 4, patience, tally) for n in range(3 * at_once + 1)]
        assert all(one.result().body == b"abcd" for one in asked)
        gate = ranges._gate(os.getpid(), urlsplit(address).netloc, at_once)
        assert all(gate.places.acquire(timeout=5) for _ in range(at_once))  # every place was given back
    assert most == [at_once]


def test_a_request_that_hangs_gives_its_place_back(tmp_path):
    (tmp_path / "a").write_bytes(b"abcd")
    plan = faults.Faults(next=["hang", ""] * 4, hang=30)
    patience, tally = ranges.Patience(silence=0.05, at_once=2), ranges.Tally()
    with faults.files(tmp_path, plan) as address:
        for _ in range(4):  # with a place lost each time, the second one would wait for the end of its time
            assert ranges.fetch(f"{address}/a", 0, 4, patience, tally).body == b"abcd"
    assert (tally.requests, tally.retries, plan.counts["hang"]) == (8, 4, 4)


@pytest.mark.parametrize(("times", "code"), [(2, socket.EAI_AGAIN), (2, socket.EAI_NONAME), (9, socket.EAI_AGAIN)])
def test_a_name_that_is_not_found_is_asked_for_again(tmp_path, monkeypatch, times, code):
    (tmp_path / "a").write_bytes(b"abcd")
    left, known = [times], socket.getaddrinfo

    def lookup(host, *more, **others):
        if host == "localhost" and left[0]:
            left[0] -= 1
            raise socket.gaierror(code, "no such name for now")
        return known("127.0.0.1" if host == "localhost" else host, *more, **others)

    tally, patience = ranges.Tally(), ranges.Patience(silence=5, delay=0.01, attempts=3)
    with serve.files(tmp_path) as address:
        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        url = address.replace("127.0.0.1", "localhost") + "/a?sig=SECRET"
        if times < 3:
            assert ranges.fetch(url, 0, 4, patience, tally).body == b"abcd"
        else:
            with pytest.raises(OSError, match=r"^the host's name is not found, 3 tries$"):
                ranges.fetch(url, 0, 4, patience, tally)
    assert (tally.requests, tally.retries) == (3, 2)


def test_the_signing_form_is_understood_as_gdal_does():
    href = "https://x.blob.core.windows.net/c/a b+c.tif"
    signed = reads.address(href, "landsat-c2-l2", (".blob.core.windows.net",))
    assert ranges.plain(signed) == (href, "landsat-c2-l2") and ranges.plain(href) == (href, None)
