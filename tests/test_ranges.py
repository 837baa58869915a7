"""What a server may say, and what is made of it."""

import datetime as dt
import email.utils

import pytest
import requests
from tornado.web import RequestHandler

from glacier_nb import answers, ranges, reads, serve

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


def test_the_signing_form_is_understood_as_gdal_does():
    href = "https://x.blob.core.windows.net/c/a b+c.tif"
    signed = reads.address(href, "landsat-c2-l2", (".blob.core.windows.net",))
    assert ranges.plain(signed) == (href, "landsat-c2-l2") and ranges.plain(href) == (href, None)
