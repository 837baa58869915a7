"""A satellite's pass over a landscape, and how what it saw is kept: COG files and a STAC item that names them."""

import dataclasses
import pathlib

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
EXTENSION = "https://stac-extensions.github.io/{}/schema.json"


@dataclasses.dataclass(frozen=True)
class Pass:
    """One overpass: collection, number of the landscape's date that it shows, time (UTC), and the weather of the day.

    platform and baseline as its collection writes them; cover: share under cloud; cirrus: share under thin cloud;
    snow: m above which new snow lies (None: none).
    """

    collection: str
    date: int
    when: str
    platform: str = ""
    baseline: str = ""
    cover: float = 0.0
    cirrus: float = 0.0
    snow: float | None = None


@dataclasses.dataclass(frozen=True)
class Layer:
    """One file of a picture: asset key, file name, pixels (y, x), geometry, and what its asset says beyond that."""

    key: str
    name: str
    pixels: np.ndarray
    transform: rasterio.Affine | None
    crs: str
    nodata: float | None
    facts: dict
    overviews: str = "average"
    gcps: tuple = ()


@dataclasses.dataclass(frozen=True)
class Picture:
    """What a pass delivers: its identifier, layers, STAC properties and extensions."""

    identifier: str
    layers: tuple[Layer, ...]
    properties: dict
    extensions: tuple[str, ...]


def coarser(a: np.ndarray, step: int) -> np.ndarray:
    """Block means over step x step pixels of the last two dimensions, the edge repeated where it does not divide.

    >>> coarser(np.arange(6.0).reshape(2, 3), 2)
    array([[2. , 3.5]])
    """
    pad = [(0, 0)] * (a.ndim - 2) + [(0, -n % step) for n in a.shape[-2:]]
    a = np.pad(a, pad, mode="edge")
    return a.reshape(*a.shape[:-2], a.shape[-2] // step, step, a.shape[-1] // step, step).mean(axis=(-3, -1))


def grid(geobox: GeoBox, pixel: float) -> tuple[rasterio.Affine, str]:
    """Transform and CRS of the same area in pixels of `pixel` metres, from the same upper left corner."""
    a = geobox.affine
    return rasterio.Affine(pixel, 0.0, a.c, 0.0, -pixel, a.f), f"EPSG:{geobox.crs.to_epsg()}"


def placed(geobox: GeoBox, pixel: int) -> dict:
    """proj:bbox, proj:shape and proj:transform of that grid."""
    transform, _ = grid(geobox, pixel)
    rows, columns = (-(-round(n * geobox.resolution.x) // pixel) for n in geobox.shape)
    box = [transform.c, transform.f - rows * pixel, transform.c + columns * pixel, transform.f]
    return {"proj:bbox": box, "proj:shape": [rows, columns], "proj:transform": list(transform)[:6]}


def asset(name: str, title: str, roles: tuple[str, ...] = ("data",), **more) -> dict:
    """A STAC asset whose file lies in the region's `data` folder, seen from an item's."""
    return {"href": f"../../data/{name}", "type": COG, "roles": list(roles), "title": title, **more}


def store(
    path: pathlib.Path, pixels: np.ndarray, transform, crs: str, nodata=None, overviews="average", names=(), gcps=()
):
    """Write (y, x) or (band, y, x) as a Cloud Optimized GeoTIFF: the same bytes for the same pixels."""
    pixels = pixels if pixels.ndim == 3 else pixels[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    # `gcps` stand for a transform in radar geometry, where rows and columns are no map's
    place = {"gcps": list(gcps)} if gcps else {"transform": transform}
    count, height, width = pixels.shape
    with rasterio.open(
        path, "w", driver="COG", width=width, height=height, count=count, dtype=pixels.dtype, nodata=nodata, crs=crs,
        compress="ZSTD", level=9, predictor="YES", blocksize=512, overview_resampling=overviews, **place,
    ) as file:  # fmt: skip
        file.write(pixels)
        for index, name in enumerate(names, 1):
            file.set_band_description(index, name)


def keep(picture: Picture, flight: Pass, geobox: GeoBox, folder: pathlib.Path) -> dict:
    """Write the layers of `picture` to `folder`/data; returns the STAC item (for `folder`/items/<collection>)."""
    for layer in picture.layers:
        store(
            folder / "data" / layer.name,
            layer.pixels,
            layer.transform,
            layer.crs,
            layer.nodata,
            layer.overviews,
            gcps=layer.gcps,
        )
    ring = [[round(x, 8), round(y, 8)] for x, y in geobox.extent.to_crs("EPSG:4326").exterior.points]
    x, y = np.array(ring).T
    parent = f"../../collections/{flight.collection}.json"
    extensions = [EXTENSION.format(name) for name in picture.extensions]
    return {
        "type": "Feature", "stac_version": "1.0.0", "stac_extensions": extensions,
        "id": picture.identifier, "collection": flight.collection, "bbox": [x.min(), y.min(), x.max(), y.max()],
        "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": picture.properties,
        "assets": {layer.key: layer.facts for layer in picture.layers},
        "links": [{"rel": rel, "type": "application/json", "href": parent} for rel in ("collection", "parent")],
    }  # fmt: skip


def collection(name: str, items: list[dict]) -> dict:
    """The STAC collection of `items`."""
    times = sorted(i["properties"]["datetime"] for i in items)
    return {
        "type": "Collection", "stac_version": "1.0.0", "id": name, "title": f"{name} (synthetic landscape)",
        "description": "Images of a landscape that does not exist, in the form of the real collection.",
        "license": "Apache-2.0", "keywords": ["synthetic"], "links": [],
        "extent": {"spatial": {"bbox": [items[0]["bbox"]]}, "temporal": {"interval": [[times[0], times[-1]]]}},
    }  # fmt: skip
