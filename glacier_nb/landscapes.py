"""Synthetic landscapes to learn from, made by the road that users take, and the demo networks trained on them."""

import dataclasses
import hashlib
import json
import os
import pathlib
import tempfile
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import rasterio
import torch
from odc.geo.geobox import GeoBox
from tqdm import tqdm

from glacier_nb import (
    composite,
    features,
    fitting,
    load,
    provenance,
    scores,
    search,
    sensors,
    synthetic,
    systems,
    vectorize,
)
from glacier_nb import slopes as mountains
from glacier_nb import weights as trained
from glacier_nb.labels import Sample
from glacier_nb.systems import System

DEMO_SEEDS = (9001, 9002, 9003, 9004, 9005, 9006, 9010, 9011, 9012)
"""Landscapes the demo networks learn from, the last of them for validation; the demo never shows these."""


IMAGES = ("sentinel-2-l2a", "landsat-c2-l2")
"""Sensors that took images of a landscape."""

LOOKS = 3
"""Passes of Sentinel-2 over a landscape in each summer."""


@dataclasses.dataclass(frozen=True)
class Demo:
    """What a system that learnt from synthetic landscapes is for and not for.

    slopes: seeds of mountains without ice that it learns from too. sensors: inputs whose loss the card tells of.
    """

    use: str
    misuse: str
    slopes: tuple[int, ...] = ()
    sensors: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)


_UNREAL = (
    "it has seen spectra of a few glaciers' surfaces on invented terrain and no real image; its outlines of a real"
    " place are an illustration"
)
DEMOS = {
    "extent-demo": Demo(
        "showing the whole road on the synthetic landscape of this project, and tests",
        f"measuring real glaciers: {_UNREAL}",
    ),
    "debris-demo": Demo(
        "showing what thermal images tell of ice under rubble, on the synthetic landscape of this project, and tests",
        f"measuring real debris-covered glaciers: {_UNREAL}",
    ),
    "rock-demo": Demo(
        "showing an inventory of rock glaciers on the synthetic landscape of this project, and tests",
        f"an inventory of a real place: {_UNREAL}, and every rock glacier it learnt from was drawn by one rule",
        slopes=tuple(range(9101, 9141)),
    ),
    "any-sensors": Demo(
        "showing a map from whatever sensors there are, on the synthetic landscape of this project, and tests",
        f"measuring real glaciers: {_UNREAL}",
        sensors={
            "optical": ("blue", "green", "red", "nir", "swir16", "swir22", "ndsi"),
            "radar": ("vv_db", "vh_db"),
            "thermal": ("lwir11",),
            "elevation change": ("dh_dt",),
            "terrain": ("slope",),
        },
    ),
}
"""Systems that `demo` trains, by name."""


def sensor(system: str | System) -> str:
    """Whose images a system is given: of `IMAGES` the one that has most of what its inputs need, of equals the first.

    >>> sensor("extent-demo"), sensor("debris-demo")
    ('sentinel-2-l2a', 'landsat-c2-l2')
    """
    needs = set(features.needs(systems.find(system).inputs))
    return max(IMAGES, key=lambda name: sum(band.name in needs for band in sensors.sensor_row(name).bands))


def landscape(seed: int, cache: str | os.PathLike, system: str | System = "extent-demo") -> list[Sample]:
    """One synthetic landscape as a sample per date, each mapped memory in `cache`; made there if it is not.

    The scenes come by the road that users take: items searched in the region's folder, a late-summer composite of
    its `sensor`, radar averaged over the year, elevation and its change. float16,
    about 22 MB a date; a minute a landscape.
    """
    return _kept("landscape", seed, cache, systems.find(system), lambda folder: _made(folder, seed))


def slopes(seed: int, cache: str | os.PathLike, system: str | System = "rock-demo") -> list[Sample]:
    """Mountains without ice, a rock glacier in most of their valleys (`slopes.landscape`), as one sample.

    As `landscape`, of the passes of one summer drawn by the seed; a quarter of a minute to make.
    """

    def make(folder: pathlib.Path) -> tuple[Sequence[str], np.ndarray, GeoBox]:
        from glacier_nb import imaging

        land, which = mountains.landscape(seed), seed % len(synthetic.DATES)
        wanted = ("sentinel-2-l2a", "sentinel-1-rtc")
        passes = [one for one in imaging.PASSES if one.collection in wanted and one.date == which]
        passes += [one for one in imaging.PASSES if one.collection == "cop-dem-glo-30"][:1]
        imaging.images(land, [dataclasses.replace(one, date=0) for one in passes], folder, progress=False)
        return [str(synthetic.DATES[which])[:10]], land.zones.values, land.geobox

    return _kept("slopes", seed, cache, systems.find(system), make)


def series(seed: int, cache: str | os.PathLike, system: str | System = "front-series", size: int = 512) -> list[Sample]:
    """The ground about a landscape's calving front as `LOOKS` series, each of one pass a date, with its clouds.

    As `landscape`, in `size` pixels of 10 m and of single scenes, no composites: NaN under cloud, where the truth is
    known all the same. The first series is the cloudiest, the last has new snow in two summers; 17 MB each.
    """
    row, looks = systems.find(system), tuple(range(LOOKS))
    found = _kept(f"series{size}", seed, cache, row, lambda folder: _made(folder, seed, size), looks)
    days = tuple(float(np.datetime64(one.time).astype(int)) for one in found[::LOOKS])
    parts = [found[look::LOOKS] for look in range(LOOKS)]
    return [Sample(f"{seed} series {look}", *_together(dates), days=days) for look, dates in enumerate(parts)]


def _together(dates: Sequence[Sample]) -> tuple[np.ndarray, np.ndarray]:
    """Features (time * feature, y, x) and truth (time, y, x) of samples of one date each."""
    return np.concatenate([one.features for one in dates]), np.stack([one.truth for one in dates])


def _made(folder: pathlib.Path, seed: int, size: int = synthetic.SIDE) -> tuple[Sequence[str], np.ndarray, GeoBox]:
    """A region written in a folder: its dates, zones (date, y, x) and grid."""
    from glacier_nb import imaging  # numba compiles on import: only where a region is made

    imaging.write(folder, seed, size, progress=False)
    with rasterio.open(folder / "truth" / "zones.tif") as file:
        return json.loads((folder / "region.json").read_text())["dates"], file.read(), GeoBox.from_rio(file)


def _kept(
    kind: str,
    seed: int,
    cache: str | os.PathLike,
    system: System,
    make: Callable[[pathlib.Path], tuple[Sequence[str], np.ndarray, GeoBox]],
    looks: Sequence[int | None] = (None,),
) -> list[Sample]:
    """Samples of a region that `make` writes in a folder, kept in `cache`; it gives dates, zones (date, y, x), grid.

    One a date, or one for each of `looks`: numbers of the summer's passes, None for all of them as one.
    """
    images = sensor(system)
    made_by = provenance.sources("imaging", "slopes", "load", "composite", "features")
    asked = hashlib.sha256(repr((system.inputs, system.zones, images)).encode()).hexdigest()[:8]
    folder = pathlib.Path(cache) / f"{kind}-{seed}-{made_by}-{asked}"
    if not folder.exists():
        number = numbers(system.zones)
        with tempfile.TemporaryDirectory() as temporary, provenance.whole(folder) as made:
            made.mkdir()
            dates, truth, geobox = make(region := pathlib.Path(temporary) / "region")
            bbox = json.loads(next((region / "items" / images).glob("*.json")).read_text())["bbox"]
            for date, zones in zip(dates, truth, strict=True):
                for look in looks:
                    values = _scene(region, bbox, geobox, date, system.inputs, images, look)
                    name = date if look is None else f"{date}-{look}"
                    np.save(made / f"{name}.features.npy", values.astype("float16"))
                np.save(made / f"{date}.truth.npy", number[zones])
    paths = sorted(folder.glob("*.features.npy"))
    truths = {date: np.load(folder / f"{date}.truth.npy") for date in dict.fromkeys(path.name[:10] for path in paths)}
    return [
        Sample(f"{seed} {date}", np.load(path, mmap_mode="r"), truths[date], time=date, resolution=10.0)
        for path, date in ((path, path.name[:10]) for path in paths)
    ]


def numbers(zones: Sequence[str]) -> np.ndarray:
    """Index into a system's zones for each of `vectorize.ZONES`, uint8: what it does not tell apart has a name too.

    Ice is glacier, where it has that; all else rock.

    >>> numbers(("rock", "glacier"))[[vectorize.ZONES.index(zone) for zone in ("debris cover", "lake")]].tolist()
    [1, 0]
    """
    names = (
        zone if zone in zones else "glacier" if zone in vectorize.ICE and "glacier" in zones else "rock"
        for zone in vectorize.ZONES
    )  # fmt: skip
    return np.array([zones.index(name) for name in names], "uint8")


def _scene(
    region: pathlib.Path, bbox: Sequence[float], geobox: GeoBox, date: str, inputs: Sequence[str], images: str,
    look: int | None = None,
) -> np.ndarray:  # fmt: skip
    """Inputs (feature, y, x) of one date of a region's folder; with `look` of that pass alone."""
    year = int(date[:4])
    passes, radars = (search.scenes(bbox, year, name, region) for name in (images, "sentinel-1-rtc"))
    passes = sorted(passes, key=lambda item: item.datetime)[slice(None) if look is None else slice(look, look + 1)]
    optical, radar = (load.cube(items, geobox, provider=region) for items in (passes, radars))
    heights = search.scenes(bbox, None, "cop-dem-glo-30", region)
    mean = composite.average(radar, year)
    scene = composite.late_summer(optical, year).assign(
        elevation=load.elevation(heights, geobox, date, region), vv=mean.vv, vh=mean.vh
    )
    if "dh_dt" in features.needs(inputs):
        scene = scene.assign(dh_dt=load.elevation_rate(heights, geobox, region))
    return features.stack(scene, inputs).values


def demo(
    seeds: Sequence[int] | None = None,
    folder: str | os.PathLike = ".cache/train",
    steps: int | None = None,
    out: str | os.PathLike | None = None,
    seed: int = 0,
    system: str = "extent-demo",
) -> pathlib.Path:
    """Train one of `DEMOS` on synthetic landscapes, the last of `seeds` for validation; path of the weights in `out`.

    About a minute a landscape to make (kept in `folder`), then 20 minutes on two cores. The card beside the weights
    says how well the validation landscape is mapped; to ship them, copy both files to glacier_nb/weights_files and
    put the hash that this prints into `weights.WEIGHTS`. out: out/<system> by default. ValueError: fewer than two
    seeds. LookupError: another system.
    """
    seeds = tuple(seeds or DEMO_SEEDS)
    if system not in DEMOS:
        raise LookupError(f"no demo network {system!r}: one of {', '.join(DEMOS)}")
    if len(seeds) < 2:
        raise ValueError(f"seeds {seeds}: give two or more, the last one is for validation")
    made = tqdm(seeds, desc="landscapes", unit="landscape")
    *training, validation = (landscape(one, folder, system) for one in made)
    fast = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()  # torch has no public word for it
    row, told = systems.find(system), DEMOS[system]
    more = (slopes(one, folder, system) for one in tqdm(told.slopes, desc="slopes", unit="landscape", delay=2))
    scenes = [sample for scenes in (*training, *more) for sample in scenes]
    precision = "bfloat16" if fast else "float32"
    found = fitting.fit(row, scenes, seed, steps, validation, precision=precision, absent=row.zones)
    card = {
        "for": told.use,
        "not_for": told.misuse,
        "sensor": sensor(row),
        "seeds": seeds[:-1],
        "slopes": told.slopes,
        "validation_seeds": seeds[-1:],
        "command": f"python -m glacier_nb train --system {system} --seeds {' '.join(map(str, seeds))}"
        f" --steps {found.steps}",
        "resolution": 10.0,
        "licence": "Apache-2.0",
        "citation": "this project",
    }
    path = fitting.save(found, pathlib.Path(out or f"out/{system}") / f"{system}.safetensors", **card)
    score = scores.zones(found.system, path, validation)
    if told.sensors:
        score |= {"ice_iou_without": scores.without(found.system, path, validation, told.sensors)}
    fitting.save(found, path, **card, score=score)
    print(f"{path}: sha256 {trained.sha256(path)}")
    return path
