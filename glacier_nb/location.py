"""Systems told which of their training regions they look at: its code as layers, told or found from the scene itself.

Source: Maslov et al. 2025 (Nature Communications 16, 43, arXiv:2401.15113), whose row is glavitu_2024_region. Their
other code, latitude and longitude, is a row of its own, glavitu_2024_coordinates.
"""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import xarray as xr

from glacier_nb import features as known
from glacier_nb import forward, guards, jobs, systems
from glacier_nb.networks import placed
from glacier_nb.systems import System
from glacier_nb.weights import Weights


def region(number: int | None) -> tuple[float, ...]:
    """Code of a training region, 0 to 10; None: unknown. ValueError: another number."""
    if number is not None and not 0 <= number < 11:
        raise ValueError(f"region {number}: regions are numbered 0 to 10, None is unknown")
    return tuple(float(k == (11 if number is None else number)) for k in range(12))


def layers(features: xr.DataArray, code: tuple[float, ...]) -> xr.DataArray:
    """`features` (feature, y, x) with `code` in their layers `features.REGIONS`, NaN where no image saw the ground.

    They are put in the place of those that say something else, or behind the others. attrs: region_code.
    """
    names = [str(name) for name in features.feature.values if name not in known.REGIONS]
    others = features.sel(feature=names)
    images = systems.shows_ground(dataclasses.replace(systems.SYSTEMS[0], inputs=tuple(names), optional=()))
    seen = others.isel(feature=np.flatnonzero(images)).notnull().any("feature")
    values = xr.DataArray(np.asarray(code, "float32"), {"feature": list(known.REGIONS)})
    added = values.where(seen).transpose(*features.dims)
    made = xr.concat([others, added], "feature", coords="minimal", compat="override")
    return made.assign_attrs(features.attrs, region_code=list(code))


def settled(
    features: xr.DataArray,
    system: str | System = "glavitu_2024_region",
    weights: str | Weights | None = None,
    window: int = 384,
    most: int = 64,
    **options,
) -> xr.DataArray:
    """`features` (feature, y, x) of a place of no training region, with the code that the system is surest with.

    The paper's bias optimisation: no label is asked for, and nothing is changed but the code, see
    `networks.placed.settle` (options: rate, epochs, still). What comes back goes to `predict.zones` as it is. weights,
    errors: as in `predict.zones`. window: pixels. most: windows that are looked at, spread over the scene. ValueError
    too where none saw the ground.
    """
    system = systems.find(system)
    rows = jobs.weights(system, weights)[:1]
    stack = layers(features, region(None))
    for row in rows or (None,):
        inputs, _ = guards.layers(stack, system, row)
    job = jobs.job(system, rows, "zones", len(system.zones))
    try:
        network, _ = forward.ready(job)
        cuts = list(_cuts(inputs, system, job, window, most))
        if not cuts:
            raise ValueError(f"no window of {window} pixels saw the ground: {system.name} cannot tell where it looks")
        code = placed.settle(network, cuts, len(known.REGIONS), **options)
    finally:
        forward.forget(job.key)
    return layers(features, tuple(code.tolist()))


def _cuts(inputs: xr.DataArray, system: System, job: jobs.Job, side: int, most: int) -> Iterator[np.ndarray]:
    """Windows (1, channel, y, x), normalised, without the code; 0 where a channel is missing, NaN where unseen."""
    starts = list(itertools.product(*(range(0, size, side) for size in inputs.shape[1:])))
    shows = systems.shows_ground(system)
    own = [name not in known.REGIONS for name in system.inputs]
    mean, std = (np.asarray(numbers[0], "float32")[:, None, None] for numbers in (job.mean, job.std))
    for y, x in starts[:: -(-len(starts) // most)]:
        values = np.full((len(own), side, side), np.nan, "float32")
        cut = inputs[:, y : y + side, x : x + side].values
        values[:, : cut.shape[1], : cut.shape[2]] = cut
        seen = ~np.isnan(values[shows]).all(axis=0)
        if seen.any():
            yield np.where(seen, np.nan_to_num((values - mean) / std), np.nan)[own][None]
