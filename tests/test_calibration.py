"""Intervals calibrated where the truth is known: they hold as often as they say, of glaciers and of their sum."""

import dataclasses

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from glacier_nb import calibration, change, margins, uncertainty, weights
from glacier_nb.uncertainty import Conformal

CRS = "EPSG:32633"
TWO = {
    "change_interval": Conformal(-2.0, 0.5, 0.9, 300, 0.8, "glaciers of drawn places"),
    "region_interval": Conformal(-1.5, 0.2, 0.9, 30, 1.0, "regions of drawn places"),
}
CARD = {name: dataclasses.asdict(one) for name, one in TWO.items()} | {"sensor": "drawn", "pixel_m": 10.0}


def frame(shapes, years=(2000, 2010), system="some"):
    """Outlines of two dates: a list of shapes each."""
    rows = [(f"g{k:04d}", f"{year}-08-30", shapely.transform(shape, lambda xy: xy + np.array([5e5, 7e6])))
            for year, some in zip(years, shapes, strict=True) for k, shape in enumerate(some)]  # fmt: skip
    found = gpd.GeoDataFrame(rows, columns=["rgi_id", "time", "geometry"], crs=CRS)
    return found.assign(time=pd.to_datetime(found["time"]), system=system, sensor="drawn", pixel_m=10.0)


@pytest.fixture(scope="module")
def places():
    """A hundred places of 20 glaciers that drew back by 30 m, each place's maps off by its own snow and light."""
    rows = []
    for seed in range(100):
        drawn = [margins.drawn(20, seed, retreat=back, together=20) for back in (0.0, 30.0)]
        true, found = (change.area(frame(shapes)) for shapes in zip(*drawn, strict=True))
        rows.append(calibration.pairs(found, true).assign(seed=seed))
    return pd.concat(rows, ignore_index=True)


def test_pairs_are_of_changes_and_as_wide_as_the_buffer(places):
    region = places["rgi_id"] == "region"
    assert len(places) == 100 * 21 and region.sum() == 100 and set(places["time"].dt.year) == {2010}
    sums = places[~region].groupby("seed")[["mapped_m2", "true_m2"]].sum()
    assert np.allclose(sums, places[region].set_index("seed")[["mapped_m2", "true_m2"]])
    assert (places["true_m2"] < 0).all() and (places["scale_m2"] > 0).all()


def test_ninety_percent_of_others_of_glaciers_and_of_regions(places):
    """Half of the places calibrate, the others are tried: within three standard errors of both sides."""
    found = calibration.fit(places[places["seed"] < 50])
    rest = places[places["seed"] >= 50]
    for kind, some in rest.groupby(np.where(rest["rgi_id"] == "region", "region", "change")):
        one = found[f"{kind}_interval"]
        scale = some["scale_m2"] ** one.power
        low, high = (some["mapped_m2"] + side * scale for side in (one.low, one.high))
        held = uncertainty.coverage(some["true_m2"], pd.DataFrame({"lower_m2": low, "upper_m2": high}))
        # the calibration is one of many too; glaciers of a place err together, so that places count
        assert held["coverage"] == pytest.approx(0.9, abs=3 * np.sqrt(0.09 / 50 + 0.09 / 50)), kind
    assert found["change_interval"].n == 1000 and found["region_interval"].n == 50
    with pytest.raises(ValueError, match=r"8 regions .* needs 9"):
        calibration.fit(places[places["seed"] < 8])


def test_bounds_hold_the_mapped_change_whatever_the_bias(places):
    """Maps that all lose too much by the half-width: as far down as up, and of regions by just that."""
    found = calibration.fit(places.assign(mapped_m2=places["true_m2"] - places["scale_m2"]))
    assert all(one.low == -one.high < 0 for one in found.values())
    assert found["region_interval"].high == pytest.approx(1)


@pytest.fixture
def known(monkeypatch):
    """A system with a calibrated card."""
    row = weights.Weights("some", "some", "some.safetensors", "", card={calibration.KEY: CARD})
    monkeypatch.setattr(weights, "WEIGHTS", (*weights.WEIGHTS, row))


def squares(*sides):
    return frame([[shapely.box(0, 0, one, one), shapely.box(5000, 0, 5000 + one, one)] for one in sides])


def test_a_card_calibrates_outlines_of_its_kind_alone(known):
    found = squares(1000, 900)
    assert calibration.of(found) == TWO
    mixed = found.assign(system=["some", "some", "other", "other"])
    for other in (found.assign(system="ndsi"), found.assign(system="nobody"), found.assign(sensor="another"), mixed,
                  found.assign(pixel_m=30.0), found.assign(edited=[True, False, False, False]),
                  found.drop(columns="sensor"), found.iloc[:0]):  # fmt: skip
        assert calibration.of(other) == {}
    assert calibration.of(found.assign(edited=False)) == TWO


def test_without_a_calibration_bounds_are_the_buffers_and_are_called_so(known):
    found = squares(1000, 900)
    plain = change.area(found.assign(system="ndsi"), **calibration.of(found.assign(system="ndsi")))
    assert calibration.told(plain) == "half a pixel along the margin" and "region_method" not in plain.attrs
    pd.testing.assert_frame_equal(plain, change.area(found.assign(system="ndsi")))
    table = change.area(found, **calibration.of(found))
    assert calibration.told(table) == "conformal, 0.9, n=30 regions of drawn places"
    assert table.attrs["change_method"] == "conformal, 0.9, n=300 glaciers of drawn places"


def test_bounds_are_the_calibrations_times_the_half_widths(known):
    found = squares(1000, 900)
    plain, table = (change.area(found, **how) for how in ({}, calibration.of(found)))
    for rgi_id, one in (("g0000", TWO["change_interval"]), ("region", TWO["region_interval"])):
        theirs, ours = (
            some[(some["rgi_id"] == rgi_id) & (some["time"] > some["since"])].iloc[0] for some in (plain, table)
        )
        scale = ((theirs.change_upper_m2 - theirs.change_lower_m2) / 2) ** one.power
        assert ours.change_m2 == theirs.change_m2
        bounds = ours.change_lower_m2, ours.change_upper_m2
        assert bounds == pytest.approx([ours.change_m2 + side * scale for side in (one.low, one.high)])
        years = (ours.time - ours.since) / pd.Timedelta(days=365.25)
        assert ours.rate_lower_km2_a == pytest.approx(ours.change_lower_m2 / 1e6 / years)


@pytest.mark.parametrize("sides", [(1000, 900), (800, 1200), (1000, 1000)])
def test_backwards_is_minus_where_it_is_calibrated(known, sides):
    found = squares(*sides)
    there, back = (change.area(found, since=day, **calibration.of(found)) for day in ("2000-08-30", "2010-08-30"))
    there, back = (some[some["time"] != some["since"]].reset_index() for some in (there, back))
    assert np.array_equal(there["change_m2"], -back["change_m2"])
    assert there["change_lower_m2"].to_numpy() == pytest.approx(-back["change_upper_m2"].to_numpy())
    assert there["change_upper_m2"].to_numpy() == pytest.approx(-back["change_lower_m2"].to_numpy())


def test_what_is_harder_to_map_is_less_sure(known):
    found, width = squares(1000, 900), []
    for pixel in (10.0, 20.0, 30.0):
        table = change.area(found, pixel=pixel, **calibration.of(found))
        last = table[table["time"] > table["since"]]
        width.append((last["change_upper_m2"] - last["change_lower_m2"]).to_numpy())
    assert (np.diff(width, axis=0) > 0).all()


def test_the_demo_network_ships_one_that_was_measured():
    found = squares(1000, 900).assign(system="extent-demo", sensor="sentinel-2-l2a")
    two = calibration.of(found)
    assert set(two) == set(TWO) and all(one.level == 0.9 and one.low < one.high for one in two.values())
    card = weights.default("extent-demo").card
    told, learnt = card[calibration.KEY], {*card["seeds"], *card["validation_seeds"]}
    one, other = (set(range(first, last + 1)) for first, last in (told["seeds"], told["tried_seeds"]))
    assert not one & learnt and not other & learnt and not one & other
    assert two["change_interval"].n >= 500 and told["measured"]["glaciers"]["n"] >= 2000
    assert 0.87 < told["measured"]["glaciers"]["coverage"] < 0.93 and told["measured"]["glaciers"]["width"] <= 1
    for name, kind in (("change_interval", "glaciers"), ("region_interval", "regions")):
        held = told["measured"][kind]
        # three standard errors of what was counted
        assert held["coverage"] >= 0.9 - 3 * np.sqrt(0.09 / held["n"])
        assert f"{round(held['coverage'] * held['n'])} of {held['n']} others" in two[name].source
