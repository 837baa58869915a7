"""What files tell of the machine and the account that made them: every byte is read, also of what is packed in them."""

import base64
import pathlib
import re
import sys
import tempfile
import urllib.parse
import zlib
from collections.abc import Iterator

import pyarrow.parquet as pq

TOKEN = re.compile(
    rb"[?&;](?:sig|se|skoid|Signature|X-Amz-(?:Signature|Credential|Security-Token)|access_token)=\w"
    rb"|\bBearer [\w.~+/-]{16,}|\beyJ[\w-]{16,}\.eyJ[\w-]{16,}\."
)
"""A signed address (Azure, Amazon), or a token as HTTP carries it (a JWT, for one)."""
PACKED = re.compile(rb"[A-Za-z0-9+/]{64,}={0,2}")
"""What looks like base64: pictures and arrays in a page."""
STREAM = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
"""How a stream of zlib begins: a picture's texts, a PDF's pages, a raster's tags."""
MOST = 2**16
"""Bytes of a stream that are looked at: texts are short."""


def places(*more: pathlib.Path) -> dict[bytes, re.Pattern[bytes]]:
    """Folders of this machine, and how each is found: home, where this runs, Python's, temporary ones, and `more`."""
    own = [pathlib.Path.home(), pathlib.Path.cwd(), pathlib.Path(__file__).parents[1], pathlib.Path(sys.prefix)]
    names = {str(one).encode() for one in [*own, pathlib.Path(tempfile.gettempdir()), *more]} - {b"/"}
    return {name: re.compile(rb"(?<![\w.)\]-])" + re.escape(name) + rb"(?![\w-])") for name in names}


def texts(raw: bytes) -> Iterator[bytes]:
    """The bytes, and what is packed in them, once more as what an address or JSON writes otherwise."""
    yield raw
    if b"%2F" in raw or rb"\/" in raw:
        yield urllib.parse.unquote_to_bytes(raw.replace(rb"\/", b"/"))
    for found in PACKED.finditer(raw):
        piece = found[0][: len(found[0]) // 4 * 4]
        yield from texts(base64.b64decode(piece))
    for found in STREAM.finditer(raw):
        try:
            yield zlib.decompressobj().decompress(raw[found.start() :], MOST)
        except zlib.error:
            continue


def of(path: pathlib.Path) -> Iterator[bytes]:
    """What a file tells: of GeoParquet its metadata and columns of text too, which lie compressed in it."""
    yield path.name.encode()
    yield from texts(path.read_bytes())
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        yield str(table.schema.metadata).encode()
        for column in table.columns:
            if "binary" not in str(column.type):  # geometries
                yield str(column.to_pylist()).encode()


def told(folder: pathlib.Path, *more: pathlib.Path) -> list[str]:
    """Files below a folder that name a place of this machine (`places`) or hold a token: file and what it says."""
    names, found = places(*more), []
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        if path.parent.name == "__pycache__":
            continue  # compiled by whoever ran the code that lies there, no product
        for text in of(path):
            asked = [pattern for name, pattern in names.items() if name in text]
            asked += [TOKEN] if path.suffix != ".py" else []  # code says what a token looks like
            hits = [hit for pattern in asked if (hit := pattern.search(text))]
            found += [f"{path.relative_to(folder)}: {text[max(hit.start() - 40, 0) : hit.end() + 60]}" for hit in hits]
    return found
