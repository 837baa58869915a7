"""A run notebook reads as a page: its words, figures and numbers, and none of what only a kernel can use."""

import copy
import html
import json
import pathlib
import re

import nbformat
import pytest
import scenery
from nbformat import v4

from glacier_nb import article, pages


@pytest.fixture(scope="module")
def ran() -> nbformat.NotebookNode:
    """A small notebook with each kind of output."""
    view, _, _ = scenery.drawn()["timeline"]
    run = {"duration": 3.0, "parameters": {"seed": 7}, "input_path": "/a/path"}
    book = v4.new_notebook(metadata={"papermill": run})
    code = v4.new_code_cell("view  # <b>", outputs=[scenery.notebook_output(view)])
    noise = [
        v4.new_output("stream", name="stderr", text="maps: 3/29"),
        v4.new_output("stream", name="stdout", text="unfinished-line\rwhole\n"),
        v4.new_output("execute_result", data={"text/markdown": "**12 km²**", "text/plain": "Markdown"}),
        v4.new_output("display_data", data={"application/vnd.holoviews_load.v0+json": "load-it-in-a-kernel()"}),
        v4.new_output("display_data", data={}),
    ]  # fmt: skip
    parameters = v4.new_code_cell("seed: int = 7  # which", metadata={"tags": ["parameters"]})
    words = v4.new_markdown_cell("# Where is the ice?\n\nA *question*.")
    book.cells = [words, parameters, code, v4.new_code_cell("print(1)", outputs=noise)]
    return book


def test_words_numbers_and_figures_are_kept(ran, tmp_path):
    text = article.write(ran, tmp_path / "a.html").read_text()
    assert "<h1>Where is the ice?</h1>" in text and "<em>question</em>" in text
    assert "<strong>12 km²</strong>" in text and "whole" in text
    assert text.count("class=docs>") == 1 and "<summary>Parameters</summary>" in text
    assert "duration 3.0" in text
    assert '<figure class=plot role=group aria-label="4 of 6 scenes kept">' in text


def test_a_page_too_large_leaves_out_later_figures_and_names_them(ran, tmp_path, monkeypatch):
    view, book = scenery.drawn()["fronts"][0], copy.deepcopy(ran)
    book.cells.append(v4.new_code_cell("view", outputs=[scenery.notebook_output(view)]))
    whole = article.write(book, tmp_path / "all.html")
    assert whole.read_text().count("class=docs>") == 2 and "role=note" not in whole.read_text()
    monkeypatch.setattr(pages, "LARGEST", whole.stat().st_size - 1)
    less = article.write(book, tmp_path / "less.html")
    (said,) = re.findall("role=note>([^<]*)<", less.read_text())
    assert "“6 calving fronts, 2020-01-15 to 2020-06-13; Front position" in said and "notebook itself" in said
    assert less.read_text().count("class=docs>") == 1 and "**" not in said and "12 km²" in less.read_text()
    monkeypatch.setattr(pages, "LARGEST", 60_000)  # less than the library that draws
    none = article.write(book, tmp_path / "none.html").read_text()
    assert none.count("role=note>") == 2 and "<script" not in none
    monkeypatch.setattr(pages, "LARGEST", 1000)
    with pytest.raises(ValueError, match="MB"):
        article.write(book, tmp_path / "words.html")


def test_noise_and_paths_are_left_out(ran, tmp_path):
    path = article.write(ran, tmp_path / "a.html")
    text = path.read_text()
    assert (
        "maps: 3/29" not in text
        and "unfinished-line" not in text
        and "/a/path" not in text
        and "load-it-in-a-kernel()" not in text
    )
    assert "https://cdn" not in text and path.stat().st_size < pages.LARGEST


def test_a_notebook_without_figures_needs_no_script(tmp_path):
    book = v4.new_notebook(cells=[v4.new_markdown_cell("# Title\n\nWords.")])
    assert "<script" not in article.write(book, tmp_path / "b.html").read_text()


def test_every_picture_has_words(tmp_path):
    """Those given with it, else its own, else the heading above it: a type's name is none."""
    told = [
        ({"text/plain": "<IPython.core.display.Image object>"}, {"image/png": {"alt": 'Ice & "rock"'}}),
        ({"text/plain": "Fronts of 2017"}, {}),
        ({"text/plain": "<Figure size 640x480 with 1 Axes>"}, {}),
        ({}, {}),
    ]
    shown = [v4.new_output("display_data", data | {"image/png": "iVBORw0KGgo="}, metadata=more) for data, more in told]
    words, last = v4.new_markdown_cell("# Ice"), v4.new_markdown_cell("## One\n\nText.\n\n## The *fjord* in `b1`")
    cells = [words, v4.new_code_cell("a", outputs=shown[3:]), last, v4.new_code_cell("b", outputs=shown)]
    text = article.write(v4.new_notebook(cells=cells), tmp_path / "c.html").read_text()
    found = [html.unescape(one) for one in re.findall(r'<img alt="([^"]*)"', text)]
    assert found == ["Ice", 'Ice & "rock"', "Fronts of 2017", "The fjord in b1", "The fjord in b1"]
    assert text.count("<img") == len(found)


def test_what_only_this_machine_knows_is_taken_out():
    home = pathlib.Path.home()
    said = f"/tmp/ipykernel_12/34.py:5: UserWarning: thin\n  reads from {home}/data/a.tif\n"
    address = "https://a.b/c.tif?sig=secret&se=1"
    error = v4.new_output(
        "error",
        ename="OSError",
        evalue=f"{address}: 403",
        traceback=[f"File \x1b[32m{article.__file__}:7\x1b[39m", address],
    )
    source = f"read('{address}')  # of the person who wrote it"
    cell = v4.new_code_cell(source, outputs=[v4.new_output("stream", name="stderr", text=said), error])
    run = {"input_path": f"{home}/a.ipynb", "output_path": "/tmp/b.ipynb", "duration": 1.0}
    ran = v4.new_notebook(cells=[cell], metadata={"papermill": run})
    article.tidy(ran)
    assert ran.metadata.papermill == {"duration": 1.0}
    assert cell.source == source
    stream, error = cell.outputs
    assert stream.text == "<cell>:5: UserWarning: thin\n  reads from ~/data/a.tif\n"
    assert error.evalue == "https://a.b/c.tif?... 403"
    assert error.traceback == ["File glacier_nb/article.py:7", "https://a.b/c.tif?..."]


def test_absolute_paths_are_told_by_their_last_names(tmp_path):
    """Those of the parameters wherever they stand, also with letters beyond ASCII as Python and JSON write them."""
    out, far = tmp_path / "out", str(tmp_path / "Süd glaciers" / "valley.geojson")
    pathlib.Path(far).parent.mkdir()
    given = {"region": far, "dems": [f"{tmp_path}/b.tif"], "out": str(out / "made"), "provider": "https://a.b/stac"}
    source = "\n".join(f"{key} = {value!r}" for key, value in given.items())
    data = {
        "text/html": f"<p>{far}</p><script>{json.dumps({'title': far})}</script><i>{out}/made/dh.tif {out}.html</i>",
        "text/plain": f"PosixPath('{tmp_path}/elsewhere/a.tif')",
        "image/png": "iVBORw0KGgo=",
    }
    outputs = [v4.new_output("stream", name="stdout", text=f"{out}\n{out}/made/a.tif {tmp_path}/c/d.tif\n")]
    outputs.append(v4.new_output("display_data", data=data))
    cells = [v4.new_code_cell(source.encode("unicode_escape").decode().replace("\\n", "\n"), outputs=outputs)]
    ran = v4.new_notebook(cells=cells, metadata={"papermill": {"parameters": given}})
    article.tidy(ran, out)
    article.write(ran, tmp_path / "a.html")
    for text in (nbformat.writes(ran), (tmp_path / "a.html").read_text()):
        assert str(tmp_path) not in text
    told = {"region": "valley.geojson", "dems": ["b.tif"], "out": "made", "provider": "https://a.b/stac"}
    assert ran.metadata.papermill.parameters == told
    assert ran.cells[0].source == "\n".join(f"{key} = {value!r}" for key, value in told.items())  # it runs again
    assert outputs[0].text == ".\nmade/a.tif d.tif\n"
    html_said = '<p>valley.geojson</p><script>{"title": "valley.geojson"}</script><i>made/dh.tif out.html</i>'
    assert outputs[1].data["text/html"] == html_said
    assert outputs[1].data["text/plain"] == "PosixPath('a.tif')" and outputs[1].data["image/png"] == "iVBORw0KGgo="
