"""A system down the whole road: scenes read lazily, layers, its network on Dask workers, cleaning, outlines and fronts.

Where the package has no weights for it the network is untrained, from a seed: what is tried is whether inputs, order,
units, windows and vectors fit together.
"""

import contextlib
import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence

import distributed
import geopandas as gpd
import numpy as np
import pystac
import torch
import xarray as xr

from glacier_nb import (
    article,
    cluster,
    datasets,
    demo,
    features,
    fitting,
    fronts,
    patches,
    predict,
    regions,
    rockglaciers,
    summers,
    systems,
    trials,
    vectorize,
    weights,
)
from glacier_nb.labels import Sample
from glacier_nb.systems import System

PAIRS = (("sentinel-2-l2a", "sentinel-1-rtc"), ("landsat-c2-l2", "sentinel-1-grd"))
"""Sensors, optical and radar, that a scene is made of: the second give what the first have not."""

MOST = max(system.summers for system in systems.SYSTEMS)
"""Summers that a scene may be made of."""

SIDE = 64
"""Pixels of a window, where the network takes one so small."""

STAND_INS: Mapping[str, Callable[[xr.Dataset], xr.DataArray]] = {
    "coastal": lambda scene: scene["blue"],
    "rededge071": lambda scene: scene["red"],
    "rededge075": lambda scene: scene["nir"],
    "rededge078": lambda scene: scene["nir"],
    "nir08": lambda scene: scene["nir"],
    "pan": lambda scene: (scene["green"] + scene["red"]) / 2,
    "cirrus": lambda scene: 0 * scene["green"],
    "lwir12": lambda scene: scene["lwir11"],
    **dict.fromkeys(
        ("coherence", "coherence_ascending", "coherence_descending"),
        lambda scene: np.exp(-np.abs(scene["dh_dt"])).assign_attrs(units="1"),
    ),
    **dict.fromkeys(("copol_ascending", "copol_descending"), lambda scene: scene["vv"]),
    **dict.fromkeys(("crosspol_ascending", "crosspol_descending"), lambda scene: scene["vh"]),
}
"""What no image of the demo region holds, from what lies nearest to it: the next band, a clear sky, a surface that lost
coherence where it lowered, the mean over all passes for those of one direction."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Ground to walk on: a region, the point (x, y in its CRS) that cuts lie about, and its items by `PAIRS`.

    provider, year, months: as in `summers.scenes`. drawn: of the scene's variables those that may be made up, and how.
    divides: ice divides, or None.
    """

    region: regions.Region
    provider: str
    about: tuple[float, float]
    items: tuple[Mapping[str, Sequence[pystac.Item]], ...]
    year: int
    months: tuple[int, ...] = ()
    drawn: Mapping[str, Callable[[xr.Dataset], xr.DataArray]] = dataclasses.field(default_factory=dict)
    divides: gpd.GeoDataFrame | None = None

    def scene(self, side: int, pixel: float = 10.0, span: int = 1) -> xr.Dataset:
        """A cut (y, x), lazy, `side` pixels (m) wide or as the region ends: what the items hold, then what is drawn.

        span: summers that it is made of, as in `summers.scenes`.
        """
        whole = regions.geobox(self.region, pixel)
        column, row = ~whole.affine @ self.about
        low = [max(0, min(int(at) - side // 2, n - side)) for at, n in zip((row, column), whole.shape, strict=True)]
        y, x = (slice(start, min(start + side, n)) for start, n in zip(low, whole.shape, strict=True))
        geobox = whole[y, x]
        found, *others = (
            next(summers.scenes(items, [self.year], geobox, self.provider, self.months, span=span))[1]
            for items in self.items
        )
        for other in others:
            found = found.assign({name: other[name] for name in other if name not in found})
        return found.assign({name: make(found) for name, make in self.drawn.items() if name not in found})


@dataclasses.dataclass(frozen=True)
class Walk:
    """What came of a walk: the scene, the system's layers of it, and its products, None where it makes none."""

    scene: xr.Dataset
    layers: xr.DataArray
    zones: xr.DataArray | None
    front: xr.DataArray | None
    outlines: gpd.GeoDataFrame | None
    fronts: gpd.GeoDataFrame | None


def demo_region() -> Place:
    """The embedded region about its calving front, in its last summer."""
    region, provider = regions.place(demo.region("demo")), demo.provider("demo")
    line = demo.truth("fronts").iloc[-1]
    about = line.geometry.interpolate(0.5, normalized=True).coords[0]
    divides = regions.inventory(demo.inventory("demo"), region)
    given = _items(region.bbox, line.time.year, provider)
    return Place(region, provider, about, given, line.time.year, (), STAND_INS, divides)


def khumbu(folder: str | os.PathLike | None = None) -> Place:
    """Real scenes: Khumbu in the summer of 2024, in a folder of samples; FileNotFoundError as in `datasets.place`."""
    provider = str(datasets.place("khumbu-stac", folder))
    region = regions.place([86.78, 27.95, 86.85, 28.0])
    about = regions.geobox(region, 10.0).boundingbox
    about = (about.left + about.right) / 2, (about.bottom + about.top) / 2
    return Place(region, provider, about, _items(region.bbox, 2024, provider, (7,), "dem"), 2024, (7,))


def _items(bbox: Sequence[float], year: int, provider: str, months=(), terrain: str = "cop-dem-glo-30") -> tuple:
    """Items of each of `PAIRS` that the place has."""
    found = []
    for optical, radar in PAIRS:
        with contextlib.suppress(LookupError):  # no image of that sensor
            found.append(summers.items(bbox, [year], provider, months, terrain, optical, radar, span=MOST))
    return tuple(found)


def lacks(system: str | System, scene: xr.Dataset) -> list[str]:
    """Variables that a scene would need for the system's inputs and its cleaning, and has not."""
    system = systems.find(system)
    asked = [name for name in (*system.inputs, *system.reads) if name not in system.optional]
    return [name for name in features.needs(asked) if name not in scene]


def walk(system: str | System, place: Place, client: distributed.Client | None = None, seed: int = 0) -> Walk:
    """One system over a cut of a place that its smallest window, or the only one that it takes, covers in four.

    The pixel is that of its weights, or 10 m. client: as in `predict.zones`. seed: of weights, where the package has
    none. Errors are those of what is walked through; LookupError where an input is missing.
    """
    system = systems.find(system)
    window = system.window or max(SIDE, trials.smallest(system))
    ours = _ours(system)
    pixel = 10.0 if ours is None else ours.resolution or 10.0
    scene = place.scene(3 * window // 2, pixel, system.summers)
    layers = features.stack(scene, systems.layers(system, scene))
    ice = [zone for zone in system.zones if zone in (*vectorize.ICE, *rockglaciers.ZONES)]
    zones = front = outlines = lines = None
    with tempfile.TemporaryDirectory() as folder:
        given = ours or untrained(system, layers, pathlib.Path(folder), seed)
        how = {"client": client, "window": window, "progress": False}
        if system.trace or set(system.zones) & set(systems.WATER):
            lines, traced = fronts.mapped(layers, system, given, divides=place.divides, **how)
            zones, front = (traced, None) if "zone" in traced.dims else (None, traced)
        if system.zones and zones is None:
            zones = predict.zones(layers, system, given, **how)
    if ice:
        outlines = vectorize.outlines(zones, place.divides, names=ice)
    return Walk(scene, layers, zones, front, outlines, lines)


def _ours(system: System) -> weights.Weights | None:
    """The system's weights, where the package comes with some."""
    found = weights.default(system.name)
    return None if found is None or found.url else found


def untrained(system: System, layers: xr.DataArray, folder: pathlib.Path, seed: int = 0) -> str | None:
    """Path of weights as they are before training, normalised by what is seen of `layers`; None: nothing to train.

    layers: (feature, y, x), lazy or not; an optional input that is not there is unknown.
    """
    if not system.recipe:
        return None
    torch.manual_seed(seed)
    network = system.network(len(system.inputs))
    whole = layers.reindex(feature=list(system.inputs))
    sample = Sample("walk", whole.data, np.zeros(whole.shape[1:], "uint8"))
    mean, std = patches.statistics([sample])
    found = fitting.Fit(system, network.state_dict(), mean, std, (), seed, 0)
    return str(fitting.save(found, folder / f"{system.name}.safetensors"))


@contextlib.contextmanager
def opened(folder: str | os.PathLike | None = None) -> Iterator[Callable[[System], dict[str, str]]]:
    """A Dask cluster and the places; gives what tells of one system how it went: "demo", "drawn" and "real".

    demo: "ok", or the error's first line; drawn: what stood in there for what it has not; real: "ok", the error's
    first line, or why there is no real test. folder: of samples, as in `datasets.place`.
    """
    ground = demo_region()
    try:
        real, without = khumbu(folder), ""
    except FileNotFoundError as error:
        real, without = None, f"no real test: {article.line(str(error))}"
    held = dataclasses.replace(ground, drawn={}).scene(SIDE)
    there = None if real is None else real.scene(SIDE)
    with cluster.client("local") as client:

        def told(system: System) -> dict[str, str]:
            facts = {"demo": _tried(system, ground, client), "drawn": " ".join(lacks(system, held)) or "-"}
            if real is None:
                return facts | {"real": without}
            if missing := lacks(system, there):
                return facts | {"real": f"no real test: lacks {', '.join(missing)}"}
            return facts | {"real": _tried(system, real, client)}

        yield told


def _tried(system: System, place: Place, client: distributed.Client) -> str:
    """How a walk went: ok, or the first line of the error."""
    try:
        walk(system, place, client)
    except Exception as error:  # whatever it is, the table goes on and says it
        return f"{type(error).__name__}: {article.line(str(error))}"
    return "ok"
