"""A real JupyterHub on loopback: log in, open the first notebook in JupyterLab, run all cells, see the map."""

import os
import pathlib
import secrets
import shutil
import sys
import time

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
def hub(region, tmp_path):
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
    settings = tmp_path / "hub.py"
    settings.write_text(SETTINGS.format(
        **places, password=password, folder=folder, home=home, environment=environment
    ))  # fmt: skip
    bare = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    command = [f"{PROGRAMS}/jupyterhub", "--config", str(settings)]
    address = f"http://127.0.0.1:{ports[0]}"
    with daemon.running(command, tmp_path, f"{address}/hub/api", bare):
        yield address, password


@pytest.mark.slow
@pytest.mark.browser
def test_log_in_run_all_cells_and_see_the_map(hub, browser):
    address, password = hub
    tab = browser.new_page(viewport={"width": 1300, "height": 1000})
    tab.goto(f"{address}/hub/login")
    tab.fill("input[name=username]", "reader")
    tab.fill("input[name=password]", password)
    tab.click("input[type=submit]")
    tab.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
    run = ".lm-Menu-itemLabel:text-is('Run All Cells') >> visible=true"
    answer, figure = ".jp-RenderedMarkdown:has-text('km²')", ".jp-OutputArea .bk-Figure"
    seen, end = set(), time.monotonic() + 240
    asked = False
    while time.monotonic() < end and seen != {answer, figure}:
        tab.wait_for_timeout(1000)
        if tab.query_selector(choice := ".jp-Dialog button.jp-mod-accept"):  # which kernel
            tab.click(choice)
        elif not asked and tab.query_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]"):
            tab.click(".lm-MenuBar-item:has-text('Run')")
            tab.click(run)
            asked = True
        elif asked:  # JupyterLab draws what is in view
            tab.mouse.move(700, 600)
            tab.mouse.wheel(0, 300)
        seen |= {what for what in (answer, figure) if (one := tab.query_selector(what)) and one.is_visible()}
    assert seen == {answer, figure}
    assert not tab.query_selector(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']:has-text('Error')")
    tab.close()
