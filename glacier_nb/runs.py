"""A list of regions as the runs of a notebook: regions x years x systems, checked before the first one starts."""

import ast
import dataclasses
import datetime
import functools
import hashlib
import itertools
import json
import os
import pathlib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

import geopandas as gpd
import nbformat
import papermill
import shapely
import yaml
from shapely.geometry.base import BaseGeometry

from glacier_nb import __version__, batch, demo, provenance, regions

KEYS = ("defaults", "each", "regions")
"""What a list of regions may hold."""

OWN = ("region", "name", "features", "margin")
"""What an entry holds beside parameters of the notebook."""

LABELS = ("rgi_id", "RGIId", "glims_id", "sgi-id", "name", "Name", "id")
"""Columns that name the features of a file, the first that is there."""

TAKEN = {"failed", "index.html", "summary.csv", "summary.parquet", "batch.json"}
"""Names in the folder of a batch that no run may have."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One notebook with one set of parameters."""

    name: str
    """Of its folder; no other run of the batch has it."""
    region: regions.Region
    geometry: BaseGeometry
    """The region, or the outline that it was drawn around; lon/lat."""
    notebook: pathlib.Path
    parameters: dict
    """Without `client` and `out`."""
    varied: dict
    """Those of the parameters that `each` varies."""
    defaults: dict
    """The notebook's own parameters."""
    inputs: str
    """Hash of all that decides the products: parameters, files they name, notebook, package version."""


def read(path: str | os.PathLike, notebook: str) -> list[Run]:
    """The runs that a list of regions asks of `notebook` (a name or an .ipynb file), checked all together.

    The list is YAML: `regions`, and beside it `defaults` (parameters of every run) and `each` (parameter to a list of
    values: a run for each of them, crossed). An entry of `regions` is whatever `regions.place` takes (a name, a
    glacier's id, "west,south,east,north", "lon,lat,5 km", a vector file), or a mapping with that as `region`, a `name`,
    and parameters of its own; or with `features`, a vector file of which every feature is a region: named by the column
    `name`, with `margin` metres around. A vector file in place of the list stands for one entry of that kind. A file
    that lies beside the list is found there.

    Raises ValueError or LookupError in one line: an unknown parameter or key, a wrong type, no such place or system,
    two runs of one name. FileNotFoundError: no such list.
    """
    path, book = pathlib.Path(path), batch.find(notebook)
    document = _document(path)
    known = papermill.inspect_notebook(str(book))
    defaults, code = {name: _literal(one["default"]) for name, one in known.items()}, _code(book)
    found: dict[str, Run] = {}
    for number, entry in enumerate(document["regions"], 1):
        for name, region, shape, own in _places(entry, path.parent, number):
            for varied in _crossed({k: v for k, v in document["each"].items() if k not in own}):
                given = {"region": region, **document["defaults"], **varied, **own}
                parameters = {k: _plain(v, known.get(k, {}), path.parent) for k, v in given.items()}
                try:
                    batch.check(book, parameters, known)
                except ValueError as error:
                    raise ValueError(f"{name or region}: {error}") from None
                place = regions.place(demo.region(region, parameters.get("seed", defaults.get("seed", 7))))
                run = Run(
                    _slug("--".join([name or place.name, *map(_told, varied.values())])), place,
                    shape or place.geometry, book, parameters, {key: parameters[key] for key in varied},
                    defaults, inputs(parameters, code),
                )  # fmt: skip
                if run.name.casefold() in found or run.name in TAKEN:
                    raise ValueError(f"{path.name}: a second run would be called {run.name!r}: give each region a name")
                found[run.name.casefold()] = run
    _check_systems({run.parameters["system"] for run in found.values() if "system" in run.parameters})
    return list(found.values())


def inputs(parameters: Mapping, code: str) -> str:
    """Hash (16 hex digits) of parameters, of the files that they name, of a notebook's code and our version.

    >>> inputs({"years": [2017]}, "1") == inputs({"years": [2017]}, "1") != inputs({"years": [2018]}, "1")
    True
    """
    files = {text: _content(text, _touched(text)) for text in _texts(parameters.values()) if _touched(text)}
    known = json.dumps([parameters, files, code, __version__], sort_keys=True, default=str)
    return hashlib.sha256(known.encode()).hexdigest()[:16]


def _document(path: pathlib.Path) -> dict:
    """The list of regions with all of KEYS."""
    if not path.exists():
        raise FileNotFoundError(f"no list of regions {path}: write one, with `regions:` and a place on each line")
    if path.suffix not in (".yml", ".yaml"):
        return {"defaults": {}, "each": {}, "regions": [{"features": path.name}]}
    try:
        document = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if getattr(error, "problem_mark", None) else ""
        raise ValueError(f"{path.name}: {where}{getattr(error, 'problem', None) or 'this is no YAML'}") from None
    document = {"regions": document} if isinstance(document, list) else document
    if not isinstance(document, dict) or not isinstance(document.get("regions"), list) or not document["regions"]:
        raise ValueError(f"{path.name} has no regions: write `regions:` and below it a place on each line, `- Aletsch`")
    if unknown := [key for key in document if key not in KEYS]:
        raise ValueError(f"{path.name} has {unknown[0]!r}: it may have {', '.join(KEYS)}")
    document = {"defaults": {}, "each": {}, **{key: value for key, value in document.items() if value is not None}}
    for key in ("defaults", "each"):
        if not isinstance(document[key], dict):
            raise ValueError(f"{path.name}: {key} holds parameters, as `system: ndsi`, one a line")
    for key, values in document["each"].items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"{path.name}: each {key} is {values!r}: give a list, a run is made for each value")
    return document


def _places(entry, beside: pathlib.Path, number: int) -> Iterator[tuple[str, str, BaseGeometry | None, dict]]:
    """Name ("": the place's own), `region` as a notebook takes it, outline and own parameters of each of an entry."""
    entry = entry if isinstance(entry, dict) else {"region": entry}
    own = {key: value for key, value in entry.items() if key not in OWN}
    if "features" in entry:
        if "region" in entry:
            raise ValueError(f"region {number} has both region and features: keep one of them")
        yield from ((*one, own) for one in _features(entry, beside))
        return
    region = entry.get("region", entry.get("name"))
    if isinstance(region, Sequence) and not isinstance(region, str):
        region = ",".join(f"{degrees}" for degrees in region)
    if not isinstance(region, str) or not region.strip():
        raise ValueError(f"region {number} is {region!r}: give a name, west,south,east,north or a vector file")
    yield str(entry.get("name", "")), _beside(region, beside), None, own


def _features(entry: dict, beside: pathlib.Path) -> Iterator[tuple[str, str, BaseGeometry]]:
    """Name, bbox as a notebook takes it, and outline of each feature of a file."""
    from glacier_nb import readers

    path = _beside(str(entry["features"]), beside)
    shapes = readers.shapes(pathlib.Path(path))
    shapes = shapes if shapes.crs else shapes.set_crs("EPSG:4326")
    label = entry.get("name", next((name for name in LABELS if name in shapes), None))
    if label is not None and label not in shapes:
        raise ValueError(f"{pathlib.Path(path).name} has no column {label!r}: it has {', '.join(map(str, shapes))}")
    stem, digits = pathlib.Path(path).stem, len(str(len(shapes)))
    for number, shape in enumerate(shapes.geometry, 1):
        told = shapes[label].iloc[number - 1] if label is not None else None
        name = str(told) if isinstance(told, str) and told.strip() else f"{stem}-{number:0{digits}}"
        one = gpd.GeoSeries([shape], crs=shapes.crs)
        place = regions.place(one)
        local = one.to_crs(place.crs)
        around = shapely.box(*local.total_bounds).buffer(float(entry.get("margin", regions.MARGIN)), join_style="mitre")
        bbox = [round(degrees, 5) for degrees in regions.place(gpd.GeoSeries([around], crs=local.crs)).bbox]
        yield name, json.dumps({"name": name, "bbox": bbox}), place.geometry


def _crossed(each: Mapping[str, list]) -> Iterator[dict]:
    """Every choice of one value for each parameter."""
    for values in itertools.product(*each.values()):
        yield dict(zip(each, values, strict=True))


def _plain(value, known: Mapping, beside: pathlib.Path):
    """A value as papermill hands it on: dates as text, one value of a list as a list, files by a path that is there."""
    if isinstance(value, datetime.date):
        value = value.isoformat()
    if isinstance(value, list):
        return [_plain(one, {}, beside) for one in value]
    if known.get("inferred_type_name") == "list":
        return [_plain(value, {}, beside)]
    return _beside(value, beside) if isinstance(value, str) else value


def _beside(text: str, folder: pathlib.Path) -> str:
    """A file that lies beside the list of regions, by its path; any other text as it is."""
    near = pathlib.Path(text).suffix and len(text) < 250 and not pathlib.Path(text).exists()
    return str(folder / text) if near and (folder / text).exists() else text


def _literal(text: str):
    """A parameter's default, which papermill tells as Python."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _told(value) -> str:
    """A varied value as a part of a name: the years from first to last, a file by its name."""
    value = provenance.short(value)
    values = value if isinstance(value, list) else [value]
    return "-".join(str(one) for one in dict.fromkeys(values[:1] + values[-1:]))


def _slug(name: str) -> str:
    """A folder's name.

    >>> _slug("Großer Aletsch, 7.9"), _slug("RGI60-11.00897")
    ('Grosser-Aletsch-7.9', 'RGI60-11.00897')
    """
    plain = unicodedata.normalize("NFKD", name.translate({0xDF: "ss", 0xF8: "o", 0xD8: "O", 0xE6: "ae", 0xC6: "Ae"}))
    plain = plain.encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.")[:120] or hashlib.sha256(name.encode()).hexdigest()[:8]


def _check_systems(names: set[str]) -> None:
    """Refuse a system that nobody knows: it would fail in every run, after its scenes were read."""
    if names:
        from glacier_nb import systems  # torch comes with it

        for name in sorted(names):
            systems.find(name)


def _code(book: pathlib.Path) -> str:
    """Source of a notebook's code cells."""
    cells = nbformat.read(book, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "code")


def _texts(values) -> Iterator[str]:
    """Every text among values and lists of them."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from _texts(value)


def _touched(text: str) -> tuple | None:
    """Size and time of the files that a text names, alone or in a folder; None where it names none."""
    path = pathlib.Path(text)
    if not 0 < len(text) < 250 or not path.exists():
        return None
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file())


@functools.cache
def _content(text: str, touched: tuple) -> str:
    """Hash of a file, or of a folder's listing; `touched` makes it be taken again when the file was written again."""
    path = pathlib.Path(text)
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(repr([name_size[:2] for name_size in touched]).encode()).hexdigest()
