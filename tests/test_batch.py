"""Notebooks run whole or fail in one line."""

import shutil
import time

import nbformat
import pytest

from glacier_nb import batch, cluster, demo, regions


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


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"years": ["x"]}, r"years=\['x'\] holds 'x', which is no int"),
        ({"years": [True]}, r"years=\[True\] holds True, which is no int"),
        ({"years": [2025, 2017]}, r"years=\[2025, 2017\]: give at least one, the earliest first"),
        ({"years": []}, r"years=\[\]: give at least one, the earliest first"),
        ({"months": ["July"]}, r"months=\['July'\] holds 'July', which is no int"),
        ({"resolution": -5.0}, "resolution=-5.0: give metres above 0"),
        ({"resolution": 0}, "resolution=0: give metres above 0"),
        ({"resolution": float("nan")}, "resolution=nan: give metres above 0"),
        ({"missing": "perhaps"}, 'missing=\'perhaps\': give "raise" or "report"'),
    ],
)
def test_values_against_a_rule_are_refused(given, says):
    with pytest.raises(ValueError, match=f"^03_area_change: {says}$"):
        batch.check(batch.find("03_area_change"), given)


@pytest.mark.parametrize(
    "given", [{"years": [2017]}, {"years": [2017, 2025], "months": [7, 8], "resolution": 20, "missing": "report"},
              {"months": []}, {"resolution": 0.5}]
)  # fmt: skip
def test_values_that_keep_the_rules_are_taken(given):
    batch.check(batch.find("03_area_change"), given)


def test_what_is_left_names_no_folder_of_this_machine(write, tmp_path):
    """With absolute paths, in whatever way they come out; what runs is given the true ones."""
    (tmp_path / "place.geojson").write_text("{}")
    code = (
        "import pathlib\nfrom glacier_nb import provenance\nfrom IPython.display import HTML, display\n"
        "assert pathlib.Path(region).exists()\n"
        "provenance.write(pathlib.Path(out) / 'manifest.json', {'region': region, 'out': out})\n"
        "print(region, out)\ndisplay(HTML(f'<p>{region}</p>'))\npathlib.Path(region)"
    )
    given = {"region": str(tmp_path / "place.geojson"), "out": str(tmp_path / "out" / "made")}
    batch.notebook(str(write(code)), given, tmp_path / "out", progress=False)
    with pytest.raises(RuntimeError, match=r"FileNotFoundError: .*place\.json"):
        bad = str(write("open(region.replace('geo', ''))", "bad"))
        batch.notebook(bad, given, tmp_path / "out", progress=False)
    left = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.name for path in left} == {"sample.ipynb", "sample.html", "manifest.json", "bad.failed.ipynb"}
    for path in left:
        assert str(tmp_path) not in path.read_text(), path
    assert "place.geojson made" in (tmp_path / "out" / "sample.html").read_text()


def test_a_notebook_of_the_suite_names_no_folder_of_this_machine(region, tmp_path):
    place, glaciers = tmp_path / "place.json", tmp_path / "glaciers.parquet"
    shutil.copy(demo.region("demo"), place)
    shutil.copy(demo.inventory("demo"), glaciers)
    out = tmp_path / "out"
    given = {"region": str(place), "inventory": str(glaciers), "out": str(out / "made"), "years": [2025]}
    batch.notebook("00_start_here", given, out, progress=False)
    left = [path for path in out.rglob("*") if path.suffix in (".ipynb", ".html", ".json")]
    assert {"00_start_here.ipynb", "00_start_here.html", "manifest.json"} <= {path.name for path in left}
    for path in left:
        assert str(tmp_path) not in path.read_text(), path
    assert "Warning" not in (out / "00_start_here.ipynb").read_text(), "something is said that a reader cannot mend"


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


def test_each_notebook_of_a_tour_is_given_what_it_has_and_a_name_that_none_has_is_refused(write, tmp_path):
    some = write("print(region, sum(years))", "some")
    book = nbformat.read(some, as_version=4)
    for cell in book.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            cell.source = "\n".join(line for line in cell.source.splitlines() if not line.startswith("years"))
    fewer = tmp_path / "fewer.ipynb"
    nbformat.write(book, fewer)
    fewer.write_text(fewer.read_text().replace("print(region, sum(years))", "print(region, 'years' in globals())"))
    batch.tour([str(some), str(fewer)], {"region": "Aletsch", "years": [2, 3]}, tmp_path / "out")
    assert "Aletsch 5" in (tmp_path / "out" / "some.html").read_text()
    assert "Aletsch False" in (tmp_path / "out" / "fewer.html").read_text()
    with pytest.raises(ValueError, match="no parameter 'yeers' in any of"):
        batch.tour([str(some), str(fewer)], {"yeers": [2]}, tmp_path / "never")
    assert not (tmp_path / "never").exists()


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
