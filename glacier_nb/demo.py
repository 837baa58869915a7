"""The embedded region: built once in the user's cache, served on loopback by a real STAC API, its truth beside it."""

import atexit
import contextlib
import os
import pathlib
import typing

import pooch

from glacier_nb import provenance, serve

if typing.TYPE_CHECKING:
    import geopandas as gpd

_open = contextlib.ExitStack()
_addresses: dict[int, str] = {}
atexit.register(_open.close)


def folder(seed: int = 7) -> pathlib.Path:
    """The region's folder in the user's cache (GLACIER_NB_CACHE moves it), made when it is not there."""
    cache = pathlib.Path(os.environ.get("GLACIER_NB_CACHE", pooch.os_cache("glacier_nb")))
    path = cache / f"demo-{seed}-{provenance.sources('imaging')}"  # made again when what makes it changes
    if not path.exists():
        from glacier_nb import imaging  # numba compiles on import: only where a region is made

        with provenance.whole(path, replace=False) as temporary:
            imaging.write(temporary, seed)
    return path


def provider(name: str, seed: int = 7) -> str:
    """`name` itself, or for "demo" the address of a STAC API on loopback that serves the embedded region.

    The servers belong to this process and stop with it.
    """
    if name != "demo":
        return name
    if seed not in _addresses:
        _addresses[seed] = _open.enter_context(serve.folder(folder(seed))).stac
    return _addresses[seed]


def region(name: str, seed: int = 7) -> str:
    """`name` itself, or for "demo" the path of the embedded region's description."""
    return str(folder(seed) / "region.json") if name == "demo" else name


def inventory(name: str, seed: int = 7) -> str:
    """`name` itself, or for "demo" the path of the embedded region's ice divides."""
    return str(folder(seed) / "truth" / "divides.parquet") if name == "demo" else name


def reference(name: str, seed: int = 7) -> str:
    """`name` itself, or for "demo" the path of the embedded region's true outlines at every date."""
    return str(folder(seed) / "truth" / "outlines.parquet") if name == "demo" else name


def rock_glaciers(name: str, seed: int = 7) -> str:
    """`name` itself, or for "demo" the path of the embedded region's true rock glaciers."""
    return str(folder(seed) / "truth" / "rock_glaciers.parquet") if name == "demo" else name


def truth(name: str, seed: int = 7) -> "gpd.GeoDataFrame":
    """One of the embedded region's true layers: outlines, divides, fronts, centrelines, boxes or rock_glaciers.

    Columns as `Landscape` has them.
    """
    import geopandas as gpd  # 60 MB, which a process that only serves the region does without

    return gpd.read_parquet(folder(seed) / "truth" / f"{name}.parquet")
