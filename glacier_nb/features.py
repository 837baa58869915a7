"""A scene to named layers (bands, indices, terrain, radar), each a row with what it needs and its citation."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dask.array as da
import numpy as np
import xarray as xr
from odc.geo.xr import assign_crs
from PIL import Image, ImageFilter, ImageOps

EPS = 1e-6
_DARK = 1e-4  # smallest reflectance a ratio divides by: one count of Sentinel-2


@dataclass(frozen=True)
class Feature:
    """One layer: a formula over layers of the scene."""

    name: str
    needs: tuple[str, ...]
    """Variables of the scene, or derivatives of its elevation (`p q r s t tri`), in the formula's order."""
    units: str
    formula: Callable
    """Arrays in the order of `needs` to one array; NaN in, NaN out."""
    citation: str
    whole: bool = False
    """Whether the formula must see the whole scene at once (image statistics), not block by block."""


DERIVATIVES = ("p", "q", "r", "s", "t", "tri")
"""First (p, q) and second (r, s, t) derivatives of elevation (x east, y north), and its roughness."""


def _difference(a, b):
    """(a - b) / (a + b) of reflectances, in [-1, 1]; negative reflectances (sensor noise) count as dark."""
    a, b = np.maximum(a, 0.0), np.maximum(b, 0.0)
    return np.clip((a - b) / (a + b + EPS), -1.0, 1.0)


def _ratio(a, b):
    return np.maximum(a, _DARK) / np.maximum(b, _DARK)


def _decibels(power):
    return 10.0 * np.log10(np.maximum(power, 1e-6))


def _weighted(*weights):
    return lambda *bands: sum(np.float32(w) * band for w, band in zip(weights, bands, strict=True))


def _slope(p, q):
    return np.degrees(np.arctan(np.hypot(p, q)))


def _per_steepness(value, p, q):
    """`value` / |gradient|, 0 where the ground is flat and has no aspect."""
    steep = np.hypot(p, q)
    return np.where(steep > 1e-7, value / np.maximum(steep, 1e-7), 0.0 * steep)


def _hillshade(p, q, zenith=45.0, azimuth=315.0):
    z, a = np.radians(zenith), np.radians(azimuth)
    light = np.cos(z) - np.sin(z) * (p * np.sin(a) + q * np.cos(a))  # cos z cos S + sin z sin S cos(a - A)
    return np.maximum(light / np.sqrt(1.0 + p**2 + q**2), 0.0)


def _curvature(above: Callable, below: Callable):
    """-`above` / `below` of the derivatives, 0 where the ground is flat."""

    def formula(p, q, r, s, t):
        g = p**2 + q**2
        return np.where(g > 1e-14, -above(p, q, r, s, t) / np.maximum(below(g), 1e-30), 0.0 * g)

    return formula


def _along(p, q, r, s, t):
    return p**2 * r + 2 * p * q * s + q**2 * t


def _across(p, q, r, s, t):
    return q**2 * r - 2 * p * q * s + p**2 * t


def _mean_curvature(p, q, r, s, t):
    return -((1 + q**2) * r - 2 * p * q * s + (1 + p**2) * t) / (2 * (1 + p**2 + q**2) ** 1.5)


def _unsphericity(p, q, r, s, t):
    gaussian = (r * t - s**2) / (1 + p**2 + q**2) ** 2
    return np.sqrt(np.maximum(_mean_curvature(p, q, r, s, t) ** 2 - gaussian, 0.0))


def _grey(green, red):
    """Visible light as eight-bit image, through Pillow's equalize, autocontrast, SMOOTH and EDGE_ENHANCE, over 255."""
    light = 0.5 * (green + red)
    image = Image.fromarray(np.uint8(np.clip(np.nan_to_num(light), 0, 1) * 255))
    image = ImageOps.autocontrast(ImageOps.equalize(image))
    image = image.filter(ImageFilter.SMOOTH).filter(ImageFilter.EDGE_ENHANCE)
    return np.where(np.isnan(light), np.nan, np.asarray(image, "float32") / 255)


_BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
_SURFACE = ("p", "q", "r", "s", "t")
_FLORINSKY = "Florinsky 2017, doi:10.1177/0309133317733667"
_TASSELED = "Shi and Xu 2019, IEEE JSTARS 12, for Sentinel-2"
_GIVEN = "as observed"

FEATURES = (
    *(Feature(name, (name,), "1", lambda band: band, _GIVEN) for name in (*_BANDS, "vv", "vh", "hh", "hv")),
    Feature("lwir11", ("lwir11",), "K", lambda band: band, _GIVEN),
    Feature("elevation", ("elevation",), "m", lambda band: band, _GIVEN),
    Feature("dh_dt", ("dh_dt",), "m a-1", lambda band: band, _GIVEN),
    Feature("coherence", ("coherence",), "1", lambda band: band, _GIVEN),
    Feature("red_swir16", ("red", "swir16"), "1", _ratio, "Paul et al. 2013, doi:10.3189/2013AoG63A296"),
    Feature("nir_swir16", ("nir", "swir16"), "1", _ratio, "Paul et al. 2013, doi:10.3189/2013AoG63A296"),
    Feature("ndsi", ("green", "swir16"), "1", _difference, "Dozier 1989, doi:10.1016/0034-4257(89)90101-6"),
    Feature("ndsi_swir22", ("green", "swir22"), "1", _difference, "Diaconu et al. 2023: the NDSI with SWIR 2"),
    Feature("ndwi", ("green", "nir"), "1", _difference, "McFeeters 1996, doi:10.1080/01431169608948714"),
    Feature("ndvi", ("nir", "red"), "1", _difference, "Tucker 1979, doi:10.1016/0034-4257(79)90013-0"),
    Feature(
        "savi", ("nir", "red"), "1", lambda nir, red: 1.5 * (nir - red) / np.maximum(nir + red + 0.5, EPS),
        "Huete 1988, doi:10.1016/0034-4257(88)90106-X",
    ),
    Feature("nbr", ("nir", "swir22"), "1", _difference, "Key and Benson 2006, RMRS-GTR-164"),
    Feature("brightness", _BANDS, "1", _weighted(0.3510, 0.3813, 0.3437, 0.7196, 0.2396, 0.1949), _TASSELED),
    Feature("wetness", _BANDS, "1", _weighted(0.2578, 0.2305, 0.0883, 0.1071, -0.7611, -0.5308), _TASSELED),
    Feature("grey", ("green", "red"), "1", _grey, "Mohajerani et al. 2019, doi:10.3390/rs11010074", whole=True),
    Feature("slope", ("p", "q"), "degree", _slope, _FLORINSKY),
    Feature("sin_aspect", ("p", "q"), "1", lambda p, q: _per_steepness(-p, p, q), "sine of aspect, from north"),
    Feature("cos_aspect", ("p", "q"), "1", lambda p, q: _per_steepness(-q, p, q), "cosine of aspect, from north"),
    Feature(
        "northness", ("p", "q"), "1", lambda p, q: -q / np.sqrt(1 + p**2 + q**2),
        "cos(aspect) sin(slope): Kirchner et al. 2014 by Roberts-Pierel et al. 2022",
    ),
    Feature("hillshade", ("p", "q"), "1", _hillshade, "Horn 1981, doi:10.1109/PROC.1981.11918; sun in the north-west"),
    Feature("profile_curvature", _SURFACE, "m-1", _curvature(_along, lambda g: g * (1 + g) ** 1.5), _FLORINSKY),
    Feature("tangential_curvature", _SURFACE, "m-1", _curvature(_across, lambda g: g * (1 + g) ** 0.5), _FLORINSKY),
    Feature("planform_curvature", _SURFACE, "m-1", _curvature(_across, lambda g: g**1.5), _FLORINSKY),
    Feature("mean_curvature", _SURFACE, "m-1", _mean_curvature, _FLORINSKY),
    Feature("unsphericity_curvature", _SURFACE, "m-1", _unsphericity, _FLORINSKY),
    Feature("ruggedness", ("tri",), "m", lambda tri: tri, "Riley et al. 1999, Intermountain Journal of Sciences 5"),
    *(Feature(f"{name}_db", (name,), "dB", _decibels, "10 log10 of the power") for name in ("vv", "vh", "hh", "hv")),
    Feature("vv_vh_db", ("vv", "vh"), "dB", lambda a, b: _decibels(a) - _decibels(b), "ratio of powers, in dB"),
    Feature("hh_hv_db", ("hh", "hv"), "dB", lambda a, b: _decibels(a) - _decibels(b), "Baumhoer et al. 2019: HH / HV"),
)  # fmt: skip
"""Every layer, in the order that tables show them."""


def find(name: str) -> Feature:
    """The row of a name; LookupError shows the nearest names."""
    rows = {row.name: row for row in FEATURES}
    if name not in rows:
        near = difflib.get_close_matches(name, rows, 3) or rows
        raise LookupError(f"no feature {name!r}: did you mean {', '.join(near)}? features.FEATURES lists all")
    return rows[name]


def needs(names: Sequence[str]) -> list[str]:
    """Scene variables that these features need, each once.

    >>> needs(["ndsi", "slope", "green"])
    ['green', 'swir16', 'elevation']
    """
    wanted = (need for name in names for need in find(name).needs)
    return list(dict.fromkeys("elevation" if need in DERIVATIVES else need for need in wanted))


def stack(scene: xr.Dataset, names: Sequence[str]) -> xr.DataArray:
    """Named layers of one date as float32 (feature, y, x), lazy where the scene is; NaN where unseen.

    Terrain sees over the edges of blocks. Raises LookupError for an unknown name or a
    layer that the scene lacks, ValueError for a scene with a time dimension or in degrees.

    >>> import odc.geo.xr
    >>> from odc.geo.geobox import GeoBox
    >>> grid = odc.geo.xr.xr_zeros(GeoBox.from_bbox((0, 0, 20, 10), "EPSG:32632", resolution=10), dtype="float32")
    >>> stack(xr.Dataset({"green": grid + 0.8, "swir16": grid + 0.1}), ["ndsi", "green"]).round(2).values
    array([[[0.78, 0.78]],
    <BLANKLINE>
           [[0.8 , 0.8 ]]], dtype=float32)
    """
    rows = [find(name) for name in names]
    for row in rows:
        if lacking := [need for need in needs([row.name]) if need not in scene]:
            raise LookupError(_lacking(row.name, lacking, scene))
    wanted = needs(names)
    grid = scene[wanted[0]].odc.geobox
    if grid.crs.geographic:
        raise ValueError(
            f"layers are made in metres, the scene is in {grid.crs}: use regions.geobox(region, resolution)"
        )
    if any(scene[need].dims != ("y", "x") for need in wanted):
        raise ValueError("the scene has a time dimension: make one date of it, composite.late_summer(cube, year)")
    lazy = any(scene[need].chunks for need in wanted)
    chunks = next((scene[need].chunks for need in wanted if scene[need].chunks), None)
    layers = {need: scene[need].data.astype("float32") for need in wanted}
    if lazy:
        layers = {key: da.asarray(layer).rechunk(chunks) for key, layer in layers.items()}
    if any(need in DERIVATIVES for row in rows for need in row.needs):
        layers |= _derivatives(layers["elevation"], grid)
    made = [_layer(row, [layers[need] for need in row.needs]) for row in rows]
    data = da.stack(made).rechunk({0: -1}) if lazy else np.stack(made)
    attrs = {key: scene.attrs[key] for key in ("time", "sensor", "items") if key in scene.attrs}
    attrs["feature_units"] = {row.name: row.units for row in rows}
    coords = {"feature": list(names)} | {
        name: coord for name, coord in scene[wanted[0]].coords.items() if name in ("y", "x", "spatial_ref")
    }
    out = xr.DataArray(data, coords, ("feature", "y", "x"), "features", attrs)
    return assign_crs(out, grid.crs)


def _layer(row: Feature, arrays: list):
    """One layer as float32, over whole images or block by block."""

    def formula(*blocks):
        return np.asarray(row.formula(*blocks), dtype="float32")

    if not isinstance(arrays[0], da.Array):
        return formula(*arrays)
    if row.whole:
        joined = da.map_blocks(formula, *(array.rechunk(-1) for array in arrays), dtype="float32", name=False)
        return joined.rechunk(arrays[0].chunks)
    return da.map_blocks(formula, *arrays, dtype="float32")


def _derivatives(elevation, geobox) -> dict:
    """Derivatives of elevation by the quadratic of Zevenbergen and Thorne 1987 (doi:10.1002/esp.3290120107)."""
    step = float(geobox.resolution.x), -float(geobox.resolution.y)
    if not isinstance(elevation, da.Array):
        return dict(zip(DERIVATIVES, _fit(elevation, step), strict=True))
    wide = da.overlap.overlap(elevation, depth=1, boundary="none")
    chunks = ((len(DERIVATIVES),), *wide.chunks)
    fitted = wide.map_blocks(_fit, step=step, chunks=chunks, new_axis=0, dtype="float32")
    fitted = da.overlap.trim_internal(fitted, {0: 0, 1: 1, 2: 1}, boundary="none")
    return dict(zip(DERIVATIVES, fitted, strict=True))


def _fit(z: np.ndarray, step: tuple[float, float]) -> np.ndarray:
    """`DERIVATIVES` of one block; past its outer edge the surface goes on straight."""
    z = z.astype("float64")
    for axis in (0, 1):
        width = [(1, 1) if a == axis else (0, 0) for a in (0, 1)]
        z = np.pad(
            z,
            width,
            "edge" if z.shape[axis] < 2 else "reflect",
            **({} if z.shape[axis] < 2 else {"reflect_type": "odd"}),
        )
    dx, dy = step
    middle, north, south, west, east = z[1:-1, 1:-1], z[:-2, 1:-1], z[2:, 1:-1], z[1:-1, :-2], z[1:-1, 2:]
    corners = z[:-2, 2:], z[:-2, :-2], z[2:, 2:], z[2:, :-2]
    north_east, north_west, south_east, south_west = corners
    around = (north, south, west, east, *corners)
    return np.stack(
        [
            (east - west) / (2 * dx),
            (north - south) / (2 * dy),
            (east - 2 * middle + west) / dx**2,
            (north_east - north_west - south_east + south_west) / (4 * dx * dy),
            (north - 2 * middle + south) / dy**2,
            np.sqrt(sum((other - middle) ** 2 for other in around)),
        ]
    ).astype("float32")


def _lacking(name: str, lacking: list[str], scene: xr.Dataset) -> str:
    """What a scene lacks for a feature, and how to get it."""
    hints = {
        "elevation": "scene.assign(elevation=load.elevation(items, geobox))",
        "dh_dt": "scene.assign(dh_dt=load.elevation_rate(items, geobox))",
        **dict.fromkeys(("vv", "vh", "hh", "hv"), "scene.assign of a composite.average of a Sentinel-1 cube"),
    }
    hint = next((hints[need] for need in lacking if need in hints), "load.cube(items, geobox) with that band")
    has = ", ".join(map(str, scene.data_vars))
    return f"feature {name} needs {', '.join(lacking)}; the scene has {has}: add it by {hint}"
