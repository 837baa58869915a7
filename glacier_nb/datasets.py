"""Public samples found by name, checked by their hash and read; the field's labelled sets from a user's folder."""

import difflib
import hashlib
import os
import pathlib

import geopandas as gpd
import pandas as pd

from glacier_nb import readers
from glacier_nb.samples import DATASETS, Dataset
from glacier_nb.sets import SETS, LabelledSet

__all__ = ("DATASETS", "FOLDER", "SETS", "Dataset", "digest", "find", "labelled", "place", "read", "shapes")

FOLDER = "GLACIER_NB_DATA"
"""Environment variable that names the folder of samples."""


def find(name: str) -> Dataset:
    """The row of a name; LookupError shows the nearest names."""
    rows = {row.name: row for row in DATASETS}
    if name not in rows:
        near = difflib.get_close_matches(name, rows, 3) or rows
        raise LookupError(f"no dataset {name!r}: did you mean {', '.join(near)}? datasets.DATASETS lists all")
    return rows[name]


def labelled(name: str) -> LabelledSet:
    """The labelled set of a name: `.read(folder)` gives its samples, `.score(samples, predicted)` its own score.

    LookupError shows the nearest names.

    >>> labelled("caffe").zones
    ('rock', 'glacier', 'ocean')
    """
    rows = {row.name: row for row in SETS}
    if name not in rows:
        near = difflib.get_close_matches(name, rows, 3) or rows
        raise LookupError(f"no labelled set {name!r}: did you mean {', '.join(near)}? datasets.SETS lists all")
    return rows[name]


def place(name: str, folder: str | os.PathLike | None = None) -> pathlib.Path:
    """Where a dataset lies in `folder`, or the one GLACIER_NB_DATA names; FileNotFoundError says how to get it."""
    row = find(name)
    folder = folder or os.environ.get(FOLDER)
    if folder is None:
        raise FileNotFoundError(f"no data folder for {name}: give folder=, or set {FOLDER}; source: {row.url}")
    path = pathlib.Path(folder) / row.path
    if not path.exists():
        raise FileNotFoundError(f"{name} is not in {folder} (no {row.path}): get it from {row.url}")
    return path


def read(name: str, folder: str | os.PathLike | None = None, verify: bool = True):
    """A dataset as its reader gives it (see `readers`), after its hash was checked.

    Raises LookupError, FileNotFoundError, and ValueError where the files differ from those the row was made for.
    """
    row, path = find(name), place(name, folder)
    if verify and (found := digest(path)) != row.sha256:
        raise ValueError(
            f"{name}: sha256 {found[:12]} is not {row.sha256[:12]}; pass verify=False if it was meant to change"
        )
    return row.read(path)


def shapes(source: str | os.PathLike, rgi_id: str = "", folder: str | os.PathLike | None = None) -> gpd.GeoDataFrame:
    """Outlines, fronts or boxes that others drew: a dataset by name, or a vector file with `rgi_id` (and `time`).

    rgi_id: the one glacier wanted; "" for all. Raises as `read` does, LookupError where the glacier is not there, and
    ValueError for a file without `rgi_id` or CRS.
    """
    path = pathlib.Path(source)
    if path.suffix:
        found = gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(readers.there(path))
    else:
        found = read(str(source), folder)
    if "rgi_id" not in found or found.crs is None:
        raise ValueError(f"{source} has no {'CRS' if 'rgi_id' in found else 'rgi_id'}: add it before it is read")
    if rgi_id and rgi_id not in set(found["rgi_id"]):
        near = difflib.get_close_matches(rgi_id, found["rgi_id"].unique(), 3) or found["rgi_id"].unique()[:3]
        raise LookupError(f"no glacier {rgi_id!r} in {source}: did you mean {', '.join(near)}?")
    found = found[found["rgi_id"] == rgi_id] if rgi_id else found
    return found.assign(time=pd.to_datetime(found["time"])) if "time" in found else found


def digest(path: str | os.PathLike) -> str:
    """sha256 of a file (of all files of a shapefile), or of a folder's file names and contents in order."""
    path = readers.there(path)
    base = path if path.is_dir() else path.parent
    found = (
        path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.stem}.*") if path.suffix == ".shp" else [path]
    )
    total = hashlib.sha256()
    for file in sorted(file for file in found if file.is_file()):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        total.update(f"{file.relative_to(base).as_posix()} {content}\n".encode())
    return total.hexdigest()
