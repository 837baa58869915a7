"""A scene's fronts by whatever a system gives and however its paper traces it."""

import dataclasses
import inspect

import geopandas as gpd
import numpy as np
import odc.geo.xr
import pytest
import shapely
import torch
import xarray as xr
from odc.geo.geobox import GeoBox

from glacier_nb import fronts, recipes, systems, tracing, vectorize

GRID = GeoBox.from_bbox((0, 0, 3000, 3000), "EPSG:3413", resolution=30)
NORTH = np.arange(100)[:, None] < 40  # ice, down to y = 1800 m


class Brightness(torch.nn.Module):
    """Scores from the first input alone: ice, or a front and no background, where it is one."""

    def __init__(self, channels: int, term: str):
        super().__init__()
        self.term = term

    def forward(self, x):
        bright = 20 * (x[:, :1] - 0.5)
        return {self.term: torch.cat([bright, -bright], dim=1) if self.term == "zones" else -bright}


def made(term: str, **more) -> systems.System:
    """A system without anything to learn."""
    return systems.System(
        name=f"bright-{term}", citation="", task="front", inputs=("red",), mean=(0.0,), std=(1.0,),
        network=lambda channels: Brightness(channels, term), **more,
    )  # fmt: skip


class Lent(torch.nn.Module):
    """As Brightness, of a series: what one date did not see it has from the one before."""

    def forward(self, x, days=None):
        shown = [x[:, :1]]
        for number in range(1, x.shape[1]):
            now = x[:, number : number + 1]
            shown.append(torch.where(now == 0, shown[-1], now))
        bright = 20 * (torch.cat(shown, dim=1).flatten(0, 1)[:, None] - 0.5)
        return {"zones": torch.cat([bright, -bright], dim=1)}


def scene(values: np.ndarray):
    """One input, red, over the grid."""
    layers = odc.geo.xr.wrap_xr(
        np.broadcast_to(values, (1, 100, 100)).astype("float32"), GRID, axis=1, dims=("feature", "y", "x")
    )
    return layers.assign_coords(feature=["red"]).assign_attrs(time="2021-08-20")


@pytest.mark.parametrize("own", [True, False])
def test_zones_are_traced_by_the_row_s_tracer_or_by_ours(own):
    row = made(
        "zones", zones=("glacier", "ocean"), finish=recipes.exclusive_zones,
        trace=(tracing.coastline, {"max_hole": 1e6}) if own else None,
    )  # fmt: skip
    lines, layer = fronts.mapped(scene(NORTH), row, progress=False)
    assert layer.dims == ("zone", "y", "x")
    (line,) = lines.geometry
    assert lines.system.tolist() == [row.name] and line.length == pytest.approx(3000, abs=100)
    assert abs(line.bounds[1] - 1800) <= 15 and abs(line.bounds[3] - 1800) <= 15


def test_a_front_is_traced_on_its_probability_between_the_walls():
    row = made(
        "background", finish=recipes.front_from_background, trace=(tracing.minimum_cost, {"points": 100, "every": 1})
    )
    values = 0.9 * (np.arange(100)[:, None] == 40) * np.ones(100)
    walls = gpd.GeoDataFrame(
        {"rgi_id": ["a", "a"]},
        geometry=[shapely.LineString([(x, 2900), (x, 100)]) for x in (300, 2700)],
        crs=GRID.crs,
    )
    whole, layer = fronts.mapped(scene(values), row, progress=False)
    between, _ = fronts.mapped(scene(values), row, walls=walls, progress=False)
    assert layer.dims == ("y", "x")
    assert whole.geometry[0].length == pytest.approx(3000, abs=100)
    assert between.geometry[0].length == pytest.approx(2400, abs=60)


@pytest.mark.parametrize("row", fronts.METHODS, ids=lambda row: row.name)
@pytest.mark.parametrize("term", ["zones", "background"])
def test_every_method_by_name_draws_one_line_whatever_the_system_gives(term, row):
    """A front map is made of zones where a system gives no other, and fronts of a map without zones are refused."""
    finish = {"zones": recipes.exclusive_zones, "background": recipes.front_from_background}[term]
    bright = NORTH if term == "zones" else 0.9 * (np.arange(100)[:, None] == 40) * np.ones(100)
    made_ = made(term, finish=finish, **({"zones": ("glacier", "ocean")} if term == "zones" else {}))
    if term == "background" and "zones" in inspect.signature(row.trace).parameters:
        with pytest.raises(LookupError):
            fronts.mapped(scene(bright), made_, method=row.name, progress=False)
        return
    lines, _ = fronts.mapped(scene(bright), made_, method=row.name, progress=False)
    (line,) = lines.geometry
    assert line.length == pytest.approx(3000, abs=100)
    assert abs(line.bounds[1] - 1800) <= 45 and abs(line.bounds[3] - 1800) <= 45


@pytest.mark.parametrize("row", [row for row in fronts.METHODS if row.name != "coastline"], ids=lambda row: row.name)
@pytest.mark.parametrize("layer", [False, True])
def test_what_stands_on_land_is_cut_whatever_drew_it(row, layer):
    """Land in the west (900 m) and a rock of 600 m in the middle: what is left of 3000 m is 1500 m, in two pieces."""
    land = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 900, 3000), shapely.box(1500, 1500, 2100, 2100)], crs=GRID.crs)
    if layer:
        land = odc.geo.xr.wrap_xr(vectorize.rasterize(land, GRID).values > 0.5, GRID)
    made_ = made("zones", zones=("glacier", "ocean"), finish=recipes.exclusive_zones)
    lines, _ = fronts.mapped(scene(NORTH), made_, land=land, method=row.name, progress=False)
    (line,) = lines.geometry
    assert line.length == pytest.approx(1500, abs=100) and len(shapely.get_parts(line)) == 2
    assert line.bounds[0] >= 900 - 15 and shapely.box(1515, 1500, 2085, 2100).intersection(line).is_empty
    nothing, _ = fronts.mapped(scene(NORTH), made_, land=land * 0 == 0 if layer else gpd.GeoDataFrame(
        geometry=[shapely.box(-9, -9, 3009, 3009)], crs=GRID.crs), method=row.name, progress=False)  # fmt: skip
    assert len(nothing) == 0


def summer(year: int, south: int) -> xr.Dataset:
    """A lazy scene with ice down to row `south`; in 2021 the western half was not seen."""
    red = np.repeat(np.where(np.arange(100)[:, None] < south, 1.0, 0.1).astype("float32"), 100, axis=1)
    red[:, : 50 if year == 2021 else 0] = np.nan
    red = odc.geo.xr.wrap_xr(red, GRID).chunk(y=50, x=50)
    return xr.Dataset({"red": red}, attrs={"time": f"{year}-08-20", "sensor": "drawn", "reads": "00000000"})


@pytest.mark.parametrize("series", [False, True])
def test_fronts_of_several_dates_one_by_one_or_as_a_series(series):
    """A date that saw half of its front has half of it, unless the others lend it theirs."""
    row = made("zones", zones=("glacier", "ocean"), finish=recipes.exclusive_zones)
    if series:
        row = dataclasses.replace(row, series=True, network=lambda channels: Lent())
    found = list(fronts.dates([summer(2019, 40), summer(2021, 40), summer(2023, 30)], row, progress=False))
    lines = [one.geometry[0] for one, *_ in found]
    lengths = [3000, 3000 if series else 1500, 3000]
    assert [line.length for line in lines] == pytest.approx(lengths, abs=100)
    assert [line.centroid.y for line in lines] == pytest.approx([1800, 1800, 2100], abs=30)
    assert [one.time.item().year for one, *_ in found] == [2019, 2021, 2023]
    assert all(layer.dims == ("zone", "y", "x") for _, layer, _ in found) and not found[-1][2].red.chunks
    if series:
        with pytest.raises(ValueError, match="'skeleton' draws on a map of fronts, bright-zones maps zones: take"):
            next(fronts.dates([summer(2019, 40)], row, method="skeleton"))


def test_an_unknown_method_names_those_there_are():
    with pytest.raises(ValueError, match="method='snake': one of zone boundary, minimum-cost path"):
        fronts.mapped(scene(NORTH), "ndsi", method="snake", progress=False)


def test_what_a_method_needs_in_a_region_is_asked_for_before_any_work():
    land = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 900, 3000)], crs=GRID.crs)
    assert fronts.ready("", walls=None, land=None) == fronts.ready("water edge", land=None) == {}
    assert fronts.ready("longest contour", walls=None, land=land) == {"land": land}
    for name, lacks in (("minimum-cost path", "walls"), ("longest contour", "land"), ("glacier edge", "land")):
        with pytest.raises(ValueError, match=f"drawn='{name}' needs {lacks}: ") as caught:
            fronts.ready(name, walls=None, land=None)
        assert "\n" not in str(caught.value)
