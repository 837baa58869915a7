"""What every test shares: real data where it lies, no network but loopback, GDAL kept off the network."""

import os
import pathlib

import pytest

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

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> pathlib.Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def data() -> pathlib.Path:
    """Folder of real data: `GLACIER_NB_DATA`, or `../shared/data` beside the repository; skips where neither is."""
    folder = pathlib.Path(os.environ.get("GLACIER_NB_DATA", ROOT.parent / "shared" / "data"))
    if not folder.exists():
        if "GLACIER_NB_DATA" in os.environ:
            pytest.fail(f"GLACIER_NB_DATA={folder} does not exist")
        pytest.skip("no real data: set GLACIER_NB_DATA to the folder that holds it")
    return folder
