"""The index and the tables over a batch say what the runs said, a row a region."""

import html
import re
import shutil

import geopandas as gpd
import lightbook
import numpy as np
import pandas as pd
import pytest
import shapely
from PIL import Image

from glacier_nb import campaign, kernels, outcomes, overview, runs, sketches

FAULTS = ["", "empty", "", "corrupt"]

DRAW = """from PIL import Image

Image.new("RGB", (960, 600), (0, 128, 16 * seed)).save(pathlib.Path(out, "map.png"))"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A folder with a batch of two good runs and two that failed, and what became of each."""
    folder = tmp_path_factory.mktemp("batch")
    return folder / "out", lightbook.batch(folder, FAULTS)


def test_tables_have_a_row_a_region(ran):
    out, found = ran
    shapes, flat = gpd.read_parquet(out / "summary.parquet"), pd.read_csv(out / "summary.csv")
    assert shapes.crs == "EPSG:4326" and len(shapes) == len(flat) == 4
    for n, (_, row) in enumerate(flat.iterrows()):
        assert row.run == shapes.run[n] == f"r{n:03d}"
        assert row.status == shapes.status[n] == ("failed" if FAULTS[n] else "good")
        edges = (7 + n / 100, 46.0, 7.01 + n / 100, 46.01)
        np.testing.assert_allclose(row[["west", "south", "east", "north"]].astype(float), edges, rtol=0, atol=1e-9)
        assert shapely.equals_exact(shapes.geometry[n].normalize(), shapely.box(*edges).normalize(), 1e-9)
        numbers = row[["change_percent", "change_lower_percent", "change_upper_percent"]].tolist()
        if FAULTS[n]:
            assert lightbook.named(row.error, FAULTS[n]) and np.isnan(numbers).all()
        else:
            assert numbers == [-1.5 * n, -2.0 * n, -1.0 * n] and pd.isna(row.error)
        assert row.seconds == found[n].seconds > 0 and row.memory_mb == found[n].memory_mb
    for name in ("change_percent", "seconds", "memory_mb"):
        assert shapes[name].dtype == float
        np.testing.assert_array_equal(shapes[name], flat[name])


def rows(page: str) -> dict[str, str]:
    """The rows of the index by the run they are about."""
    pieces = re.split(r"<tr id='([^']+)'>", page)[1:]
    return {name: text.partition("</table>")[0] for name, text in zip(pieces[::2], pieces[1::2], strict=True)}


def test_the_index_tells_status_numbers_and_errors(ran):
    out, found = ran
    page = (out / "index.html").read_text()
    assert "2 of 4 runs are good, 2 failed." in page and "https://" not in re.sub(
        r"<pre>.*?</pre>", "", page, flags=re.S
    )
    told = rows(page)
    assert set(told) == {one.run.name for one in found}
    for one in found:
        row = told[one.run.name]
        assert f"'pill {one.status}'>{one.status}<" in row
        for href in re.findall(r"href='([^']+)'", row):
            assert (out / href).exists(), href
        if one.status == outcomes.BAD:
            assert f"<td class=why>{html.escape(one.error)}<" in row
            assert f"href='failed/{one.run.name}/log.html'" in row
        else:
            seed = one.run.parameters["seed"]
            assert f"data-value='{-1.5 * seed}'" in row and f"href='{one.run.name}/light.html'" in row
    log = (out / "failed" / "r001" / "log.html").read_text()
    assert "How it ended" in log and "no scene over 7.01,46.00,7.02,46.01" in log and "(asked once)" in log


def test_each_good_run_has_its_picture(tmp_path):
    book = lightbook.write(tmp_path, f"{lightbook.CODE}\n{DRAW}")
    found = campaign.run(runs.read(lightbook.listed(tmp_path, ["", "empty", ""]), str(book)), tmp_path / "out", 3)
    told = rows((tmp_path / "out" / "index.html").read_text())
    for one in found:
        shown = re.findall(r"<img [^>]*src='([^']+)'", told[one.run.name])
        assert shown == ([f"{one.run.name}/thumbnail.webp"] if one.status == outcomes.GOOD else [])
        for path in shown:
            with Image.open(tmp_path / "out" / path) as picture:
                assert picture.format == "WEBP" and picture.size == (sketches.WIDTH, 300)
                colour = (0, 128, 16 * one.run.parameters["seed"])
                np.testing.assert_allclose(picture.getpixel((240, 150)), colour, atol=4)  # WebP loses a few tones


def test_what_waits_is_told_too(ran, tmp_path):
    out, _ = ran
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    shutil.rmtree(copy / "r002")
    asked = runs.read(lightbook.listed(tmp_path, FAULTS), str(lightbook.write(tmp_path)))
    found = [outcomes.of(one, copy) for one in asked]
    assert [one.status for one in found] == ["good", "failed", "waiting", "failed"]
    overview.write(found, outcomes.summarize(found, copy), copy / "index.html")
    page = (copy / "index.html").read_text()
    assert "1 of 4 runs are good, 2 failed, 1 wait to be run." in page and "<p class=lede>r002</p>" in page
    assert pd.read_csv(copy / "summary.csv").status.tolist() == ["good", "failed", "waiting", "failed"]


def test_what_is_varied_has_a_column(tmp_path):
    book = lightbook.write(tmp_path)
    (tmp_path / "regions.yml").write_text(
        "each: {years: [[2000, 2012], [2012, 2024]]}\nregions: [{region: Aletsch, seed: 2}, {region: Rhone, seed: 3}]\n"
    )
    campaign.run(runs.read(tmp_path / "regions.yml", str(book)), tmp_path / "out", 4)
    flat = pd.read_csv(tmp_path / "out" / "summary.csv")
    assert list(zip(flat.region, flat.years, flat.change_percent, strict=True)) == [
        ("Aletsch", "2000, 2012", -3.0), ("Aletsch", "2012, 2024", -3.0),
        ("Rhone", "2000, 2012", -4.5), ("Rhone", "2012, 2024", -4.5),
    ]  # fmt: skip
    assert "<td class=varied>2000, 2012" in rows((tmp_path / "out" / "index.html").read_text())["Rhone--2000-2012"]


def test_a_name_is_text_on_the_page(tmp_path):
    code = lightbook.CODE.replace('raise LookupError(f"', "raise LookupError(f\"<b>bold</b> & 'quoted' ")
    book = lightbook.write(tmp_path, code)
    asked = runs.read(lightbook.listed(tmp_path, ["empty"]), str(book))
    (bad,) = campaign.run(asked, tmp_path / "out", 1, limits=kernels.NONE)
    assert bad.error.startswith("LookupError: <b>bold</b> & 'quoted' no scene")
    for path in ("index.html", "failed/r000/log.html"):
        page = (tmp_path / "out" / path).read_text()
        assert "<b>bold</b>" not in page and "bold" in page


@pytest.mark.browser
def test_a_reader_finds_and_sorts(ran, opened):
    out, _ = ran
    tab = opened(out / "index.html")
    good = tab.locator(".list").last.locator("tbody tr")
    assert good.count() == 2
    tab.get_by_label("Find a region in Good").fill("r002")
    assert [row.get_attribute("id") for row in good.all() if row.is_visible()] == ["r002"]
    tab.get_by_label("Find a region in Good").fill("")
    head = tab.locator(".list").last.get_by_role("button", name="change", exact=False).first
    head.click()
    assert [row.get_attribute("id") for row in good.all()] == ["r002", "r000"]  # -3 % before 0 %
    head.click()
    assert [row.get_attribute("id") for row in good.all()] == ["r000", "r002"]
