"""Where terrain stood between the sun and the ground, from elevation, place and time."""

import math

import numpy as np
import pyproj
import xarray as xr
from odc.geo.geobox import GeoBox


def cast(elevation: xr.DataArray, time: np.datetime64, geobox: GeoBox | None = None) -> np.ndarray:
    """Where the sun was behind terrain (bool, y, x) at a time (UTC), on all of the grid or on a part of it.

    elevation: metres, y, x, on a projected grid; NaN casts no shadow. The sun is where it stands over the middle of
    the grid (Cooper 1969, see `spectra.sun`), its azimuth turned to the grid's own north. All is dark where it is down.
    """
    from glacier_nb import spectra  # numba, which it brings, takes 50 MB: only where a shadow is asked for

    whole, part = elevation.odc.geobox, geobox or elevation.odc.geobox
    ((longitude, latitude),) = whole.extent.centroid.to_crs("EPSG:4326").points
    azimuth, height = spectra.sun(longitude, latitude, np.datetime64(time, "s"))
    if height <= 0:
        return np.ones(part.shape, bool)
    azimuth -= pyproj.Proj(str(whole.crs)).get_factors(longitude, latitude).meridian_convergence
    ground, pixel = np.asarray(elevation.values, "float32"), abs(whole.resolution.x)
    left, top = (round(edge) for edge in ~whole.affine * (part.affine * (0, 0)))
    relief = float(np.nanmax(ground) - np.nanmin(ground)) if np.isfinite(ground).any() else 0.0
    reach = math.ceil(relief / math.tan(math.radians(height)) / pixel) + 1  # no shadow is longer, in pixels
    up, before = max(0, top - reach), max(0, left - reach)
    around = ground[up : top + part.shape[0] + reach, before : left + part.shape[1] + reach]
    dark = spectra.shadow(np.nan_to_num(around, nan=-1e4), pixel, azimuth, height)
    return dark[top - up : top - up + part.shape[0], left - before : left - before + part.shape[1]]
