"""What a batch will take, before it starts: scenes by search, bytes by footprint, minutes and memory."""

import concurrent.futures
import contextlib
import dataclasses
import math
import pathlib
import re
from collections.abc import Iterator, Sequence

import nbformat
import numpy as np
import pyproj
import pystac
import shapely
from tqdm import tqdm

from glacier_nb import cluster, composite, demo, kernels, outcomes, search
from glacier_nb.runs import Run
from glacier_nb.sensors import SENSORS, Sensor

CLOUD = 70.0
"""Percent of cloud in a scene up to which the notebooks use it."""

THROUGHPUT = 20.0
"""Megabytes a second that a provider gives, unless it is stated."""

START = 15.0
"""Seconds of a run that do not grow with its region: imports, pages."""

SECONDS = 3.0
"""CPU seconds a megapixel and date: 0.6-0.9 to read, derive and write, 1.9 through a network (benchmarks/)."""

KERNEL, MEGAPIXEL, CLUSTER = 900.0, 200.0, 800.0
"""MiB of a kernel with its imports, of a megapixel of one date in it, of the cluster."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What one run will take."""

    run: Run
    scenes: int
    bytes: int
    """To be read, as they are before compression."""
    seconds: float
    memory_mb: float
    note: str = ""
    """Why nothing was found."""


@dataclasses.dataclass(frozen=True)
class Total:
    """What all of them will take beside each other."""

    runs: int
    done: int
    scenes: int
    bytes: int
    minutes: float
    memory_mb: float
    source: str
    """Where minutes and memory come from."""

    def __str__(self) -> str:
        return (
            f"{self.runs} runs to do, {self.done} done: {self.scenes:,} scenes, {_size(self.bytes)} to read at most, "
            f"about {_time(self.minutes)} and {self.memory_mb:,.0f} MiB of memory ({self.source})"
        )


def plan(
    runs: Sequence[Run], out: pathlib.Path, jobs: int, throughput: float = THROUGHPUT, again: bool = False
) -> tuple[list[Estimate], Total]:
    """What the runs that are not done in `out` will take, and their sum at `jobs` kernels at a time.

    Scenes are searched for as the notebooks do, of every sensor that the notebook or its parameters name: late summer,
    cloud up to CLOUD. Bytes: of every band the part of the footprint within the region. Minutes and memory are
    extrapolated from the runs that `out` already holds, by megapixels and dates; where it holds none, they are from
    SECONDS and `throughput` (MB a second, all kernels together).
    """
    todo = [run for run in runs if again or outcomes.of(run, out).status != outcomes.GOOD]
    earlier = [found for found in outcomes.reports(out) if found.get("size_mpx") and found.get("seconds")]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(tqdm(pool.map(_found, todo), "searching", len(todo), unit="run", delay=2, leave=False))
    rows = []
    for run, (scenes, count, note) in zip(todo, found, strict=True):
        if earlier:
            seconds = size(run) * sum(one["seconds"] for one in earlier) / sum(one["size_mpx"] for one in earlier)
            memory = float(np.median([one["memory_mb"] for one in earlier]))
        else:
            seconds = START + SECONDS * size(run) + count / throughput / 1e6
            memory = KERNEL + MEGAPIXEL * size(run) / _dates(run)
        rows.append(Estimate(run, scenes, count, seconds, memory, note))
    beside = sorted((one.memory_mb for one in rows), reverse=True)[:jobs]
    lanes = max(1, min(jobs, len(rows), jobs if earlier else cluster.cores()))
    around = CLUSTER if rows and "client" in rows[0].run.defaults else 0.0
    source = f"as in {len(earlier)} runs here" if earlier else f"at {throughput:g} MB/s; nothing was run here yet"
    total = Total(
        len(rows), len(runs) - len(rows), sum(one.scenes for one in rows), sum(one.bytes for one in rows),
        sum(one.seconds for one in rows) / lanes / 60, sum(beside) + around, source,
    )  # fmt: skip
    return rows, total


def lines(rows: Sequence[Estimate], total: Total, most: int = 40) -> Iterator[str]:
    """The plan as lines of text: the runs (of many, those that take longest) and the sum."""
    shown = rows if len(rows) <= most else sorted(rows, key=lambda one: -one.seconds)[: most // 2]
    wide = max([len(one.run.name) for one in shown], default=0)
    for one in shown:
        told = (
            f"{one.scenes:>7,} scenes {_size(one.bytes):>10} {_time(one.seconds / 60):>10} {one.memory_mb:>7,.0f} MiB"
        )
        yield f"{one.run.name:<{wide}} {told}{'  ' + one.note if one.note else ''}"
    if len(shown) < len(rows):
        yield f"... and {len(rows) - len(shown)} shorter ones"
    yield str(total)


def size(run: Run) -> float:
    """Megapixels of the region's grid, times the dates that are mapped on it."""
    settings = {**run.defaults, **run.parameters}
    pixel = float(settings.get("resolution") or 10.0)
    return (
        abs(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(run.region.geometry)[0]) / pixel**2 / 1e6 * _dates(run)
    )


def _dates(run: Run) -> int:
    years = {**run.defaults, **run.parameters}.get("years")
    return max(1, len(years)) if isinstance(years, list) else 1


def _found(run: Run) -> tuple[int, int, str]:
    """Scenes, bytes, and why there are none."""
    settings = {**run.defaults, **run.parameters}
    if "provider" not in settings:
        return 0, 0, ""
    provider = demo.provider(settings["provider"], settings.get("seed", 7))
    months = settings.get("months") or (composite.NORTH if run.region.bbox[1] > 0 else composite.SOUTH)
    scenes, count, why = 0, 0, ""
    for sensor in _sensors(run, settings):
        still = any(band.name == "elevation" for band in sensor.bands)  # a DEM is taken whatever its date
        when = {} if still else {"datetime": settings.get("years"), "months": months, "max_cloud": CLOUD}
        try:
            items = search.scenes(run.region.bbox, sensor=sensor.name, provider=provider, **when)
        except (LookupError, OSError) as error:
            why = why or kernels.first_line(error)
            continue
        scenes += len(items)
        count += sum(
            _bytes(item, sensor, run.region.geometry, float(settings.get("resolution") or 0.0)) for item in items
        )
    return scenes, count, "" if scenes else why


def _sensors(run: Run, settings: dict) -> list[Sensor]:
    """Those that a notebook's code or a parameter names."""
    cells = nbformat.read(run.notebook, as_version=4).cells
    named = {
        text for cell in cells if cell.cell_type == "code" for text in re.findall(r"[\"']([\w-]+)[\"']", cell.source)
    }
    named |= {value for value in settings.values() if isinstance(value, str)}
    return [sensor for sensor in SENSORS if sensor.name in named]


def _bytes(item: pystac.Item, sensor: Sensor, region: shapely.Geometry, resolution: float) -> int:
    """Bytes of a scene within a region, all bands that are read unasked: of a file's stated size, or of its pixels."""
    geod = pyproj.Geod(ellps="WGS84")
    shape = shapely.make_valid(shapely.geometry.shape(search.footprint(item)))
    inside, whole = (abs(geod.geometry_area_perimeter(one)[0]) for one in (shape.intersection(region), shape))
    total = 0.0
    for band in sensor.bands:
        key = next((key for known in band.keys for key in item.assets if re.fullmatch(known, key)), None)
        if key is None or band.extra:
            continue
        fields = {**item.properties, **item.assets[key].extra_fields}
        pixel = max(_pixel(fields, sensor), resolution)  # a coarser grid is read from overviews
        stated = fields.get("file:size")
        if stated and whole and pixel <= _pixel(fields, sensor):
            total += stated * inside / whole
        else:
            total += inside / pixel**2 * _depth(fields, sensor, band.name)
    return round(total)


def _pixel(fields: dict, sensor: Sensor) -> float:
    """Metres of an asset's pixel, as it states them."""
    stated = fields.get("proj:transform") or [0.0]
    metres = abs(stated[0]) if abs(stated[0]) >= 1 else 0.0  # smaller ones are degrees
    return float(metres or fields.get("gsd") or sensor.resolution)


def _depth(fields: dict, sensor: Sensor, band: str) -> int:
    """Bytes of a pixel's value."""
    for stated in fields.get("raster:bands") or [{}]:
        with contextlib.suppress(TypeError):
            return np.dtype(stated.get("data_type", "")).itemsize
    return 4 if sensor.radar or band == "elevation" else 2


def _size(count: float) -> str:
    """Bytes for a reader.

    >>> _size(0), _size(3_200_000), _size(4.1e12)
    ('0 MB', '3 MB', '4.1 TB')
    """
    for unit in ("MB", "GB", "TB"):
        count = count / (1e6 if unit == "MB" else 1e3)
        if count < 1000 or unit == "TB":
            return f"{count:,.0f} {unit}" if unit == "MB" else f"{count:,.1f} {unit}"


def _time(minutes: float) -> str:
    """Minutes for a reader.

    >>> _time(0.5), _time(90), _time(60 * 31)
    ('1 min', '90 min', '31 h')
    """
    return f"{math.ceil(minutes)} min" if minutes < 120 else f"{minutes / 60:.0f} h"
