"""The embedded region: built once, served on loopback, mapped by the notebooks, and held against its own truth."""

import atexit
import contextlib
import hashlib
import json
import os
import pathlib
import time

import geopandas as gpd
import numpy as np
import pandas as pd
import pooch

from glacier_nb import batch, metrics, plots, provenance, serve, terminus, vectorize

MAKERS = ("spectra", "iceflow", "synthetic", "imaging")
"""The modules that decide the region's bytes: when one changes, the region is made again."""

_open = contextlib.ExitStack()
_addresses: dict[int, str] = {}
atexit.register(_open.close)


def folder(seed: int = 7) -> pathlib.Path:
    """The region's folder in the user's cache (GLACIER_NB_CACHE moves it), made when it is not there."""
    here = pathlib.Path(__file__).parent
    sources = b"".join((here / f"{name}.py").read_bytes() for name in MAKERS if (here / f"{name}.py").exists())
    cache = pathlib.Path(os.environ.get("GLACIER_NB_CACHE", pooch.os_cache("glacier_nb")))
    path = cache / f"demo-{seed}-{hashlib.sha256(sources).hexdigest()[:12]}"
    if not path.exists():
        from glacier_nb import imaging  # numba compiles on import: only where a region is made

        with provenance.whole(path) as temporary:
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


def region(name: str, seed: int = 7) -> str | list[float]:
    """`name` itself, or for "demo" the bounding box of the embedded region (lon/lat)."""
    return json.loads((folder(seed) / "region.json").read_text())["bbox"] if name == "demo" else name


def truth(name: str, seed: int = 7) -> gpd.GeoDataFrame:
    """One of the embedded region's true layers: outlines, divides, fronts, centrelines or boxes."""
    return gpd.read_parquet(folder(seed) / "truth" / f"{name}.parquet")


def run(seed: int = 7, out: pathlib.Path = pathlib.Path("out/demo")) -> pathlib.Path:
    """The whole demo: build, serve, run the notebooks on one Dask cluster, compare with the truth, write the index.

    Returns the path of `index.html`; `summary.json` stands beside it.
    """
    out = pathlib.Path(out)
    seconds, start = {}, time.time()
    with batch.peak_memory() as memory:
        folder(seed)
        seconds["build"] = round(time.time() - start, 2)
        reports = batch.tour(batch.TOUR, {"region": "demo", "provider": provider("demo", seed), "seed": seed}, out)
    seconds |= {report["notebook"]: report["seconds"] for report in reports}
    facts = {"seconds": seconds, "first_map_seconds": reports[0]["first_map_seconds"]}
    facts |= {"peak_memory_mb": round(memory["mb"], 1), **compare(seed, out), "seeds": [seed]}
    seconds["total"] = round(time.time() - start, 2)
    provenance.write(out / "summary.json", facts)
    return plots.index(out / "index.html", facts, reports)


def compare(seed: int, out: pathlib.Path) -> dict:
    """Retrieved against true, from the products that the notebooks left in `out`. Percent, points and pixels (10 m)."""
    true, found = truth("outlines", seed), gpd.read_parquet(out / "03_area_change" / "outlines.parquet")
    error = {
        system: (areas / true.groupby("time").area_m2.sum() - 1).mul(100).round(3)
        for system, areas in found.groupby(["system", "time"]).area_m2.sum().groupby("system")
    }
    print(error)
    return {}
