"""What every test shares: real data where it lies, no network but loopback, GDAL kept off the network."""

import importlib.util
import os
import pathlib
import re
import secrets
import subprocess
import sys

import daemon
import pytest

from glacier_nb import demo, pages, tour

# GDAL reads through libcurl, which pytest-socket does not see: a proxy that nobody answers stands in its way.
os.environ.update(
    {
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "no_proxy": "127.0.0.1,localhost,::1",
    }
)
os.environ.setdefault("GDAL_CACHEMAX", "128")
os.environ.setdefault("JUPYTER_PLATFORM_DIRS", "1")

FLAGS = [flag for flag in pages.BROWSER if not flag.startswith(("--headless", "--virtual-time"))]
SIZE = {"width": 1300, "height": 1000}
ROOT = pathlib.Path(__file__).resolve().parents[1]
GATEWAY = """
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.DaskGateway.authenticator_class = "dask_gateway_server.auth.SimpleAuthenticator"
c.SimpleAuthenticator.password = "{password}"
c.DaskGateway.address = "127.0.0.1:{inner}"
c.Proxy.address = "127.0.0.1:{outer}"
c.UnsafeLocalBackend.clusters_directory = "{folder}"
c.ClusterConfig.scheduler_cmd = ["{programs}/dask", "scheduler"]
c.ClusterConfig.worker_cmd = ["{programs}/dask", "worker"]
c.ClusterConfig.environment = {{"PYTHONPATH": "{ours}", "OMP_NUM_THREADS": "1"}}
c.ClusterConfig.worker_cores = 1
c.ClusterConfig.worker_memory = "2 G"
{options}
"""


@pytest.fixture(scope="session")
def root() -> pathlib.Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def newcomer(tmp_path_factory) -> dict[str, str]:
    """Environment of somebody who has nothing yet: an empty cache, no paths of ours. Skips without packages for pip."""
    ours = ("PYTHONPATH", "VIRTUAL_ENV", "PIP_CACHE_DIR", "http_proxy", "https_proxy")  # the last two: of this file
    plain = {name: value for name, value in os.environ.items() if name not in ours and "GLACIER_NB" not in name}
    plain["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    small = (ROOT / "requirements.lock").read_text().split()[0]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries", "0", "--timeout", "20"]
    folder = tmp_path_factory.mktemp("packages")
    asked = subprocess.run([*command, "--dest", folder, small], env=plain, capture_output=True, text=True)
    if asked.returncode:
        pytest.skip(f"pip reaches no packages here: {asked.stderr.strip().splitlines()[-1]}")
    return plain


@pytest.fixture(scope="session")
def data() -> pathlib.Path:
    """Folder of real data: `GLACIER_NB_DATA`, or `../shared/data` beside the repository; skips where neither is."""
    folder = pathlib.Path(os.environ.get("GLACIER_NB_DATA", ROOT.parent / "shared" / "data"))
    if not folder.exists():
        if "GLACIER_NB_DATA" in os.environ:
            pytest.fail(f"GLACIER_NB_DATA={folder} does not exist")
        pytest.skip("no real data: set GLACIER_NB_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def region() -> pathlib.Path:
    """The embedded region of seed 7, as `make demo` builds and keeps it."""
    return demo.folder(7)


@pytest.fixture(scope="session")
def toured(region, tmp_path_factory) -> pathlib.Path:
    """What `make demo` leaves: the notebooks run once on the embedded region, with summary.json and index.html."""
    out = tmp_path_factory.mktemp("demo")
    tour.run(7, out)
    return out


@pytest.fixture(scope="module")
def browser():
    """Debian's chromium, driven by playwright; skips where one of the two is missing, but never on CI."""
    refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
    if pages.chromium() is None:
        refuse("no chromium to open pages with: apt install chromium")
    if importlib.util.find_spec("playwright") is None:
        refuse("no playwright to drive chromium with: pip install playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=pages.chromium(), args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def opened(browser):
    """Opens a file; at the end nothing may have been said on the console or asked of the network."""
    said, asked, tabs = [], [], []

    def opener(path: pathlib.Path, size: dict[str, int] = SIZE):
        tab = browser.new_page(viewport=size)
        tabs.append(tab)
        tab.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url[:200]))
        tab.goto(path.as_uri())
        tab.wait_for_function("() => typeof Bokeh == 'undefined' || [...Bokeh.index].length > 0")
        tab.wait_for_timeout(300)
        return tab

    yield opener
    for tab in tabs:
        tab.close()
    assert not said
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]


@pytest.fixture
def gateway(tmp_path, monkeypatch):
    """A real dask-gateway-server on loopback, as a hub has one: its address and what a user's notebook knows of it."""
    dask_gateway = pytest.importorskip("dask_gateway")
    pytest.importorskip("dask_gateway_server")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)  # its client goes through a proxy to loopback too
    password, (inner, outer) = secrets.token_hex(8), daemon.ports(2)
    folder = tmp_path / "gateway"
    (folder / "clusters").mkdir(parents=True)
    settings = folder / "settings.py"
    programs, ours = pathlib.Path(sys.executable).parent, f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
    places = {"folder": folder / "clusters", "programs": programs, "ours": ours}
    page = (ROOT / "docs" / "jupyterhub.md").read_text()
    (told,) = re.findall(r"^```python\n(from dask_gateway_server.*?)^assert", page, re.M | re.S)
    places["options"] = f"{told}\nc.Backend.cluster_options = options"
    settings.write_text(GATEWAY.format(password=password, inner=inner, outer=outer, **places))
    command = [f"{programs}/dask-gateway-server", "--config", str(settings)]
    with daemon.running(command, folder, f"http://127.0.0.1:{outer}/api/health"):
        yield {"address": f"http://127.0.0.1:{outer}", "auth": dask_gateway.BasicAuth("reader", password)}
