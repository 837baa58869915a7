"""Figures for papers: as wide as the journal wants, vectors, their typeface inside, nothing half-written."""

import re
import xml.etree.ElementTree

import pytest
from scenery import drawn, landscape

from glacier_nb import pages, papers, plots

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def svg(browser, tmp_path_factory) -> str:
    """The scene as an SVG of one column; `browser` skips where there is none."""
    view = plots.scene(landscape(0)["scene"], landscape(0)["outlines"])
    return papers.paper(view, tmp_path_factory.mktemp("paper") / "scene.svg", alt="Ice <in> 2017").read_text()


def test_an_svg_is_as_wide_as_its_column(svg):
    root = xml.etree.ElementTree.fromstring(svg)
    assert root.attrib["width"] == "85.0mm"
    _, _, across, down = map(float, root.attrib["viewBox"].split())
    assert float(root.attrib["height"][:-2]) / 85.0 == pytest.approx(down / across, rel=1e-3)
    assert across == pytest.approx(85.0 / papers.DOT, rel=0.05)  # so that 7 points are 7 points


def test_text_is_text_in_a_typeface_that_is_inside(svg):
    root = xml.etree.ElementTree.fromstring(svg)
    words = " ".join(node.text or "" for node in root.iter("{http://www.w3.org/2000/svg}text"))
    assert "Easting (km, EPSG:32633)" in words and "500 m" in words and "outline" in words and "N" in words
    assert "@font-face {font-family: Figure; src: url(data:font/ttf;base64," in svg
    assert root.find("{http://www.w3.org/2000/svg}title").text == "Ice <in> 2017" and root.attrib["role"] == "img"
    told = root.find("{http://www.w3.org/2000/svg}desc").text
    assert "Easting (km, EPSG:32633)" in told and "Northing (km)" in told and "Key: outline." in told


def test_outlines_are_vectors_and_pictures_are_read_everywhere(svg):
    assert svg.count("<path") > 10 and "image/webp" not in svg and "data:image/png;base64," in svg
    assert not re.findall(r"(?:href|src)=.?https?:", svg)


def test_a_pdf_is_one_page_of_that_width_with_its_font(browser, tmp_path):
    path = papers.paper(drawn()["area_change"][0], tmp_path / "change.pdf", "two columns")
    data = path.read_bytes()
    box = re.search(rb"/MediaBox \[([\d. ]+)\]", data)[1].split()
    assert float(box[2]) == pytest.approx(180 / 25.4 * 72, abs=1) and re.findall(rb"/Count (\d+)", data) == [b"1"]
    assert b"/FontFile2" in data
    title = "Change of area, 2017-08-29 to 2025-08-24; Area over time"  # nobody gave words: the figures' own
    assert re.search(rb"/Title \(([^)]*)\)", data)[1].decode() == title
    assert [p.name for p in tmp_path.iterdir()] == ["change.pdf"]


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"path": "a.png"}, ValueError, "svg or .pdf"),
        ({"path": "a.svg", "width": 8.5}, ValueError, "40 to 400"),
        ({"path": "a.svg", "width": "wide"}, ValueError, "one column"),
        ({"path": "a.svg", "view": "a text"}, TypeError, "HoloViews"),
    ],
    ids=["suffix", "narrow", "name", "view"],
)
def test_bad_input_is_one_line(browser, arguments, error, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=says) as caught:
        papers.paper(**{"view": drawn()["timeline"][0]} | arguments)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_without_a_browser_that_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(pages, "chromium", lambda: None)
    with pytest.raises(FileNotFoundError, match="chromium"):
        papers.paper(drawn()["timeline"][0], tmp_path / "a.svg")
