"""What a run will take, before it starts: scenes, bytes, windows, minutes and memory."""

import dataclasses
import math
import resource
import sys
import time
from collections.abc import Mapping, Sequence

import dask
import distributed
import numpy as np
import psutil
import torch
import xarray as xr

from glacier_nb import cluster, forward, slabs
from glacier_nb.jobs import Job
from glacier_nb.windows import Block

ROAD = 0.85
"""Share of the time that the network gets; the rest is reading, features and writing (benchmarks/predict.py)."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """scenes: items that the features were made of. bytes: of features to be read, decoded. windows, passes: through
    the network. minutes, memory (bytes): estimated from one batch that was tried."""

    scenes: int
    bytes: int
    windows: int
    passes: int
    minutes: float
    memory: int

    def __str__(self) -> str:
        """One line for a reader."""
        return (
            f"{self.scenes} scenes, {self.bytes / 2**20:,.0f} MiB of features to read, {self.windows:,} windows,"
            f" {self.passes:,} passes through the network: about {self.minutes:.1f} minutes and"
            f" {self.memory / 2**20:,.0f} MiB of memory"
        )

    def beside(self, minutes: float, memory: int) -> str:
        """The estimate beside the truth, for a reader.

        >>> Plan(1, 2**20, 4, 4, 2.0, 2**30).beside(2.5, 2**29)
        'planned 2.0 minutes, took 2.5; planned 1,024 MiB of memory, took 512'
        """
        return (
            f"planned {self.minutes:.1f} minutes, took {minutes:.1f};"
            f" planned {self.memory / 2**20:,.0f} MiB of memory, took {memory / 2**20:,.0f}"
        )


def took(client: distributed.Client | None = None) -> int:
    """Most bytes that this process, or all workers of a client together, have held since they started."""
    return _most() if client is None else sum(client.run(_most).values())


def _most() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def made(layers: xr.DataArray, pieces: Sequence[Block], job: Job, lanes: int, workers: int = 1) -> Plan:
    """The plan of predicting `pieces` of `layers`, after one batch of noise went through the network here.

    lanes: blocks predicted at a time in each of `workers` processes like this one.
    """
    count = int(sum(piece.wanted.sum() for piece in pieces))
    read = sum(
        math.prod(side.stop - side.start for side in place) * layers.shape[0] * 4
        for place in slabs.touched(layers, [piece.extent for piece in pieces])
    )
    items = layers.attrs.get("items", ())
    passes = count * job.members.count
    seconds, held = _tried(pieces, job, lanes) if pieces else (0.0, 0)
    minutes = seconds * passes / ROAD / lanes / workers / 60
    biggest = max((math.prod(side.stop - side.start for side in p.extent) for p in pieces), default=0)
    slab = biggest * layers.shape[0] * 4
    memory = psutil.Process().memory_info().rss + slabs.KEEP + (lanes + 2) * slab + lanes * held
    return Plan(max(1, len(items) if not isinstance(items, str) else 1), read, count, passes, minutes, memory * workers)


def _tried(pieces: Sequence[Block], job: Job, lanes: int) -> tuple[float, int]:
    """Seconds of a window's pass on one lane, and bytes that a batch holds, by trying the second of two."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, cluster.cores() // lanes))
    height, width = pieces[0].y_weights.shape[1], pieces[0].x_weights.shape[1]
    model, where = forward.models(job)[0], forward.device()
    x = torch.zeros((job.batch, len(job.system.inputs) * job.dates, height, width), device=where)
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), forward.cast(job):
        for _ in range(2):
            start = time.perf_counter()
            found = model(x)
            if where.type == "cuda":
                torch.cuda.synchronize()
            seconds = time.perf_counter() - start
    torch.set_num_threads(before)
    outs = sum(scores.numel() * 4 for scores in found.values() if isinstance(scores, torch.Tensor))
    return seconds / job.batch, 4 * (x.numel() * 4 + outs)


def identity(*things) -> str:
    """A name for what a run works on: the same in another process, another where grid, names, items or values differ.

    Values that are read lazily count by the scene's items and time.

    >>> identity(xr.DataArray([1.0])) == identity(xr.DataArray([1.0])) != identity(xr.DataArray([2.0]))
    True
    """
    return dask.base.tokenize([_known(thing) for thing in things])


def _known(thing: object) -> object:
    if isinstance(thing, xr.DataArray):
        values = None if dask.is_dask_collection(thing.data) else np.asarray(thing.values)
        kept = [(key, str(thing.attrs[key])) for key in ("time", "sensor", "items") if key in thing.attrs]
        coords = [(str(name), np.asarray(thing[name].values)) for name in thing.coords if name in ("feature", "y", "x")]
        crs = str(thing.odc.geobox.crs) if {"y", "x"} <= set(thing.coords) and thing.odc.geobox else ""
        return thing.shape, values, kept, coords, crs
    if isinstance(thing, Mapping):  # by key: older Dask goes by hash, another in each process
        return [(str(key), _known(thing[key])) for key in sorted(thing, key=str)]
    return thing
