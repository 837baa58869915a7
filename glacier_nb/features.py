"""A scene to named layers (bands, indices, terrain, radar), each a row with what it needs and its citation.

Formulas stand in `formulas`, and by kind in `terrain`, `tasseled`, `contrast` and `textures`.
"""

import difflib
import functools
from collections.abc import Iterable, Sequence

import dask.array as da
import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import assign_crs

from glacier_nb import blocks, contrast, crs, formulas, tasseled, terrain
from glacier_nb.formulas import Feature, Part

DERIVATIVES = terrain.DERIVATIVES
SMOOTHED = tuple(f"{name}_smoothed" for name in DERIVATIVES)
TEXTURES = ("contrast", "dissimilarity", "homogeneity", "asm", "correlation", "entropy", "variance")

PLACE = ("latitude_sin", "latitude_cos", "longitude_sin", "longitude_cos")
REGIONS = (*(f"region_{number}" for number in range(11)), "region_unknown")

_COOCCURRENCES = tuple(
    Part(tuple(f"{band}_glcm_{name}" for name in TEXTURES), (band,), formulas.cooccurrences(radar=band == "vv"))
    for band in ("pan", "nir", "vv")
)
PARTS = (
    Part(DERIVATIVES, ("elevation",), terrain.derivatives),
    Part(SMOOTHED, ("elevation",), functools.partial(terrain.derivatives, smooth=True)),
    Part(PLACE, ("elevation",), formulas.place),
    Part(REGIONS, ("elevation",), formulas.no_region),
    *_COOCCURRENCES,
)
"""What is neither a variable of the scene nor `instrument`, the number of a pixel's instrument in `tasseled.CAPS`."""

_SURFACE = ("p", "q", "r", "s", "t")
_POLARISATIONS = ("vv", "vh", "hh", "hv")
_ORBITS = tuple(f"{pol}_{orbit}" for pol in ("copol", "crosspol") for orbit in ("ascending", "descending"))
_FLORINSKY = "Florinsky 2017, doi:10.1177/0309133317733667"
_DL4GAM = "Diaconu et al., DL4GAM, github.com/dcodrut/dl4gam_alps: of the smoothed surface, terrain.smoothed"
_RILEY = "Riley et al. 1999, Intermountain Journal of Sciences 5"
_PAUL = "Paul et al. 2013, doi:10.3189/2013AoG63A296"
_GLAVITU = "Maslov et al. 2025, doi:10.1038/s41467-024-54956-x: log10(power + 1e-6)"
_PLACE = "Maslov et al. 2025, doi:10.1038/s41467-024-54956-x: of the scene's middle, on the elevation's ground"
_REGION = "Maslov et al. 2025, doi:10.1038/s41467-024-54956-x: unknown, where location.layers does not say which"
_CAFFE = "-20 to 5 dB, cross-polarised -28 to -3 dB: our choice, near the mean grey 0.305 of Gourmelon et al. 2022"
_CALFIN = "Cheng et al. 2021, doi:10.5194/tc-15-1663-2021; the operator is ours: "
_LOEBEL = "Loebel et al. 2022, doi:10.1109/TGRS.2022.3208454: 0.1 to 98 percentile in eight bits"
_ZHANG = "Zhang et al. 2021, doi:10.5194/tc-15-1827-2021: histogram normalised to a bell, then min-max"
_HARALICK = "Haralick et al. 1973, doi:10.1109/TSMC.1973.4309314; window and greys are ours"
_GIVEN = "as observed"


def _given(*names: str, units: str = "1"):
    return (Feature(name, (name,), units, lambda band: band, _GIVEN) for name in names)


FEATURES = (
    *_given("coastal", *tasseled.BANDS, "rededge071", "rededge075", "rededge078", "nir08", "pan", "cirrus"),
    *_given("lwir11", "lwir12", units="K"),
    *_given(*_POLARISATIONS, *_ORBITS, "coherence", "coherence_ascending", "coherence_descending"),
    *_given("elevation", units="m"),
    *_given("dh_dt", units="m a-1"),
    Feature("red_swir16", ("red", "swir16"), "1", formulas.ratio, _PAUL),
    Feature("nir_swir16", ("nir", "swir16"), "1", formulas.ratio, _PAUL),
    Feature("ndsi", ("green", "swir16"), "1", formulas.difference, "Dozier 1989, doi:10.1016/0034-4257(89)90101-6"),
    Feature("mndwi", ("green", "swir16"), "1", formulas.difference, "Xu 2006, doi:10.1080/01431160600589179: the NDSI"),
    Feature("ndsi_swir22", ("green", "swir22"), "1", formulas.difference, "Diaconu et al. 2023: the NDSI with SWIR 2"),
    Feature("ndwi", ("green", "nir"), "1", formulas.difference, "McFeeters 1996, doi:10.1080/01431169608948714"),
    Feature("ndvi", ("nir", "red"), "1", formulas.difference, "Tucker 1979, doi:10.1016/0034-4257(79)90013-0"),
    Feature("savi", ("nir", "red"), "1", formulas.savi, "Huete 1988, doi:10.1016/0034-4257(88)90106-X"),
    Feature("nbr", ("nir", "swir22"), "1", formulas.difference, "Key and Benson 2006, RMRS-GTR-164"),
    *(
        Feature(name, (*tasseled.BANDS, "instrument"), "1", tasseled.weighted(name), "by instrument: tasseled.CAPS")
        for name in ("brightness", "greenness", "wetness")
    ),
    Feature("slope", ("p", "q"), "degree", terrain.slope, _FLORINSKY),
    Feature("aspect", ("p", "q"), "degree", terrain.aspect, "clockwise from north, 0 where flat"),
    Feature("sin_aspect", ("p", "q"), "1", terrain.sin_aspect, "sine of aspect, from north"),
    Feature("cos_aspect", ("p", "q"), "1", terrain.cos_aspect, "cosine of aspect, from north"),
    Feature(
        "northness", ("p", "q"), "1", terrain.northness,
        "cos(aspect) sin(slope): Kirchner et al. 2014 by Roberts-Pierel et al. 2022",
    ),
    Feature("southness", ("p", "q"), "1", lambda p, q: -terrain.northness(p, q), "northness turned round"),
    Feature(
        "hillshade", ("p", "q"), "1", terrain.hillshade,
        "Horn 1981, doi:10.1109/PROC.1981.11918; sun in the north-west",
    ),
    Feature("profile_curvature", _SURFACE, "m-1", terrain.profile, _FLORINSKY),
    Feature("tangential_curvature", _SURFACE, "m-1", terrain.tangential, _FLORINSKY),
    Feature("planform_curvature", _SURFACE, "m-1", terrain.planform, _FLORINSKY),
    Feature("mean_curvature", _SURFACE, "m-1", terrain.mean_curvature, _FLORINSKY),
    Feature("unsphericity_curvature", _SURFACE, "m-1", terrain.unsphericity, _FLORINSKY),
    Feature("curvature", ("r", "t"), "0.01 m-1", terrain.general, "Zevenbergen and Thorne 1987: -2 (D + E) x 100"),
    Feature("sadi", ("sadi",), "m-1", lambda sadi: sadi, "slope-azimuth divergence, ours: see terrain.derivatives"),
    Feature("ruggedness", ("tri",), "m", lambda tri: tri, _RILEY),
    Feature("slope_smoothed", SMOOTHED[:2], "degree", terrain.slope, _DL4GAM),
    Feature("sin_aspect_smoothed", SMOOTHED[:2], "1", terrain.sin_aspect, _DL4GAM),
    Feature("cos_aspect_smoothed", SMOOTHED[:2], "1", terrain.cos_aspect, _DL4GAM),
    Feature("planform_curvature_smoothed", SMOOTHED[:5], "m-1", terrain.planform, _DL4GAM),
    Feature("profile_curvature_smoothed", SMOOTHED[:5], "m-1", terrain.profile, _DL4GAM),
    Feature("ruggedness_smoothed", ("tri_smoothed",), "m", lambda tri: tri, _DL4GAM),
    *(Feature(f"{name}_db", (name,), "dB", formulas.decibels, "10 log10 of the power") for name in _POLARISATIONS),
    Feature("vv_vh_db", ("vv", "vh"), "dB", formulas.decibel_difference, "ratio of powers, in dB"),
    Feature("hh_hv_db", ("hh", "hv"), "dB", formulas.decibel_difference, "Baumhoer et al. 2019: HH / HV"),
    Feature("vv_vh", ("vv", "vh"), "1", formulas.power_ratio, "ratio of powers"),
    Feature("hh_hv", ("hh", "hv"), "1", formulas.power_ratio, "ratio of powers"),
    *(
        Feature(f"{name}_amplitude", (name,), "1", lambda power: np.sqrt(np.maximum(power, 0.0)), "root of the power")
        for name in _POLARISATIONS
    ),
    *(Feature(name, (name,), "1", lambda layer: layer, _PLACE) for name in PLACE),
    *(Feature(name, (name,), "1", lambda layer: layer, _REGION) for name in REGIONS),
    *(Feature(f"{name}_log", (name,), "1", formulas.logarithm, _GLAVITU) for name in (*_POLARISATIONS, *_ORBITS)),
    *(
        Feature(f"{name}_grey", (name,), "1", functools.partial(formulas.grey, low=low), _CAFFE)
        for name, low in (("vv", -20.0), ("vh", -28.0), ("hh", -20.0), ("hv", -28.0))
    ),
    *(
        Feature(f"{name}_clahe", (name,), "1", formulas.equalised(-20.0), "Periyasamy et al. 2022; clip 2: ours", True)
        for name in ("vv", "hh")
    ),
    *(
        Feature(name, bands, "1", contrast.pillow_grey, "Mohajerani et al. 2019, doi:10.3390/rs11010074", True)
        for name, bands in (("grey", ("green", "red")), ("pan_grey", ("pan",)), ("green_grey", ("green",)))
    ),
    *(
        Feature(f"{name}_stretched", (name,), "0-255", lambda band: contrast.eight_bit(band, 0.1, 98.0), _LOEBEL, True)
        for name in ("coastal", *tasseled.BANDS, "pan", "lwir11", "lwir12")
    ),
    *(
        Feature(f"{name}_minmax", (name,), "1", contrast.stretch, "Chu et al. 2022, doi:10.5194/tc-16-4273-2022", True)
        for name in ("blue", "green", "red", "nir")
    ),
    *(
        Feature(f"{name}_normalised", (name,), "1", contrast.bell, _ZHANG, True)
        for name in ("pan", "red", "nir", "vv", "hh")
    ),
    Feature(
        "calfin_stretched", ("nir",), "1", formulas.calfin(lambda grey: grey), _CALFIN + "0.1 to 99.9 percentile", True
    ),
    Feature(
        "calfin_equalised", ("nir",), "1", formulas.calfin(functools.partial(contrast.clahe, clip=2.56)),
        _CALFIN + "adaptive equalisation for HDR toning", True,
    ),
    Feature("calfin_toned", ("nir",), "1", formulas.calfin(contrast.toned), _CALFIN + "tone map for shadows", True),
    *(
        Feature(name, (name,), "1", lambda layer: layer, _HARALICK)
        for part in _COOCCURRENCES
        for name in part.names
    ),
)  # fmt: skip
"""Every layer, in the order that tables show them."""

_BY_HAND = {
    "elevation": "scene.assign(elevation=load.elevation(items, geobox))",
    "dh_dt": "scene.assign(dh_dt=load.elevation_rate(items, geobox))",
    **dict.fromkeys(_POLARISATIONS, "scene.assign of a composite.average of a Sentinel-1 cube"),
    **dict.fromkeys(_ORBITS, "scene.assign of a composite.average over the passes of that direction"),
    **dict.fromkeys(
        ("coherence", "coherence_ascending", "coherence_descending"),
        "scene.assign of an interferometric coherence, 0 to 1, on the scene's grid",
    ),
    **dict.fromkeys(("pan", "cirrus"), "load.cube of Level 1 items (landsat-c2-l1): Level 2 does not have it"),
    "lwir12": "scene.assign of a brightness temperature in kelvin: no sensor of search.SENSORS gives one",
}
"""How to get a variable; any other is a band that load.cube reads."""

_SAME_UNITS = {
    **dict.fromkeys(("", "-", "none", "unitless", "dimensionless", "reflectance", "linear"), "1"),
    **dict.fromkeys(("kelvin", "k"), "K"),
    **dict.fromkeys(("metre", "metres", "meter", "meters"), "m"),
    **dict.fromkeys(("m/a", "m/yr", "m/year", "m yr-1", "m year-1"), "m a-1"),
}
_CONVERT = {
    "db": "10 ** (x / 10)", "%": "x / 100", "percent": "x / 100", "degc": "x + 273.15", "celsius": "x + 273.15",
    "feet": "x * 0.3048", "ft": "x * 0.3048", "km": "x * 1000",
}  # fmt: skip


def find(name: str) -> Feature:
    """The row of a name; LookupError shows the nearest names."""
    rows = {row.name: row for row in FEATURES}
    if name not in rows:
        near = difflib.get_close_matches(name, rows, 5) or rows
        raise LookupError(f"no feature {name!r}: did you mean {', '.join(near)}? features.FEATURES lists all")
    return rows[name]


def needs(names: Sequence[str]) -> list[str]:
    """Scene variables that these features need, each once.

    >>> needs(["ndsi", "slope", "green", "wetness"])
    ['green', 'swir16', 'elevation', 'blue', 'red', 'nir', 'swir22']
    """
    made = {"instrument": ()} | {name: part.needs for part in PARTS for name in part.names}
    wanted = (need for name in names for layer in find(name).needs for need in made.get(layer, (layer,)))
    return list(dict.fromkeys(wanted))


def stack(scene: xr.Dataset, names: Sequence[str]) -> xr.DataArray:
    """Named layers of one date as float32 (feature, y, x), lazy where the scene is; NaN where unseen.

    Terrain and textures see over the edges of blocks; image statistics are those of the whole scene. Raises
    LookupError for an unknown name, a layer that the scene lacks, or weights for an instrument that it does not tell;
    ValueError for a scene with a time dimension, in degrees or feet, or a variable in other units than the feature's.

    >>> import odc.geo.xr
    >>> from odc.geo.geobox import GeoBox
    >>> grid = odc.geo.xr.xr_zeros(GeoBox.from_bbox((0, 0, 20, 10), "EPSG:32632", resolution=10), dtype="float32")
    >>> stack(xr.Dataset({"green": grid + 0.8, "swir16": grid + 0.1}), ["ndsi", "green"]).round(2).values
    array([[[0.78, 0.78]],
    <BLANKLINE>
           [[0.8 , 0.8 ]]], dtype=float32)
    """
    rows, wanted = [find(name) for name in names], needs(names)
    grid = _checked(scene, rows, wanted)
    chunks = next((scene[need].chunks for need in wanted if scene[need].chunks), None)
    layers = {need: scene[need].data.astype("float32", copy=False) for need in wanted}
    if chunks:
        layers = {key: da.asarray(layer).rechunk(chunks) for key, layer in layers.items()}
    asked = {need for row in rows for need in row.needs}
    for part in PARTS:
        if asked & set(part.names):
            made = part.make(*(layers[need] for need in part.needs), grid)
            layers |= dict(zip(part.names, made, strict=True))
    if "instrument" in asked:
        taken = tasseled.instruments(scene)
        which = np.full(grid.shape, taken) if isinstance(taken, int) else taken.data
        layers["instrument"] = da.asarray(which).rechunk(chunks) if chunks else np.asarray(which)
    made = (_layer(row, [layers[need] for need in row.needs]) for row in rows)
    data = da.stack(list(made)).rechunk({0: -1}) if chunks else _stacked(made, (len(rows), *grid.shape))
    attrs = {key: scene.attrs[key] for key in ("time", "sensor", "items") if key in scene.attrs}
    attrs["feature_units"] = {row.name: row.units for row in rows}
    coords = {"feature": list(names)} | {
        name: coord for name, coord in scene[wanted[0]].coords.items() if name in ("y", "x", "spatial_ref")
    }
    out = xr.DataArray(data, coords, ("feature", "y", "x"), "features", attrs)
    return assign_crs(out, grid.crs)


def _stacked(layers: Iterable[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Layers in one array, each put there as it is made: one at a time in memory beside it."""
    data = np.empty(shape, "float32")
    for number, layer in enumerate(layers):
        data[number] = layer
    return data


def _layer(row: Feature, arrays: list):
    """One layer as float32, by its own means or block by block."""
    if row.whole:
        return row.formula(*arrays).astype("float32")

    def formula(*parts):
        return np.asarray(row.formula(*parts), dtype="float32")

    return blocks.each(formula, *arrays)


def _checked(scene: xr.Dataset, rows: Sequence[Feature], wanted: Sequence[str]) -> GeoBox:
    """The scene's grid, where it has all that the features need, in their units, on one date and in metres."""
    for row in rows:
        asked = needs([row.name])
        if lacking := [need for need in asked if need not in scene]:
            hint = next((_BY_HAND[need] for need in lacking if need in _BY_HAND), None)
            hint = hint or "load.cube(items, geobox) with that band"
            has = ", ".join(map(str, scene.data_vars))
            raise LookupError(f"feature {row.name} needs {', '.join(lacking)}; the scene has {has}: add it by {hint}")
        for need in asked:
            said, units = str(scene[need].attrs.get("units", find(need).units)).strip(), find(need).units
            if _SAME_UNITS.get(said.lower(), said) != units:
                convert = _CONVERT.get(said.lower(), "the scale and offset of its product")
                raise ValueError(
                    f"feature {row.name} takes {need} in {units} and the scene has it in {said}: convert it "
                    f"({convert}) and set scene[{need!r}].attrs['units'] = {units!r}"
                )
    grid = scene[wanted[0]].odc.geobox
    if grid is None or grid.crs is None:
        raise ValueError("the scene has no CRS: give it one, odc.geo.xr.assign_crs(scene, 'EPSG:...')")
    try:
        crs.metres(grid)
    except ValueError as refusal:
        raise ValueError(f"layers are made in metres: regions.geobox(region, resolution) ({refusal})") from None
    odd = next((scene[need].dims for need in wanted if scene[need].dims != ("y", "x")), ())
    if "time" in odd:
        raise ValueError("the scene has a time dimension: make one date of it, composite.late_summer(cube, year)")
    if odd:
        raise ValueError(f"the scene has dims {odd}, layers are made over y, x: rename or select")
    return grid
