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
from collections.abc import Iterator, Mapping

PACKAGES = ("glacier_nb", "xarray", "dask", "odc-stac", "rasterio", "torch", "geopandas", "numpy")

ABSOLUTE = re.compile(r"(?<![\w/.:~<-])(?:/[^/\s\"'`<>:,;()\[\]{}\\]+){2,}/?")
"""What looks like an absolute path within a text; an address's own slashes follow a letter, a colon or a slash."""


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
    """Write `facts` as JSON to `path`, whole or not at all, and return the path.

    Times become text; absolute paths of this machine what `short` makes of them beside `path`.
    """
    told = short(facts, pathlib.Path(path).parent)
    with whole(path) as temporary:
        temporary.write_text(json.dumps(told, indent=1, default=str) + "\n")
    return pathlib.Path(path)


def short(value, folder: str | os.PathLike | None = None):
    """A value, or all within a mapping or a list, without the absolute paths of this machine that its texts hold.

    A path below `folder` is told relative to it, another one by its last name. Addresses (https://...), relative paths
    and what begins with no folder of this machine stay.

    >>> short({"dem": f"{__file__}", "from": "https://a.b/etc/c.tif", "unit": "m3/a"})
    {'dem': 'provenance.py', 'from': 'https://a.b/etc/c.tif', 'unit': 'm3/a'}
    >>> short(["/etc/glaciers/in/a.gpkg and /etc/b.gpkg"], "/etc/glaciers")
    ['in/a.gpkg and b.gpkg']
    """
    if isinstance(value, Mapping):
        return {key: short(one, folder) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [short(one, folder) for one in value]
    text = str(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str) or "/" not in text:
        return value
    if text.startswith("/") and (os.path.exists(text) or os.path.exists(os.path.dirname(text))):  # with any letters
        return _last(text, folder)
    return ABSOLUTE.sub(lambda found: _last(found[0], folder), text)


def _last(path: str, folder: str | os.PathLike | None) -> str:
    """An absolute path from `folder` on, or its last name; as it is where its first folder is none of this machine."""
    whole, base = os.path.normpath(path), None if folder is None else os.path.abspath(folder)
    if base and os.path.commonpath([whole, base]) == base:
        return os.path.relpath(whole, base)
    there = os.path.isdir("/" + whole.lstrip("/").partition("/")[0])
    return os.path.basename(whole) or path if there else path


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
