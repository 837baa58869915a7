"""What a row of `features` is made of: the row itself, and the short formulas of bands and radar.

Without a source, plain or ours: `decibels`, `decibel_difference`, `power_ratio`, `grey`.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from odc.geo.geobox import GeoBox

from glacier_nb import blocks, contrast

EPS = 1e-6
_DARK = 1e-4  # smallest reflectance a ratio divides by: one count of Sentinel-2


@dataclass(frozen=True)
class Feature:
    """One layer: a formula over layers of the scene."""

    name: str
    needs: tuple[str, ...]
    """Variables of the scene, or layers made of them (`features.PARTS`), in the formula's order."""
    units: str
    formula: Callable
    """Arrays in the order of `needs` to one array; NaN in, NaN out."""
    citation: str
    whole: bool = False
    """Whether values depend on the whole scene (image statistics): the formula takes whole arrays, lazy or not, and
    stays as lazy as they are."""


@dataclass(frozen=True)
class Part:
    """Layers that several features are made of, made once for all of them."""

    names: tuple[str, ...]
    needs: tuple[str, ...]
    """Variables of the scene."""
    make: Callable
    """Those variables as arrays, and the GeoBox, to one array for each name."""


def difference(a, b):
    """(a - b) / (a + b) of reflectances, in [-1, 1]; negative reflectances (sensor noise) count as dark.

    The NDVI of Tucker 1979, the NDSI of Dozier 1989, the NDWI of McFeeters 1996: see `features.FEATURES`.
    """
    a, b = np.maximum(a, 0.0), np.maximum(b, 0.0)
    return np.clip((a - b) / (a + b + EPS), -1.0, 1.0)


def ratio(a, b):
    """a / b of reflectances, of which dark ones count as one count of Sentinel-2. Paul et al. 2013."""
    return np.maximum(a, _DARK) / np.maximum(b, _DARK)


def savi(nir, red):
    """Soil-adjusted vegetation index, L = 0.5: Huete 1988, doi:10.1016/0034-4257(88)90106-X."""
    return 1.5 * (nir - red) / np.maximum(nir + red + 0.5, EPS)


def decibels(power):
    """10 log10 of a power, not below -60."""
    return 10.0 * np.log10(np.maximum(power, 1e-6))


def decibel_difference(a, b):
    """10 log10 of a / b, powers."""
    return decibels(a) - decibels(b)


def power_ratio(a, b):
    """a / b of powers."""
    return np.maximum(a, 1e-6) / np.maximum(b, 1e-6)


def logarithm(power):
    """log10(power + 1e-6): Maslov et al. 2025, doi:10.1038/s41467-024-54956-x."""
    return np.log10(np.maximum(power, 0.0) + 1e-6)


def grey(power, low: float):
    """Decibels from `low` to 25 above it as 0 to 1."""
    return np.clip((decibels(power) - low) / 25.0, 0.0, 1.0)


def _signed(grey):
    """Greys in [0, 1] through eight bits to [-1, 1]."""
    return np.rint(grey * 255.0) / 127.5 - 1.0


def calfin(change: Callable):
    """A formula of near infrared: 0.1 to 99.9 percentile as 0 to 1, `change`, then [-1, 1] in eight bits.

    Cheng et al. 2021, doi:10.5194/tc-15-1663-2021; which `change` stands for theirs is our choice.
    """
    return lambda nir: blocks.each(_signed, change(contrast.stretch(nir, 0.1, 99.9)))


def equalised(low: float):
    """A formula of power: `grey` from `low`, then adaptive equalisation with clip 2.

    Periyasamy et al. 2022 by the operator of Zuiderveld 1994; the clip is ours.
    """
    return lambda power: contrast.clahe(blocks.each(functools.partial(grey, low=low), power), 2.0)


def place(elevation, geobox: GeoBox) -> tuple:
    """Sine and cosine of the latitude, and of the longitude, of the scene's middle, wherever there is elevation.

    Maslov et al. 2025, doi:10.1038/s41467-024-54956-x.
    """
    ((longitude, latitude),) = geobox.extent.centroid.to_crs("EPSG:4326").points
    y, x = np.radians((latitude, longitude))
    return tuple(
        blocks.each(functools.partial(_constant, value=value), elevation)
        for value in (np.sin(y), np.cos(y), np.sin(x), np.cos(x))
    )


def no_region(elevation, geobox: GeoBox) -> tuple:
    """Code of a place in none of eleven training regions: 0 for each, 1 for unknown, wherever there is elevation.

    Maslov et al. 2025, doi:10.1038/s41467-024-54956-x.
    """
    none, unknown = (blocks.each(functools.partial(_constant, value=value), elevation) for value in (0.0, 1.0))
    return *(none,) * 11, unknown


def _constant(layer, value: float):
    return np.where(np.isnan(layer), np.float32(np.nan), np.float32(value))


def cooccurrences(radar: bool):
    """How the textures of a band are made, of radar power in decibels: Haralick et al. 1973, see `textures`."""

    def make(band, geobox):
        from glacier_nb import textures  # numba takes a second to import: only where textures are asked for

        band = blocks.each(decibels, band) if radar else band
        return textures.cooccurrence(contrast.stretch(band, 0.1, 98.0))

    return make
