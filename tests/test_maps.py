"""Pictures keep their order, shapes their parts, colours stay apart, north is where it is."""

import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from bokeh.models import ColorBar, Legend
from scenery import CRS, drawn, landscape
from skimage.color import rgb2lab

from glacier_nb import areas, lapse, maps, migration, recipes, thinning

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


APART = 15
"""Least distance in Lab of two colours that tell things apart; 2.3 is just noticeable."""


def apart(colours, sight: str) -> float:
    """Least distance in Lab of any two of `colours` as `sight` sees them."""
    labs = [seen_as(colour, SIGHT[sight]) for colour in colours]
    return min(np.linalg.norm(a - b) for a, b in itertools.combinations(labs, 2))


def on_paper(colour: str, alpha: float) -> str:
    """`colour` as it looks where it is drawn with `alpha` on paper."""
    parts = [int(alpha * int(colour[k : k + 2], 16) + (1 - alpha) * int(maps.PAPER[k : k + 2], 16)) for k in (1, 3, 5)]
    return "#" + "".join(f"{part:02x}" for part in parts)


def keys() -> dict[str, list[str]]:
    """Colours of each key of every view whose signs differ by nothing but their colour: what the key says to them."""
    found = {}
    for name, (_, _, model) in drawn().items():
        for legend in model.select({"type": Legend}):
            glyphs = [(item.label.value, item.renderers[0].glyph) for item in legend.items]
            plain = {label: glyph for label, glyph in glyphs if glyph.fill_color and not glyph.hatch_pattern}
            for marker in {glyph.marker for glyph in plain.values()}:
                same = {label: glyph.fill_color for label, glyph in plain.items() if glyph.marker == marker}
                if len(same) > 1:
                    found[f"{name}: {', '.join(same)}"] = list(same.values())
    return found


def bars() -> dict[str, list[str]]:
    """The palette of each colour bar of every view."""
    shown = {name: model.select({"type": ColorBar}) for name, (_, _, model) in drawn().items()}
    return {name: list(bar.color_mapper.palette) for name, found in shown.items() for bar in found}


@pytest.mark.parametrize("sight", SIGHT)
def test_zones_stay_apart_for_every_eye(sight):
    least = apart(maps.ZONE_COLOURS.values(), sight)
    assert least > APART, f"two zones are {least:.1f} apart in Lab"


@pytest.mark.parametrize("sight", SIGHT)
def test_what_a_key_names_stays_apart_for_every_eye(sight):
    found = keys()
    assert any("lost, gained" in name for name in found) and len(found) >= 5
    least = {name: apart(colours, sight) for name, colours in found.items()}
    assert min(least.values()) > APART, least


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize(
    "colours",
    [
        (maps.GAIN, maps.LOSS, maps.EARLIER, maps.LATER),  # outlines of two dates and what lies between them
        tuple(on_paper(colour, 0.55) for colour in (maps.GAIN, maps.LOSS)),  # a glacier's bar, and a patch on a map
        migration.SERIES,  # several fronts
        (maps.INK, "#8a949e", maps.PAPER),  # the region, its glaciers, the paper
        (maps.EARLIER, maps.LOSS, lapse.PAST, maps.INK),  # what a time lapse draws
        (maps.GAIN, "#cce6f5", "#8a949e"),  # a fit, its band, the points' whiskers
        (maps.LATER, "#d9dee3"),  # measured ice and ice that was not
    ],
    ids=["before and after", "bars", "series", "region", "time lapse", "fit", "measured"],
)
def test_what_a_chart_tells_apart_stays_apart_for_every_eye(colours, sight):
    least = apart(colours, sight)
    assert least > APART, f"two of {colours} are {least:.1f} apart in Lab"


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("view", ["fronts", "probability"])
def test_a_ramp_keeps_its_order_for_every_eye(view, sight):
    """Later dates, and surer zones, are always lighter. Of 256 colours every eighth: two neighbours may round alike.

    From end to end lightness spans more than half of all there is, so that two dates are told by it alone.
    """
    light = np.array([seen_as(colour, SIGHT[sight])[0] for colour in bars()[view][::8]])
    assert (np.diff(light) > 0).all(), np.diff(light).round(2)
    assert light[-1] - light[0] > 50


@pytest.mark.parametrize("sight", SIGHT)
def test_a_rate_keeps_its_sign_and_its_size_for_every_eye(sight):
    """Rates about zero: white in the middle, darker the faster, and what is lost never looks like what is gained."""
    assert areas.PALETTE == migration.PALETTE == thinning.PALETTE  # one for all rates
    assert bars()["glaciers"] == bars()["migration"] == list(areas.PALETTE)
    labs = np.array([seen_as(colour, SIGHT[sight]) for colour in areas.PALETTE])
    light, middle = labs[:, 0], len(labs) // 2
    assert light[middle] > 95 and (np.diff(light[: middle + 1]) > 0).all() and (np.diff(light[middle:]) < 0).all()
    mirrored = np.linalg.norm(labs[:middle] - labs[:middle:-1], axis=1)  # a rate and its opposite, the fastest first
    assert mirrored[: 3 * middle // 4].min() > APART  # from a quarter of the limit on; near zero both are near white


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


def test_a_line_is_off_by_less_than_a_pixel_of_its_frame():
    angle = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    far = 4000 * (1 + 0.1 * np.cos(7 * angle) + np.random.default_rng(1).normal(0, 0.0005, 2000))
    ring = np.column_stack([505_000 + far * np.cos(angle), 8_600_000 + far * np.sin(angle)])
    table = gpd.GeoDataFrame(geometry=[shapely.Polygon(ring, [ring[::-1] * 0.5 + ring.mean(0) * 0.5])], crs=CRS)
    edges = table.total_bounds
    (row,) = maps.rows(table, maps.grain(edges))
    pixel = (edges[2] - edges[0]) / 700  # the widest frame, of a swipe
    drawn = np.column_stack([row["x"], row["y"]])
    for thin, true in ((drawn, table.exterior[0]), (row["holes"][0][0], table.interiors[0][0])):
        assert thin.dtype == "float32" and len(thin) < 1000
        assert shapely.hausdorff_distance(shapely.LineString(thin), true) < pixel


def test_coordinates_are_not_rounded_where_that_shows():
    small = gpd.GeoDataFrame(geometry=[shapely.box(500_000, 8_600_000, 500_100, 8_600_100)], crs=CRS)  # float32: 1 m
    degrees = gpd.GeoDataFrame(geometry=[shapely.box(15.0, 77.0, 15.1, 77.1)], crs=4326)
    for table, tolerance in ((small, maps.grain(small.total_bounds)), (degrees, 0.0)):
        (row,) = maps.rows(table, tolerance)
        corners = shapely.get_coordinates(table.geometry)
        np.testing.assert_array_equal(np.column_stack([row["x"], row["y"]]), corners)


def test_north_turns_with_the_grid():
    assert maps.north("EPSG:32633", 500_000, 8_600_000) == pytest.approx(0, abs=1e-6)
    east = maps.north("EPSG:3413", 500_000, -500_000)
    assert east == pytest.approx(-maps.north("EPSG:3413", -500_000, -500_000)) == pytest.approx(-45, abs=0.1)
