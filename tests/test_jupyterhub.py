"""A real JupyterHub with a real Dask Gateway: log in, open the first notebook, run all cells, see the map."""

import base64
import json
import os
import pathlib
import secrets
import shutil
import sys
import time
import urllib.request

import daemon
import nbformat
import pytest
from mouse import PLACE

from glacier_nb import batch

PROGRAMS = pathlib.Path(sys.executable).parent
SETTINGS = """
c.JupyterHub.bind_url = "http://127.0.0.1:{outer}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy}"
c.ConfigurableHTTPProxy.command = ["{configurable}"]
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.cleanup_servers = True
c.DummyAuthenticator.password = "{password}"
c.Authenticator.allow_all = True
c.Spawner.cmd = ["{programs}/jupyterhub-singleuser"]
c.Spawner.args = ["--allow-root"]
c.Spawner.ip = "127.0.0.1"
c.Spawner.notebook_dir = "{folder}"
c.Spawner.default_url = "/lab/tree/notebooks/00_start_here.ipynb"
c.Spawner.environment = {environment}
c.SimpleLocalProcessSpawner.home_dir_template = "{home}"
"""
"""Of a hub as docs/jupyterhub.md has it, everybody on this machine."""


@pytest.fixture
def hub(region, tmp_path, gateway):
    """The hub's address and the one password; skips where the hub or its proxy is not installed, but never on CI."""
    found = shutil.which("configurable-http-proxy", path=os.environ.get("PATH", "") + os.pathsep + str(PROGRAMS))
    if found is None or not (PROGRAMS / "jupyterhub-singleuser").exists():
        refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        refuse("no hub: pip install 'glacier_nb[hub]', npm install -g configurable-http-proxy (make hub does both)")
    ports = daemon.ports(3)
    folder, home = tmp_path / "work", tmp_path / "home"
    shutil.copytree(batch.NOTEBOOKS, folder / "notebooks")
    shutil.copytree(batch.NOTEBOOKS.parent / "docs" / "gallery", folder / "docs" / "gallery")
    pen = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in PEN])
    pen.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(pen, folder / "pen.ipynb")
    home.mkdir()
    places = {"outer": ports[0], "hub": ports[1], "proxy": ports[2], "configurable": found, "programs": PROGRAMS}
    password = secrets.token_hex(8)
    environment = {"GLACIER_NB_CACHE": str(region.parent), "PYTHONPATH": str(pathlib.Path(__file__).parents[1])}
    known = {"username": gateway["auth"].username, "password": gateway["auth"].password}
    environment |= {"DASK_GATEWAY__ADDRESS": gateway["address"], "DASK_GATEWAY__AUTH__TYPE": "basic"}
    environment |= {"DASK_GATEWAY__AUTH__KWARGS": str(known)}
    settings = tmp_path / "hub.py"
    settings.write_text(SETTINGS.format(
        **places, password=password, folder=folder, home=home, environment=environment
    ))  # fmt: skip
    bare = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    command = [f"{PROGRAMS}/jupyterhub", "--config", str(settings)]
    address = f"http://127.0.0.1:{ports[0]}"
    with daemon.running(command, tmp_path, f"{address}/hub/api", bare):
        yield address, password


PEN = (
    """
import geopandas as gpd, pandas as pd, shapely
from glacier_nb import edits, hand
outlines = gpd.GeoDataFrame({"rgi_id": ["north"], "time": pd.to_datetime(["2025-08-21"]), "system": "extent-demo"},
                            geometry=[shapely.box(0, 0, 900, 1000)], crs="EPSG:32633")
pen = hand.pen(outlines) if hand.attended() else None
pen
""",
    """
path = pen.save("out")
now = edits.corrected(outlines, path, "A. Reader", "shadow taken for ice") if path else outlines
print("edited", bool(path) and bool(now["edited"][0]), "km2", float(now.area[0]) / 1e6)
""",
)
"""A notebook in which an outline is corrected: a map to draw on, and what the file of what was drawn makes of it."""

STARTED = ".jp-InputPrompt:text-matches('[*0-9]')"
ANSWER, FIGURE = ".jp-RenderedMarkdown:has-text('km²')", ".jp-OutputArea .bk-Figure"
WRONG = ".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']:has-text('Error')"


def clusters(gateway: dict) -> set[str]:
    """The clusters that a gateway runs at this moment, as its own address tells."""
    known = base64.b64encode(f"{gateway['auth'].username}:{gateway['auth'].password}".encode()).decode()
    address, headers = f"{gateway['address']}/api/v1/clusters/", {"Authorization": f"Basic {known}"}
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=10) as answer:
        return set(json.load(answer))


def run_all(tab, gateway: dict, wanted: tuple[str, ...] = (ANSWER, FIGURE)) -> set[str]:
    """Run all cells of the notebook that is open, until all that is `wanted` was seen: the clusters it had."""
    seen, ran, started, steps, end = set(), set(), False, 0, time.monotonic() + 300
    tab.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
    while time.monotonic() < end and seen != set(wanted):
        tab.wait_for_timeout(1000)
        ran |= clusters(gateway)
        started = started or bool(tab.query_selector(STARTED))  # asked too early, a slow machine runs nothing
        if tab.query_selector(choice := ".jp-Dialog button.jp-mod-accept"):  # which kernel
            tab.click(choice)
        elif not started and tab.query_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]"):
            tab.click(".lm-MenuBar-item:has-text('Run')")
            tab.click(".lm-Menu-itemLabel:text-is('Run All Cells') >> visible=true")
        elif started:  # JupyterLab draws what is in view: down the notebook, and again from its top
            tab.mouse.move(700, 600)
            tab.mouse.wheel(0, 300 if (steps := steps + 1) % 30 else -100_000)
        seen |= {what for what in wanted if (one := tab.query_selector(what)) and one.is_visible()}
    assert seen == set(wanted) and not tab.query_selector(WRONG)
    return ran


def entered(browser, hub: tuple[str, str], path: str):
    """A tab in which somebody has logged in to a notebook."""
    address, password = hub
    tab = browser.new_page(viewport={"width": 1300, "height": 1000})
    tab.goto(f"{address}/hub/login?next=%2Fhub%2Fuser-redirect%2Flab%2Ftree%2F{path.replace('/', '%2F')}")
    tab.fill("input[name=username]", "reader")
    tab.fill("input[name=password]", password)
    tab.click("input[type=submit]")
    return tab


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.filterwarnings("ignore")  # what the gateway's libraries have to say to each other
def test_log_in_run_all_cells_and_see_the_map(hub, gateway, browser):
    tab = entered(browser, hub, "notebooks/00_start_here.ipynb")
    assert not run_all(tab, gateway)  # the first map waits for no cluster
    tab.goto(f"{hub[0]}/user/reader/lab/tree/notebooks/02_map_outlines.ipynb")
    assert len(run_all(tab, gateway)) == 1 and not clusters(gateway)  # found by itself, and gone at the end
    tab.close()


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.filterwarnings("ignore")
def test_an_outline_is_corrected_by_hand(hub, gateway, browser):
    """A corner is dragged with the mouse from (900, 0) to (600, 300): the kernel has the area of what is drawn."""
    tab = entered(browser, hub, "pen.ipynb")
    told = ".jp-OutputArea-output:has-text('edited {}')"
    run_all(tab, gateway, (FIGURE, told.format(False)))
    tab.wait_for_function("() => typeof Bokeh != 'undefined' && [...Bokeh.index].length > 0")

    def at(x: float, y: float) -> list[float]:
        return tab.evaluate(PLACE, {"column": "xs", "x": x, "y": y})

    tab.mouse.move(*at(450, 0))
    tab.mouse.down()
    tab.wait_for_timeout(1000)  # a press: the vertices show
    tab.mouse.up()
    tab.mouse.move(*at(900, 0))
    tab.mouse.down()
    tab.mouse.move(*at(750, 150), steps=5)
    tab.mouse.move(*at(600, 300), steps=5)
    tab.mouse.up()
    metre = at(1, 0)[0] - at(0, 0)[0]  # pixels of the screen
    tab.click(".jp-Notebook .jp-Cell >> nth=1")
    end = time.monotonic() + 60
    while not tab.query_selector(told.format(True)) and time.monotonic() < end:  # the kernel is told a little later
        tab.keyboard.press("Control+Enter")
        tab.wait_for_timeout(2000)
    area = float(tab.inner_text(told.format(True)).split()[-1])
    # The corner's neighbours are 1345 m apart: 672 m2 for each metre that it lies off, which is a pixel each way.
    assert area == pytest.approx(0.615, abs=672e-6 * 2**0.5 / metre)
    tab.close()
