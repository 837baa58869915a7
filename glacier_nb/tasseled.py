"""Tasseled cap: brightness, greenness and wetness of six bands, with the weights of the instrument that took them.

Without a source, plain or ours: `instruments`.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")


@dataclass(frozen=True)
class Cap:
    """Weights of `BANDS` for one instrument."""

    instrument: str
    sensors: tuple[str, ...]
    """What attrs["sensor"] of its scenes may say, besides its own name."""
    items: tuple[str, ...]
    """How its items' ids begin, where the sensor is one of several instruments."""
    brightness: tuple[float, ...]
    greenness: tuple[float, ...]
    wetness: tuple[float, ...]
    citation: str


CAPS = (
    Cap(
        "msi", ("sentinel-2-l2a", "sentinel-2-l1c"), (),
        (0.3510, 0.3813, 0.3437, 0.7196, 0.2396, 0.1949),
        (-0.3599, -0.3533, -0.4734, 0.6633, 0.0087, -0.2856),
        (0.2578, 0.2305, 0.0883, 0.1071, -0.7611, -0.5308),
        "Sentinel-2: Shi and Xu 2019, IEEE JSTARS 12",
    ),
    Cap(
        "oli", ("landsat-c2-l2", "landsat-c2-l1"), ("LC08", "LC09", "LO08", "LO09"),
        (0.3029, 0.2786, 0.4733, 0.5599, 0.5080, 0.1872),
        (-0.2941, -0.2430, -0.5424, 0.7276, 0.0713, -0.1608),
        (0.1511, 0.1973, 0.3283, 0.3407, -0.7117, -0.4559),
        "Landsat 8 and 9, at the top of the atmosphere: Baig et al. 2014, Remote Sensing Letters 5",
    ),
    Cap(
        "etm", ("landsat-c2-l2", "landsat-c2-l1"), ("LE07",),
        (0.3561, 0.3972, 0.3904, 0.6966, 0.2286, 0.1596),
        (-0.3344, -0.3544, -0.4556, 0.6966, -0.0242, -0.2630),
        (0.2626, 0.2141, 0.0926, 0.0656, -0.7629, -0.5388),
        "Landsat 7, at the satellite: Huang et al. 2002, International Journal of Remote Sensing 23",
    ),
    Cap(
        "tm", ("landsat-c2-l2", "landsat-c2-l1"), ("LT04", "LT05"),
        (0.2043, 0.4158, 0.5524, 0.5741, 0.3124, 0.2303),
        (-0.1603, -0.2819, -0.4934, 0.7940, -0.0002, -0.1446),
        (0.0315, 0.2021, 0.3102, 0.1594, -0.6806, -0.6109),
        "Landsat 4 and 5, at the surface: Crist 1985, Remote Sensing of Environment 17",
    ),
)  # fmt: skip


def weighted(component: str):
    """A formula of `BANDS` and of the number in `CAPS` of each pixel's instrument: their weighted sum.

    Kauth and Thomas 1976; the weights' sources are in `CAPS`.

    >>> bands = np.eye(6)
    >>> weighted("wetness")(*bands, np.full(6, 0)).round(2)
    array([ 0.26,  0.23,  0.09,  0.11, -0.76, -0.53])
    """
    weights = np.array([getattr(cap, component) for cap in CAPS], "float32")

    def formula(*layers):
        *bands, instrument = layers
        return sum(weights[instrument, k] * band for k, band in enumerate(bands))

    return formula


def instruments(scene: xr.Dataset) -> xr.DataArray | int:
    """Number in `CAPS` of the instrument that took a scene, or (y, x) where its pixels come from several.

    attrs["sensor"] tells it; of a collection of several instruments, the ids in attrs["items"] do, and `source` says
    which item a pixel is from. LookupError where they do not.
    """
    sensor = scene.attrs.get("sensor")
    known = [k for k, cap in enumerate(CAPS) if sensor == cap.instrument or sensor in cap.sensors]
    if not known:
        names = ", ".join(dict.fromkeys(name for cap in CAPS for name in (cap.instrument, *cap.sensors)))
        raise LookupError(
            f"the tasseled cap has weights by instrument and the scene's sensor is {sensor!r}: "
            f"set scene.attrs['sensor'] to one of {names}"
        )
    if len(known) == 1:
        return known[0]
    items = [str(item) for item in scene.attrs.get("items", ())]
    takers = [[k for k in known if item.startswith(CAPS[k].items)] for item in items]
    if not takers or not all(takers):
        said = next((item for item, taker in zip(items, takers, strict=True) if not taker), "none")
        raise LookupError(
            f"{sensor} is of several instruments and the tasseled cap has weights for each; the items ({said}) do not "
            f"tell: set scene.attrs['sensor'] to one of {', '.join(CAPS[k].instrument for k in known)}"
        )
    which = np.array([taker[0] for taker in takers])
    if (which == which[0]).all():
        return int(which[0])
    if "source" not in scene:
        raise LookupError(
            f"the scene's items are of {', '.join(sorted({CAPS[k].instrument for k in which}))} and nothing says which "
            "pixel is from which: composite.late_summer keeps `source`, or make a scene of one instrument"
        )
    return xr.apply_ufunc(lambda source: which[source], scene.source, dask="parallelized", output_dtypes=[which.dtype])
