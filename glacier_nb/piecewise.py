"""A composite block by block: one task reads its scenes one after another, in memory that does not grow with them.

Without a source, plain or ours: `reduced`, `least_snow`, `mean`, `middle`.
"""

import concurrent.futures
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import dask
import dask.array as da
import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from glacier_nb import ranks

CHUNK = 1024
"""Pixels on a side of a block, about."""

HELD = 128 * 2**20
"""Bytes of scenes that a block holds at once; what is beyond is read a second time."""

AHEAD = 3
"""Scenes of a block that are read at the same time."""


class Stack(Protocol):
    """What `load.stack` gives."""

    geobox: GeoBox
    scenes: Sequence

    def only(self, chosen: Sequence[int], geobox: GeoBox | None = None) -> "Stack":
        """Some of the scenes, by number, or a part of the grid."""

    def touching(self, geobox: GeoBox) -> list[int]:
        """Numbers of the scenes whose footprint touches a part of the grid."""

    def read(self) -> xr.Dataset:
        """The scenes as a Dataset (time, y, x), read here and now."""


def reduced(stack: Stack, names: Sequence[str], lost: bool, reduce: Callable, halo: int, **more: Any) -> dict:
    """Lazy layers (y, x) by name: bands, source, count, and lost where it is asked for.

    reduce(stack, geobox, **more) makes the layers (dict of arrays) of a part of the grid; it gets `halo` pixels more
    on each side, where there are any. The graph has a task for each block and one for each block and layer.
    """
    dtypes = (
        dict.fromkeys(names, "float32") | {"source": "int16", "count": "int16"} | ({"lost": "int16"} if lost else {})
    )
    whole, more = (dask.delayed(thing, traverse=False) for thing in (stack, more))  # once in the graph, not per block
    rows, columns = (_edges(size) for size in stack.geobox.shape)
    blocks = []
    for top, bottom in rows:
        blocks.append([])
        for left, right in columns:
            made = dask.delayed(_block)(whole, (top, bottom, left, right), halo, reduce, more)
            shape = bottom - top, right - left
            blocks[-1].append({n: da.from_delayed(made[n], shape, dtype) for n, dtype in dtypes.items()})
    return {name: da.block([[one[name] for one in row] for row in blocks]) for name in dtypes}


def least_snow(stack: Stack, geobox: GeoBox, layers: Sequence[str], late: np.ndarray, shade: Callable | None) -> dict:
    """Every pixel from the scene that `ranks.rank` likes best; of equals the one with the least `late`.

    `layers` are the bands to rank by (bright, short, near, blue); shade(number, geobox) says where the sun was behind
    terrain. Two passes over the scenes: the brightest observation of each pixel, then the ranks.
    """
    held, brightest = {}, np.zeros((1, 2, *geobox.shape), "float32")
    numbers, room = stack.touching(geobox), HELD
    for number, ds in _scenes(stack, geobox, numbers):
        bands = [ds[name].values for name in layers]
        np.maximum(brightest, ranks.sunlit(*bands, ds.clear.values), out=brightest)
        if ds.nbytes <= room:
            held[number], room = ds, room - ds.nbytes
    out = _empty(stack, geobox)
    best = np.full(geobox.shape, np.inf, "float32")
    for number, ds in _scenes(stack, geobox, numbers, held):
        clear = ds.clear.values
        scores = ranks.rank(*(ds[name].values for name in layers), clear, brightest)
        if shade is not None:
            scores += np.float32(ranks.SHADE) * shade(number, geobox)
        score = ranks.compare(scores, clear)[0] + np.float32(0.05) * late[number]
        better = score < best
        best[better] = score[better]
        for name, values in out.items():
            if name in ds and name != "lost":
                values[better] = ds[name].values[0][better]
        out["source"][better] = number
        _count(out, ds)
    return out


def mean(stack: Stack, geobox: GeoBox) -> dict:
    """The mean of what was seen, and the first scene that saw a pixel."""
    out = _empty(stack, geobox)
    sums = {name: [np.zeros(geobox.shape, "float32"), np.zeros(geobox.shape, "int32")] for name in stack.names}
    for number, ds in _scenes(stack, geobox, stack.touching(geobox)):
        clear = ds.clear.values[0]
        for name, (total, seen) in sums.items():
            good = clear & np.isfinite(ds[name].values[0])
            total[good] += ds[name].values[0][good]
            seen += good
        out["source"][(out["source"] < 0) & clear] = number
        _count(out, ds)
    for name, (total, seen) in sums.items():
        out[name] = np.where(seen > 0, total / np.maximum(seen, 1), np.nan).astype("float32")
    return out


def middle(stack: Stack, geobox: GeoBox, choose: Callable) -> dict:
    """choose(bands (time, band, y, x), clear) -> values (band, y, x), source: all scenes of a strip of rows at once."""
    out, numbers = _empty(stack, geobox), stack.touching(geobox)
    size = max(1, len(numbers)) * (4 * len(stack.names) + 1) * geobox.shape[1]
    rows = max(16, HELD // size)
    for top in range(0, geobox.shape[0], rows):
        here = np.s_[top : min(top + rows, geobox.shape[0]), :]  # a GeoBox is not cut off at its end
        part = geobox[here]
        scenes = [(number, ds) for number, ds in _scenes(stack, part, numbers)]
        if not scenes:
            continue
        values = np.stack([np.stack([ds[name].values[0] for name in stack.names]) for _, ds in scenes])
        clear = np.stack([ds.clear.values[0] for _, ds in scenes])
        found, source = choose(values, clear)
        for layer, name in enumerate(stack.names):
            out[name][here] = found[layer]
        out["source"][here] = np.where(source >= 0, np.array([n for n, _ in scenes], "int16")[source], -1)
        for _, ds in scenes:
            _count({name: out[name][here] for name in ("count", "lost") if name in out}, ds)
    return out


def _edges(size: int) -> list[tuple[int, int]]:
    """Start and end of blocks near `CHUNK` that leave no sliver."""
    step = -(-size // max(1, round(size / CHUNK)))
    return [(start, min(start + step, size)) for start in range(0, size, step)]


def _block(stack: Stack, place: tuple[int, int, int, int], halo: int, reduce: Callable, more: dict) -> dict:
    """The layers of a block, without its halo."""
    top, bottom, left, right = place
    rows, columns = stack.geobox.shape
    up, before = max(0, top - halo), max(0, left - halo)
    geobox = stack.geobox[up : min(rows, bottom + halo), before : min(columns, right + halo)]
    made = reduce(stack, geobox, **more)
    inside = np.s_[top - up : bottom - up, left - before : right - before]
    return {name: np.ascontiguousarray(values[inside]) for name, values in made.items()}


def _scenes(stack: Stack, geobox: GeoBox, numbers: list[int], held: dict | None = None) -> Iterator[tuple]:
    """(number, Dataset of one time), in order; some are read ahead of the one that is worked on."""
    held = held or {}
    with concurrent.futures.ThreadPoolExecutor(AHEAD, thread_name_prefix="scenes") as pool:
        waiting: list = []
        for number in numbers:
            if number in held:
                waiting.append((number, held[number]))
            else:
                waiting.append((number, pool.submit(lambda n: stack.only([n], geobox).read(), number)))
            if len(waiting) > AHEAD:
                yield _ready(waiting.pop(0))
        while waiting:
            yield _ready(waiting.pop(0))


def _ready(scene: tuple) -> tuple:
    number, ds = scene
    return number, ds.result() if isinstance(ds, concurrent.futures.Future) else ds


def _empty(stack: Stack, geobox: GeoBox) -> dict[str, np.ndarray]:
    """Layers of a part of the grid that nobody saw."""
    out = {name: np.full(geobox.shape, np.nan, "float32") for name in stack.names}
    out |= {"source": np.full(geobox.shape, -1, "int16"), "count": np.zeros(geobox.shape, "int16")}
    return out | {"lost": np.zeros(geobox.shape, "int16")}


def _count(out: dict[str, np.ndarray], ds: xr.Dataset) -> None:
    """Add one scene to the numbers of clear and of lost observations."""
    out["count"] += ds.clear.values[0]
    if "lost" in ds:
        out["lost"] += ds.lost.values[0]
