"""How often intervals of area change hold on landscapes that a system never saw, and the calibration that ships.

    python benchmarks/intervals.py [--landscapes 20] [--first 21001 22001] [--folder .cache/intervals] [--card] [--json]

Each landscape is made as satellites deliver it, mapped at its first date and its last by the road of 03_area_change and
compared with its exact outlines on the ground that both dates saw: a minute of one core, kept in --folder. Coverage of
the nominal 90 % is measured on each landscape in turn by what all others calibrate (`calibration.fit`), beside the
buffer method's, for glaciers and for whole landscapes. --card writes what all of them calibrate, with the numbers
measured, into the card of the system's weights.
"""

import argparse
import dataclasses
import datetime
import json
import pathlib
import tempfile

import geopandas as gpd
import numpy as np
import pandas as pd
from tqdm import tqdm

from glacier_nb import (
    calibration,
    change,
    features,
    landscapes,
    predict,
    provenance,
    summers,
    synthetic,
    systems,
    uncertainty,
    vectorize,
    weights,
)
from glacier_nb.truth import Landscape

DATES = (0, 4)
"""First and last of a landscape's dates."""


def mapped(seed: int, system: str) -> pd.DataFrame:
    """`calibration.pairs` of one landscape, with `seed`."""
    from glacier_nb import imaging  # numba compiles on import

    land, sensor = synthetic.landscape(seed), landscapes.sensor(system)
    years = [int(str(synthetic.DATES[date])[:4]) for date in DATES]
    passes = [
        one
        for one in imaging.PASSES
        if one.collection == "cop-dem-glo-30" or (one.collection in (sensor, "sentinel-1-rtc") and one.date in DATES)
    ]
    found, seen = [], []
    with tempfile.TemporaryDirectory() as folder:
        bbox = imaging.images(land, passes, pathlib.Path(folder), progress=False)[0]["bbox"]
        items = summers.items(bbox, years, folder, optical=sensor)
        for _, scene in summers.scenes(items, years, land.geobox, folder):
            scene = summers.read(scene)
            layers = features.stack(scene, systems.layers(system, scene))
            zones = predict.zones(layers, system, progress=False)
            found.append(vectorize.outlines(zones, land.divides))
            seen.append(vectorize.seen(zones))
    return beside(*(pd.concat(some, ignore_index=True) for some in (found, seen)), land).assign(seed=seed)


def beside(found: gpd.GeoDataFrame, seen: gpd.GeoDataFrame, land: Landscape) -> pd.DataFrame:
    """The changes of mapped outlines beside those of the landscape's own."""
    true = land.outlines[land.outlines["time"].isin(synthetic.DATES[list(DATES)])]
    return calibration.pairs(*(change.area(one, land.divides, seen) for one in (found, true)))


def held(rows: pd.DataFrame) -> dict:
    """How often bounds hold and how wide they are, each landscape by what all others calibrate: of glaciers, regions.

    buffer: as they are without. widened: the factor by which the buffer's width would hold as often; width: mean, over
    the buffer's.
    """
    bounds = []
    for seed in rows["seed"].unique():
        found = calibration.fit(rows[rows["seed"] != seed])
        for name, some in rows[rows["seed"] == seed].groupby(np.where(rows["rgi_id"] == "region", "region", "change")):
            one = found[f"{name}_interval"]
            scale = some["scale_m2"] ** one.power
            low, high = (some["mapped_m2"] + side * scale for side in (one.low, one.high))
            bounds.append(some.assign(kind=name, lower_m2=low, upper_m2=high))
    bounds, out = pd.concat(bounds), {}
    for kind, some in bounds.groupby("kind"):
        ours = uncertainty.coverage(some["true_m2"], some)
        off, scale = (some["true_m2"] - some["mapped_m2"]).abs(), some["scale_m2"]
        out[{"change": "glaciers"}.get(kind, "regions")] = {
            "n": ours["n"], "coverage": ours["coverage"], "error": ours["error"],
            "width": ours["width"] / float(2 * scale.mean()), "buffer_coverage": float((off <= scale).mean()),
            "buffer_widened": float(np.quantile(off / scale, ours["coverage"])),
        }  # fmt: skip
    return out


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--landscapes", type=int, default=20, help="how many from each first seed (20)")
    parser.add_argument("--first", type=int, nargs="+", default=[21001, 22001], help="first seeds (21001 22001)")
    parser.add_argument("--system", default="extent-demo", help="what maps them (extent-demo)")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path(".cache/intervals"), help="keeps them")
    parser.add_argument("--card", action="store_true", help="write what was found into the card of the weights")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    seeds, rows = [first + number for first in asked.first for number in range(asked.landscapes)], []
    for seed in tqdm(seeds, "landscapes"):
        path = asked.folder / f"{asked.system}-{seed}.parquet"
        if not path.exists():
            with provenance.whole(path) as temporary:
                mapped(seed, asked.system).to_parquet(temporary)
        rows.append(pd.read_parquet(path))
    rows = pd.concat(rows, ignore_index=True)
    found = held(rows)
    if asked.card:
        write(asked.system, rows, found, seeds)
    print(json.dumps(found) if asked.json else pd.DataFrame(found).round(3).to_string())


def write(system: str, rows: pd.DataFrame, found: dict, seeds: list[int]) -> None:
    """The calibration of all rows into the card of the system's weights."""
    row = weights.default(system)
    told = {name: {} for name in ("change_interval", "region_interval")}
    for name, kind in zip(told, ("glaciers", "regions"), strict=True):
        one = calibration.fit(rows)[name]
        share = f" of synthetic landscapes; it held {found[kind]['coverage']:.0%} of {found[kind]['n']} others"
        told[name] = dataclasses.asdict(dataclasses.replace(one, source=one.source + share))
    told |= {"sensor": landscapes.sensor(system), "pixel_m": 10.0, "seeds": seeds, "measured": found}
    first = [seed for seed in seeds if seed - 1 not in seeds]
    each = f"--landscapes {len(seeds) // len(first)} --first {' '.join(map(str, first))}"
    told["command"] = f"python benchmarks/intervals.py {each} --card"
    told["created"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    path = (weights.FOLDER / row.file).with_suffix(".json")
    provenance.write(path, {**row.card, calibration.KEY: told})


if __name__ == "__main__":
    main()
