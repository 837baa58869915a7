"""Pictures keep their order, shapes their parts, colours stay apart, north is where it is."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from scenery import CRS, landscape
from skimage.color import rgb2lab

from glacier_nb import maps, recipes

# Machado, Oliveira and Fernandes (2009), doi:10.1109/TVCG.2009.113, severity 1.0
SIGHT = {
    "full": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def seen_as(colour: str, matrix: np.ndarray) -> np.ndarray:
    """Lab colour (CIE 1976, D65) of `colour` as seen through `matrix`, which works on linear RGB."""
    rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(matrix @ linear, 0, 1)
    back = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb2lab(back[None, None])[0, 0]


@pytest.mark.parametrize("sight", SIGHT)
def test_zones_stay_apart_for_every_eye(sight):
    colours = [seen_as(colour, SIGHT[sight]) for colour in maps.ZONE_COLOURS.values()]
    apart = min(np.linalg.norm(a - b) for i, a in enumerate(colours) for b in colours[:i])
    assert apart > 15, f"two zones are {apart:.1f} apart in Lab; 2.3 is just noticeable"


def test_every_zone_has_one_colour():
    assert tuple(maps.ZONE_COLOURS) == recipes.ZONES
    assert len(set(maps.ZONE_COLOURS.values())) == len(maps.ZONE_COLOURS)


def test_unseen_area_is_hatched():
    scene = landscape(1)["scene"]
    rgb = maps.tones(scene, ("red",), (0, 1))
    unseen = rgb[~scene["clear"].values]
    assert set(map(tuple, unseen)) == {(168,) * 3, (222,) * 3}
    assert 0.2 < (unseen[:, 0] == 168).mean() < 0.35  # one stripe in four


def test_a_stretch_keeps_order_and_ends():
    ramp = xr.Dataset({"red": (("y", "x"), np.linspace(-0.1, 1.1, 13)[None].repeat(2, 0))})
    grey = maps.tones(ramp, ("red",), (0.0, 1.0))[0, :, 0].astype(int)
    assert grey[0] == 0 and grey[-1] == 255 and (np.diff(grey) >= 0).all()


def test_a_wide_raster_is_shown_by_its_means():
    wide = xr.DataArray(
        np.arange(4000.0)[None].repeat(4, 0), coords={"x": np.arange(4000.0) * 10, "y": np.arange(4.0)}, dims=("y", "x")
    )
    small = maps.overview(wide, 1000)
    assert small.sizes["x"] == 1000 and float(small.mean()) == pytest.approx(float(wide.mean()))
    assert maps.bounds(small)[0] == pytest.approx(maps.bounds(wide)[0])


def test_light_falls_from_the_north_west():
    y, x = np.mgrid[0:50, 0:50]
    metres = {"y": -10.0 * np.arange(50), "x": 10.0 * np.arange(50)}
    slopes = {"flat": 0 * x, "faces west": x, "faces east": -x, "faces north": y, "faces south": -y}
    lit = {
        name: float(maps.hillshade(xr.DataArray(10.0 * steps, metres, ("y", "x")))["grey"].mean())
        for name, steps in slopes.items()
    }
    assert lit["faces west"] > lit["flat"] > lit["faces east"]
    assert lit["faces north"] > lit["flat"] > lit["faces south"]
    assert lit["flat"] == pytest.approx(0.5)  # cos(45 degrees) squared


def test_shapes_keep_holes_parts_and_values():
    hole = shapely.Polygon([(0, 0), (9, 0), (9, 9), (0, 9)], [[(3, 3), (6, 3), (6, 6), (3, 6)]])
    table = gpd.GeoDataFrame(
        {"rgi_id": ["a"], "time": [pd.Timestamp("2020-08-01")], "area_m2": [2.5e6]},
        geometry=[shapely.MultiPolygon([hole, shapely.box(20, 0, 21, 1)])], crs=CRS,
    )  # fmt: skip
    (row,) = maps.rows(table)
    assert np.isnan(row["x"]).sum() == 1 and [len(holes) for holes in row["holes"]] == [1, 0]
    assert row["time"] == "2020-08-01" and row["area_km2"] == 2.5


def test_north_turns_with_the_grid():
    assert maps.north("EPSG:32633", 500_000, 8_600_000) == pytest.approx(0, abs=1e-6)
    east = maps.north("EPSG:3413", 500_000, -500_000)
    assert east == pytest.approx(-maps.north("EPSG:3413", -500_000, -500_000)) == pytest.approx(-45, abs=0.1)
