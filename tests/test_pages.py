"""Pages are whole, small, alone and readable without their plots."""

import re

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from scenery import CRS, drawn, views

from glacier_nb import areas, change, figures, pages, plots, provenance


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page of all views."""
    sections = [figures.Section(view, f"This is the {name} view.", table) for name, (view, table, _) in drawn().items()]
    path = tmp_path_factory.mktemp("page") / "all.html"
    facts = provenance.manifest(provider="demo", seed=7, items=["S2A_1", "S2A_2"])
    return plots.page("All <views>", sections, path, "What there is.", facts)


def test_a_page_is_whole_small_and_alone(page):
    text = page.read_text()
    assert page.stat().st_size < pages.LARGEST
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", text), "the page loads something from outside"
    assert not re.search(r"https?://(cdn|maps)\.", text)
    assert [p.name for p in page.parent.iterdir()] == [page.name]


def test_a_page_reads_without_its_plots(page):
    text = page.read_text()
    assert "<h1>All &lt;views&gt;</h1>" in text and "<html lang=en>" in text
    told = re.findall('<figure role=group aria-label="([^"]*)">', text)
    assert len(told) == text.count("<figcaption>This is the") == len(views())
    assert "Change of area, 2017-08-29 to 2025-08-24; Area over time. Region, 2025-08-24: change −23.3 %." in told
    assert "2017-08-29 · sentinel-2-l2a · true colour. Area 0.0 km² in 2 rows." not in told and all(told)
    assert "How this was made: provider demo · seed 7" in text and "S2A_2" in text
    assert "<th scope=row>demo-1" in text and "Area (km²)" in text


def test_a_page_too_large_is_not_written(monkeypatch, tmp_path):
    monkeypatch.setattr(pages, "LARGEST", 10_000)
    with pytest.raises(ValueError, match="MB"):
        plots.save(drawn()["timeline"][0], tmp_path / "big.html", "big")
    assert not list(tmp_path.iterdir())


def shown(path) -> list[str]:
    """The captions of the figures on a page, in order."""
    return re.findall("<figcaption>([^<]*)</figcaption>", path.read_text())


def told(path) -> str:
    """What a page says that it leaves out."""
    return "".join(re.findall("role=note>([^<]*)<", path.read_text()))


def heavy(size: int, caption: str, folded: bool = False) -> figures.Section:
    """A small chart whose numbers take `size` bytes and more."""
    return figures.Section(drawn()["timeline"][0], caption, pd.DataFrame({"note": ["x" * size]}), folded=folded)


def test_a_page_leaves_out_folded_figures_first_and_names_them(monkeypatch, tmp_path):
    sections = [
        heavy(0, "A map.", True),
        heavy(400_000, "A swipe.", True),
        heavy(0, "A dial.", True),
        heavy(0, "Bars."),
    ]
    everything = plots.page("All", sections, tmp_path / "all.html")
    assert shown(everything) == ["A map.", "A swipe.", "A dial.", "Bars."] and not told(everything)
    size = everything.stat().st_size
    monkeypatch.setattr(pages, "LARGEST", size - 200_000)
    less = plots.page("Less", sections, tmp_path / "less.html", manifest={"seed": 7})
    assert shown(less) == ["A map.", "A dial.", "Bars."]  # what was no burden stays
    assert "“A swipe.” (0.4 MB)" in told(less) and "plots.save" in told(less)
    assert less.stat().st_size <= pages.LARGEST and "seed 7" in less.read_text()
    equal = [heavy(400_000, name, name != "Third.") for name in ("First.", "Second.", "Third.")]
    monkeypatch.setattr(pages, "LARGEST", size + 500_000)
    two = plots.page("Two", equal, tmp_path / "two.html")
    assert shown(two) == ["First.", "Third."] and "“Second.”" in told(two)  # of the folded ones the last goes


def region(count: int, dates: int = 5, vertices: int = 200, side: int = 1000) -> tuple:
    """Rough outlines (rgi_id, time) of `count` glaciers that shrink, scenes of the first and last date, elevation."""
    box = GeoBox.from_bbox((500_000, 8_000_000, 500_000 + 10 * side, 8_000_000 + 10 * side), CRS, resolution=10)
    draw, angle = np.random.default_rng(7), np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    waves = np.arange(2, 12)[:, None]
    wide = int(np.ceil(count**0.5))
    step, rings = 10 * side / wide, []
    for number in range(count):
        lobes = draw.normal(0, 0.12, waves.shape) / waves * np.cos(waves * angle + draw.uniform(0, 7, waves.shape))
        centre = 500_000 + step * (number % wide + 0.5), 8_000_000 + step * (number // wide + 0.5)
        for date in range(dates):
            far = 0.4 * step * (1 - 0.03 * date) * np.exp(lobes.sum(0)) * (1 + draw.normal(0, 0.01, vertices))
            rings.append(np.column_stack([centre[0] + far * np.cos(angle), centre[1] + far * np.sin(angle)]))
    outlines = gpd.GeoDataFrame(
        {
            "rgi_id": [f"RGI2000-v7.0-G-08-{number:05d}" for number in range(count) for _ in range(dates)],
            "time": [pd.Timestamp(f"{2017 + 2 * date}-08-20") for date in range(dates)] * count,
            "system": "drawn",
        },
        geometry=shapely.make_valid([shapely.Polygon(ring) for ring in rings]), crs=CRS,
    )  # fmt: skip
    outlines["area_m2"] = outlines.area
    y, x = np.mgrid[0 : 1 : 1j * side, 0 : 1 : 1j * side]
    coords = xr_coords(box)
    scenes = []
    for year in (2017, 2025):
        light = (0.3 + 0.1 * np.sin(6 * x + year) * np.cos(5 * y)).astype("float32")
        bands = {band: (("y", "x"), light + shift) for band, shift in (("red", 0), ("green", 0.02), ("blue", 0.04))}
        scenes.append(xr.Dataset(bands, coords, {"time": f"{year}-08-20"}))
    return outlines, scenes, xr.DataArray((500 + 800 * y + 300 * x).astype("float32"), coords, ("y", "x"))


@pytest.mark.slow
def test_the_page_of_300_glaciers_at_5_dates_has_all_its_figures(tmp_path):
    """The figures of the notebook on area change, on a region such as the Alps have: the page is not to fail."""
    outlines, (first, last), elevation = region(300)
    table = change.area(outlines)
    dates = outlines["time"].min(), outlines["time"].max()
    before, after = (outlines[outlines["time"] == date] for date in dates)
    levels = areas.by_elevation(outlines, elevation)
    numbers = outlines[["rgi_id", "time", "area_m2"]]
    sections = [
        plots.Section(plots.before_after(first, last, before, after), "Before and after.", numbers, folded=True),
        plots.Section(plots.swipe(first, last, before, after), "Swipe.", numbers, folded=True),
        plots.Section(plots.turned(outlines, last), "Dial.", numbers, folded=True),
        plots.Section(plots.glaciers(outlines, table, last), "Rates.", table, folded=True),
        plots.Section(plots.area_change(table), "Bars.", table),
        plots.Section(plots.hypsometry(levels), "Heights.", levels),
        plots.Section(plots.distribution(table), "Spread.", table, folded=True),
    ]
    page = plots.page("Area change", sections, tmp_path / "change.html")
    assert page.stat().st_size <= pages.LARGEST
    assert shown(page) == [section.caption for section in sections] and not told(page)


def test_a_view_can_be_saved_twice(tmp_path):
    first, second = (plots.save(drawn()["fronts"][0], tmp_path / f"{i}.html", "twice") for i in range(2))
    assert first.stat().st_size == pytest.approx(second.stat().st_size, rel=0.01)


def test_index_holds_cards_in_their_groups(tmp_path):
    (tmp_path / "one.png").write_bytes(b"drawn")
    entries = [
        plots.Entry("One & all", "one.html", "Where?", tmp_path / "one.png", {"Area": "2 km²"}, "Notebooks"),
        plots.Entry("Two", "two.html", group="Figures"),
    ]
    text = plots.index(entries, tmp_path / "index.html", "Demo", numbers={"Change": "−9 %"}).read_text()
    assert text.index("Notebooks") < text.index("One &amp; all") < text.index("Figures") < text.index("two.html")
    assert "2 km²" in text and "−9 %" in text and "<script" not in text
    assert re.findall("<img[^>]*src=", text) == ["<img alt='' role=presentation src="]  # its words are the card's
