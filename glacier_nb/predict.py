"""A system over a scene: overlapping windows, batched through the network inside Dask workers or right here.

Chunk, window and batch are three things. Chunks are how the features are read, each once. Windows are what the network
sees; they overlap by twice the halo and their weights sum to one at every pixel. Batches are windows at a time. A block
is a group of windows that one task predicts and blends, and it owns one chunk of the product.
"""

import contextlib
import dataclasses
import os
import pathlib
import time
from collections.abc import Sequence

import distributed
import geopandas as gpd
import numpy as np
import shapely
import xarray as xr
from tqdm import tqdm

from glacier_nb import assembly, forward, guards, jobs, plans, selection, sinks, systems, windows, workers
from glacier_nb import clean as cleaning
from glacier_nb.jobs import Job
from glacier_nb.plans import Plan
from glacier_nb.systems import System
from glacier_nb.weights import Weights
from glacier_nb.windows import Block

BLOCK = 512
"""Pixels that a block's side aims at: enough blocks for every thread of a small scene, few enough to cost nothing."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What `zones` and `front` take besides.

    out: a .zarr or .tif (COG) to stream the product to, in memory that does not grow with the scene; the same call goes
    on with a run that was killed, and gives a finished product back at once. dtype: of that product, "float16",
    "uint8" (in steps of 0.004), "float32", or "zone" (the number of the likeliest zone; no probabilities). opinions:
    keep the members' own maps (`System.opinions`) there too, beside the zones, for a cleaning that asks for them.
    within: outlines (GeoDataFrame or GeoSeries), `buffer` metres wider; elsewhere nothing is read and the product is
    NaN. clear: bool (y, x), lazy or not; a window without a clear pixel is neither read nor predicted.
    precision: "float32", or "bfloat16" or "float16" where the device has them. symmetries: 1, 4, 8, or their numbers.
    passes: of Monte-Carlo dropout, drawn by `seed`; both as the system's paper has them unless given. With several
    members (weights are members too) the product is their mean, and its coordinate `spread` their standard deviation.
    tempered: each network's zones by the temperature on its card, where `train.calibrate` wrote one: a probability that
    holds, the same outlines; attrs "temperature". compile: by torch, which costs a minute.
    deterministic: the same bits on every run on the same device. plan: True returns the `plans.Plan` and predicts
    nothing; given that plan, what it took is printed beside it, and in attrs "planned".
    """

    out: str | os.PathLike | None = None
    dtype: str = "float16"
    opinions: bool = False
    within: gpd.GeoDataFrame | gpd.GeoSeries | None = None
    buffer: float = 0.0
    clear: xr.DataArray | None = None
    precision: str = "float32"
    symmetries: int | Sequence[int] | None = None
    passes: int | None = None
    seed: int = 0
    tempered: bool = True
    compile: bool = False
    deterministic: bool = False
    plan: bool | Plan = False


def zones(
    features: xr.DataArray,
    system: str | System,
    weights: str | Weights | Sequence[str | Weights] | None = None,
    client: distributed.Client | None = None,
    window: int = 256,
    halo: int | None = None,
    batch: int | None = None,
    progress: bool = True,
    clean: bool | None = None,
    **options,
) -> xr.DataArray | Plan:
    """Probability of each zone, float32 (zone, y, x) in memory; NaN where no image saw the ground.

    features: (feature, y, x), lazy or not, its coordinate `feature` naming at least the system's inputs. weights: a
    name in `weights.WEIGHTS`, with its `also`, a path, several of them (an ensemble), or None for the system's first.
    client: a Dask client (see `cluster.client`), or None to run here. window, halo: pixels; the halo follows from the
    network's receptive radius, an eighth of the window at most. batch: windows at a time; halved where memory runs out.
    clean: apply the system's cleaning, which sees whole bodies of ice (default: yes, but what is streamed to disk is
    left to `clean.apply`). options: see `Options`. attrs: system, weights, weights_sha256, weights_licence (where any
    is told; " | " between several), window, halo, missing (inputs gone without), time and sensor of the features,
    domain_distance (see `guards.Domain`) with a `warning` where the scene is unlike the training, and seam: the mean
    difference of neighbouring windows where the network feels past the halo.

    LookupError: an input is missing, or there are no weights. ValueError: wrong dimensions, channel count, unit, pixel
    size or window, or weights of another system. A NaN input is filled with its mean.
    """
    system, asked = systems.find(system), Options(**options)
    if clean and asked.out is not None:
        raise ValueError("cleaning sees whole bodies of ice: predict with out= first, then clean.apply what you open")
    bare = asked.out is not None or clean is False
    scores = (*system.zones, *(system.opinions if asked.opinions or not bare else ()))
    found = _run([features], system, weights, client, window, halo, batch, progress, "zones", scores, asked)
    bare = bare or isinstance(found, Plan)
    return found if bare else cleaning.apply(found, system.clean, features, system.opinions)


def front(
    features: xr.DataArray,
    system: str | System,
    weights: str | Weights | Sequence[str | Weights] | None = None,
    client: distributed.Client | None = None,
    window: int = 256,
    halo: int | None = None,
    batch: int | None = None,
    progress: bool = True,
    **options,
) -> xr.DataArray | Plan:
    """Probability of a calving front, float32 (y, x); arguments and errors as in `zones`.

    The network's own where it has one, else derived from its zones (see `systems.finish`).
    """
    system, asked = systems.find(system), Options(**options)
    found = _run([features], system, weights, client, window, halo, batch, progress, "front", ("front",), asked)
    return found if isinstance(found, Plan) or "zone" not in found.dims else found.isel(zone=0, drop=True)


def series(
    dates: Sequence[xr.DataArray],
    system: str | System,
    weights: str | Weights | Sequence[str | Weights] | None = None,
    client: distributed.Client | None = None,
    window: int = 256,
    halo: int | None = None,
    batch: int | None = None,
    progress: bool = True,
    **options,
) -> list[xr.DataArray] | Plan:
    """Zones of every date of a series, predicted together: of each what `zones` gives, in the order of `dates`.

    dates: the features of each (feature, y, x), on one grid, attrs["time"] its ISO date. A date borrows what it did not
    see from those that did: NaN only where none saw the ground. Other arguments and errors as in `zones`; ValueError
    too where the system does not take series, a date tells no time, or `out` is given: a series stays in memory.
    """
    system, asked = systems.find(system), Options(**options)
    if asked.out is not None:
        raise ValueError(f"out={asked.out!r}: a series is predicted in memory; write each of its dates afterwards")
    found = _run(dates, system, weights, client, window, halo, batch, progress, "zones", system.zones, asked)
    if isinstance(found, Plan):
        return found
    each = len(system.zones)
    maps = [found.isel(zone=slice(each * k, each * (k + 1))) for k in range(len(dates))]
    told = [{key: one.attrs[key] for key in ("time", "sensor") if key in one.attrs} for one in dates]
    maps = [one.assign_attrs(facts, dates=len(dates)) for one, facts in zip(maps, told, strict=True)]
    return [cleaning.apply(one, system.clean, layers) for one, layers in zip(maps, dates, strict=True)]


def _run(
    stacks: Sequence[xr.DataArray],
    system: System,
    weights: str | Weights | Sequence[str | Weights] | None,
    client: distributed.Client | None,
    window: int,
    halo: int | None,
    batch: int | None,
    progress: bool,
    term: str,
    scores: Sequence[str],
    asked: Options,
) -> xr.DataArray | Plan:
    """One term of `system` over the features of a date, (zone, y, x), or of those that `series` was given."""
    rows, days = jobs.weights(system, weights), guards.days(stacks, system)
    for row in rows or (None,):
        checked, without = zip(*(guards.layers(stack, system, row) for stack in stacks), strict=True)
    layers = xr.concat(checked, "feature", join="exact", combine_attrs="override") if days else checked[0]
    missing = list(dict.fromkeys(name for names in without for name in names))
    same = ("precision", "symmetries", "passes", "seed", "compile", "deterministic", "tempered")
    how = {name: getattr(asked, name) for name in same}
    how["symmetries"] = system.views if asked.symmetries is None else asked.symmetries
    how["opinions"] = tuple(scores[len(system.zones) :]) if term == "zones" else ()
    how["passes"] = (system.passes if system.passes > 1 else 0) if asked.passes is None else asked.passes
    job = jobs.job(system, rows, term, len(scores), batch, **how, days=days)
    start = time.monotonic()
    try:
        scores = list(scores) * job.dates
        found = _work(stacks[0], layers, missing, job, rows, client, window, halo, progress, scores, asked)
    finally:
        forward.forget(job.key)
    if isinstance(asked.plan, Plan):
        print(told := asked.plan.beside((time.monotonic() - start) / 60, plans.took(client)))
        found = found.assign_attrs(planned=told)
    return found


def _work(
    stack: xr.DataArray,
    layers: xr.DataArray,
    missing: list[str],
    job: Job,
    rows: tuple[Weights, ...],
    client: distributed.Client | None,
    window: int,
    halo: int | None,
    progress: bool,
    scores: Sequence[str],
    asked: Options,
) -> xr.DataArray | Plan:
    """The job on `layers`, the inputs of `stack`."""
    system, term = job.system, job.term
    network, stride = forward.ready(job)
    window = system.window or window
    if window < stride:
        raise ValueError(f"a window of {window} is too small for {system.name}, which needs {stride} pixels or more")
    margin = round(window * getattr(network, "margin", 0))  # lines at a window's edges that are a stand-in
    most = max(window // 8, margin) if halo is None else halo
    reach = margin or forward.reach(network, job, most)
    halo = min(most, reach) if halo is None and reach is not None else most
    job = dataclasses.replace(job, seam=reach is None or margin > 0)
    down, across = (
        windows.along(size, window, halo, stride, reach, BLOCK, system.window is not None) for size in layers.shape[1:]
    )
    shapes = selection.outlines(layers, asked.within, asked.buffer)
    chosen = selection.chosen(layers, down, across, shapes, asked.clear)
    hidden = selection.hidden(layers, down, across, chosen, shapes)
    pieces = windows.blocks(down, across, chosen)
    if asked.plan is True:
        lanes = workers.lanes(job, len(pieces)) if client is None else 1
        others = 1 if client is None else sum(client.nthreads().values())
        plan = plans.made(layers, pieces, job, lanes, others)
        print(plan)
        return plan
    attrs = {key: stack.attrs[key] for key in ("time", "sensor") if key in stack.attrs}
    attrs |= {"system": system.name, "weights": ", ".join(row.name for row in rows), "missing": ", ".join(missing)}
    attrs |= {"weights_sha256": ", ".join(row.sha256 for row in rows), "window": window, "halo": halo}
    attrs |= {"temperature": list(job.temperatures)} if set(job.temperatures) != {1.0} else {}
    facts = attrs | {"chunk": [down.chunk, across.chunk], "dtype": asked.dtype, "term": term, "scores": list(scores)}
    facts |= {"precision": job.precision, "members": dataclasses.asdict(job.members)}
    if asked.out is not None:
        facts |= {"features": plans.identity(layers)}
        facts |= {"chosen": plans.identity(chosen, None if shapes is None else shapely.to_wkb(shapes).tolist())}
    coords = {name: layers.coords[name] for name in layers.coords if name != "feature"}
    like = xr.DataArray(
        np.broadcast_to(np.float32(0), (len(scores), *layers.shape[1:])),
        {**coords, "zone": list(scores)},
        ("zone", "y", "x"),
        term,
    )
    names = (term, "spread") if job.members.several else (term,)
    attrs |= {"members": job.members.count} if job.members.several else {}
    attrs |= {"weights_licence": " | ".join(row.licence for row in rows)} if any(row.licence for row in rows) else {}
    store = None
    if asked.out is not None:
        if asked.dtype == "zone" and (len(names) > 1 or job.opinions):
            raise ValueError("dtype 'zone' keeps no spread and no opinions: take float16 or uint8")
        key = plans.identity(facts)
        if pathlib.Path(asked.out).exists() and sinks.opened(asked.out).attrs.get("run") == key:
            return sinks.opened(asked.out)
        attrs["run"] = key
        store = sinks.Store(asked.out, like, names, asked.dtype, (down.chunk, across.chunk), facts)
    else:
        result = np.full((len(names) * len(scores), *layers.shape[1:]), np.nan, dtype="float32")

    def write(block: Block, chunk: np.ndarray) -> None:
        chunk[len(scores) :] = np.sqrt(chunk[len(scores) :].clip(0))
        if store is not None:
            store.write(block, chunk)
        else:
            result[:, *block.owned] = chunk

    parts = assembly.Assembly(pieces, hidden, store.sums if store is not None else None)
    if store is not None:
        parts.recall(store.written())
        for ready in parts.ready():
            write(*ready)
    left = [piece for piece in pieces if not parts.finished(piece)]
    domain = guards.Domain(system.inputs, job.mean[0], job.std[0], rows[0] if rows else None)
    seam, area = np.zeros(2), sum(_area(piece) for piece in pieces)
    with (
        contextlib.closing(workers.done(layers, job, left, client)) as found,
        tqdm(total=area, desc=system.name, unit="px", unit_scale=True, disable=not progress, delay=2) as bar,
    ):
        bar.update(area - sum(map(_area, left)))
        for piece, done in zip(left, found, strict=True):
            for ready in parts.put(piece, done.values):
                write(*ready)
            domain.add(done.sums)
            seam += done.seam
            bar.update(_area(piece))
    attrs |= domain.told()
    if seam[1]:
        attrs["seam"] = round(float(seam[0] / seam[1]), 6)
    if store is not None:
        store.finish(attrs)
        return sinks.opened(asked.out)
    values = like.copy(data=result[: len(scores)]).assign_attrs(attrs)
    return values.assign_coords(spread=(values.dims, result[len(scores) :])) if len(names) > 1 else values


def _area(piece: Block) -> int:
    """Pixels that a block owns."""
    return (piece.owned[0].stop - piece.owned[0].start) * (piece.owned[1].stop - piece.owned[1].start)
