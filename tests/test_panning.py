"""A wide scene redrawn while it is panned: the right ground, never coarser than the screen, furnished once."""

import json
import subprocess
import sys

import holoviews as hv
import numpy as np
import odc.geo.xr
import pytest
import xarray as xr
from bokeh.models import Legend, ScaleBar
from odc.geo.geobox import GeoBox
from odc.geo.geom import Affine
from scenery import CRS, landscape

from glacier_nb import maps, panning, plots

SIDE = 2304  # more than COARSEST, so that there are overviews


@pytest.fixture(scope="module")
def scene() -> xr.Dataset:
    """A ramp from west to east with one white pixel, a corner of it unseen."""
    geobox = GeoBox((SIDE, SIDE), Affine(10, 0, 500_000, 0, -10, 8_600_000), CRS)
    ramp = np.tile(np.linspace(0, 1, SIDE, dtype="float32"), (SIDE, 1))
    ramp[1000, 300] = 1
    clear = np.ones((SIDE, SIDE), bool)
    clear[:400, -400:] = False
    coords = odc.geo.xr.xr_coords(geobox)
    return xr.Dataset({"grey": (("y", "x"), ramp), "clear": (("y", "x"), clear)}, coords, {"time": "2025-08-21"})


@pytest.fixture(scope="module")
def made(scene) -> panning.Pyramid:
    """Its overviews."""
    return panning.pyramid(scene, stretch=(0.0, 1.0))


def test_overviews_halve_until_they_fit(made):
    assert {step: level.shape[0] for step, level in made.levels.items()} == {2: SIDE // 2, 4: SIDE // 4}
    lazy = panning.pyramid(made.scene.chunk(y=500, x=700), stretch=(0.0, 1.0))
    assert all(np.array_equal(lazy.levels[step], made.levels[step]) for step in (2, 4))


@pytest.mark.parametrize("rows", [2049, 2051, 3000])
def test_strips_meet_without_a_seam(scene, rows):
    """An overview is the mean of what it covers, also where the last strip has a row or three."""
    ramp = np.tile(np.linspace(0, 1, rows, dtype="float32")[:, None], (1, 8))
    geobox = GeoBox((rows, 8), Affine(10, 0, 500_000, 0, -10, 8_600_000), CRS)
    tall = xr.Dataset({"grey": (("y", "x"), ramp)}, odc.geo.xr.xr_coords(geobox))
    for step, level in panning.pyramid(tall, stretch=(0.0, 1.0)).levels.items():
        whole = ramp[: rows // step * step, 0].reshape(-1, step).mean(axis=1)
        assert np.abs(level[:, 0, 0] - 255 * np.sqrt(whole)).max() <= 0.5 + 1e-3  # rounded to a whole tone


@pytest.mark.parametrize("pixels", [100, 1000, SIDE])
def test_the_ground_lies_where_it_is(pixels, made):
    west, north = 500_000 + 2000, 8_600_000 - 6000
    x, y = (west, west + 10 * pixels), (north - 10 * pixels, north)
    drawn, (left, bottom, right, top) = made.window(x, y, 500, 500)
    coarse = (right - left) / drawn.shape[1]
    assert left <= x[0] < left + coarse and bottom <= max(y[0], made.edges[1]) < bottom + coarse
    assert coarse == pytest.approx((top - bottom) / drawn.shape[0], rel=0.02)
    assert coarse <= max(10, 10 * pixels / 500)  # never coarser than the screen
    assert max(drawn.shape) <= 5 * 500
    middle = (drawn.shape[1] // 2 + 0.5) * coarse + left - 500_000
    expected = 255 * np.sqrt(middle / 10 / SIDE)
    assert drawn[-1, drawn.shape[1] // 2, 0] == pytest.approx(expected, abs=2)


def test_a_single_pixel_is_seen_when_one_is_near(made):
    x, y = 500_000 + 3000, 8_600_000 - 10_000  # the white pixel's corner
    drawn, _ = made.window((x - 100, x + 110), (y - 110, y + 100), 500, 500)
    assert (drawn[..., 0] == 255).sum() == 1 and drawn.shape == (21, 21, 3)


def test_beyond_the_edge_is_paper_and_unseen_ground_hatched(made):
    assert (made.window((0, 100), (0, 100), 500, 500)[0] == 255).all()
    east, north = made.edges[2], made.edges[3]
    drawn, _ = made.window((east - 3000, east), (north - 3000, north), 300, 300)
    assert set(np.unique(drawn)) == {168, 222}


def test_a_pan_draws_anew_and_furnishes_once(scene):
    view = plots.wide(scene, landscape(0)["outlines"], stretch=(0.0, 1.0), width=300)
    plot = hv.renderer("bokeh").get_plot(view)
    (moved,) = {stream for stream in plot.streams if isinstance(stream, hv.streams.RangeXY)}
    for shift in (0, 2000, 4000):
        moved.event(x_range=(502_000 + shift, 503_000 + shift), y_range=(8_590_000, 8_591_000))
        images = [r.data_source.data for r in plot.state.renderers if "image" in getattr(r.data_source, "data", {})]
        assert [float(image["x"][0]) for image in images] == pytest.approx([502_000 + shift])
    assert len(list(plot.state.select({"type": ScaleBar}))) == 1 and len(list(plot.state.select({"type": Legend}))) == 1


def test_a_small_scene_needs_no_overviews():
    small = landscape(0)["scene"]
    found = panning.pyramid(small)
    drawn, edges = found.window(maps.bounds(small)[::2], maps.bounds(small)[1::2], 500, 500)
    assert not found.levels and drawn.shape == (256, 256, 3) and edges == pytest.approx(maps.bounds(small))


@pytest.mark.slow
def test_a_kernel_sends_a_picture_of_every_move(root):
    """benchmarks/redraw.py on a small scene: each answer is awaited and holds pixels of a whole screen."""
    command = [sys.executable, root / "benchmarks" / "redraw.py", "--json", "--side", "2000", "--moves", "5"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert (found["n"], found["pixels"]) == (5, 2000**2) and 0 < found["median_ms"] <= found["p95_ms"]
    assert found["message_mb"] > 1  # 700 x 700 pixels of 4 bytes
