"""Labels drawn on a scene's grid: each pixel gets the zone that holds its middle; what cannot be is named."""

import dataclasses

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_zeros

from glacier_nb import labels
from glacier_nb.labels import UNSEEN, Sample

BOX = GeoBox((40, 60), Affine(10, 0, 5e5, 0, -10, 3.1e6), "EPSG:32645")


def layers(chunks=None):
    """Two features on the grid."""
    found = xr_zeros(BOX, "float32", chunks=chunks).expand_dims(feature=["red", "nir"])
    return found.assign_attrs(time="2024-08-15T05:00:00")


def frame(*shapes, crs="EPSG:32645", **columns) -> gpd.GeoDataFrame:
    """Labels in map coordinates given in pixels (x right, y down)."""
    moved = [shapely.affinity.affine_transform(shape, [10, 0, 0, -10, 5e5, 3.1e6]) for shape in shapes]
    return gpd.GeoDataFrame(columns, geometry=moved, crs=BOX.crs).to_crs(crs)


def test_outlines_become_zones_and_numbered_glaciers():
    shapes = frame(shapely.box(5, 5, 15, 25), shapely.box(30, 10, 50, 20), shapely.box(31, 11, 33, 13),
                   rgi_id=["a", "b", "b"], zone=["glacier", "glacier", "debris cover"])  # fmt: skip
    found = labels.of_outlines(layers(), shapes, ("rock", "glacier", "debris cover"), "khumbu", group="everest")
    assert [int((found.truth == zone).sum()) for zone in range(3)] == [2400 - 400, 400 - 4, 4]
    assert (found.truth[5:25, 5:15] == 1).all() and (found.truth[11:13, 31:33] == 2).all()
    assert found.glaciers[6, 6] == 1 and found.glaciers[12, 40] == found.glaciers[12, 32] == 2
    assert (found.time, found.group, found.resolution, found.geobox) == ("2024-08-15", "everest", 10.0, BOX)


def test_any_crs_gives_the_same_pixels():
    shapes = frame(shapely.box(4.4, 4.4, 15.6, 25.6), rgi_id=["a"])
    one, other = (labels.of_outlines(layers(), some) for some in (shapes, shapes.to_crs(4326)))
    np.testing.assert_array_equal(one.truth, other.truth)


def test_fronts_are_drawn_as_wide_as_asked_and_scenes_stay_lazy():
    line = frame(shapely.LineString([(20.5, 0), (20.5, 40)]))
    for width in (1, 3, 5):
        found = labels.of_fronts(layers({"x": 20, "y": 20}), line, width=width)
        assert (found.front.sum(axis=1) == width).all() and found.front[:, 20].all()
        assert hasattr(found.features, "dask") and (found.truth == 0).all()


def test_labels_off_the_grid_say_where_they_are():
    with pytest.raises(ValueError, match=r"khumbu: labels off the grid: they span 501000, .* the grid 500000"):
        labels.of_outlines(layers(), frame(shapely.box(100, 0, 120, 10)), name="khumbu")
    with pytest.raises(ValueError, match=r"scene: labels off the grid"):
        labels.of_fronts(layers(), frame(shapely.LineString([(0, -90), (9, -90)])))
    with pytest.raises(ValueError, match="no CRS"):
        labels.of_outlines(layers(), frame(shapely.box(0, 0, 9, 9)).set_crs(None, allow_override=True))
    with pytest.raises(ValueError, match="outlines of zone 'lake', the system has rock, glacier"):
        labels.of_outlines(layers(), frame(shapely.box(0, 0, 9, 9), zone=["lake"]))


def test_samples_that_do_not_fit_are_named():
    good = Sample("s", np.zeros((2, 40, 60)), np.zeros((40, 60), "uint8"))
    labels.check(good, ("a", "b"), ("rock", "glacier"), 32)
    for wrong, words in (
        ({"truth": np.full((40, 60), 7, "uint8")}, "s: truth 7 at row 0, column 0: the system has 2 zones, so 0 to 1"),
        ({"front": np.zeros((40, 61), bool)}, r"s: front \(40, 61\) is off the grid of \(40, 60\)"),
        ({"geobox": BOX[:, :30]}, r"s: geobox \(40, 30\) is off the grid"),
        ({"features": np.zeros((3, 40, 60))}, "s has 3 channels, the system takes 2"),
        ({"features": np.zeros((2, 41, 60))}, "they must agree and hold a patch of 32 pixels"),
    ):
        with pytest.raises(ValueError, match=words):
            labels.check(dataclasses.replace(good, **wrong), ("a", "b"), ("rock", "glacier"), 32)


def test_rock_is_learnt_where_nothing_else_is_known():
    truth = np.full((40, 60), UNSEEN, "uint8")
    truth[:, :20] = 1
    rock = np.zeros((40, 60), bool)
    rock[:, 40:] = True
    found = labels.with_rock(Sample("s", np.zeros((2, 40, 60)), truth), rock, 0)
    assert (
        (found.truth[:, 40:] == 0).all()
        and (found.truth[:, 20:40] == UNSEEN).all()
        and (found.truth[:, :20] == 1).all()
    )
    rock[3, 7] = True
    with pytest.raises(ValueError, match="s: the rock mask lies on zone 1 at row 3, column 7"):
        labels.with_rock(Sample("s", np.zeros((2, 40, 60)), truth), rock, 0)
