"""The synthetic landscape as satellites would have delivered it: COGs and STAC items, and the truth beside them."""

import concurrent.futures
import hashlib
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from tqdm.auto import tqdm

from glacier_nb import optical, provenance, radar, synthetic
from glacier_nb.overpass import Pass, collection, grid, keep, store
from glacier_nb.truth import Landscape
from glacier_nb.vectorize import ZONES

# Three Sentinel-2 scenes a date: before it with clouds, on it nearly clear, after it with new snow on two dates
PASSES = (
    Pass("sentinel-2-l2a", 0, "2017-08-11T14:07:51", "S2A", "02.12", 0.35, 0.10),
    Pass("sentinel-2-l2a", 0, "2017-08-21T14:07:49", "S2A", "02.12", 0.04),
    Pass("sentinel-2-l2a", 0, "2017-09-02T14:17:51", "S2B", "02.12", 0.10),
    Pass("sentinel-2-l2a", 1, "2019-08-10T14:17:49", "S2A", "02.12", 0.25),
    Pass("sentinel-2-l2a", 1, "2019-08-22T14:07:51", "S2B", "02.12", 0.05, 0.04),
    Pass("sentinel-2-l2a", 1, "2019-09-04T14:17:51", "S2A", "02.12", 0.08, 0.0, 420.0),
    Pass("sentinel-2-l2a", 2, "2021-08-08T14:17:49", "S2B", "03.01", 0.30, 0.12),
    Pass("sentinel-2-l2a", 2, "2021-08-20T14:07:51", "S2A", "03.01", 0.03),
    Pass("sentinel-2-l2a", 2, "2021-08-31T14:17:51", "S2B", "03.01", 0.12),
    Pass("sentinel-2-l2a", 3, "2023-08-11T14:07:49", "S2A", "05.09", 0.20),
    Pass("sentinel-2-l2a", 3, "2023-08-23T14:17:51", "S2B", "05.09", 0.04),
    Pass("sentinel-2-l2a", 3, "2023-09-06T14:07:51", "S2A", "05.09", 0.07, 0.0, 300.0),
    Pass("sentinel-2-l2a", 4, "2025-08-09T14:17:51", "S2B", "05.11", 0.30, 0.10),
    Pass("sentinel-2-l2a", 4, "2025-08-21T14:07:49", "S2A", "05.11", 0.05),
    Pass("sentinel-2-l2a", 4, "2025-09-01T14:07:51", "S2B", "05.11", 0.10),
    Pass("landsat-c2-l2", 0, "2017-08-18T14:20:12", "LC08", cover=0.06),
    Pass("landsat-c2-l2", 1, "2019-08-24T14:20:31", "LC08", cover=0.04),
    Pass("landsat-c2-l2", 2, "2021-08-21T14:20:18", "LC08", cover=0.08),
    Pass("landsat-c2-l2", 3, "2023-08-19T14:20:25", "LC09", cover=0.05),
    Pass("landsat-c2-l2", 4, "2025-08-24T14:20:09", "LC09", cover=0.03),
    Pass("sentinel-1-rtc", 0, "2017-08-20T08:55:10", "S1A"),
    Pass("sentinel-1-rtc", 1, "2019-08-22T08:55:22", "S1A"),
    Pass("sentinel-1-rtc", 2, "2021-08-23T08:55:34", "S1A"),
    Pass("sentinel-1-rtc", 3, "2023-08-25T08:55:46", "S1A"),
    Pass("sentinel-1-rtc", 4, "2025-08-26T08:55:58", "S1A"),
    Pass("sentinel-1-grd", 0, "2017-08-24T20:12:41", "S1A"),
    Pass("sentinel-1-grd", 4, "2025-08-22T20:13:29", "S1A"),
    Pass("cop-dem-glo-30", 0, "2017-08-21T00:00:00"),
    Pass("cop-dem-glo-30", 4, "2025-08-21T00:00:00"),
)  # fmt: skip


MAKERS = {
    "sentinel-2-l2a": optical.sentinel2,
    "landsat-c2-l2": optical.landsat,
    "sentinel-1-rtc": radar.sentinel1_rtc,
    "sentinel-1-grd": radar.sentinel1_grd,
    "cop-dem-glo-30": radar.elevation,
}


def write_truth(land: Landscape, folder: pathlib.Path) -> None:
    """Tables as GeoParquet; zones, surface and elevation change as COGs with a band per date; volumes as JSON."""
    folder.mkdir(parents=True)
    for name in ("outlines", "divides", "fronts", "centrelines", "boxes", "rock_glaciers"):
        getattr(land, name).to_parquet(folder / f"{name}.parquet")
    dates, place = [str(t)[:10] for t in land.zones.time.values], grid(land.geobox, 10)
    surface = np.round(land.surface.values * 64.0) / np.float32(64.0)
    change = (surface[-1] - surface[0]) / np.float32(synthetic.AGE[-1])
    store(folder / "zones.tif", land.zones.values, *place, overviews="nearest", names=dates)
    store(folder / "surface.tif", surface, *place, names=dates)
    store(folder / "dh_dt.tif", change, *place, names=["dh_dt, m a-1"])
    rows = land.budget.assign(time=dates).to_dict("records")
    facts = {"unit": "m3", "flow_grid_m": synthetic.COARSE * 10, "zones": ZONES, **land.budget.attrs, "dates": rows}
    provenance.write(folder / "ice_volume.json", facts)


def digest(folder: pathlib.Path) -> str:
    """sha256 over the names and bytes of every file under `folder`."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(path.relative_to(folder).as_posix().encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def images(land: Landscape, passes: Sequence[Pass], folder: pathlib.Path, progress: bool = True) -> list[dict]:
    """What each pass saw as COGs in `folder`/data, its item in items/, the collections in collections/; the items."""
    fields = optical.textures(land)

    def take(number: int) -> dict:
        flight = passes[number]
        picture = MAKERS[flight.collection](land, flight, np.random.default_rng([land.seed, 1, number]), fields)
        item = keep(picture, flight, land.geobox, folder)
        provenance.write(folder / "items" / flight.collection / f"{item['id']}.json", item)
        return item

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        numbers = range(len(passes))
        items = list(tqdm(pool.map(take, numbers), total=len(passes), desc="images", disable=not progress))
    for name in MAKERS:
        if group := [item for item in items if item["collection"] == name]:
            provenance.write(folder / "collections" / f"{name}.json", collection(name, group))
    return items


def write(folder: str | os.PathLike, seed: int, size: int = synthetic.SIDE, progress: bool = True) -> pathlib.Path:
    """Make the region of `seed` in `folder`, whole or not at all; returns the folder.

    region.json; collections/<id>.json; items/<collection>/<id>.json with relative hrefs; data/* (COG); truth/*.
    `size` in pixels of 10 m: 1024 is the whole landscape, less is a window about the calving front. The same seed and
    size give the same bytes. ValueError for a size that is no multiple of 8 from 128 to 1024.
    """
    land = synthetic.landscape(seed, size)
    with provenance.whole(folder) as path:
        path.mkdir()
        items = images(land, PASSES, path, progress)
        write_truth(land, path / "truth")
        dates = [str(t)[:10] for t in synthetic.DATES]
        facts = {"name": f"synthetic-{seed}", "seed": seed, "size": size, "bbox": items[0]["bbox"]}
        facts |= {"crs": grid(land.geobox, 10)[1], "years": [int(d[:4]) for d in dates], "dates": dates}
        provenance.write(path / "region.json", {**facts, "sha": digest(path)})
    return pathlib.Path(folder)
