"""Glacier inventories as rows: how their ids and files are named, where they come from, and a glacier by its id."""

import functools
import os
import pathlib
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass

import geopandas as gpd
import pandas as pd
import pooch
import requests

from glacier_nb import datasets, provenance, readers

FOLDER = "GLACIER_NB_INVENTORIES"
"""Environment variable that names a folder of inventories, looked through before the samples."""

REGIONS = (
    "alaska", "western_canada_usa", "arctic_canada_north", "arctic_canada_south", "greenland_periphery", "iceland",
    "svalbard_jan_mayen", "scandinavia", "russian_arctic", "north_asia", "central_europe", "caucasus_middle_east",
    "central_asia", "south_asia_west", "south_asia_east", "low_latitudes", "southern_andes", "new_zealand",
    "subantarctic_antarctic_islands",
)  # fmt: skip
"""First-order regions of RGI 7.0, the first being 01."""
REGIONS6 = (
    "Alaska", "WesternCanadaUS", "ArcticCanadaNorth", "ArcticCanadaSouth", "GreenlandPeriphery", "Iceland", "Svalbard",
    "Scandinavia", "RussianArctic", "NorthAsia", "CentralEurope", "CaucasusMiddleEast", "CentralAsia", "SouthAsiaWest",
    "SouthAsiaEast", "LowLatitudes", "SouthernAndes", "NewZealand", "AntarcticSubantarctic",
)  # fmt: skip
"""The same as RGI 6.0 writes them."""


@dataclass(frozen=True)
class Inventory:
    """One inventory as it is published."""

    name: str
    title: str
    ids: str
    """Regular expression of a whole id; a group is the first-order region."""
    files: str
    """Regular expression of a file's name; a group is the first-order region."""
    url: str
    """Address of its file, with {number} and {region} where there is one for each region; or of the page of all."""
    licence: str
    citation: str
    regions: tuple[str, ...] = REGIONS
    """How it writes the first-order regions, where `url` asks for one."""
    open: bool = False
    """Whether `url` is a file that anybody may fetch."""
    sha256: str = ""
    """Of that file, where it is known; else that of the first fetch is kept beside it and holds for every later one."""
    unnamed: bool = False
    """Whether its glaciers have no ids: they are named by their middle."""


INVENTORIES = (
    Inventory(
        "rgi7", "Randolph Glacier Inventory 7.0", r"RGI2000-v7\.0-[GC]-(\d\d)-\d{5}",
        r"RGI2000-v7\.0-[GC]-(\d\d)_\w+\.(?:shp|gpkg|parquet|zip)",
        "https://daacdata.apps.nsidc.org/pub/DATASETS/nsidc0770_rgi_v7/regional_files/RGI2000-v7.0-G/"
        "RGI2000-v7.0-G-{number}_{region}.zip",
        "CC BY 4.0; NSIDC asks for an Earthdata login", "RGI 7.0 Consortium 2023, doi:10.5067/f6jmovy5navz",
    ),
    Inventory(
        "rgi6", "Randolph Glacier Inventory 6.0", r"RGI60-(\d\d)\.\d{5}", r"(\d\d)_rgi60_\w+\.(?:shp|gpkg|parquet|zip)",
        "https://www.glims.org/RGI/rgi60_files/{number}_rgi60_{region}.zip", "CC BY 4.0",
        "RGI Consortium 2017, Randolph Glacier Inventory 6.0, doi:10.7265/4m1f-gd79", regions=REGIONS6, open=True,
    ),
    Inventory(
        "glims", "Global Land Ice Measurements from Space", r"G\d{6}[EW]\d{5}[NS]",
        r"glims_polygons\w*\.(?:shp|gpkg|parquet|zip)",
        "https://www.glims.org/download", "GLIMS, cite the analysts", "GLIMS Consortium 2005, doi:10.7265/N5V98602",
    ),
    Inventory(
        "sgi2016", "Swiss Glacier Inventory 2016", r"[A-E]\d\d[a-z]?[-/]\d+n?",
        r"SGI_(?:1850|1931|1973|2010|2016|2023)\w*\.(?:shp|gpkg|parquet)|inventory_sgi\w+\.zip",
        "https://doi.glamos.ch/data/inventory/inventory_sgi2016_r2020.zip", "GLAMOS, cite",
        "Linsbauer et al. 2021, doi:10.3389/feart.2021.704189", open=True,
    ),
    Inventory(
        "gamdam", "GAMDAM Glacier Inventory of High Mountain Asia", r"(?!)", r"gamdam\w+\.(?:shp|gpkg|parquet|zip)",
        "https://doi.org/10.1594/PANGAEA.891423", "CC BY 3.0", "Sakai 2019, doi:10.5194/tc-13-2043-2019", unnamed=True,
    ),
)  # fmt: skip


def named(rgi_id: str) -> Inventory | None:
    """The inventory that an id is of, by its form; None for any other text.

    >>> named("RGI60-11.00897").name, named("G010758E46800N").name, named("Aletsch")
    ('rgi6', 'glims', None)
    """
    return next((row for row in INVENTORIES if re.fullmatch(row.ids, rgi_id)), None)


def read(path: str | os.PathLike, bbox: tuple | None = None, rgi_id: str | None = None) -> gpd.GeoDataFrame:
    """Outlines of a file, or of every inventory file in a folder (of the region of `rgi_id`), as `readers.inventory`.

    `path` may also name a row that anybody may fetch ("sgi2016"), with a first-order region where it has files of them
    ("rgi6-11"; "rgi6" will do with `rgi_id`). Raises as `readers.inventory` and `fetch`; LookupError where a folder has
    no inventory.
    """
    if re.sub(r"-\d+$", "", str(path)) in {row.name for row in INVENTORIES}:
        row = named(rgi_id) if rgi_id else None
        path = fetch(f"{path}-{_number(row, rgi_id):02d}" if row and row.name == str(path) else str(path))
    else:
        path = readers.there(path)
    if path.is_dir():
        found = [_read(file, bbox, rgi_id) for file in _inside(path, rgi_id)]
        if not found:
            names = ", ".join(one.name for one in INVENTORIES)
            raise LookupError(f"no inventory in {path.name}: keep the file names of {names}, or give the file itself")
        held = [part for part in found if len(part)] or found[:1]
        return gpd.GeoDataFrame(pd.concat([part.to_crs(held[0].crs) for part in held], ignore_index=True))
    return _read(path, bbox, rgi_id)


def glacier(rgi_id: str, path: str | os.PathLike | None = None) -> gpd.GeoDataFrame:
    """The outlines of one glacier by its id, of every date, from `path` (see `read`), else FOLDER, else the samples.

    LookupError says where to get the inventory.
    """
    folder = path or os.environ.get(FOLDER)
    samples = os.environ.get(datasets.FOLDER)
    found = read(folder, rgi_id=rgi_id) if folder else _sample(rgi_id, samples) if samples else None
    if found is None or found.empty:
        row = named(rgi_id)
        where = f"{pathlib.Path(folder).name}" if folder else "the samples"
        how = f"get {row.title} from {_of_region(row, _number(row, rgi_id))}" if row else "check the id"
        raise LookupError(f"no glacier {rgi_id} in {where}: {how}, then give inventory= or set {FOLDER} to its folder")
    return found


def fetch(name: str, sha256: str | None = None, folder: str | os.PathLike | None = None) -> pathlib.Path:
    """The file of an inventory that anybody may fetch, from `folder` (the user's cache) or, once, from its address.

    name: of a row, with the first-order region where its files are of regions: "sgi2016", "rgi6-11". The file must have
    the hash of the row, `sha256`, or, since no publisher tells one, that of the first fetch, which is kept in
    `folder`/hashes.txt. Raises LookupError (no such inventory or region, a login is asked for), ValueError (another
    hash), ConnectionError.
    """
    name, _, number = name.partition("-")
    row = next((row for row in INVENTORIES if row.name == name), None)
    if row is None or not row.open:
        openly = ", ".join(one.name for one in INVENTORIES if one.open)
        why = f"{row.title} is at {row.url.split('{')[0]} ({row.licence})" if row else f"no inventory {name!r}"
        raise LookupError(f"{why}: fetch it there and give its path; {openly} comes by name")
    if "{" in row.url and not (number.isdecimal() and 1 <= int(number) <= len(row.regions)):
        raise LookupError(f"{row.title} comes by region: give {name}-01 to {name}-{len(row.regions)}, not {number!r}")
    url = _of_region(row, int(number or 0))
    folder = pathlib.Path(folder or pooch.os_cache("glacier_nb") / "inventories")
    file = pathlib.PurePosixPath(urllib.parse.urlsplit(url).path).name
    kept = folder / "hashes.txt"
    known = dict(line.split() for line in kept.read_text().splitlines()) if kept.exists() else {}
    wanted = sha256 or row.sha256 or known.get(file)
    try:
        path = pathlib.Path(pooch.retrieve(url, wanted and f"sha256:{wanted}", file, folder, progressbar=True))
    except requests.RequestException as error:
        raise ConnectionError(
            f"{url} does not answer ({type(error).__name__}): fetch it by hand and give its path"
        ) from None
    except ValueError:
        raise ValueError(f"{file} from {url} has not the sha256 {wanted[:12]}...: look at what changed") from None
    if not wanted:
        with provenance.whole(kept) as temporary:
            lines = {**known, file: pooch.file_hash(str(path), alg="sha256")}
            temporary.write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
    return path


def _read(path: pathlib.Path, bbox: tuple | None, rgi_id: str | None) -> gpd.GeoDataFrame:
    """One file, by the manners of the inventory that its name is of."""
    row = next((row for row in INVENTORIES if re.fullmatch(row.files, path.name)), None)
    return readers.inventory(path, bbox, rgi_id=rgi_id, unnamed=row is not None and row.unnamed)


def _inside(folder: pathlib.Path, rgi_id: str | None) -> Iterator[pathlib.Path]:
    """Inventory files in a folder, those of the id's inventory and region alone."""
    wanted = named(rgi_id) if rgi_id else None
    for path in sorted(folder.rglob("*")):
        for row in INVENTORIES if wanted is None else (wanted,):
            if told := re.fullmatch(row.files, path.name):
                number = (*told.groups(), None)[0]
                asked = (*re.fullmatch(row.ids, rgi_id).groups(), None)[0] if wanted else None
                if path.is_file() and (number is None or asked is None or number == asked):
                    yield path
                break


@functools.lru_cache(maxsize=64)
def _sample(rgi_id: str, folder: str) -> gpd.GeoDataFrame | None:
    """The glacier in the samples of a folder; None where there is none."""
    for row in datasets.DATASETS:
        path = pathlib.Path(folder) / row.path
        if row.read is readers.inventory and path.exists():
            found = readers.inventory(path, rgi_id=rgi_id)
            if len(found):
                return found
    return None


def _number(row: Inventory, rgi_id: str) -> int:
    """First-order region of an id of an inventory; 0 where its ids name none."""
    groups = re.fullmatch(row.ids, rgi_id).groups()
    return int(groups[0]) if groups else 0


def _of_region(row: Inventory, number: int) -> str:
    """Address of the file of a region."""
    return row.url.format(number=f"{number:02d}", region=row.regions[(number - 1) % len(row.regions)])
