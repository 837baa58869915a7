"""Tasseled cap: orthonormal weights, the right ones for each scene and pixel."""

import itertools

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from glacier_nb import features, tasseled

GRID = GeoBox.from_bbox((600_000, 5_000_000, 600_040, 5_000_020), "EPSG:32632", resolution=10)
LIGHT = dict(zip(tasseled.BANDS, (0.5, 0.4, 0.3, 0.6, 0.2, 0.1), strict=True))
LANDSAT = {"oli": "LC08_L2SP_195028_20220801", "etm": "LE07_L2SP_195028_20010801", "tm": "LT05_L2SP_195028_19950801"}


def scene(**attrs):
    bands = {name: wrap_xr(np.full(GRID.shape, value, "float32"), GRID) for name, value in LIGHT.items()}
    return xr.Dataset(bands).assign_attrs(attrs)


def expected(instrument, component):
    cap = next(cap for cap in tasseled.CAPS if cap.instrument == instrument)
    return np.dot(getattr(cap, component), list(LIGHT.values()))


@pytest.mark.parametrize("cap", tasseled.CAPS, ids=lambda cap: cap.instrument)
def test_weights_are_unit_vectors_at_right_angles(cap):
    components = [np.array(weights) for weights in (cap.brightness, cap.greenness, cap.wetness)]
    for weights in components:
        assert (weights**2).sum() == pytest.approx(1, abs=0.01)
    for one, other in itertools.combinations(components, 2):
        assert abs(one @ other) < 0.001
    assert np.all(components[0] > 0)


@pytest.mark.parametrize("component", ["brightness", "greenness", "wetness"])
def test_a_scene_gets_the_weights_of_its_instrument(component):
    told = [({"sensor": "sentinel-2-l2a"}, "msi"), ({"sensor": "tm"}, "tm")]
    told += [({"sensor": "landsat-c2-l2", "items": [item]}, name) for name, item in LANDSAT.items()]
    found = [float(features.stack(scene(**attrs), [component]).mean()) for attrs, _ in told]
    np.testing.assert_allclose(found, [expected(name, component) for _, name in told], rtol=1e-5)
    assert len({round(value, 4) for value in found[1:]} | {round(found[0], 4)}) == 4


@pytest.mark.parametrize("lazy", [False, True])
def test_a_composite_of_two_instruments_gets_the_weights_of_each_pixel(lazy):
    source = np.array([[0, 1, 1, 0], [1, 0, 0, -1]], "int16")
    mixed = scene(sensor="landsat-c2-l2", items=[LANDSAT["etm"], LANDSAT["oli"]])
    mixed = mixed.assign(source=wrap_xr(source, GRID))
    wetness = features.stack(mixed.chunk({"y": 1, "x": 2}) if lazy else mixed, ["wetness"]).values[0]
    names = np.where(source == 0, expected("etm", "wetness"), expected("oli", "wetness"))
    np.testing.assert_allclose(wetness[source >= 0], names[source >= 0], rtol=1e-5)
    with pytest.raises(LookupError, match=r"items are of etm, oli and nothing says which pixel.*late_summer keeps"):
        features.stack(mixed.drop_vars("source"), ["wetness"])


@pytest.mark.parametrize(
    ("attrs", "said"),
    [
        ({}, r"sensor is None: set scene.attrs\['sensor'\] to one of msi, sentinel-2-l2a"),
        ({"sensor": "aster"}, r"sensor is 'aster'"),
        ({"sensor": "landsat-c2-l2"}, r"several instruments.*items \(none\).*one of oli, etm, tm"),
        ({"sensor": "landsat-c2-l2", "items": ["LM01_L1TP"]}, r"items \(LM01_L1TP\)"),
    ],
)
def test_an_unknown_instrument_is_refused_with_what_to_do(attrs, said):
    with pytest.raises(LookupError, match=said):
        features.stack(scene(**attrs), ["brightness"])


def test_snow_is_bright_and_rock_is_dry(data):
    """Pixels that people classified: 1 snow, 3 ice, 4 rock or debris, 5 water (Aberle et al.)."""
    points = pd.read_csv(data / "snow_ice_points/Sentinel-2_SR_training_data.csv")
    bands = points[["B2", "B3", "B4", "B8", "B11", "B12"]].to_numpy().T
    which = np.zeros(len(points), int)
    table = pd.DataFrame(
        {name: tasseled.weighted(name)(*bands, which) for name in ("brightness", "wetness")}
    ).groupby(points["class"]).median()  # fmt: skip
    assert table.brightness[1] > table.brightness[3] > table.brightness[4] > table.brightness[5]
    assert table.wetness[[1, 3, 5]].min() > 0 > table.wetness[4]
