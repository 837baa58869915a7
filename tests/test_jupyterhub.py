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
import pytest

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
    """The hub's address and the one password; skips where the hub or its proxy is not installed."""
    found = shutil.which("configurable-http-proxy", path=os.environ.get("PATH", "") + os.pathsep + str(PROGRAMS))
    if found is None or not (PROGRAMS / "jupyterhub-singleuser").exists():
        pytest.skip("no hub: pip install jupyterhub jupyterlab, npm install -g configurable-http-proxy")
    ports = daemon.ports(3)
    folder, home = tmp_path / "work", tmp_path / "home"
    shutil.copytree(batch.NOTEBOOKS, folder / "notebooks")
    shutil.copytree(batch.NOTEBOOKS.parent / "docs" / "gallery", folder / "docs" / "gallery")
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


ANSWER, FIGURE = ".jp-RenderedMarkdown:has-text('km²')", ".jp-OutputArea .bk-Figure"
WRONG = ".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']:has-text('Error')"


def clusters(gateway: dict) -> set[str]:
    """The clusters that a gateway runs at this moment, as its own address tells."""
    known = base64.b64encode(f"{gateway['auth'].username}:{gateway['auth'].password}".encode()).decode()
    address, headers = f"{gateway['address']}/api/v1/clusters/", {"Authorization": f"Basic {known}"}
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=10) as answer:
        return set(json.load(answer))


def run_all(tab, gateway: dict) -> set[str]:
    """Run all cells of the notebook that is open, until its answer and its figure were seen: the clusters it had."""
    seen, ran, asked, end = set(), set(), False, time.monotonic() + 300
    tab.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
    while time.monotonic() < end and seen != {ANSWER, FIGURE}:
        tab.wait_for_timeout(1000)
        ran |= clusters(gateway)
        if tab.query_selector(choice := ".jp-Dialog button.jp-mod-accept"):  # which kernel
            tab.click(choice)
        elif not asked and tab.query_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]"):
            tab.click(".lm-MenuBar-item:has-text('Run')")
            tab.click(".lm-Menu-itemLabel:text-is('Run All Cells') >> visible=true")
            asked = True
        elif asked:  # JupyterLab draws what is in view
            tab.mouse.move(700, 600)
            tab.mouse.wheel(0, 300)
        seen |= {what for what in (ANSWER, FIGURE) if (one := tab.query_selector(what)) and one.is_visible()}
    assert seen == {ANSWER, FIGURE} and not tab.query_selector(WRONG)
    return ran


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.filterwarnings("ignore")  # what the gateway's libraries have to say to each other
def test_log_in_run_all_cells_and_see_the_map(hub, gateway, browser):
    address, password = hub
    tab = browser.new_page(viewport={"width": 1300, "height": 1000})
    tab.goto(f"{address}/hub/login")
    tab.fill("input[name=username]", "reader")
    tab.fill("input[name=password]", password)
    tab.click("input[type=submit]")
    assert not run_all(tab, gateway)  # the first map waits for no cluster
    tab.goto(f"{address}/user/reader/lab/tree/notebooks/02_map_outlines.ipynb")
    assert len(run_all(tab, gateway)) == 1 and not clusters(gateway)  # found by itself, and gone at the end
    tab.close()
