"""Systems told which of their training regions they look at: its code as further layers, and the row that reads it.

Source: Maslov et al. 2025 (Nature Communications 16, 43, arXiv:2401.15113). For a place of no training region
`networks.placed.settle` finds the code itself. Their other code, latitude and longitude, is a row of its own,
glavitu_2024_coordinates.
"""

import dataclasses
import functools

import numpy as np
import xarray as xr

from glacier_nb import systems
from glacier_nb.networks import placed
from glacier_nb.systems import System

SIZE = 12
"""Eleven training regions, and unknown."""


def located(system: str | System) -> System:
    """`system` (GlaViTU's kind: a network that takes `location`) with the layers of a region's code behind its inputs.

    >>> located("glavitu_2024").inputs[-5:]
    ('place_7', 'place_8', 'place_9', 'place_10', 'place_11')
    """
    system = systems.find(system)
    return dataclasses.replace(
        system,
        name=f"{system.name}+region",
        inputs=(*system.inputs, *(f"place_{number}" for number in range(SIZE))),
        network=functools.partial(placed.region, network=system.network),
        mean=(*system.mean, *(0.0,) * SIZE) if system.mean else (),
        std=(*system.std, *(1.0,) * SIZE) if system.std else (),
        reference_parameters=None,
    )


def region(number: int | None) -> tuple[float, ...]:
    """Code of a training region, 0 to 10; None: unknown. ValueError: another number."""
    if number is not None and not 0 <= number < 11:
        raise ValueError(f"region {number}: regions are numbered 0 to 10, None is unknown")
    return tuple(float(k == (11 if number is None else number)) for k in range(12))


def layers(features: xr.DataArray, code: tuple[float, ...]) -> xr.DataArray:
    """`features` (feature, y, x) with a layer `place_k` for each number of `code`, NaN where nothing was seen.

    Terrain, which is always there, does not count as seen.
    """
    names = [str(name) for name in features.feature.values]
    images = systems.shows_ground(dataclasses.replace(systems.SYSTEMS[0], inputs=tuple(names), optional=()))
    seen = features.isel(feature=np.flatnonzero(images)).notnull().any("feature")
    values = xr.DataArray(np.asarray(code, "float32"), {"feature": [f"place_{k}" for k in range(len(code))]})
    added = values.where(seen).transpose(*features.dims)
    return xr.concat([features, added], "feature", coords="minimal", compat="override").assign_attrs(features.attrs)
