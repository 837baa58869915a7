"""The reader of traces finds a folder of this machine, and a token, wherever a file can hold one."""

import base64
import json
import pathlib
import zlib

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import traces
import xarray as xr
from PIL import Image, PngImagePlugin

HERE = str(pathlib.Path.home() / "made" / "here.tif")
SIGNED = "https://a.b/c.tif?st=2026&sig=abc%3D"


def vector(path: pathlib.Path, text: str) -> None:
    """An outline whose column says the text."""
    gpd.GeoDataFrame({"source": [text]}, geometry=[shapely.box(0, 0, 1, 1)], crs=32633).to_file(path)


def table(path: pathlib.Path, text: str) -> None:
    """Outlines whose last one says the text: a column with a dictionary, compressed."""
    texts = ["elsewhere"] * 4000 + [text]
    gpd.GeoDataFrame({"source": texts}, geometry=[shapely.Point(0, 0)] * 4001, crs=32633).to_parquet(path)


def raster(path: pathlib.Path, text: str) -> None:
    """A raster with the text for a tag."""
    profile = {"driver": "GTiff", "width": 8, "height": 8, "count": 1, "dtype": "uint8", "compress": "deflate"}
    with rasterio.open(path, "w", **profile) as made:
        made.write(np.zeros((1, 8, 8), "uint8"))
        made.update_tags(source=text)


def picture(path: pathlib.Path, text: str, packed: bool = False) -> None:
    """A picture with the text in it as its format has it; `packed`: compressed, as PNG may."""
    image, told = Image.new("RGB", (8, 8)), PngImagePlugin.PngInfo()
    told.add_text("source", text, zip=packed)
    ways = {".png": {"pnginfo": told}, ".webp": {"xmp": text.encode()}, ".gif": {"comment": text.encode()}}
    image.save(path, **ways[path.suffix])


def page(path: pathlib.Path, text: str) -> None:
    """A page with a picture inside that says the text."""
    inner = path.with_suffix(".png")
    picture(inner, text, packed=True)
    packed = base64.b64encode(inner.read_bytes()).decode()
    inner.unlink()
    path.write_text(f"<img src='data:image/png;base64,{packed}'>")


def store(path: pathlib.Path, text: str) -> None:
    """A store of zones that says the text in its attributes."""
    layer = xr.Dataset({"a": ("x", np.zeros(3))}, attrs={"source": text})
    layer.to_zarr(path, zarr_format=3, consolidated=False)


WAYS = {
    "a.parquet": table, "a.gpkg": vector, "a.geojson": vector, "a.tif": raster, "a.png": picture,
    "b.png": lambda path, text: picture(path, text, packed=True), "a.webp": picture, "a.gif": picture, "a.html": page,
    "a.zarr": store, "a.json": lambda path, text: path.write_text(json.dumps(text).replace("/", r"\/")),
    "a.yml": lambda path, text: path.write_text(f"source: '{text}'"),
    "a.svg": lambda path, text: path.write_text(f"<svg><desc>file://{text}</desc></svg>"),
    "a.pdf": lambda path, text: path.write_bytes(b"%PDF-1.4 stream\n" + zlib.compress(text.encode()) + b"endstream"),
}  # fmt: skip
"""Each kind of file, and how a text gets into it."""


@pytest.mark.parametrize("text", [HERE, SIGNED], ids=["place", "token"])
@pytest.mark.parametrize("name", WAYS)
def test_it_is_found_in_every_kind_of_file(name, text, tmp_path):
    WAYS[name](tmp_path / name, "https://a.b/made/here.tif")
    assert not traces.told(tmp_path), "this tells nothing"
    (tmp_path / "more").mkdir()
    WAYS[name](tmp_path / "more" / name, text)
    assert traces.told(tmp_path) and all(one.startswith(f"more/{name}") for one in traces.told(tmp_path))


def test_a_name_that_only_looks_like_it_is_none(tmp_path):
    home = pathlib.Path.home().name
    (tmp_path / "a.txt").write_text(f"https://a.b/{home}/c.tif {HERE.replace(home, home + '-like')} ?signal=1 /data/x")
    assert not traces.told(tmp_path)
