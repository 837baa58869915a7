"""Layers against closed forms; a lazy scene gives the same ones; what is missing or wrong is refused by name."""

import re

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from scipy import ndimage

from glacier_nb import features, load, search

GRID = GeoBox.from_bbox((600_000, 5_000_000, 600_900, 5_000_700), "EPSG:32632", resolution=10)
X, Y = np.meshgrid(GRID.coords["x"].values - 600_450, GRID.coords["y"].values - 5_000_350)
RNG = np.random.default_rng(7)
NAMES = [row.name for row in features.FEATURES]
VARIABLES = features.needs(NAMES)


def scene(**layers):
    return xr.Dataset(
        {name: wrap_xr(np.broadcast_to(v, GRID.shape).astype("float32"), GRID) for name, v in layers.items()},
        attrs={"sensor": "sentinel-2-l2a"},
    )


def layer(name, **layers):
    return features.stack(scene(**layers), [name]).sel(feature=name).values


def noisy(name):
    """A layer with structure in plausible values: kelvin, metres, and numbers in [0, 1]."""
    field = ndimage.gaussian_filter(RNG.standard_normal(GRID.shape), 3)
    field = (field - field.min()) / np.ptp(field)
    units = features.find(name).units
    return {"K": 250 + 30 * field, "m": 1000 + 300 * field, "m a-1": field - 0.5}.get(units, field)


NOISY = scene(**{name: noisy(name) for name in VARIABLES})


@pytest.mark.parametrize(
    ("name", "layers", "expected"),
    [
        ("ndsi", {"green": 0.8, "swir16": 0.1}, 0.7 / 0.9),
        ("mndwi", {"green": 0.8, "swir16": 0.1}, 0.7 / 0.9),
        ("ndsi_swir22", {"green": 0.8, "swir22": 0.2}, 0.6),
        ("ndwi", {"green": 0.06, "nir": 0.02}, 0.5),
        ("ndvi", {"nir": 0.4, "red": 0.1}, 0.6),
        ("savi", {"nir": 0.4, "red": 0.1}, 1.5 * 0.3 / 1.0),
        ("nbr", {"nir": 0.3, "swir22": 0.1}, 0.5),
        ("red_swir16", {"red": 0.6, "swir16": 0.1}, 6.0),
        ("nir_swir16", {"nir": 0.6, "swir16": 0.0}, 6000.0),
        ("ndsi", {"green": 0.02, "swir16": -0.03}, 1.0),
        ("ndsi", {"green": -0.01, "swir16": -0.03}, 0.0),
        ("vv_db", {"vv": 0.01}, -20.0),
        ("vv_vh_db", {"vv": 0.1, "vh": 0.01}, 10.0),
        ("hh_hv_db", {"hh": 0.01, "hv": 0.02}, -10 * np.log10(2)),
        ("hh_hv", {"hh": 0.01, "hv": 0.02}, 0.5),
        ("hh_amplitude", {"hh": 0.04}, 0.2),
        ("vv_log", {"vv": 0.0}, -6.0),
        ("crosspol_descending_log", {"crosspol_descending": 0.099999}, -1.0),
        ("hh_grey", {"hh": 10**-0.75}, 0.5),
        ("hv_grey", {"hv": 1e-5}, 0.0),
        ("dh_dt", {"dh_dt": -1.5}, -1.5),
        ("lwir12", {"lwir12": 273.0}, 273.0),
        ("pan", {"pan": 0.4}, 0.4),
    ],
)  # fmt: skip
def test_formulas(name, layers, expected):
    np.testing.assert_allclose(layer(name, **layers), expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("name", NAMES)
def test_blocks_make_no_difference(name):
    """Blocks narrower than a texture's window, and than the reach of the tone mapping."""
    expected = features.stack(NOISY, [name])
    lazy = features.stack(NOISY.chunk({"y": 13, "x": 37}), [name])
    assert lazy.chunks == ((1,), (13,) * 5 + (5,), (37, 37, 16)) and lazy.dtype == "float32"
    assert np.isfinite(expected).all() and lazy.odc.geobox == GRID
    np.testing.assert_array_equal(lazy.compute(scheduler="sync"), expected)


@pytest.mark.parametrize("chunks", [(70, 45), (1, 90)])
def test_all_layers_at_once_are_those_one_by_one(chunks):
    """In one graph, where parts and statistics are shared; GLCM apart, which takes its time."""
    names = [name for name in NAMES if "glcm" not in name]
    part = NOISY.isel(y=slice(0, max(chunks[0], 9)))
    stacked = features.stack(part.chunk({"y": chunks[0], "x": chunks[1]}), names)
    assert stacked.chunks[0] == (len(names),) and list(stacked.feature.values) == names
    np.testing.assert_array_equal(stacked.compute(scheduler="sync"), features.stack(part, names))


@pytest.mark.parametrize("name", [row.name for row in features.FEATURES if not row.whole])
def test_a_layer_of_its_place_does_not_ask_the_rest(name):
    """Far from a change, a feature that is not `whole` stays; GLCM's greys are the exception, cut by percentiles."""
    names = features.needs([name])
    other = NOISY.copy()
    for need in names:
        other[need] = NOISY[need].copy(data=np.where(X < 0, NOISY[need], NOISY[need].values[::-1]))
    same = np.array_equal(features.stack(NOISY, [name])[:, :, :40], features.stack(other, [name])[:, :, :40])
    assert same or "glcm" in name


def test_unseen_stays_unseen():
    hole = np.where(np.hypot(X, Y) < 100, np.nan, 0.5)
    for name in NAMES:
        out = layer(name, **dict.fromkeys(features.needs([name]), hole))
        assert np.isnan(out[np.isnan(hole)]).all(), name
        assert np.isfinite(out[np.hypot(X, Y) > 140]).all(), name


def test_calfin_and_eight_bit_layers_hold_whole_numbers():
    out = features.stack(NOISY, ["calfin_stretched", "calfin_equalised", "calfin_toned", "nir_stretched"])
    eight = (out[:3].values + 1) * 127.5
    np.testing.assert_allclose(eight, np.rint(eight), atol=1e-4)
    assert eight[0].min() == 0 and eight[0].max() == pytest.approx(255) and (eight >= 0).all()
    assert set(np.unique(out[3])) <= set(range(256))


def test_what_is_missing_is_named_with_a_way_to_get_it():
    given = scene(green=0.5, red=0.4)
    with pytest.raises(LookupError, match=r"ndsi needs swir16; the scene has green, red: add it by load\.cube"):
        features.stack(given, ["ndsi"])
    with pytest.raises(LookupError, match=r"slope needs elevation.*load\.elevation\(items, geobox\)"):
        features.stack(given, ["slope"])
    with pytest.raises(LookupError, match=r"dh_dt needs dh_dt.*load\.elevation_rate"):
        features.stack(given, ["dh_dt"])
    with pytest.raises(LookupError, match=r"pan_glcm_entropy needs pan;.*Level 1 items"):
        features.stack(given, ["pan_glcm_entropy"])
    with pytest.raises(LookupError, match=r"lwir12_stretched needs lwir12;.*temperature in kelvin"):
        features.stack(given, ["lwir12_stretched"])
    with pytest.raises(LookupError, match=r"copol_ascending_log needs copol_ascending;.*passes of that direction"):
        features.stack(given, ["copol_ascending_log"])
    with pytest.raises(LookupError, match=r"no feature 'nsdi': did you mean .*ndsi"):
        features.stack(given, ["nsdi"])
    with pytest.raises(ValueError, match="time dimension"):
        features.stack(given.expand_dims(time=2), ["green"])
    with pytest.raises(ValueError, match=r"dims \('x', 'y'\), layers are made over y, x"):
        features.stack(given.transpose("x", "y"), ["green"])
    with pytest.raises(ValueError, match=r"no CRS.*assign_crs"):
        features.stack(xr.Dataset({"green": (("y", "x"), np.ones((4, 5)))}), ["green"])


@pytest.mark.parametrize(
    ("crs", "box", "resolution", "said"),
    [
        ("EPSG:4326", (10, 46, 10.1, 46.1), 0.01, "WGS 84"),
        ("EPSG:3857", (1_113_000, 5_780_000, 1_114_000, 5_781_000), 100, "Pseudo-Mercator"),
        ("EPSG:2277", (3_100_000, 10_000_000, 3_101_000, 10_001_000), 100, "Texas"),
    ],
    ids=["degrees", "web mercator", "feet"],
)
def test_a_scene_that_is_not_in_metres_is_refused_with_a_code(crs, box, resolution, said):
    grid = GeoBox.from_bbox(box, crs, resolution=resolution)
    ground = xr.Dataset({"elevation": wrap_xr(np.zeros(grid.shape, "float32"), grid)})
    with pytest.raises(ValueError, match=rf"made in metres.*regions\.geobox.*{said}.*EPSG:326(32|14)"):
        features.stack(ground, ["slope"])


@pytest.mark.parametrize(
    ("name", "variable", "said", "way"),
    [
        ("vv_db", "vv", "dB", "10 ** (x / 10)"),
        ("lwir11", "lwir11", "degC", "x + 273.15"),
        ("slope", "elevation", "feet", "x * 0.3048"),
        ("ndsi", "swir16", "DN", "scale and offset"),
        ("dh_dt", "dh_dt", "m", "scale and offset"),
    ],
)
def test_a_wrong_unit_is_refused_with_what_to_do(name, variable, said, way):
    given = scene(**dict.fromkeys(features.needs([name]), 0.5))
    given[variable].attrs["units"] = said
    units = features.find(variable).units
    told = rf"feature {name} takes {variable} in {units} and the scene has it in {said}: convert it .*{re.escape(way)}"
    with pytest.raises(ValueError, match=told):
        features.stack(given, [name])
    given[variable].attrs["units"] = units
    assert np.isfinite(features.stack(given, [name])).all()


@pytest.mark.parametrize(("variable", "said"), [("elevation", "metres"), ("green", ""), ("lwir11", "Kelvin")])
def test_units_have_other_names(variable, said):
    given = scene(**{variable: 0.5})
    given[variable].attrs["units"] = said
    assert (features.stack(given, [variable]) == 0.5).all()


def test_rows_are_told_apart_and_cited():
    assert len(set(NAMES)) == len(NAMES)
    assert all(row.citation and row.units and row.needs for row in features.FEATURES)
    assert set(VARIABLES) <= set(NAMES)  # each variable is a feature itself, which knows its units
    made = [name for part in features.PARTS for name in part.names]
    assert len(set(made)) == len(made) and not set(made) & set(VARIABLES)


def test_every_layer_that_real_scenes_allow(data):
    """Khumbu in summer: optical, radar and a DEM, as loaded; layers are finite where the ground was seen."""
    provider = data / "khumbu_stac"
    bbox = [86.80, 27.96, 86.83, 27.99]
    grid = GeoBox.from_bbox((480_300, 3_093_000, 482_300, 3_095_000), "EPSG:32645", resolution=10)
    layers = {}
    for sensor in ("sentinel-2-l2a", "sentinel-1-rtc"):
        items = search.scenes(bbox, 2024, sensor, provider, months=[7])
        layers |= (
            load.cube(items, grid, provider=provider)
            .isel(time=0, drop=True)
            .drop_vars("item", errors="ignore")
            .data_vars
        )
    layers.pop("clear")
    heights = search.scenes(bbox, None, "dem", provider)
    real = xr.Dataset(layers | {"elevation": load.elevation(heights, grid, provider=provider)})
    real = real.assign_attrs(sensor="sentinel-2-l2a")
    names = [name for name in NAMES if set(features.needs([name])) <= set(real)]
    assert len(names) > 60
    out = features.stack(real, names).compute()
    seen = np.isfinite(real.to_dataarray()).all("variable").values
    assert seen.mean() > 0.95
    for name in names:
        values = out.sel(feature=name).values[ndimage.binary_erosion(seen, iterations=5)]
        assert np.isfinite(values).all() and (np.ptp(values) > 0 or name in (*features.PLACE, *features.REGIONS)), name
