"""Notebooks run whole or fail in one line."""

import time

import nbformat
import pytest

from glacier_nb import batch, cluster, regions


@pytest.fixture
def write(tmp_path):
    """Writes a notebook of a parameters cell and one more cell; returns its path."""

    def make(code: str, name: str = "sample"):
        cells = [
            nbformat.v4.new_code_cell(
                "years: list = [2017]  # years\nregion: str = 'demo'  # where\nclient: str = ''  # cluster\n"
                "out: str = ''  # folder",
                metadata={"tags": ["parameters"]},
            ),
            nbformat.v4.new_code_cell(code, metadata={"tags": ["first-map"]}),
        ]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        book = nbformat.v4.new_notebook(
            cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}}
        )
        path = tmp_path / f"{name}.ipynb"
        nbformat.write(book, path)
        return path

    return make


def test_misspelt_parameter_is_refused(write):
    with pytest.raises(ValueError, match="no parameter 'yeers': it has years, region"):
        batch.check(write("1"), {"yeers": [2017]})


def test_wrong_type_is_refused(write):
    with pytest.raises(ValueError, match="years='2017' is no list"):
        batch.check(write("1"), {"years": "2017"})


def test_a_run_leaves_notebook_and_page(write, tmp_path):
    report = batch.notebook(
        str(write("print(region, sum(years))")), {"years": [2, 3]}, tmp_path / "out", progress=False
    )
    html = (tmp_path / "out" / "sample.html").read_text()
    assert "demo 5" in html
    assert "https://cdn" not in html and 'src="http' not in html
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"sample.ipynb", "sample.html"}
    assert 0 < report["first_map_seconds"] <= report["seconds"]


def test_a_failed_run_says_why_in_one_line(write, tmp_path):
    with pytest.raises(RuntimeError, match=r"sample: LookupError: .*no scene") as caught:
        batch.notebook(str(write("raise LookupError('no scene\\nsecond line')")), {}, tmp_path / "out", progress=False)
    assert "\n" not in str(caught.value)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["sample.failed.ipynb"]


def test_one_that_finds_nothing_stops_no_other(write, tmp_path):
    good, other = (str(write("print(region, client)", name)) for name in ("good", "other"))
    none = str(write("from glacier_nb import regions\nraise regions.Nothing('no front in Aletsch')", "none"))
    found = batch.tour([good, none, other], {"region": "Aletsch"}, tmp_path / "out")
    assert [report["notebook"] for report in found] == ["good", none, "other"]
    assert found[1]["nothing"].startswith("none: Nothing: no front in Aletsch")
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {"good.ipynb", "good.html", "none.failed.ipynb", "other.ipynb", "other.html"}


@pytest.mark.parametrize("names", [("none", "good"), ("good", "wrong")])
def test_a_place_without_anything_or_another_error_stops_the_tour(write, tmp_path, names):
    codes = {
        "good": "1",
        "none": "from glacier_nb import regions\nraise regions.Nothing('no ice')",
        "wrong": "from glacier_nb import search\nsearch.scenes([7, 46, 8, 47], 2020, 'sentinel-9')",
    }
    books = [str(write(codes[name], name)) for name in (*names, "good")]
    kind, said = {
        "none": (regions.Nothing, "none: Nothing: no ice"),
        "good": (RuntimeError, "wrong: LookupError: no sensor 'sentinel-9'"),  # a name that nobody knows is a mistake
    }[names[0]]
    with pytest.raises(kind, match=said):
        batch.tour(books, {}, tmp_path / "out")
    assert not (tmp_path / "out" / "good.html").exists() or names[0] == "good"


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("00_start_here", {}, "no ice in .* by NDSI in 2025: take a region with glaciers"),
        ("02_map_outlines", {"inventory": ""}, "no ice in .* by extent-demo in 2025: take another system"),
        ("03_area_change", {"inventory": "", "years": [2025]}, r"no ice in .* by extent-demo in .2025.: take another"),
    ],
)
def test_a_place_without_ice_is_refused_in_one_line(region, tmp_path, name, more, said):
    rock = "-38.3189,66.1742,-38.3100,66.1778"  # 400 m of mountain in the embedded region
    with pytest.raises(regions.Nothing, match=said):
        batch.notebook(name, {"region": rock, "out": str(tmp_path / "made"), **more}, tmp_path, progress=False)
    assert not list((tmp_path / "made").glob("*.html"))


def test_peak_memory_sees_an_allocation():
    cluster.trim()  # what other tests left is not freed meanwhile
    until = time.monotonic() + 60  # to look takes long where a process is large
    with batch.peak_memory(every=0.02) as before:
        while not before["mb"] and time.monotonic() < until:
            time.sleep(0.02)
    with batch.peak_memory(every=0.02) as during:
        held = bytearray(b"x" * (200 * 2**20))
        while during["mb"] - before["mb"] < 150 and time.monotonic() < until:
            time.sleep(0.02)
    assert during["mb"] - before["mb"] > 150, (before, during, len(held))


def test_unknown_notebook_lists_the_known():
    with pytest.raises(FileNotFoundError, match="no notebook 'nothing'"):
        batch.find("nothing")
