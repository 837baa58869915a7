"""How often intervals of area change hold on landscapes that a system never saw, and the calibration that ships.

    python benchmarks/intervals.py [--calibrate 20] [--tried 10] [--folder .cache/intervals] [--card] [--json]

Each landscape is made as satellites deliver it, mapped at its first date and its last by the road of 03_area_change and
compared with its exact outlines on the ground that both dates saw: half a minute of one core, kept in --folder. Some
calibrate (`calibration.fit`; seeds 21001 on); on others (22001 on) it is counted how often the nominal 90 % holds,
beside the buffer method's bounds, for glaciers and for whole landscapes. --card writes the calibration, with what was
counted, into the card of the system's weights.
"""

import argparse
import dataclasses
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

FIRST = 21001, 22001
"""First seeds of the landscapes that calibrate, and of those that are tried: no network learnt from these."""


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


def held(rows: pd.DataFrame, found: dict[str, uncertainty.Conformal]) -> dict:
    """How often bounds hold and how wide they are, of glaciers and of regions: n, coverage, error, width.

    width: mean, over that of the buffer method, which holds buffer_coverage and, drawn out buffer_widened times, as
    often as these.
    """
    out = {}
    for kind, some in rows.groupby(np.where(rows["rgi_id"] == "region", "regions", "glaciers")):
        one = found[calibration.KINDS[kind][0]]
        scale = some["scale_m2"]
        low, high = (some["mapped_m2"] + side * scale**one.power for side in (one.low, one.high))
        ours = uncertainty.coverage(some["true_m2"], pd.DataFrame({"lower_m2": low, "upper_m2": high}))
        off = (some["true_m2"] - some["mapped_m2"]).abs() / scale
        ours["width"] /= float(2 * scale.mean())
        theirs = float((off <= 1).mean()), float(np.quantile(off, ours["coverage"]))
        out[kind] = ours | dict(zip(("buffer_coverage", "buffer_widened"), theirs, strict=True))
    return out


def kept(seeds: range, system: str, folder: pathlib.Path) -> pd.DataFrame:
    """`mapped` of many landscapes, each once."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in tqdm(seeds, f"landscapes {seeds.start} on", disable=None):
        path = folder / f"{system}-{seed}.parquet"
        if not path.exists():
            with provenance.whole(path) as temporary:
                mapped(seed, system).to_parquet(temporary)
        rows.append(pd.read_parquet(path))
    return pd.concat(rows, ignore_index=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--calibrate", type=int, default=20, help="landscapes to calibrate on (20), 9 at least")
    parser.add_argument("--tried", type=int, default=10, help="other landscapes, on which it is tried (10)")
    parser.add_argument("--system", default="extent-demo", help="what maps them (extent-demo)")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path(".cache/intervals"), help="keeps them")
    parser.add_argument("--card", action="store_true", help="write what was found into the card of the weights")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    asked = parser.parse_args()
    seeds = [range(first, first + n) for first, n in zip(FIRST, (asked.calibrate, asked.tried), strict=True)]
    rows, others = (kept(some, asked.system, asked.folder) for some in seeds)
    found = calibration.fit(rows)
    measured = held(others, found)
    told = {"sensor": landscapes.sensor(asked.system), "pixel_m": 10.0}
    for kind, (name, _) in calibration.KINDS.items():
        count = round(measured[kind]["coverage"] * measured[kind]["n"])
        share = f"of synthetic landscapes; it held {count} of {measured[kind]['n']} others"
        one = dataclasses.replace(found[name], source=f"{kind} {share}")
        told[name] = dataclasses.asdict(one)
    spans = ([some.start, some.stop - 1] for some in seeds)  # first and last
    told |= dict(zip(("seeds", "tried_seeds"), spans, strict=True)) | {"measured": measured}
    told["command"] = f"python benchmarks/intervals.py --calibrate {asked.calibrate} --tried {asked.tried} --card"
    if asked.card:
        row = weights.default(asked.system)
        path = (weights.FOLDER / row.file).with_suffix(".json")
        provenance.write(path, {**row.card, calibration.KEY: told})
    print(json.dumps(told) if asked.json else pd.DataFrame(measured).round(3).to_string())


if __name__ == "__main__":
    main()
