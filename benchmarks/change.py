"""Area change of many outlines against the plain overlay, and elevation inside outlines against rasterstats.

    python benchmarks/change.py [--n 10000] [--runs 3] [--pairs 20] [--peers .cache/peers/bin/python] [--json]

Drawn glaciers, each in its basin, at two dates. Ours: `change.area` over the ice divides, with intervals and events.
Plain: `geopandas.overlay` of each date with the divides, then of the two dates, areas by groupby. Both must find the
same change. Mean elevation: `attributes.zonal`, each pixel weighed by the share of it inside, against rasterstats,
which is asked in an environment of its own with the project's own versions, as in a user's; null where it is not there:

    python -m venv .cache/peers && .cache/peers/bin/pip install -c requirements.lock rasterstats geopandas

Every part runs in a process of its own, in turns; times are medians, memory is the peak of the process less what its
imports took. Intervals: `uncertainty.conformal` on 1500 glaciers of `margins.drawn`, whose maps err alike along
margins, within scenes and by the system, tried on 4000 of another seed; with --pairs 20 alone, on 20 pairs of seeds,
1000 glaciers to calibrate and 2000 tried. How often intervals of a system's own maps hold: benchmarks/intervals.py.
"""

import argparse
import functools
import json
import pathlib
import resource
import subprocess
import sys
import time

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from tqdm import tqdm

CRS = "EPSG:32632"
SIDE = 2000.0
SURFACES = ("zonal", "rasterstats")
PARTS = ("ours", "overlay", *SURFACES)


def drawn(n: int, seed: int = 0) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """`n` glaciers of 96 vertices at two dates, and their basins: squares of 2 km side by side."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(n)))
    x, y = np.divmod(np.arange(n), side)
    west, south = 300_000 + x * SIDE, 5_000_000 + y * SIDE
    basins = gpd.GeoDataFrame(
        {"rgi_id": [f"g{k:05d}" for k in range(n)]},
        geometry=shapely.box(west, south, west + SIDE, south + SIDE),
        crs=CRS,
    )
    turn = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    waves = rng.normal(0, 0.12, (n, 4, 1)) * np.sin(np.arange(2, 6)[:, None] * turn + rng.uniform(0, 6, (n, 4, 1)))
    radius = SIDE * np.minimum(0.4 * (1 + waves.sum(axis=1)), 0.49)
    east = np.array([0.65, 0.5]) * SIDE  # each reaches over the divide in the east, and touches no other glacier
    frames = []
    for year, size in ((2000, 1.0), (2020, rng.uniform(0.7, 1.0, (n, 1)))):
        points = np.stack([radius * size * np.cos(turn), radius * size * np.sin(turn)], axis=-1)
        rings = points + np.stack([west, south], axis=-1)[:, None] + east
        shapes = shapely.make_valid(shapely.polygons(rings))
        time_ = pd.Timestamp(f"{year}-09-01")
        frames.append(gpd.GeoDataFrame({"time": time_, "system": "drawn"}, index=range(n), geometry=shapes, crs=CRS))
    return pd.concat(frames, ignore_index=True), basins


def ours(outlines: gpd.GeoDataFrame, basins: gpd.GeoDataFrame) -> float:
    """Change of the region in m2 by `change.area`."""
    from glacier_nb import change

    table = change.area(outlines, basins, pixel=10.0)
    return float(table[table["rgi_id"] == "region"]["change_m2"].iloc[-1])


def overlay(outlines: gpd.GeoDataFrame, basins: gpd.GeoDataFrame) -> float:
    """The same as most notebooks do it."""
    dates = [one for _, one in outlines.groupby("time")]
    cut = [gpd.overlay(one, basins, how="intersection", keep_geom_type=True) for one in dates]
    whole = [one.dissolve("rgi_id").reset_index() for one in cut]
    lost, won = (gpd.overlay(a, b, how="difference", keep_geom_type=True) for a, b in (whole, whole[::-1]))
    areas = [one.assign(area=one.area).groupby("rgi_id")["area"].sum() for one in (*whole, lost, won)]
    return float((areas[1].sum() - areas[0].sum() + (areas[3].sum() - areas[2].sum())) / 2)


def ground(basins: gpd.GeoDataFrame):
    """A rough surface of 30 m pixels under the basins: values and transform."""
    return _ground(*map(float, basins.total_bounds))


@functools.lru_cache(1)
def _ground(west: float, south: float, east: float, north: float):
    """Drawn before the clock starts: neither library made it."""
    from rasterio.transform import from_origin

    shape = (int((north - south) / 30) + 1, int((east - west) / 30) + 1)
    return np.random.default_rng(1).normal(2500, 300, shape).astype("float32"), from_origin(west, north, 30, 30)


def zonal(outlines: gpd.GeoDataFrame, basins: gpd.GeoDataFrame) -> float:
    """Mean over all outlines of their mean elevation, pixels weighed by the share inside."""
    import odc.geo.xr
    from odc.geo.geobox import GeoBox

    from glacier_nb import attributes

    values, transform = ground(basins)
    layer = odc.geo.xr.wrap_xr(values, GeoBox(values.shape, transform, CRS))
    return float(attributes.zonal(layer, outlines, ["mean", "min", "max"])["mean"].mean())


def rasterstats(outlines: gpd.GeoDataFrame, basins: gpd.GeoDataFrame) -> float:
    """The same by rasterstats, which counts pixels whose centre is inside."""
    from rasterstats import zonal_stats

    values, transform = ground(basins)
    rows = zonal_stats(outlines, values, affine=transform, nodata=-9999, stats=["mean", "min", "max"])
    return float(np.mean([row["mean"] for row in rows]))


def measure(part: str, n: int) -> dict:
    """Seconds, peak memory above the start (MB) and the answer of one part in this process."""
    outlines, basins = drawn(n)
    run = globals()[part]
    run(*drawn(150))  # imports and first calls
    if part in SURFACES:
        ground(basins)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    answer = run(outlines, basins)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
        "is": answer,
    }


def intervals(calibrate: int = 1500, tried: int = 4000, seed: int = 1) -> dict[str, float]:
    """How often nominal 90 % holds glaciers of another seed, and the mean width against the buffer method's."""
    from glacier_nb import margins, uncertainty

    def mapped(n: int, seed: int) -> tuple:
        true, found = margins.drawn(n, seed)
        bounds = uncertainty.area_interval(found, 10.0)
        return bounds["area_m2"], shapely.area(true), bounds["upper_m2"] - bounds["area_m2"], bounds

    model = uncertainty.conformal(*mapped(calibrate, seed)[:3], by_size=True)
    found, true, half, buffers = mapped(tried, seed + 1)
    ours, theirs = (uncertainty.coverage(true, one)
                    for one in (uncertainty.conformal_interval(found, half, model), buffers))  # fmt: skip
    return {"interval_coverage_90": ours["coverage"], "interval_width_vs_buffer": ours["width"] / theirs["width"],
            "buffer_coverage": theirs["coverage"]}  # fmt: skip


def over_seeds(pairs: int) -> dict:
    """Coverage of the nominal 90 % over pairs of seeds: how much one pair's depends on chance."""
    seeds = tqdm(range(1, 2 * pairs, 2), desc="pairs of seeds", delay=2)
    found = [intervals(1000, 2000, seed)["interval_coverage_90"] for seed in seeds]
    return {"pairs": pairs, "mean": float(np.mean(found)), "least": min(found), "most": max(found)}


def asked_of(python: str, part: str, n: int) -> dict | None:
    """One part in a process of its own, or None where its environment or what it needs is not there."""
    if not pathlib.Path(python).exists():
        return None
    done = subprocess.run([python, __file__, "--part", part, "--n", str(n)], capture_output=True, text=True)
    if done.returncode:
        print(f"change: no {part} by {python}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=10_000, help="glaciers (10000)")
    parser.add_argument("--runs", type=int, default=3, help="times each part is run (3)")
    peers = ".cache/peers/bin/python"
    parser.add_argument("--peers", default=peers, help=f"a Python that has rasterstats ({peers})")
    parser.add_argument("--pairs", type=int, help="only the intervals' coverage, over so many pairs of seeds")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        print(json.dumps(measure(asked.part, asked.n)))
        return
    if asked.pairs:
        found = over_seeds(asked.pairs)
        print(json.dumps(found) if asked.json else pd.Series(found).to_string())
        return
    runs: dict[str, list[dict]] = {part: [] for part in PARTS}
    for _ in range(asked.runs):  # in turns, so that a busy spell hits all
        for part in PARTS:
            run = asked_of(asked.peers if part == "rasterstats" else sys.executable, part, asked.n)
            runs[part] += [run] if run else []
    runs = {part: some for part, some in runs.items() if some}
    seconds = {part: float(np.median([run["seconds"] for run in some])) for part, some in runs.items()}
    memory = {part: float(np.median([run["mb"] for run in some])) for part, some in runs.items()}
    answers = {part: some[0]["is"] for part, some in runs.items()}
    found = {
        "n": asked.n,
        "seconds": seconds,
        "speedup_vs_overlay": seconds["overlay"] / seconds["ours"],
        "speedup_vs_rasterstats": seconds["rasterstats"] / seconds["zonal"] if "rasterstats" in seconds else None,
        "peak_memory_ratio": memory["ours"] / max(memory["overlay"], 1.0),
        **intervals(),
        "same_change": bool(np.isclose(answers["ours"], answers["overlay"], rtol=1e-6)),
        "same_means": bool(np.isclose(answers["zonal"], answers.get("rasterstats", answers["zonal"]), rtol=1e-3)),
    }
    print(json.dumps(found) if asked.json else pd.Series(found).to_string())


if __name__ == "__main__":
    main()
