"""How a product came to be, and files that are written whole or not at all."""

import contextlib
import datetime
import hashlib
import importlib.metadata
import json
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator

PACKAGES = ("glacier_nb", "xarray", "dask", "odc-stac", "rasterio", "torch", "geopandas", "numpy")


@contextlib.contextmanager
def whole(path: str | os.PathLike, replace: bool = True) -> Iterator[pathlib.Path]:
    """A temporary sibling of `path` to write to; it takes the name `path` only when the block ends well.

    The writer makes a file or a folder of it; what stood at `path` is replaced, or, with replace=False, stands: another
    process made the same meanwhile. On an error nothing is left.

    >>> import tempfile, pathlib
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "a.txt"
    >>> with whole(target) as temporary:
    ...     _ = temporary.write_text("all of it")
    >>> target.read_text()
    'all of it'
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield folder / path.name  # same name and suffix: writers choose the format by it
        if replace or not path.exists():
            if path.is_dir() and not path.is_symlink():
                os.replace(path, folder / "replaced")
            os.replace(folder / path.name, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def manifest(**facts) -> dict:
    """`facts` with the time of making (UTC) and the versions of the packages that decide numbers.

    >>> sorted(manifest(seed=7))
    ['created', 'seed', 'versions']
    """
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        **facts,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": versions,
    }


def write(path: str | os.PathLike, facts: dict) -> pathlib.Path:
    """Write `facts` as JSON to `path`, whole or not at all; times and paths become text. Returns the path."""
    with whole(path) as temporary:
        temporary.write_text(json.dumps(facts, indent=1, default=str) + "\n")
    return pathlib.Path(path)


def sources(*modules: str) -> str:
    """Hash (12 hex digits) of these modules of ours and of every one they import: what decides their products.

    >>> sources("provenance") == sources("provenance") != sources("imaging")
    True
    """
    here, found, waiting = pathlib.Path(__file__).parent, {}, list(modules)
    while waiting:
        path = here / f"{waiting.pop()}.py"
        if path.exists() and path not in found:
            found[path] = path.read_text()
            for origin, listed in re.findall(r"from glacier_nb(?:\.(\w+))? import ([\w, ]+)", found[path]):
                waiting += [origin] if origin else listed.replace(",", " ").split()
    return hashlib.sha256("".join(found[path] for path in sorted(found)).encode()).hexdigest()[:12]
