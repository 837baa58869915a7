"""Systems told where on Earth they look: a code of the place as further layers, and the row that reads it.

Maslov et al. 2025 (Nature Communications 16, 43, arXiv:2401.15113). For a place of no training region
`networks.placed.settle` finds the code itself.
"""

import dataclasses
import functools

import numpy as np
import xarray as xr

from glacier_nb import systems
from glacier_nb.networks import placed
from glacier_nb.systems import System

KINDS = {"region": placed.region, "coordinates": placed.coordinates}
"""A training region, one of eleven or unknown; or latitude and longitude by their sines and cosines."""

_SIZES = {"region": 12, "coordinates": 4}


def located(system: str | System, kind: str) -> System:
    """`system` (GlaViTU's kind: a network that takes `location`) with the layers of a code behind its inputs.

    LookupError: no code of that name.

    >>> located("glavitu_2024", "coordinates").inputs[-5:]
    ('slope', 'place_0', 'place_1', 'place_2', 'place_3')
    """
    system = systems.find(system)
    if kind not in KINDS:
        raise LookupError(f"no code of place called {kind!r}: one of {', '.join(KINDS)}")
    size = _SIZES[kind]
    return dataclasses.replace(
        system,
        name=f"{system.name}+{kind}",
        inputs=(*system.inputs, *(f"place_{number}" for number in range(size))),
        network=functools.partial(KINDS[kind], network=system.network),
        mean=(*system.mean, *(0.0,) * size) if system.mean else (),
        std=(*system.std, *(1.0,) * size) if system.std else (),
        reference_parameters=None,
    )


def region(number: int | None) -> tuple[float, ...]:
    """Code of a training region, 0 to 10; None: unknown. ValueError: another number."""
    if number is not None and not 0 <= number < 11:
        raise ValueError(f"region {number}: regions are numbered 0 to 10, None is unknown")
    return tuple(float(k == (11 if number is None else number)) for k in range(12))


def coordinates(longitude: float, latitude: float) -> tuple[float, ...]:
    """Code of a place in degrees: sine and cosine of its latitude, of its longitude.

    ValueError: no such place on Earth.
    """
    if not (-180 <= longitude <= 360 and -90 <= latitude <= 90):
        raise ValueError(f"longitude {longitude}, latitude {latitude}: give degrees, longitude first")
    y, x = np.radians((latitude, longitude))
    return tuple(float(value) for value in (np.sin(y), np.cos(y), np.sin(x), np.cos(x)))


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
