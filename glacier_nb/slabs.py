"""Slabs of a lazy stack: each of its chunks is computed once and forgotten when no slab needs it any more."""

import collections
import concurrent.futures
import itertools
import pathlib
import tempfile
import threading
from collections.abc import Sequence

import dask
import dask.threaded
import distributed
import numpy as np
import xarray as xr
from dask.core import flatten
from dask.optimization import cull

KEEP = 24 * 2**20
"""Bytes of chunks that wait in memory for the slabs of the next row; what is more waits on disk."""

Extent = tuple[slice, slice]


class Slabs:
    """`layers` (channel, y, x), lazy or not, read in slabs of the given extents (y, x), each extent once.

    Slabs may be asked for by several threads, and in any order; the order of `extents` keeps the least waiting. What a
    dask stack's chunks have in common is computed once each, by `threads` threads.
    """

    def __init__(self, layers: xr.DataArray, extents: Sequence[Extent], threads: int = 4, keep: int = KEEP):
        self.layers, self.extents, self.threads, self.keep = layers, list(extents), threads, keep
        self.reads, self._lock = 0, threading.Lock()
        self._folder: tempfile.TemporaryDirectory | None = None
        self._chunks: dict[tuple[int, int], concurrent.futures.Future] = {}
        if lazy := dask.is_dask_collection(layers.data):
            whole = layers.data.rechunk({0: -1})
            (optimised,) = dask.optimize(whole)
            self._graph = dict(optimised.__dask_graph__())
            self._keys = np.array(list(flatten(optimised.__dask_keys__())), dtype="O").reshape(*whole.numblocks, -1)
            self._bounds = [np.cumsum((0, *sizes)) for sizes in whole.chunks[1:]]
            self._waiting = collections.Counter(
                place for extent in self.extents for place in _places(self._bounds, extent)
            )
        self._lazy = lazy

    def read(self, number: int) -> np.ndarray:
        """The slab of an extent, float32 (channel, y, x), less what lies beyond the stack."""
        extent = self.extents[number]
        if not self._lazy:
            return np.array(self.layers[:, *extent].to_numpy(), dtype="float32")
        height, width = (
            min(side.stop, size) - side.start for side, size in zip(extent, self.layers.shape[1:], strict=True)
        )
        slab = np.empty((self.layers.shape[0], height, width), dtype="float32")
        for place in _places(self._bounds, extent):
            target, source = _overlap(self._bounds, extent, place)
            slab[:, *target] = _opened(self._chunk(place))[:, *source]
            self._done(place)
        return slab

    def close(self) -> None:
        """Remove what waits on disk."""
        self._chunks.clear()
        if self._folder is not None:
            self._folder.cleanup()

    def _chunk(self, place: tuple[int, int]) -> np.ndarray | pathlib.Path:
        """A chunk, computed by the first who asks, or where it lies on disk."""
        with self._lock:
            mine = place not in self._chunks
            found = self._chunks.setdefault(place, concurrent.futures.Future())
            self.reads += mine
        if mine:
            try:
                key = tuple(self._keys[0, *place])
                graph, _ = cull(self._graph, [key])
                found.set_result(np.asarray(dask.threaded.get(graph, key, num_workers=self.threads), dtype="float32"))
            except BaseException as error:
                found.set_exception(error)
                raise
        return found.result()

    def _done(self, place: tuple[int, int]) -> None:
        """One slab less needs a chunk: it is forgotten, or the oldest go to disk where too many wait."""
        with self._lock:
            self._waiting[place] -= 1
            if not self._waiting[place]:
                gone = self._chunks.pop(place).result()
                if isinstance(gone, pathlib.Path):
                    gone.unlink()
            held = {k: f.result() for k, f in self._chunks.items() if f.done() and not f.exception()}
            held = {k: chunk for k, chunk in held.items() if isinstance(chunk, np.ndarray)}
            while sum(chunk.nbytes for chunk in held.values()) > self.keep:
                first = min(held)
                self._chunks[first] = self._spilled(first, held.pop(first))

    def _spilled(self, place: tuple[int, int], chunk: np.ndarray) -> concurrent.futures.Future:
        """A chunk on disk: mapped for the moment of a look alone, since what stays mapped counts as memory."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="glacier_nb-")
        path = pathlib.Path(self._folder.name) / f"{place[0]}-{place[1]}.npy"
        np.save(path, chunk)
        found: concurrent.futures.Future = concurrent.futures.Future()
        found.set_result(path)
        return found


class Remote:
    """The same on the workers of a Dask client: each chunk is computed once and stays with the worker that has it."""

    def __init__(self, client: distributed.Client, layers: xr.DataArray, extents: Sequence[Extent]):
        self.client, self.layers, self.extents = client, layers, list(extents)
        self._lazy = dask.is_dask_collection(layers.data)
        if self._lazy:
            whole = layers.data.rechunk({0: -1})
            self._chunks, self._futures = whole.to_delayed(), {}
            self._bounds = [np.cumsum((0, *sizes)) for sizes in whole.chunks[1:]]
            self._waiting = collections.Counter(
                place for extent in self.extents for place in _places(self._bounds, extent)
            )

    def parts(self, number: int) -> tuple[list[distributed.Future | np.ndarray], list[Extent]]:
        """Futures of the parts of an extent's slab, and where in it each lies: see `joined`."""
        extent = self.extents[number]
        if not self._lazy:
            slab = np.asarray(self.layers[:, *extent].to_numpy(), dtype="float32")
            return [self.client.scatter(slab, hash=False)], [(slice(0, slab.shape[1]), slice(0, slab.shape[2]))]
        parts, targets = [], []
        for place in _places(self._bounds, extent):
            if place not in self._futures:
                self._futures[place] = self.client.compute(self._chunks[0, *place])
            target, source = _overlap(self._bounds, extent, place)
            parts.append(self.client.submit(_cut, self._futures[place], source, pure=False, priority=1))
            targets.append(target)
        return parts, targets

    def done(self, number: int) -> None:
        """An extent's slab is used: chunks that no other needs are forgotten."""
        if self._lazy:
            for place in _places(self._bounds, self.extents[number]):
                self._waiting[place] -= 1
                if not self._waiting[place]:
                    del self._futures[place]


def touched(layers: xr.DataArray, extents: Sequence[Extent]) -> list[Extent]:
    """What pixels have to be read for slabs of these extents: the chunks of a lazy stack, each once, or the slabs."""
    if not dask.is_dask_collection(layers.data):
        return list(extents)
    bounds = [np.cumsum((0, *sizes)) for sizes in layers.data.chunks[1:]]
    places = sorted({place for extent in extents for place in _places(bounds, extent)})
    return [
        tuple(slice(int(edges[k]), int(edges[k + 1])) for edges, k in zip(bounds, place, strict=True))
        for place in places
    ]


def joined(parts: Sequence[np.ndarray], targets: Sequence[Extent]) -> np.ndarray:
    """A slab (channel, y, x) of its parts."""
    if len(parts) == 1:
        return parts[0]
    shape = [max(target[axis].stop for target in targets) for axis in (0, 1)]
    slab = np.empty((len(parts[0]), *shape), dtype="float32")
    for part, target in zip(parts, targets, strict=True):
        slab[:, *target] = part
    return slab


def _opened(chunk: np.ndarray | pathlib.Path) -> np.ndarray:
    return np.load(chunk, mmap_mode="r") if isinstance(chunk, pathlib.Path) else chunk


def _cut(chunk: np.ndarray, place: Extent) -> np.ndarray:
    return np.array(chunk[:, *place], dtype="float32")


def _places(bounds: Sequence[np.ndarray], extent: Extent) -> list[tuple[int, int]]:
    """The chunks (row, column) that an extent touches."""
    spans = []
    for side, edges in zip(extent, bounds, strict=True):
        first, last = np.searchsorted(edges, (side.start, min(side.stop, edges[-1]) - 1), side="right") - 1
        spans.append(range(first, last + 1))
    return list(itertools.product(*spans))


def _overlap(bounds: Sequence[np.ndarray], extent: Extent, place: tuple[int, int]) -> tuple[Extent, Extent]:
    """Where an extent and a chunk meet, counted from the start of the extent and from that of the chunk."""
    target, source = [], []
    for side, edges, k in zip(extent, bounds, place, strict=True):
        low, high = max(side.start, int(edges[k])), min(side.stop, int(edges[k + 1]))
        target.append(slice(low - side.start, high - side.start))
        source.append(slice(low - int(edges[k]), high - int(edges[k])))
    return tuple(target), tuple(source)
