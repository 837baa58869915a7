"""The newcomer's path, timed: a clean clone, `make demo`, and the first plot drawn in a browser."""

import json
import pathlib
import subprocess
import sys
import time

import pytest
from mouse import DRAWN

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def made(clone: pathlib.Path, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds of one `make demo` from outside, and of the demo itself as its summary tells."""
    start = time.monotonic()
    done = subprocess.run(
        ["make", "demo", f"PYTHON={sys.executable}"], cwd=clone, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    took = time.monotonic() - start
    return took, json.loads((clone / "out" / "demo" / "summary.json").read_text())["seconds"]["total"]


def test_from_a_clean_clone_to_an_open_plot(root, tmp_path, newcomer, opened, capsys):
    start = time.monotonic()
    clone = tmp_path / "glacier_nb"
    subprocess.run(["git", "clone", "--quiet", root, clone], check=True)
    first, first_demo = made(clone, newcomer)
    tab = opened(clone / "out" / "demo" / "index.html")
    tab.locator("a.card").first.click()  # as a reader does
    tab.wait_for_function("() => typeof Bokeh != 'undefined' && [...Bokeh.index].length > 0")
    tab.wait_for_function(f"() => Math.max(...({DRAWN})()) > 20")  # colours: a picture, not an empty frame
    shown = time.monotonic() - start
    second, second_demo = made(clone, newcomer)
    with capsys.disabled():
        print(f"\nclone to plot {shown:.0f} s; make demo {first:.0f} s, of it the demo {first_demo:.0f} s;", end=" ")
        print(f"again {second:.0f} s, of it the demo {second_demo:.0f} s")
    assert second < first and second_demo < first_demo < first  # packages, landscape and weights are there by then
    assert not subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True).stdout
