"""A system over a scene: overlapping windows, batched through the network inside Dask workers or right here.

Chunk, window and batch are three things. Chunks are how the features are read. Windows are what the network sees;
they overlap by twice the halo and their weights sum to one at every pixel. Batches are windows at a time. A block is
a group of windows that one task reads, predicts and blends; what a task returns only has to be added to the result.
"""

import collections
import concurrent.futures
import dataclasses
import itertools
import threading
from collections.abc import Iterator

import dask
import distributed
import numpy as np
import torch
import xarray as xr
from dask.base import tokenize
from tqdm import tqdm

from glacier_nb import clean as cleaning
from glacier_nb import cluster, networks, systems, windows
from glacier_nb import weights as trained
from glacier_nb.systems import System
from glacier_nb.weights import Weights
from glacier_nb.windows import Block

BLOCK = 512
"""Pixels that a block's side aims at: enough blocks for every thread of a small scene, few enough to cost nothing."""

IN_FLIGHT = 64
"""Blocks submitted at a time: what neighbours share is read once, and the scheduler never holds a whole scene."""

_models: collections.OrderedDict[str, torch.nn.Module] = collections.OrderedDict()
_lock = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Job:
    """What a worker must know to predict any block; it holds names and hashes, no tensors."""

    system: System
    weights: Weights | None
    term: str
    scores: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    batch: int
    key: str


def zones(
    features: xr.DataArray,
    system: str | System,
    weights: str | Weights | None = None,
    client: distributed.Client | None = None,
    window: int = 256,
    halo: int | None = None,
    batch: int | None = None,
    progress: bool = True,
    clean: bool = True,
) -> xr.DataArray:
    """Probability of each zone, float32 (zone, y, x) in memory; NaN where no image saw the ground.

    features: (feature, y, x), lazy or not, its coordinate `feature` naming at least the system's inputs. weights: a
    name in `weights.WEIGHTS`, a path, or None for the system's first. client: a Dask client (see `cluster.client`), or
    None to run here. window, halo: pixels; the halo follows from the network's receptive radius, an eighth of the
    window at most. batch: windows at a time. clean: apply the system's cleaning. attrs: system, weights,
    weights_sha256, window, halo, missing (inputs gone without), time and sensor of the features.

    LookupError: an input is missing, or there are no weights. ValueError: wrong dimensions, channel count, window, or
    weights of another system. A NaN input is filled with its mean.
    """
    system = systems.find(system)
    values = _run(features, system, weights, client, window, halo, batch, progress, "zones", len(system.zones))
    found = values.rename({"score": "zone"}).assign_coords(zone=list(system.zones)).rename("zones")
    return cleaning.apply(found, system.clean) if clean else found


def front(
    features: xr.DataArray,
    system: str | System,
    weights: str | Weights | None = None,
    client: distributed.Client | None = None,
    window: int = 256,
    halo: int | None = None,
    batch: int | None = None,
    progress: bool = True,
) -> xr.DataArray:
    """Probability of a calving front, float32 (y, x); arguments and errors as in `zones`.

    The network's own where it has one, else derived from its zones (see `systems.finish`).
    """
    system = systems.find(system)
    values = _run(features, system, weights, client, window, halo, batch, progress, "front", 1)
    return values.isel(score=0).rename("front")


def _run(
    features: xr.DataArray,
    system: System,
    weights: str | Weights | None,
    client: distributed.Client | None,
    window: int,
    halo: int | None,
    batch: int | None,
    progress: bool,
    term: str,
    scores: int,
) -> xr.DataArray:
    """One term of `system` over `features`, (score, y, x)."""
    row = trained.find(weights) if weights is not None else trained.default(system.name)
    layers, missing = _layers(features, system, row)
    key = tokenize(str(system), row and (row.name, row.sha256))
    network, _ = _model(system, row, key)
    if row is None and networks.parameters(network):
        raise LookupError(
            f"{system.name} has {networks.parameters(network):,} parameters and no weights here:"
            " give weights= a path, or train it (python -m glacier_nb train --help)"
        )
    mean, std = (system.mean, system.std) if system.mean else (row.mean, row.std) if row else ((), ())
    if len(mean) != len(system.inputs):
        raise ValueError(f"no mean and std for the inputs of {system.name}: keep the card (.json) beside its weights")
    channels, stride = len(system.inputs), getattr(network, "stride", 1)
    if window < stride:
        raise ValueError(f"a window of {window} is too small for {system.name}, which needs {stride} pixels or more")
    most = window // 8 if halo is None else halo
    reach = networks.receptive_radius(network, channels, limit=max(most, 1))
    reach = None if reach is None else reach + (term == "front")  # a derived front looks at its neighbours
    halo = min(most, reach) if halo is None and reach is not None else most
    rows, columns = (windows.along(size, window, halo, stride, reach) for size in layers.shape[1:])
    size = batch or (16 if torch.cuda.is_available() else 4)
    job = Job(system, row, term, scores, mean, std, size, key)
    result = np.zeros((scores, *layers.shape[1:]), dtype="float32")
    pieces = windows.blocks(rows, columns, BLOCK)
    with tqdm(total=len(pieces), desc=system.name, unit="block", disable=not progress, delay=2) as bar:
        for y, x, values in (_here if client is None else _there)(layers, job, pieces, client):
            part = result[:, y : y + values.shape[1], x : x + values.shape[2]]
            part += values[:, : part.shape[1], : part.shape[2]]
            bar.update()
    attrs = {key: features.attrs[key] for key in ("time", "sensor") if key in features.attrs}
    attrs |= {"system": system.name, "weights": row.name if row else "", "weights_sha256": row.sha256 if row else ""}
    attrs |= {"window": window, "halo": halo, "missing": ", ".join(missing)}
    coords = {name: layers.coords[name] for name in layers.coords if name != "feature"}
    return xr.DataArray(result, coords, ("score", "y", "x"), attrs=attrs)


def _layers(features: xr.DataArray, system: System, row: Weights | None) -> tuple[xr.DataArray, list[str]]:
    """The system's inputs in channel order, NaN for optional ones that are not there, and the names of those."""
    if features.dims != ("feature", "y", "x"):
        raise ValueError(
            f"features have dims {features.dims}, not (feature, y, x): give one date of features.stack(...)"
        )
    if row is not None and row.system not in ("", system.name):
        raise ValueError(f"weights {row.name} were trained for {row.system}, not {system.name}")
    if row is not None and row.inputs and row.inputs != system.inputs:
        raise ValueError(
            f"weights {row.name} take {', '.join(row.inputs)}; {system.name} gives {', '.join(system.inputs)}"
        )
    wanted = list(system.inputs)
    if "feature" not in features.coords:
        if features.sizes["feature"] != len(wanted):
            raise ValueError(
                f"{features.sizes['feature']} unnamed channels, {system.name} takes {len(wanted)}: "
                f"{', '.join(wanted)}; name them in the coordinate feature"
            )
        return features.assign_coords(feature=wanted), []
    there = set(features.feature.values.tolist())
    missing = [name for name in wanted if name not in there]
    needed = [name for name in missing if name not in system.optional]
    if needed:
        raise LookupError(
            f"{system.name} needs {', '.join(needed)}; the features hold {', '.join(sorted(there))}:"
            " add it to the scene and to features.stack"
        )
    return features.reindex(feature=wanted), missing


def _model(system: System, row: Weights | None, key: str) -> tuple[torch.nn.Module, torch.device]:
    """The network with its weights on this process's device, ready to predict: loaded once, the last two are kept."""
    with _lock:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if key not in _models:
            build = row.network if row is not None and row.network is not None else system.network
            network = build(len(system.inputs))
            network = trained.load(network, row) if row is not None else network
            _models[key] = network.eval().to(device, memory_format=torch.channels_last)
            while len(_models) > 2:
                _models.popitem(last=False)
        _models.move_to_end(key)
        return _models[key], device


def _here(layers: xr.DataArray, job: Job, pieces: list[Block], client: None) -> Iterator[tuple]:
    """Blocks predicted in this process; the next is read meanwhile."""
    threads = torch.get_num_threads()
    if layers.nbytes < 2**28:  # small enough to hold: each chunk is then computed once
        layers = layers.compute()
    with concurrent.futures.ThreadPoolExecutor(1) as reader:
        slabs = [reader.submit(layers[:, *piece.extent].to_numpy) for piece in pieces[:1]]
        try:
            for number, piece in enumerate(pieces):
                slab = slabs.pop().result()
                slabs += [reader.submit(layers[:, *p.extent].to_numpy) for p in pieces[number + 1 : number + 2]]
                yield _predict(slab, piece, job, cluster.cores())
        finally:
            torch.set_num_threads(threads)


def _there(layers: xr.DataArray, job: Job, pieces: list[Block], client: distributed.Client) -> Iterator[tuple]:
    """Blocks predicted on the client's workers, as they finish."""
    beside = cluster.threads_beside(client)
    waiting = iter(pieces)

    def submit(piece: Block) -> distributed.Future:
        slab = layers[:, *piece.extent].data
        if dask.is_dask_collection(slab):
            return client.compute(dask.delayed(_on_worker)(slab, piece, job, beside))
        return client.submit(_on_worker, client.scatter(slab), piece, job, beside, pure=False)

    running = distributed.as_completed([submit(piece) for piece in itertools.islice(waiting, IN_FLIGHT)])
    try:
        for future in running:
            yield future.result()
            for piece in itertools.islice(waiting, 1):
                running.add(submit(piece))
    finally:
        running.clear()


def _on_worker(slab: np.ndarray, piece: Block, job: Job, beside: dict[str, int]) -> tuple:
    """`_predict` with this worker's share of its host's cores."""
    threads = beside.get(distributed.get_worker().address, 1)
    return _predict(slab, piece, job, max(1, cluster.cores() // threads))


@torch.inference_mode()
def _predict(slab: np.ndarray, piece: Block, job: Job, threads: int) -> tuple[int, int, np.ndarray]:
    """One block: its place and its windows' weighted probabilities (score, y, x), NaN where unseen.

    slab: the inputs (channel, y, x) of the block, less what lies beyond the scene.
    """
    beyond = [(0, side.stop - side.start - size) for side, size in zip(piece.extent, slab.shape[1:], strict=True)]
    slab = np.pad(np.asarray(slab, dtype="float32"), ((0, 0), *beyond), constant_values=np.nan)
    seen = ~np.isnan(slab[systems.shows_ground(job.system)]).all(axis=0)
    mean, std = (np.asarray(numbers, dtype="float32")[:, None, None] for numbers in (job.mean, job.std))
    slab = (slab - mean) / std
    slab[~np.isfinite(slab)] = 0
    out = np.zeros((job.scores, *seen.shape), dtype="float32")
    spots = []
    for (y, down), (x, across) in itertools.product(
        zip(piece.y, piece.y_weights, strict=True), zip(piece.x, piece.x_weights, strict=True)
    ):
        cut = (slice(y - piece.y[0], y - piece.y[0] + len(down)), slice(x - piece.x[0], x - piece.x[0] + len(across)))
        if seen[cut].any():
            spots.append((cut, np.outer(down, across).astype("float32")))
    if spots:
        model, device = _model(job.system, job.weights, job.key)
        torch.set_num_threads(threads)
    for some in (spots[first : first + job.batch] for first in range(0, len(spots), job.batch)):
        tensor = torch.from_numpy(np.stack([slab[:, *cut] for cut, _ in some]))
        terms = systems.finish(job.system, model(tensor.to(device, memory_format=torch.channels_last)))
        if job.term not in terms:
            raise LookupError(f"{job.system.name} gives {', '.join(terms)}, not {job.term}")
        for (cut, weight), values in zip(some, terms[job.term].float().cpu().numpy(), strict=True):
            out[:, *cut] += values * weight
    out[:, ~seen] = np.nan
    return piece.y[0], piece.x[0], out
