"""A series of dates against its single dates: the same network, scenes and steps, under cloud and melange.

    python benchmarks/series.py [--first 1000] [--steps 1000] [--seeds 9001 ...] [--tests 9013 ...] [--json]

`front-series` is trained on synthetic landscapes (`landscapes.series`: single Sentinel-2 passes with their clouds,
radar beside), `--first` steps date by date. From there it goes on twice for `--steps`: given one to five of the dates
at a time (`patches.batches`), and date by date as before. Both are tested on landscapes that neither saw. A front is
where ice is as likely as water (`vectorize.fronts`), in a box about all true fronts of the glacier, 50 pixels wider;
its distance is the mean of both directions to the true one. It is under cloud where a tenth or more of the true front
was hidden in that pass, in melange where there is some, else clear. Weights stay in the folder, their scores in their
cards: a second call tests them again.
"""

import argparse
import dataclasses
import json
import pathlib

import numpy as np
import pandas as pd
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from rasterio import Affine
from tqdm import tqdm

from glacier_nb import fitting, landscapes, metrics, predict, provenance, scores, synthetic, systems, vectorize
from glacier_nb.labels import Sample

SYSTEM, PIXEL = "front-series", 10.0
ZONES = systems.find(SYSTEM).zones
HIDDEN, AROUND = 0.1, 50
"""Share of a front from which it is under cloud; pixels about a glacier's fronts within which they are looked for."""

CARD = {
    "for": "showing a series of fronts under cloud, on the synthetic landscape of this project, and tests",
    "not_for": "measuring real fronts: it has seen spectra of a few surfaces on invented terrain and no real image",
    "licence": "Apache-2.0",
    "citation": "this project",
}


def singles(series: Sample) -> list[Sample]:
    """Each date of a series as a series of one."""
    features = np.asarray(series.features).reshape(len(series.days), -1, *series.features.shape[1:])
    return [
        Sample(f"{series.name} {k}", layers, truth[None], days=(0.0,))
        for k, (layers, truth) in enumerate(zip(features, series.truth, strict=True))
    ]


def trained(path: pathlib.Path, samples: list[Sample], steps: int, start: pathlib.Path | None) -> pathlib.Path:
    """Weights of the system after `steps` on samples, of as many dates a step whichever way they come."""
    if not path.exists():
        system = systems.find(SYSTEM)
        dates = max(1, len(synthetic.DATES) // len(samples[0].days))
        recipe = dataclasses.replace(system.recipe, batch=system.recipe.batch * dates)
        found = fitting.fit(
            dataclasses.replace(system, recipe=recipe), samples, int(start is not None), steps, start=start
        )
        fitting.save(found, path, resolution=PIXEL)
    return path


def tested(name: str, path: pathlib.Path, series: Sample, together: bool) -> list[dict]:
    """A row a date: kind, distance (px; NaN: missed), ice's IoU over all pixels and over those under cloud."""
    system, grid = systems.find(SYSTEM), _grid(series)
    dates = [scores.layers(system, one).assign_coords(xr_coords(grid)) for one in singles(series)]
    days = [str(np.datetime64(int(day), "D")) for day in series.days]
    dates = [one.assign_attrs(time=day) for one, day in zip(dates, days, strict=True)]
    each = [dates] if together else [[one] for one in dates]
    maps = [one for some in each for one in predict.series(some, system, str(path), progress=False)]
    exact = [maps[0].copy(data=np.eye(len(ZONES), dtype="float32")[one].transpose(2, 0, 1)) for one in series.truth]
    lines = [longest(one) for one in exact]
    box = shapely.box(*shapely.unary_union(lines).bounds).buffer(AROUND * PIXEL, join_style="mitre")
    rows = []
    for date, zones, truth, true in zip(dates, maps, series.truth, lines, strict=True):
        hidden = np.isnan(date.values[0])
        found = vectorize.fronts(zones).union_all() & box
        ice = [ZONES.index(zone) for zone in vectorize.ICE]
        guess, right = (np.isin(part, ice) for part in (zones.values.argmax(axis=0), truth))
        kind = "cloud" if _share(true, hidden, grid) >= HIDDEN else "clear"
        kind = "melange" if (truth == ZONES.index("melange")).any() else kind
        row = {"way": name, "series": series.name, "kind": kind, "px": np.nan, "iou": metrics.iou(guess, right)}
        row["iou_hidden"] = metrics.iou(guess[hidden], right[hidden])
        if not found.is_empty:
            off = metrics.front_deviation(true, found)
            row["px"] = (off.mean_a_to_b + off.mean_b_to_a) / 2 / PIXEL
        rows.append(row)
    return rows


def _grid(series: Sample) -> GeoBox:
    return GeoBox(series.truth.shape[1:], Affine(PIXEL, 0, 500_000, 0, -PIXEL, 8_000_000), "EPSG:32622")


def longest(zones: xr.DataArray) -> shapely.Geometry:
    """The longest front that one body of ice has."""
    found = vectorize.fronts(zones).geometry
    return found[found.length.idxmax()]


def _share(line: shapely.Geometry, hidden: np.ndarray, grid: GeoBox) -> float:
    """Share of a line's points whose pixel was hidden."""
    points = shapely.get_coordinates(shapely.segmentize(line, PIXEL))
    x, y = ~grid.affine * points.T
    row, column = (np.clip(part.astype(int), 0, len(hidden) - 1) for part in (y, x))  # square
    return float(hidden[row, column].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=1000, help="steps date by date that both ways begin with")
    parser.add_argument("--steps", type=int, default=1000, help="steps after them, of each way")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(landscapes.DEMO_SEEDS))
    parser.add_argument("--tests", type=int, nargs="+", default=[9013, 9014, 9015, 9016])
    parser.add_argument(
        "--folder", type=pathlib.Path, default=pathlib.Path(".cache/series"), help="landscapes, weights"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    learnt, fresh = (
        [one for seed in tqdm(seeds, "landscapes") for one in landscapes.series(seed, given.folder)]
        for seeds in (given.seeds, given.tests)
    )
    apart = [date for one in learnt for date in singles(one)]
    rows = []
    told = {"command": f"python benchmarks/series.py --first {given.first} --steps {given.steps}"}
    facts = told | {"seeds": given.seeds, "sensor": "sentinel-2-l2a", "first_steps": given.first} | CARD
    first = trained(given.folder / f"first-{given.first}.safetensors", apart, given.first, None)
    ways = {"series": learnt, "single dates": apart}
    paths = {name: given.folder / f"{name.replace(' ', '-')}-{given.first}-{given.steps}.safetensors" for name in ways}
    for name, samples in ways.items():
        trained(paths[name], samples, given.steps, first)
        rows += [row for series in fresh for row in tested(name, paths[name], series, name == "series")]
    table = pd.DataFrame(rows)
    table["missed"] = table["px"].isna()
    asked = {"n": ("px", "size"), "missed": ("missed", "sum"), "mean_px": ("px", "mean"), "median_px": ("px", "median")}
    kinds = table.groupby(["kind", "way"]).agg(**asked)
    ious = table.groupby("way")[["iou", "iou_hidden"]].mean()
    fronts, ice = kinds.reset_index().round(3).to_dict("records"), ious.round(4).to_dict("index")
    for name, score in ice.items():
        card = paths[name].with_suffix(".json")
        mine = {row["kind"]: {k: row[k] for k in asked} for row in fronts if row["way"] == name}
        scored = {"score": {"test_seeds": given.tests, "fronts": mine, "ice": score}}
        provenance.write(card, json.loads(card.read_text()) | facts | scored)
    if given.json:
        told |= {"first": given.first, "steps": given.steps, "tests": given.tests}
        print(json.dumps(told | {"fronts": fronts, "ice": ice}))
    else:
        print(kinds.round(2).to_string(), ious.round(4).to_string(), sep="\n")


if __name__ == "__main__":
    main()
