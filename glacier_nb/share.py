"""A run as one folder that another person reruns to the same numbers with one command."""

import ast
import contextlib
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
import papermill
import pystac
import rioxarray
import shapely
from tqdm import tqdm

from glacier_nb import batch, demo, inventories, provenance, regions, search

PACKAGE = pathlib.Path(__file__).resolve().parent

DEMO = {
    "inventory": demo.inventory, "reference": demo.reference, "outlines": demo.reference, "known": demo.rock_glaciers,
}  # fmt: skip
"""Parameters that name outlines; they travel as the glaciers of the region, not as a whole inventory."""

TRUTHS = ("reference", "known")
"""Those of them that are the truth where they are empty in the demo."""

TOLERANCE = 1e-6
"""Relative difference up to which two numbers are the same: other processors sum in another order."""

NEAR = 1e-3
"""Metres up to which two vertices are the same."""


CLOCKS = ("seconds", "edited_at")
"""Columns that hold how long something took, or when a file was saved: never twice the same, or lost with a copy."""


def write(
    notebooks: Sequence[str], parameters: Mapping, folder: str | os.PathLike, light: bool = False
) -> pathlib.Path:
    """Run notebooks and leave all that it takes to run them again in `folder`, whole or not at all; returns it.

    In it: README.md, rerun.py (the one command), parameters.json, manifest.json, lock.txt (the packages), code/ (this
    package), notebooks/, inputs/ (region, outlines and files that parameters name), items.json (the scenes found,
    without signatures), data/ (every byte read of them; not with `light`, whose rerun reads from the provider again)
    and products/ with the pages. Parameters that a notebook does not have are left out of it.
    Raises FileExistsError where `folder` stands, ValueError for a parameter that no notebook has or a pattern of
    files, and what the notebooks raise.
    """
    folder = pathlib.Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} is there already: name a new folder, or remove it first")
    paths = [batch.find(name).resolve() for name in notebooks]
    known = {path: papermill.inspect_notebook(str(path)) for path in paths}
    if unknown := sorted(set(parameters) - {name for one in known.values() for name in one}):
        raise ValueError(f"no notebook of these has a parameter {unknown[0]!r}: see python -m glacier_nb run --help")
    for path in paths:
        batch.check(path, {name: value for name, value in parameters.items() if name in known[path]})
    with provenance.whole(folder) as temporary:
        (temporary / "notebooks").mkdir(parents=True)
        given = {}
        for path in paths:
            defaults = {name: ast.literal_eval(one["default"]) for name, one in known[path].items()}
            chosen = defaults | {name: value for name, value in parameters.items() if name in defaults}
            given[path.stem] = _carried(chosen, temporary)
            shutil.copy(path, temporary / "notebooks")
        keep = {"GLACIER_NB_KEEP_ITEMS": str(temporary / "found")}
        if not light:
            keep["GLACIER_NB_READ_FOLDER"] = str(temporary / "data")
        with _surroundings(temporary, keep):
            reports = _run(given, "products")
        remote = _items(temporary)
        facts = provenance.manifest(
            notebooks=list(given), seconds={one["notebook"]: one["seconds"] for one in reports},
            offline=remote and (temporary / "data").exists(), python=platform.python_version(),
            machine=platform.platform(), bytes_read=sum(p.stat().st_size for p in temporary.glob("data/objects/*/*")),
        )  # fmt: skip
        provenance.write(temporary / "parameters.json", given)
        provenance.write(temporary / "manifest.json", facts)
        (temporary / "lock.txt").write_text("\n".join(lock()) + "\n")
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PACKAGE, temporary / "code" / "glacier_nb", ignore=ignored)
        (temporary / "rerun.py").write_text(RERUN)
        (temporary / "README.md").write_text(README.format(names=", ".join(given), python=facts["python"]))
    return folder


def rerun(folder: str | os.PathLike, out: str = "again") -> pd.DataFrame:
    """Run a shared folder's notebooks again, into its subfolder `out`, and hold the products against the first ones.

    Returns `differences(folder/products, folder/out)`. Where data/ holds the bytes nothing else is read: no network.
    Raises FileNotFoundError where `folder` is none that `write` made.
    """
    folder = pathlib.Path(folder).resolve()
    if not (folder / "parameters.json").exists():
        raise FileNotFoundError(f"{folder.name} is no shared run: it has no parameters.json")
    facts = json.loads((folder / "manifest.json").read_text())
    again = {"GLACIER_NB_ITEMS": str(folder / "items.json")} if (folder / "items.json").exists() else {}
    if facts["offline"]:
        again |= {"GLACIER_NB_READ_FOLDER": str(folder / "data"), "GLACIER_NB_READ_OFFLINE": "yes"}
    with _surroundings(folder, again):
        _run(json.loads((folder / "parameters.json").read_text()), out)
    return differences(folder / "products", folder / out)


def differences(first: str | os.PathLike, second: str | os.PathLike) -> pd.DataFrame:
    """Tables (.parquet, .csv) and rasters (.tif) of two folders compared: columns file, same (bool), why (str).

    Numbers are the same within `TOLERANCE` (relative), vertices within `NEAR` (metres), all else exactly. Frozen items
    (items.parquet) went in and are left out: a column's place among many is chance there. So are CLOCKS.
    Raises FileNotFoundError where `first` holds neither table nor raster.
    """
    first, second = pathlib.Path(first), pathlib.Path(second)
    made = (p for p in first.rglob("*") if p.suffix in READERS and p.name != "items.parquet")
    files = sorted(p.relative_to(first) for p in made)
    if not files:
        raise FileNotFoundError(f"no table or raster in {first.name}: nothing to compare")
    rows = []
    for file in files:
        why = _unlike(first / file, second / file) if (second / file).exists() else "not there"
        rows.append({"file": file.as_posix(), "same": not why, "why": why})
    return pd.DataFrame(rows)


def lock() -> list[str]:
    """The packages that this one needs, and what those need, as they are installed here: name==version, sorted."""
    found, waiting = {}, ["glacier_nb"]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            if name not in found:
                found[name] = importlib.metadata.version(name).partition("+")[0]
                wanted = importlib.metadata.requires(name) or ()
                waiting += [re.match(r"[\w.-]+", line)[0] for line in wanted if "extra ==" not in line]
    return sorted(f"{name}=={version}" for name, version in found.items() if name != "glacier-nb")


def _carried(parameters: dict, folder: pathlib.Path) -> dict:
    """The parameters with what they name copied to folder/inputs: paths relative, the place and its glaciers as files.

    The cluster's address and the folder of products belong to a run, not to what is shared.
    """
    inputs, seed = folder / "inputs", parameters.get("seed", 7)
    inputs.mkdir(exist_ok=True)
    made = {name: value for name, value in parameters.items() if name not in ("client", "out")}
    embedded = parameters.get("region") == "demo"
    if embedded:
        made |= {name: made[name] or "demo" for name in TRUTHS if name in made}
    place = None
    if made.get("region") and not made.get("traced"):
        place = regions.place(demo.region(made["region"], seed))
        feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(place.geometry)}
        document = {"type": "FeatureCollection", "name": place.name, "bbox": place.bbox, "features": [feature]}
        provenance.write(inputs / "region.json", document)
        made["region"] = "inputs/region.json"
    if made.get("provider"):
        made["provider"] = demo.provider(made["provider"], seed)
    for name, resolve in DEMO.items():
        if made.get(name) and place is not None:
            found = inventories.read(resolve(made[name], seed), place.bbox)
            found.to_parquet(inputs / f"{name}.parquet")
            made[name] = f"inputs/{name}.parquet"
    return {name: _copied(value, folder) for name, value in made.items()}


def _copied(value, folder: pathlib.Path):
    """A parameter's value, files and folders that it names copied to folder/inputs."""
    if isinstance(value, list):
        return [_copied(one, folder) for one in value]
    if not isinstance(value, str) or not value or "://" in value or value.startswith("inputs/"):
        return value
    if re.search(r"[*?\[]", value) and "/" in value:
        raise ValueError(f"{value} is a pattern: share needs a folder or a file to copy, give that")
    path = pathlib.Path(value)
    if not path.exists():
        return value
    if path.is_dir():
        shutil.copytree(path, folder / "inputs" / path.name, dirs_exist_ok=True)
    else:
        for one in path.parent.glob(f"{path.stem}.*"):  # a shapefile is several
            shutil.copy2(one, folder / "inputs")  # with its date: when an edit was made
    return f"inputs/{path.name}"


def _items(folder: pathlib.Path) -> bool:
    """Make one items.json of what each search found; False where it lies in local files, which are found again."""
    found = {item.id: item for path in folder.glob("found/*.parquet") for item in search.thaw(path)}
    shutil.rmtree(folder / "found", ignore_errors=True)
    addresses = {asset.href.partition("://")[0] for item in found.values() for asset in item.assets.values()}
    if not addresses or any(address.startswith(("/", ".")) for address in addresses):
        return False
    provenance.write(folder / "items.json", pystac.ItemCollection(found.values()).to_dict())
    return addresses <= {"http", "https"}


def _run(given: Mapping[str, dict], out: str) -> list[dict]:
    """Run each notebook of the working folder into `out`."""
    reports = []
    for name, parameters in tqdm(given.items(), desc="notebooks", unit="notebook"):
        has = papermill.inspect_notebook(f"notebooks/{name}.ipynb")
        told = parameters | ({"out": f"{out}/{name}"} if "out" in has else {})
        reports.append(batch.notebook(f"notebooks/{name}.ipynb", told, pathlib.Path(out), progress=False))
    return reports


@contextlib.contextmanager
def _surroundings(folder: pathlib.Path, variables: Mapping[str, str]) -> Iterator[None]:
    """Work in `folder` with these variables of the environment; both as before at the end."""
    before = {name: os.environ.get(name) for name in variables}
    with contextlib.chdir(folder):
        os.environ.update(variables)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def _table(path: pathlib.Path) -> pd.DataFrame:
    """A table; geometries where it has some."""
    try:
        return gpd.read_parquet(path)
    except ValueError:  # no geometry
        return pd.read_parquet(path)


def _raster(path: pathlib.Path) -> pd.DataFrame:
    """A raster's pixels as one column."""
    with rioxarray.open_rasterio(path) as pixels:
        return pd.DataFrame({"pixels": pixels.values.ravel()})


READERS = {".parquet": _table, ".csv": pd.read_csv, ".tif": _raster}


def _unlike(first: pathlib.Path, second: pathlib.Path) -> str:
    """In what two files differ; empty where they are the same."""
    one, other = (READERS[first.suffix](path) for path in (first, second))
    if list(one.columns) != list(other.columns) or len(one) != len(other):
        return f"{len(one)} rows of {', '.join(one.columns)} are now {len(other)} of {', '.join(other.columns)}"
    for name in one.columns.difference(CLOCKS, sort=False):
        a, b = one[name], other[name]
        if isinstance(a, gpd.GeoSeries):
            same = bool((a.geom_equals_exact(b, NEAR) | (a.isna() & b.isna())).all())  # drawn by hand: no model's line
        elif pd.api.types.is_float_dtype(a) and pd.api.types.is_float_dtype(b):
            same = np.allclose(a, b, rtol=TOLERANCE, atol=0, equal_nan=True)
        else:
            same = a.equals(b) or a.astype(str).equals(b.astype(str))
        if not same:
            return f"column {name}"
    return ""


RERUN = (PACKAGE / "rerun.txt").read_text()
"""The script that a shared folder holds."""

README = """# A shared run of glacier_nb: {names}

Open the pages in `products/`. To make them again, and hold the new numbers against these:

    python3 rerun.py

It makes `.venv` here with the packages of `lock.txt` (the only thing it asks the network for; made with Python
{python}). `python3 rerun.py --here` takes the packages of the Python that runs it. New products lie in `again/`.

`parameters.json` is what was asked, `items.json` the scenes found, `data/` every byte read of them, `inputs/` the
place and its glaciers, `code/` the program, `manifest.json` the versions. Weights that are not part of the program are
fetched by name and checked by hash; samples of public data are looked for in the folder that `GLACIER_NB_DATA` names.
"""
