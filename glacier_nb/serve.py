"""A folder of STAC items and rasters served on loopback as a provider would: a STAC API and an HTTP range server."""

import asyncio
import contextlib
import importlib.util
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, StaticFileHandler

LOOPBACK = "127.0.0.1"
START_SECONDS = 30.0
ATTEMPTS = 3


@dataclass(frozen=True)
class Served:
    """Addresses of a folder being served."""

    stac: str
    """Address of the STAC API, for `search.scenes(provider=...)` or `pystac_client.Client.open`."""
    files: str
    """Address of the HTTP range server; a file `data/a.tif` of the folder is `files + "/data/a.tif"`."""


@contextlib.contextmanager
def folder(folder: str | pathlib.Path) -> Iterator[Served]:
    """Serve a tree of STAC JSON (items, item collections, collections) and the files beside it, until the block ends.

    Relative asset hrefs become absolute addresses of the range server; absolute ones stay. Items without a
    collection document get a generated one. Both servers listen on free loopback ports and are stopped on any
    exit. Yields `Served`. Raises FileNotFoundError where the folder has no items, ValueError where one
    is no JSON, ConnectionError where the API does not come up.
    """
    root = pathlib.Path(folder).resolve()
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {folder}: give the folder that holds the STAC items")
    with files(root) as address, tempfile.TemporaryDirectory(prefix="glacier_nb-stac-") as scratch:
        documents = _documents(root, address)
        if not any(document["type"] == "FeatureCollection" for document in documents):
            raise FileNotFoundError(f"no STAC item in {folder}: put items as .json files into it")
        paths = [pathlib.Path(scratch) / f"{number}.json" for number in range(len(documents))]
        for path, document in zip(paths, documents, strict=True):
            path.write_text(json.dumps(document))
        with _api(paths) as stac:
            yield Served(stac, address)


@contextlib.contextmanager
def files(folder: str | pathlib.Path, handler: type[StaticFileHandler] | None = None) -> Iterator[str]:
    """Serve the files of a folder over HTTP with byte ranges, HEAD and CORS; yields the address.

    Runs tornado in its own thread. `handler` replaces the handler, for tests that let reads fail on purpose.
    ConnectionError: no free port.
    """
    root = str(pathlib.Path(folder).resolve())
    started: list = []
    ready = threading.Event()

    async def serve() -> None:
        stop = asyncio.Event()
        try:
            sockets = bind_sockets(0, LOOPBACK)
            server = HTTPServer(
                Application([(r"/(.*)", handler or Ranges, {"path": root})], log_function=lambda handler: None)
            )
            server.add_sockets(sockets)
            started.extend((sockets[0].getsockname()[1], asyncio.get_running_loop(), stop))
        finally:
            ready.set()
        await stop.wait()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="range server", daemon=True)
    thread.start()
    ready.wait()
    if not started:
        raise ConnectionError(f"no free port on {LOOPBACK} for the range server: close another server and try again")
    port, loop, stop = started
    try:
        yield f"http://{LOOPBACK}:{port}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


class Ranges(StaticFileHandler):
    """Static files that a page from anywhere may read in parts; the version is time and size, not a hash of it all."""

    def set_default_headers(self) -> None:
        self.set_header("Access-Control-Allow-Origin", "*")
        self.set_header("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
        self.set_header("Access-Control-Allow-Headers", "Range")
        self.set_header("Access-Control-Expose-Headers", "Accept-Ranges, Content-Length, Content-Range, ETag")

    def options(self, path: str) -> None:
        self.set_status(204)
        self.finish()

    def compute_etag(self) -> str:
        found = pathlib.Path(self.absolute_path).stat()
        return f'"{found.st_mtime_ns:x}-{found.st_size:x}"'

    def log_exception(self, *error) -> None:
        """A missing file is answered, not logged."""


def _documents(root: pathlib.Path, address: str) -> list[dict]:
    """The collections of the tree, and one item collection per collection id, hrefs absolute."""
    items: dict[str, list[dict]] = {}
    collections = []
    for path in sorted(root.rglob("*.json")):
        try:
            document = json.loads(path.read_text())
        except ValueError as error:
            raise ValueError(f"{path.relative_to(root)} is not JSON ({error}): mend or remove it") from None
        found = document if isinstance(document, list) else [document]
        base = f"{address}/{quote(path.relative_to(root).as_posix())}"
        for entry in found:
            kind = entry.get("type") if isinstance(entry, dict) else None
            for item in entry["features"] if kind == "FeatureCollection" else [entry]:
                if not isinstance(item, dict) or "stac_version" not in item:
                    continue
                if item.get("type") == "Feature":
                    items.setdefault(item.get("collection") or "items", []).append(_absolute(item, base))
                elif item.get("type") == "Collection":
                    collections.append(_absolute(item, base))
    for name, members in items.items():
        for item in members:
            item["collection"] = name
    return collections + [{"type": "FeatureCollection", "features": members} for members in items.values()]


def _absolute(document: dict, base: str) -> dict:
    """A copy whose asset hrefs are absolute and whose links (the API writes its own) are gone."""
    assets = {
        key: {**asset, "href": href if urlsplit(href).scheme else urljoin(base, quote(href, safe="/%"))}
        for key, asset in document.get("assets", {}).items()
        for href in [asset["href"]]
    }
    return {**document, "assets": assets, "links": []}


RUSTAC = """
import os, select, signal, sys

ended, held = os.pipe()
child = os.fork()
if child == 0:
    from rustac import main
    sys.exit(main())
os.close(held)
ready, _, _ = select.select([0, ended], [], [])
os.kill(child, signal.SIGTERM)
os.waitpid(child, 0)
sys.exit(ended in ready)
"""
"""`rustac`, until its standard input closes: so it ends with the process that started it, however that one ends."""


@contextlib.contextmanager
def _api(paths: list[pathlib.Path]) -> Iterator[str]:
    """Run `rustac serve` over the JSON files; yields its address once it answers."""
    if importlib.util.find_spec("rustac") is None:
        raise FileNotFoundError("no `rustac` beside this Python: pip install rustac")
    program = paths[0].with_name("api.py")
    program.write_text(RUSTAC)
    with tempfile.TemporaryFile() as log:
        for _ in range(ATTEMPTS):  # another program may take the free port before rustac does
            with socket.socket() as probe:
                probe.bind((LOOPBACK, 0))
                place = f"{LOOPBACK}:{probe.getsockname()[1]}"
            command = [sys.executable, str(program), "serve", *map(str, paths), "--create-collections", "--addr", place]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)
            try:
                if _answers(f"http://{place}/collections", process):
                    yield f"http://{place}"
                    return
            finally:
                process.stdin.close()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        log.seek(0)
        said = log.read().decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
    raise ConnectionError(f"rustac serve did not answer in {ATTEMPTS} attempts; it said: {said[0]}")


def _answers(address: str, process: subprocess.Popen) -> bool:
    """Whether `address` answers before the process ends or time is up."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback is never behind the proxy
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError), opener.open(address, timeout=5) as answer:
            return answer.status == 200
        time.sleep(0.02)
    return False
