"""A folder served as a provider: ranges are real, the API finds what is there, nothing stays behind."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import psutil
import pystac_client
import pytest

from glacier_nb import serve


def ask(address, method="GET", **headers):
    """Status, headers and body of one request that no proxy sees."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(address, method=method, headers=headers)
    try:
        with opener.open(request, timeout=10) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def item(name, collection="sentinel-2-l2a", lon=10.0, date="2020-08-01T10:00:00Z", href="../../data/a b.tif"):
    square = [[lon, 46], [lon + 1, 46], [lon + 1, 47], [lon, 47], [lon, 46]]
    return {
        "type": "Feature", "stac_version": "1.0.0", "stac_extensions": [], "id": name, "collection": collection,
        "bbox": [lon, 46, lon + 1, 47], "geometry": {"type": "Polygon", "coordinates": [square]}, "links": [],
        "properties": {"datetime": date}, "assets": {"B04": {"href": href}},
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "items" / "sentinel-2-l2a").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a b.tif").write_bytes(bytes(range(256)) * 1000)
    for n in range(12):
        path = tmp_path / "items" / "sentinel-2-l2a" / f"s{n:02d}.json"
        path.write_text(json.dumps(item(f"s{n:02d}", date=f"20{10 + n}-08-01T10:00:00Z", lon=10 + n % 2 * 20)))
    (tmp_path / "region.json").write_text(json.dumps({"name": "not STAC"}))
    return tmp_path


def test_ranges_are_real(folder):
    with serve.files(folder) as address:
        url = f"{address}/data/a%20b.tif"
        status, headers, body = ask(url, Range="bytes=1000-1009")
        assert status == 206 and body == (bytes(range(256)) * 1000)[1000:1010]
        assert headers["Content-Range"] == "bytes 1000-1009/256000"
        assert headers["Access-Control-Allow-Origin"] == "*"
        status, headers, body = ask(url, "HEAD")
        assert (status, headers["Content-Length"], headers["Accept-Ranges"], body) == (200, "256000", "bytes", b"")
        assert ask(url, Range="bytes=256000-256010")[0] == 416
        assert ask(url, "OPTIONS")[1]["Access-Control-Allow-Headers"] == "Range"
        assert ask(f"{address}/data/none.tif")[0] == 404
        assert ask(f"{address}/../../etc/hostname")[0] in (403, 404)


def test_the_api_finds_pages_and_rewrites_hrefs(folder):
    with serve.folder(folder) as served:
        client = pystac_client.Client.open(served.stac)
        found = client.search(collections=["sentinel-2-l2a"], bbox=[10.2, 46.2, 10.4, 46.4], limit=2)
        assert sorted(i.id for i in found.items()) == ["s00", "s02", "s04", "s06", "s08", "s10"]
        dated = client.search(collections=["sentinel-2-l2a"], datetime="2015/2017")
        assert sorted(i.id for i in dated.items()) == ["s05", "s06", "s07"]
        href = next(found.items()).assets["B04"].href
        assert href == f"{served.files}/data/a%20b.tif"
        assert len(ask(href)[2]) == 256000


def test_nothing_stays_behind(folder):
    me = psutil.Process()
    before = {child.pid for child in me.children(recursive=True)}
    with pytest.raises(ZeroDivisionError), serve.folder(folder) as served:
        ours = {child.pid for child in me.children(recursive=True)} - before
        assert ours and ask(f"{served.stac}/collections")[0] == 200
        1 / 0  # noqa: B018
    assert not any(psutil.pid_exists(pid) for pid in ours)
    for address in (served.stac, served.files):
        with pytest.raises(urllib.error.URLError):
            ask(address)


def answers(address):
    """Whether anything listens there."""
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex((serve.LOOPBACK, urllib.parse.urlsplit(address).port)) == 0


def test_the_api_ends_with_a_process_that_is_killed(folder):
    code = "import sys; from glacier_nb import serve\n"
    code += "with serve.folder(sys.argv[1]) as one: print(one.stac, flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    address = process.stdout.readline().decode().strip()
    assert answers(address)
    process.kill()  # nothing is left to stop it
    process.communicate()
    end = time.monotonic() + 30
    while answers(address) and time.monotonic() < end:
        time.sleep(0.05)
    assert not answers(address), "the STAC API is still there"


def test_two_folders_at_once(folder):
    with serve.folder(folder) as one, serve.folder(folder) as two:
        assert len({one.stac, one.files, two.stac, two.files}) == 4
        assert ask(f"{two.stac}/collections")[0] == ask(f"{one.stac}/collections")[0] == 200


def test_collections_and_lists_are_served_too(tmp_path):
    collection = {
        "type": "Collection", "stac_version": "1.0.0", "id": "cop-dem-glo-30", "description": "heights", "license": "x",
        "extent": {"spatial": {"bbox": [[10, 46, 11, 47]]}, "temporal": {"interval": [[None, None]]}}, "links": [],
        "assets": {"thumb": {"href": "thumb.png"}},
    }  # fmt: skip
    (tmp_path / "c.json").write_text(json.dumps(collection))
    (tmp_path / "list.json").write_text(json.dumps([item("a", "cop-dem-glo-30"), item("b", "cop-dem-glo-30")]))
    with serve.folder(tmp_path) as served:
        (found,) = pystac_client.Client.open(served.stac).get_collections()
        assert found.description == "heights" and found.assets["thumb"].href == f"{served.files}/thumb.png"
        assert len(list(found.get_items())) == 2


def test_what_cannot_be_served_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"), serve.folder(tmp_path / "none"):
        pass
    with pytest.raises(FileNotFoundError, match="no STAC item"), serve.folder(tmp_path):
        pass
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ValueError, match=r"bad\.json is not JSON"), serve.folder(tmp_path):
        pass
