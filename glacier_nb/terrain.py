"""Shape of the ground: derivatives of elevation, lazily, and what is made of them (slope, aspect, curvatures).

Without a source, plain or ours: `sin_aspect`, `cos_aspect`.
"""

from collections.abc import Callable

import numpy as np
from odc.geo.geobox import GeoBox
from scipy import ndimage

from glacier_nb import blocks

DERIVATIVES = ("p", "q", "r", "s", "t", "tri", "sadi")
"""First (p, q) and second (r, s, t) derivatives of elevation (x east, y north), its roughness, its divergence."""

_FLAT = 1e-7  # gradient below which the ground has no aspect
_REACH = 3  # pixels that a derivative of the smoothed surface sees: smoothing 1, derivatives 1, divergence 1


def derivatives(elevation, geobox: GeoBox, smooth: bool = False) -> tuple:
    """`DERIVATIVES` of elevation (m; y, x), each float32 (y, x) and as lazy as it; NaN beside what is unseen.

    p, q (1), r, s, t (m-1) are those of the quadratic of Zevenbergen and Thorne 1987 (doi:10.1002/esp.3290120107).
    tri (m) is the root of the summed squared differences to the eight neighbours (Riley et al. 1999). sadi (m-1) is
    sin(slope) times the divergence of the unit vectors that point downhill, by central differences: positive where
    slopes part. Past the outer edge the surface goes on straight. `smooth`: of the surface smoothed before, see
    `smoothed`.
    """
    step = float(geobox.resolution.x), -float(geobox.resolution.y)
    return tuple(blocks.near(_fit, elevation, _REACH, len(DERIVATIVES), step=step, smooth=smooth))


def smoothed(z: np.ndarray) -> np.ndarray:
    """A surface through the 3 x 3 kernel exp(-(i^2 + j^2)), a Gaussian of sigma 1 / sqrt(2) pixels, mirrored outside.

    It is `gaussian_blur` of size 1 in OGGM, which the released code of DL4GAM puts before its terrain features
    (Diaconu et al. 2025, doi:10.1029/2025EA004197).
    """
    return ndimage.gaussian_filter(z, np.sqrt(0.5), radius=1, mode="reflect")


def _fit(z: np.ndarray, step: tuple[float, float], smooth: bool = False) -> np.ndarray:
    """`DERIVATIVES` of one block."""
    z = z.astype("float64")
    if smooth:
        z = smoothed(z)
    for axis in (0, 1):
        width = [(1, 1) if a == axis else (0, 0) for a in (0, 1)]
        single = z.shape[axis] < 2
        z = np.pad(z, width, "edge" if single else "reflect", **({} if single else {"reflect_type": "odd"}))
    dx, dy = step
    middle, north, south, west, east = z[1:-1, 1:-1], z[:-2, 1:-1], z[2:, 1:-1], z[1:-1, :-2], z[1:-1, 2:]
    corners = z[:-2, 2:], z[:-2, :-2], z[2:, 2:], z[2:, :-2]
    north_east, north_west, south_east, south_west = corners
    p, q = (east - west) / (2 * dx), (north - south) / (2 * dy)
    kept = np.float32  # each at once, so that no two are held in double precision
    return np.stack(
        [
            kept(p),
            kept(q),
            kept((east - 2 * middle + west) / dx**2),
            kept((north_east - north_west - south_east + south_west) / (4 * dx * dy)),
            kept((north - 2 * middle + south) / dy**2),
            kept(np.sqrt(sum((other - middle) ** 2 for other in (north, south, west, east, *corners)))),
            kept(_parting(p, q, dx, dy)),
        ]
    )


def _parting(p: np.ndarray, q: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """sin(slope) times the divergence of the unit vectors downhill; one-sided at the edge of the block."""
    east, north = _per_steepness(-p, p, q), _per_steepness(-q, p, q)
    spread = 0.0 * p
    if p.shape[1] > 1:
        spread = spread + np.gradient(east, dx, axis=1)
    if p.shape[0] > 1:
        spread = spread - np.gradient(north, dy, axis=0)  # rows run from north to south
    steep = np.hypot(p, q)
    return spread * steep / np.sqrt(1.0 + steep**2)


def slope(p, q):
    """Degrees from the horizontal: Florinsky 2017."""
    return np.degrees(np.arctan(np.hypot(p, q)))


def aspect(p, q):
    """Degrees clockwise from north that the ground faces, 0 where it is flat: Florinsky 2017."""
    facing = np.degrees(np.arctan2(-p, -q)) % 360.0
    return np.where(np.hypot(p, q) > _FLAT, facing, 0.0 * p)


def sin_aspect(p, q):
    """Sine of the aspect, 0 where the ground is flat."""
    return _per_steepness(-p, p, q)


def cos_aspect(p, q):
    """Cosine of the aspect, 0 where the ground is flat."""
    return _per_steepness(-q, p, q)


def _per_steepness(value, p, q):
    """`value` / |gradient|, 0 where the ground is flat and has no aspect."""
    steep = np.hypot(p, q)
    return np.where(steep > _FLAT, value / np.maximum(steep, _FLAT), 0.0 * steep)


def northness(p, q):
    """cos(aspect) sin(slope): Kirchner et al. 2014 by Roberts-Pierel et al. 2022."""
    return -q / np.sqrt(1.0 + p**2 + q**2)


def hillshade(p, q, zenith: float = 45.0, azimuth: float = 315.0):
    """cos(zenith) cos(slope) + sin(zenith) sin(slope) cos(azimuth - aspect), not below 0; angles in degrees.

    Horn 1981, doi:10.1109/PROC.1981.11918.
    """
    z, a = np.radians(zenith), np.radians(azimuth)
    light = np.cos(z) - np.sin(z) * (p * np.sin(a) + q * np.cos(a))
    return np.maximum(light / np.sqrt(1.0 + p**2 + q**2), 0.0)


def _curvature(above: Callable, below: Callable):
    """-`above` / `below` of the derivatives, 0 where the ground is flat."""

    def formula(p, q, r, s, t):
        g = p**2 + q**2
        return np.where(g > _FLAT**2, -above(p, q, r, s, t) / np.maximum(below(g), 1e-30), 0.0 * g)

    return formula


def _along(p, q, r, s, t):
    return p**2 * r + 2 * p * q * s + q**2 * t


def _across(p, q, r, s, t):
    return q**2 * r - 2 * p * q * s + p**2 * t


profile = _curvature(_along, lambda g: g * (1 + g) ** 1.5)
"""Curvature (m-1) of the steepest line, positive where it bulges."""
tangential = _curvature(_across, lambda g: g * (1 + g) ** 0.5)
"""Curvature (m-1) of the normal section across the steepest line, positive on a ridge."""
planform = _curvature(_across, lambda g: g**1.5)
"""Curvature (m-1) of the contour, positive on a ridge."""


def general(r, t):
    """-2 (D + E) x 100 of Zevenbergen and Thorne 1987, D and E half the second derivatives: per 100 m."""
    return -100.0 * (r + t)


def mean_curvature(p, q, r, s, t):
    """Half the sum of the principal curvatures (m-1), positive where the ground bulges: Florinsky 2017."""
    return -((1 + q**2) * r - 2 * p * q * s + (1 + p**2) * t) / (2 * (1 + p**2 + q**2) ** 1.5)


def unsphericity(p, q, r, s, t):
    """Half the difference of the principal curvatures (m-1), never negative: Florinsky 2017."""
    gaussian = (r * t - s**2) / (1 + p**2 + q**2) ** 2
    return np.sqrt(np.maximum(mean_curvature(p, q, r, s, t) ** 2 - gaussian, 0.0))
