"""The demo end to end: notebooks run on served data, numbers near the truth, pages that open in a real browser."""

import json
import pathlib
import subprocess
import sys

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import scenery
import shapely
import traces
from mouse import DRAWN, told

from glacier_nb import tour

KEYS = {
    "seconds", "first_map_seconds", "peak_memory_mb", "area_error_percent", "area_change_error_points", "debris_recall",
    "ndsi_area_error_percent", "ndsi_debris_recall", "front_error_px", "front_error_px_melange", "front_sign_errors",
    "seeds",
}  # fmt: skip


@pytest.fixture(scope="module")
def summary(toured):
    """out/demo/summary.json."""
    return json.loads((toured / "summary.json").read_text())


def test_summary_has_the_names_that_stay(summary):
    assert set(summary) >= KEYS
    assert set(summary["seconds"]) >= {"total", *tour.TOUR}
    assert summary["seeds"] == [7]
    assert len(summary["area_error_percent"]) >= 5


def test_the_demo_network_is_near_the_truth(summary):
    """One landscape it never saw; the bars themselves are of five (test_five_landscapes_meet_the_bars)."""
    assert max(map(abs, summary["area_error_percent"].values())) < 4
    assert summary["debris_recall"] > 0.6
    assert summary["fronts_missed"] == 0 and summary["front_sign_errors"] == 0
    assert summary["front_error_px"] < 2


def test_ndsi_stands_beside_it_and_misses_the_debris(summary, toured):
    worst, ndsi = (max(map(abs, summary[key].values())) for key in ("area_error_percent", "ndsi_area_error_percent"))
    assert ndsi > worst  # it takes the fjord for ice and debris-covered ice for rock
    assert summary["ndsi_debris_recall"] < 0.05 < summary["debris_recall"]  # debris looks like rock (test_imaging)
    outlines = gpd.read_parquet(toured / "03_area_change" / "outlines.parquet")
    assert set(outlines.system) == {"ndsi", summary["system"]}


def test_the_index_asks_what_each_notebook_answers_and_tells_the_mass_balance(toured, summary):
    text = (toured / "index.html").read_text()
    assert text.count("<p>") >= 2 * len(tour.TOUR) and "two elevation models, in metres, cubic kilometres" in text
    held = json.loads((toured / "05_elevation_change" / "manifest.json").read_text())["answer"]
    assert summary["elevation"] == held and held["mass_balance_upper_m_we_a"] < 0
    assert f"{held['mass_balance_m_we_a']:+.2f}".replace("-", "−") in text


def test_every_notebook_left_products_and_their_making(toured):
    for name in tour.TOUR:
        left = {path.suffix for path in (toured / name).iterdir()}
        assert {".html", ".json"} <= left, f"{name}: {left}"
        assert (toured / f"{name}.html").exists() and (toured / f"{name}.ipynb").exists()
        manifest = json.loads((toured / name / "manifest.json").read_text())
        assert manifest["versions"] and manifest["created"]


def test_the_numbers_stand_beside_every_plot(toured):
    for name in tour.TOUR:
        (page,) = (toured / name).glob("*.html")
        text = page.read_text()
        plots, numbers = text.count("<figure "), text.count("aria-label=Numbers>")
        assert plots == numbers >= 1, f"{page.name}: {plots} plots, {numbers} tables"


def test_every_axis_of_the_tour_says_what_it_shows(toured):
    """In the notebooks as they ran and on the pages that they left: each figure that a reader sees."""
    shown = 0
    for path in toured.rglob("*.html"):
        for model in scenery.shown(path):
            assert not scenery.unnamed(model), f"{path.name}: {scenery.unnamed(model)}"
            shown += len(scenery.figures(model))
    assert shown > 2 * len(tour.TOUR)


def test_no_path_and_no_token_in_any_file_of_it(toured, region):
    assert {".html", ".ipynb", ".json", ".parquet", ".png", ".tif"} <= {path.suffix for path in toured.rglob("*")}
    assert not traces.told(toured, region)


@pytest.mark.browser
def test_every_page_opens_in_silence(toured, opened):
    pages = sorted(path for path in toured.rglob("*.html"))
    assert len(pages) >= 2 * len(tour.TOUR)
    for path in pages:
        assert opened(path).title(), path.name


PAGES = {
    "00_start_here": "first_map", "01_explore_region": "explore", "02_map_outlines": "outlines",
    "03_area_change": "change", "04_calving_fronts": "fronts", "05_elevation_change": "elevation",
}  # fmt: skip
"""The page of figures that each notebook saves to send; beside it stands the notebook itself, run."""


@pytest.mark.browser
@pytest.mark.parametrize(
    "page", [page for name in tour.TOUR for page in (f"{name}.html", f"{name}/{PAGES[name]}.html")]
)
def test_every_figure_of_the_demo_is_drawn(page, toured, opened):
    tab = opened(toured / page)
    figures = tab.locator(".bk-Figure").count()
    colours = tab.evaluate(DRAWN)  # of each figure's picture, and of the empty canvas over it that its tools draw on
    assert figures and sum(number > 5 for number in colours) == figures, f"{figures} figures with {colours} colours"


def an_outline(folder: pathlib.Path) -> tuple:
    """A point inside the largest glacier that the last system mapped, and its name and area."""
    table = gpd.read_parquet(folder / "outlines.parquet")
    mine = table[table.system == table.system.iloc[-1]]
    one = mine.loc[mine.area_m2.idxmax()]
    point = one.geometry.representative_point()
    return (point.x, point.y), (one.rgi_id, f"{one.area_m2 / 1e6:.3f} km²")


def a_scene(folder: pathlib.Path) -> tuple:
    """The clearest scene's place in the timeline, and its id, date and clear share."""
    table = pd.read_csv(folder / "scenes.csv", parse_dates=["time"])
    one = table.loc[table.clear_fraction.idxmax()]
    clear = 100 * one.clear_fraction
    return (one.time.timestamp() * 1000, clear), (one["item"], f"{one.time:%Y-%m-%d}", f"{clear:.0f} %")


def a_bar(folder: pathlib.Path) -> tuple:
    """The middle of the region's bar, and what share of the ice went, and how much."""
    table = pd.read_parquet(folder / "change.parquet").query("rgi_id == 'region' and system != 'ndsi'")
    one = table.loc[table.time.idxmax()]
    return (one.change_percent / 2, "region"), (f"{one.change_percent:+.1f} %", f"{one.change_m2 / 1e6:+.3f} km²")


def a_front(folder: pathlib.Path) -> tuple:
    """The middle of the first front on the map, and its glacier and date."""
    one = gpd.read_parquet(folder / "fronts.parquet").sort_values("time").iloc[0]
    line = max(shapely.get_parts(one.geometry), key=shapely.length)
    point = line.interpolate(0.5, normalized=True)
    return (point.x, point.y), (one.rgi_id, f"{one.time:%Y-%m-%d}")


def a_position(folder: pathlib.Path) -> tuple:
    """The last measured position in the series, and its date and how far the front moved."""
    one = pd.read_parquet(folder / "positions.parquet").dropna(subset="position_m").sort_values("time").iloc[-1]
    moved = f"{one.position_m:+,.0f} m ± {one.uncertainty_m:,.0f} m"
    return (one.time.timestamp() * 1000, one.position_m), (one.rgi_id, f"{one.time:%Y-%m-%d}", moved)


def a_balance(folder: pathlib.Path) -> tuple:
    """The middle of the region's bar, and its mass balance and how much of it was not measured."""
    one = pd.read_parquet(folder / "elevation_change.parquet").query("rgi_id == 'region'").iloc[-1]
    return (one.mass_balance_m_we_a / 2, "region"), (
        f"{one.mass_balance_m_we_a:+.2f} m w.e.",
        f"{one.void_percent:.0f} %",
    )


@pytest.mark.browser
@pytest.mark.parametrize(
    ("name", "column", "product"),
    [
        ("00_start_here", "rgi_id", an_outline),
        ("01_explore_region", "snow", a_scene),
        ("02_map_outlines", "rgi_id", an_outline),
        ("03_area_change", "change_km2", a_bar),
        ("04_calving_fronts", "front", a_front),
        ("04_calving_fronts", "position_m", a_position),
        ("05_elevation_change", "mass_balance_m_we_a", a_balance),
    ],
)
def test_the_demo_tells_the_mouse_what_its_products_hold(name, column, product, toured, opened):
    """The table that the notebook left says where to look and what must be told: in the notebook and on its page."""
    point, says = product(toured / name)
    for page in (f"{name}.html", f"{name}/{PAGES[name]}.html"):
        heard = told(opened(toured / page), column, *point)
        assert all(part in heard for part in says), f"{page}: the mouse was told {heard!r}, not {says}"


@pytest.mark.slow
def test_five_landscapes_meet_the_bars(tmp_path):
    """Median of five seeds that the network never saw: the bars of the demo."""
    found = []
    for seed in range(1, 6):  # as a user runs it: the memory of the tests' own process is not the demo's
        out = tmp_path / str(seed)
        subprocess.run([sys.executable, "-m", "glacier_nb", "demo", "--seed", str(seed), "--out", out], check=True)
        found.append(json.loads((out / "summary.json").read_text()))
    median = {
        key: np.median([one[key] for one in found])
        for key in ("debris_recall", "front_error_px", "front_error_px_melange")
    }
    errors = np.median([[abs(v) for v in one["area_error_percent"].values()] for one in found], axis=0)
    assert (errors <= 2).all(), errors
    assert np.median([abs(one["area_change_error_points"]) for one in found]) <= 1.5
    assert median["debris_recall"] >= 0.7
    assert median["front_error_px"] <= 1 and median["front_error_px_melange"] <= 2
    assert sum(one["front_sign_errors"] for one in found) == 0
    assert max(one["peak_memory_mb"] for one in found) < 2000
