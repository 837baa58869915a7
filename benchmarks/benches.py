"""What each bench compares: the scenes, their folds, the systems that can take part, the score; `bench.py` runs them.

fronts: 123 labelled Landsat scenes of three Greenland glaciers (--folder holds images and labels, see
glacier_nb.labelled.frontscenes), each glacier left out in turn, and at random. A system of one channel is given the
grey image; where it tells ice from ocean, the columns of the label teach it: flow is upwards, so ice lies below the
front. Score: pixels between label and cheapest path, both ways.

extent: nine synthetic landscapes with exact truth at two dates, three to learn from, three to watch and three to score
in turn; --real DIR scores the same weights on Khumbu too, which none of them has learnt from.

everest: a Landsat 7 scene with RGI outlines (--folder is the one of the data) in four blocks, each mapped by what
learnt from two others. Systems take those of their inputs that it can give, its bands as they are: numbers of 8 bits.

points: human-classified pixels of four glaciers, each glacier left out in turn; classifiers of single pixels alone.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import rioxarray
import scipy.spatial
import scipy.stats
import shapely
import xarray as xr
from skimage.filters import threshold_otsu
from tqdm import tqdm

from glacier_nb import (
    clean,
    datasets,
    features,
    labelled,
    labels,
    landscapes,
    load,
    regions,
    scores,
    search,
    splits,
    summers,
    systems,
    vectorize,
)
from glacier_nb.labels import Sample
from glacier_nb.splits import Split
from glacier_nb.systems import System

SIDE, BATCH = 128, 10
"""Of a patch, for every system: the scenes of fronts are 300 x 200 pixels."""
SYNTHETIC = ("blue", "green", "red", "nir", "swir16", "swir22", "elevation", "dh_dt", "vv", "vh")
"""What the synthetic landscapes have; Khumbu has it too, but for dh_dt."""
EVEREST = ("red", "green", "blue", "nir", "elevation")
CLASSES = ("snow", "shadowed snow", "ice", "rock or debris", "water")
GLACIER = ("rock", "glacier")
KHUMBU, SEASONS = (86.78, 27.95, 86.85, 28.0), {"winter": 2, "spring": 4, "summer": 7, "autumn": 10}

Map = Callable[[Sample], np.ndarray]
"""Numbers of the zones (y, x) that something which has learnt sees in a scene."""


@dataclasses.dataclass(frozen=True)
class Bench:
    """One comparison.

    samples: of (inputs, zones, folder). ready: the system as all are compared. fits: None, or why a system cannot take
    part ("maps no ..." where its task is another). score: of (system, weights or None, samples), a dict a scene;
    column: what ranks them, less is better; also: other numbers in the table, means of absolutes. cpu: systems of the
    small tier. inputs, zones: of the samples that methods get. methods: what learns without a network, by name; each
    takes samples and returns a map. rate: how a method's map of a sample is scored. elsewhere: rows of a place that
    nobody learns from, by name, of (system, weights, folder). measure: of `scores.one`, what adapting is scored by.
    told: what a reader must know of the scores of a split or place. card: of what is shipped.
    """

    samples: Callable[[Sequence[str], Sequence[str], pathlib.Path | None], list[Sample]]
    parts: Callable[[Sequence[Sample]], dict[str, Split]]
    column: str
    also: tuple[str, ...] = ()
    ready: Callable[[System], System] = lambda system: system
    fits: Callable[[System], str | None] = lambda system: "maps no single pixels"
    score: Callable[[System, pathlib.Path | None, Sequence[Sample]], list[dict]] = lambda *_: []
    cpu: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    methods: Mapping[str, Callable[[Sequence[Sample]], Map]] = dataclasses.field(default_factory=dict)
    rate: Callable[[Sample, np.ndarray], dict] = lambda *_: {}
    elsewhere: tuple[str, Callable[[System, pathlib.Path | None, pathlib.Path], list[dict]]] | None = None
    measure: Mapping = dataclasses.field(default_factory=dict)
    told: Mapping[str, str] = dataclasses.field(default_factory=dict)
    card: Mapping = dataclasses.field(default_factory=dict)


def same(system: System) -> systems.Recipe | None:
    """The system's recipe with patch and batch as all have them."""
    if system.recipe is None:
        return None
    return dataclasses.replace(system.recipe, patch=SIDE, batch=BATCH, accumulate=1)


# Fronts


def sided(sample: Sample, zones: Sequence[str]) -> Sample:
    """A scene whose front tells ice (below) from ocean (above) in its columns; the rest is unknown."""
    if not zones:
        return sample
    front = np.asarray(sample.front)
    truth = np.full(front.shape, labels.UNSEEN, "uint8")
    rows = np.arange(len(front))[:, None]
    there = front.any(axis=0)
    first, last = front.argmax(axis=0), len(front) - 1 - front[::-1].argmax(axis=0)
    truth[there & (rows < first)] = zones.index("ocean")
    truth[there & (rows >= (first + last) // 2)] = zones.index("glacier")
    return dataclasses.replace(sample, truth=truth)


def front_samples(inputs: Sequence[str], zones: Sequence[str], folder: pathlib.Path | None) -> list[Sample]:
    """The labelled scenes, in memory."""
    found = labelled.frontscenes(_asked(folder, "fronts", "the one with images and labels"))
    read = [dataclasses.replace(s, features=np.asarray(s.features), front=np.asarray(s.front)) for s in found]
    return [sided(sample, zones) for sample in read]


def front_parts(samples: Sequence[Sample]) -> dict[str, Split]:
    """Each glacier left out, and three folds drawn at random."""
    names = sorted(sample.name for sample in samples)
    fold = np.random.default_rng(0).permutation(np.arange(len(names)) % 3).tolist()
    return {"glacier": splits.by_group(samples), "random": Split("name", 3, dict(zip(names, fold, strict=True)))}


def front_ready(system: System) -> System:
    """One grey channel; normalised by the training scenes where the system's own numbers are of another stretch."""
    own = system.inputs == ("grey",)
    return dataclasses.replace(
        system, inputs=("grey",), mean=system.mean if own else (), std=system.std if own else (), recipe=same(system)
    )


def front_fits(system: System) -> str | None:
    """Why a system cannot map fronts in grey scenes."""
    if system.task != "front" or system.recipe is None:
        return "maps no front, or learns nothing"
    if len(system.inputs) != 1:
        return f"takes {len(system.inputs)} channels, the scenes have one"
    if system.zones and not {"glacier", "ocean"} <= set(system.zones):
        return "its zones are not those of a front"
    if system.window is not None:
        return f"takes windows of {system.window} pixels, the scenes are 200 wide"
    return None


def front_score(system: System, path: pathlib.Path | None, samples: Sequence[Sample]) -> list[dict]:
    """Distances in pixels, a dict a scene."""
    return scores.fronts(system, path, samples).to_dict("records")


# Extent of ice


def ice_fits(layers: Sequence[str], least: int, system: System) -> str | None:
    """Why a system cannot map ice in scenes of these layers. least: of its inputs that must be there; 0: all."""
    if system.task not in ("extent", "change"):
        return "maps no extent"
    kept = [name for name in system.inputs if set(features.needs([name])) <= set(layers)]
    if len(kept) < (least or len(system.inputs)):
        lacking = sorted(set(features.needs(system.inputs)) - set(layers))
        return f"takes {', '.join(lacking)}, which the scenes have not"
    if not {"rock", "glacier"} <= set(system.zones):
        return "its zones are not those of the truth"
    if system.window is not None:
        return f"takes windows of {system.window} pixels"
    if system.recipe is None and len(kept) < len(system.inputs):
        return "has a rule that lacks a band here"
    try:
        systems.outline(dataclasses.replace(system, inputs=tuple(kept)))
    except (ValueError, RuntimeError, IndexError) as error:  # sensors that its network tells apart
        return f"its network does not take {len(kept)} of its {len(system.inputs)} inputs: {error}".splitlines()[0]
    return None


def ice_score(system: System, path: pathlib.Path | None, samples: Sequence[Sample]) -> list[dict]:
    """IoU and area of ice, bare and covered together, a dict a scene."""
    return scores.ice(system, path, samples).to_dict("records")


def extent_samples(inputs: Sequence[str], zones: Sequence[str], folder: pathlib.Path | None) -> list[Sample]:
    """First and last summer of each landscape; landscapes whose inputs are those of most systems are made once."""
    most = systems.find("extent-demo")
    have = (*most.inputs, "elevation")
    have = have if set(inputs) <= set(have) else tuple(inputs)
    asked = dataclasses.replace(most, inputs=have, zones=vectorize.ZONES)
    number = landscapes.numbers(zones)
    found = []
    for seed in tqdm(landscapes.DEMO_SEEDS, desc="landscapes", unit="landscape", delay=2):
        dates = landscapes.landscape(seed, folder or pathlib.Path(".cache/train"), asked)
        for sample in (dates[0], dates[-1]):
            layers = np.stack([sample.features[have.index(name)] for name in inputs])
            found.append(dataclasses.replace(sample, features=layers, truth=number[sample.truth], group=str(seed)))
    return found


def khumbu(system: System, path: pathlib.Path | None, folder: pathlib.Path) -> list[dict]:
    """Ice against RGI 6 in four seasons of 2024 at 10 m; nothing where the system takes what is not there."""
    if "dh_dt" in features.needs([name for name in system.inputs if name not in system.optional]):
        return []
    known = datasets.read("rgi6-everest", folder).drop(columns="time")  # one inventory, whatever its dates
    return ice_score(system, path, summers.samples(system, _seasons(folder), known))


@functools.cache
def _seasons(folder: pathlib.Path) -> dict[str, xr.Dataset]:
    """Khumbu by season of 2024, in memory."""
    provider, geobox = datasets.place("khumbu-stac", folder), regions.geobox(regions.place(KHUMBU), 10.0)
    found = {}
    for name, month in SEASONS.items():
        items = summers.items(KHUMBU, [2024], provider, [month], "dem")
        ((_, scene),) = summers.scenes(items, [2024], geobox, provider, [month])
        found[name] = summers.read(scene)
    return found


@functools.cache
def _everest(folder: pathlib.Path) -> xr.Dataset:
    """The Landsat 7 scene (numbers of 8 bits over 255, not calibrated) with elevation, at 30 m."""
    files = datasets.read("everest-landsat", folder)
    bands = []
    for end in ("00_RGB.tif", "00_B4.tif"):
        picture = rioxarray.open_rasterio(next(path for name, path in files.items() if name.endswith(end))).load()
        bands += [picture.sel(band=k, drop=True).astype("float32") / 255 for k in picture.band.values]
    scene = xr.Dataset(dict(zip(("red", "green", "blue", "nir"), bands, strict=True)))
    provider = datasets.place("khumbu-stac", folder)
    box = scene.odc.geobox.extent.to_crs("EPSG:4326").boundingbox.bbox
    heights = load.elevation(search.scenes(box, None, "dem", provider), scene.odc.geobox, provider=provider)
    return scene.assign(elevation=heights.compute())


def everest_samples(inputs: Sequence[str], zones: Sequence[str], folder: pathlib.Path | None) -> list[Sample]:
    """The scene with its outlines."""
    folder = _asked(folder, "everest", "the one with geoutils_data and khumbu_stac")
    stack = features.stack(_everest(folder), inputs)
    return [labels.of_outlines(stack, datasets.read("rgi6-everest", folder), zones, "everest")]


def everest_parts(samples: Sequence[Sample]) -> dict[str, Split]:
    """Quarters of the scene, in the order of reading."""
    left, bottom, right, top = samples[0].geobox.boundingbox
    x, y = (left + right) / 2, (bottom + top) / 2
    quarters = [(left, y, x, top), (x, y, right, top), (left, bottom, x, y), (x, bottom, right, y)]
    cells = tuple(shapely.to_wkt(shapely.box(*quarter), rounding_precision=3) for quarter in quarters)
    return {"block": Split("block", 4, {}, str(samples[0].geobox.crs), cells)}


def everest_ready(system: System) -> System:
    """With those of its inputs that the scene can give; its own normalisation is of other numbers."""
    kept = tuple(name for name in system.inputs if set(features.needs([name])) <= set(EVEREST))
    fixed = {"mean": (), "std": ()}
    if system.mean and set(system.mean) == {0.0} and set(system.std) == {1.0}:  # it normalises by itself
        fixed = {"mean": system.mean[: len(kept)], "std": system.std[: len(kept)]}
    return dataclasses.replace(system, inputs=kept, recipe=same(system), optional=(), clean=(), reads=(), **fixed)


def everest_score(system: System, path: pathlib.Path | None, samples: Sequence[Sample]) -> list[dict]:
    """As `ice_score`, and how much of the bright and of the dark ice was found, by block."""
    kinds = [number for number, zone in enumerate(system.zones) if zone in clean.ICE]
    return [_lit(sample, np.isin(scores.chances(system, path, sample).argmax(axis=0), kinds)) for sample in samples]


def _lit(sample: Sample, ice: np.ndarray) -> dict:
    """Scores of ice (y, x) in a block, of its bright and dark parts too: dark is debris or shadow, by Otsu's threshold
    of the first input, a band of light, over all of the scene."""
    seen, true = np.asarray(sample.truth) != labels.UNSEEN, np.asarray(sample.truth) == 1
    light = np.asarray(sample.features[0])
    bright = light > threshold_otsu(light[np.isfinite(light)])
    south, east = (where.mean() > size / 2 for where, size in zip(np.nonzero(seen), seen.shape, strict=True))
    name = f"{'south' if south else 'north'}-{'east' if east else 'west'}"
    found = scores.of_ice(name, ice[seen], true[seen])
    return found | {name: float(ice[true & part].mean()) for name, part in (("bright", bright), ("dark", ~bright))}


def everest_rate(sample: Sample, guess: np.ndarray) -> dict:
    """As `everest_score`, of a map of `GLACIER`."""
    return _lit(sample, guess == 1)


# What learns without a network


def pixels(samples: Sequence[Sample], every: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """(pixel, feature) and the zones of every so-manieth known pixel of samples that has all features."""
    values, truth = [], []
    for sample in samples:
        known = (np.asarray(sample.truth) != labels.UNSEEN) & np.isfinite(np.asarray(sample.features)).all(axis=0)
        values.append(np.asarray(sample.features)[:, known].T[::every])
        truth.append(np.asarray(sample.truth)[known][::every])
    return np.concatenate(values).astype("float64"), np.concatenate(truth)


def _guess(predict: Callable[[np.ndarray], np.ndarray], sample: Sample) -> np.ndarray:
    """What a classifier of (pixel, feature) makes of a scene (y, x); `labels.UNSEEN` where a feature is missing."""
    layers = np.asarray(sample.features, "float64")
    known = np.isfinite(layers).all(axis=0)
    out = np.full(layers.shape[1:], labels.UNSEEN, "uint8")
    out[known] = predict(layers[:, known].T)
    return out


def neighbours(samples: Sequence[Sample], k: int = 7, every: int = 1) -> Map:
    """The zone of most of the k nearest pixels, in features over their standard deviations."""
    values, truth = pixels(samples, every)
    scale = values.std(axis=0)
    tree = scipy.spatial.KDTree(values / scale)

    def predict(some: np.ndarray) -> np.ndarray:
        votes = truth[tree.query(some / scale, k)[1]]
        return np.stack([(votes == zone).sum(axis=1) for zone in range(truth.max() + 1)]).argmax(axis=0)

    return functools.partial(_guess, predict)


def gaussian(samples: Sequence[Sample]) -> Map:
    """The zone of the greatest likelihood, each a normal distribution of its features."""
    values, truth = pixels(samples)
    parts = []
    for zone in range(truth.max() + 1):
        mine = values[truth == zone]
        spread = np.cov(mine, rowvar=False) + 1e-6 * np.eye(values.shape[1])
        parts.append(scipy.stats.multivariate_normal(mine.mean(axis=0), spread))
    return functools.partial(_guess, lambda some: np.stack([one.logpdf(some) for one in parts]).argmax(axis=0))


def threshold(samples: Sequence[Sample]) -> Map:
    """Ice where the first feature passes the value that gives the best IoU on what was learnt from."""
    values, truth = pixels(samples)
    light, ice = values[:, 0], truth == 1
    best = max(np.unique(np.quantile(light, np.linspace(0, 1, 101))), key=lambda cut: _overlap(light > cut, ice))
    return functools.partial(_guess, lambda some: some[:, 0] > best)


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


# Single pixels


def point_samples(inputs: Sequence[str], zones: Sequence[str], folder: pathlib.Path | None) -> list[Sample]:
    """Classified pixels of a glacier and sensor as a scene one pixel high."""
    folder, found = _asked(folder, "points", "the one with snow_ice_points"), []
    path = datasets.place("snow-ice-points", folder)
    for sensor in ("Sentinel-2_SR", "Landsat"):
        for site, some in datasets.find("snow-ice-points").read(path, sensor=sensor).groupby("site"):
            truth = some["class_name"].map(zones.index).to_numpy("uint8")
            values = some[list(inputs)].to_numpy("float32").T
            name = f"{site}, {sensor.partition('_')[0]}"
            found.append(Sample(name, values[:, None], truth[None], group=site, time=sensor))
    return found


def point_rate(sample: Sample, guess: np.ndarray) -> dict:
    """Shares of wrong pixels: of all, and the mean over the classes that are there."""
    truth, wrong = np.asarray(sample.truth), guess != np.asarray(sample.truth)
    each = [float(wrong[truth == number].mean()) for number in np.unique(truth)]
    return {"name": sample.name, "missed": False, "wrong": float(wrong.mean()), "wrong_by_class": float(np.mean(each))}


def by_sensor(method: Callable[[Sequence[Sample]], Map], samples: Sequence[Sample]) -> Map:
    """A method that learns each sensor's pixels by themselves."""
    made = {time: method([one for one in samples if one.time == time]) for time in {one.time for one in samples}}
    return lambda sample: made[sample.time](sample)


def _asked(folder: pathlib.Path | None, bench: str, what: str) -> pathlib.Path:
    if folder is None:
        raise ValueError(f"{bench} need --folder DIR: {what}")
    return folder


BENCHES = {
    "fronts": Bench(
        front_samples, front_parts, "mean_px", (), front_ready, front_fits, front_score,
        ("mohajerani2019", "fronts-landsat", "caffe_fronts"),
        measure={"front": True},
        told={
            "glacier": "Each of three Greenland glaciers was mapped by what never saw it.",
            "random": "Scenes of the same three glaciers were learnt from: this says nothing of another glacier.",
        },
        card={
            "for": "calving fronts in grey Landsat images of Greenland's outlet glaciers at 49 m, flow upwards, as in"
            " Mohajerani et al. 2019 (equalised, stretched, smoothed, edges enhanced)",
            "not_for": "radar, other pixel sizes, floating tongues without a cliff, windows that do not hold the fjord"
            " from side to side (each is normed by its own contrast), or numbers that nobody looks at: it learnt from"
            " three glaciers, and where it meets a fourth it can follow another edge for the front",
            "data": "123 Landsat scenes (USGS, public domain) with fronts traced by Mohajerani et al. 2019, CC BY 4.0",
            "licence": "Apache-2.0", "citation": "this project", "resolution": 48.9,
        },
    ),
    "extent": Bench(
        extent_samples, lambda samples: {"landscape": splits.by_group(samples, 3)}, "one_less_iou",
        ("area_error_percent", "pixels_per_s"),
        lambda system: dataclasses.replace(system, recipe=same(system)), functools.partial(ice_fits, SYNTHETIC, 0),
        ice_score, ("extent-demo", "chu2022", "diaconu2023", "band-ratio", "ndsi"), elsewhere=("khumbu", khumbu),
        told={
            "landscape": "Invented landscapes of other seeds, with exact truth: what is easy here may be hard outside.",
            "khumbu": "Real scenes of four seasons against RGI 6, by weights that learnt from invented landscapes"
            " alone: the gap to the split above is that of the domains. Outlines are 14 to 24 years older than scenes.",
        },
    ),
    "everest": Bench(
        everest_samples, everest_parts, "one_less_iou", ("bright", "dark", "area_error_percent"), everest_ready,
        functools.partial(ice_fits, EVEREST, 3), everest_score, ("extent-demo", "chu2022", "diaconu2023"),
        EVEREST, GLACIER,
        {"threshold of red": threshold, "7 nearest neighbours": functools.partial(neighbours, every=4)}, everest_rate,
        told={
            "block": "A quarter of one scene, by what learnt from two others and was watched on the third (methods:"
            " from all three). Outlines are up to ten years younger than the image. bright, dark: shares of the"
            " outlines' pixels that were mapped, parted by Otsu's threshold of a band; dark is rubble or shadow.",
        },
    ),
    "points": Bench(
        point_samples, lambda samples: {"site": splits.by_group(samples)}, "wrong", ("wrong_by_class",),
        inputs=("blue", "green", "red", "nir", "swir16", "swir22"), zones=CLASSES,
        methods={
            "7 nearest neighbours": functools.partial(by_sensor, neighbours),
            "normal distributions": functools.partial(by_sensor, gaussian),
        },
        rate=point_rate,
        told={"site": "Pixels of one glacier by classifiers that learnt from those of the three others, by sensor."},
    ),
}  # fmt: skip
