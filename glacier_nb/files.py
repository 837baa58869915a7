"""Plain rasters as STAC items: the grid from the file, date and band from its name, the rest from the sensor's row."""

import functools
import glob
import json
import os
import pathlib
import re
from collections.abc import Iterable, Mapping

import pandas as pd
import pystac
import rasterio
import rasterio.errors
import rasterio.transform
import rasterio.warp
import shapely

from glacier_nb.namings import NAMINGS
from glacier_nb.sensors import Sensor, sensor_row

SUFFIXES = (".tif", ".tiff", ".jp2")


def rasters(source: str | os.PathLike | Iterable) -> list[pathlib.Path]:
    """Raster files of a glob pattern, a folder (all below it), one path, or several; by name."""
    if not isinstance(source, str | os.PathLike):
        return sorted({path for one in source for path in rasters(one)})
    text = os.fspath(source)
    if pathlib.Path(text).is_dir():
        text = f"{glob.escape(text)}/**/*"
    found = [pathlib.Path(path) for path in glob.glob(text, recursive=True)]
    return sorted(path for path in found if path.suffix.lower() in SUFFIXES)


def items(
    source: str | os.PathLike | Iterable,
    sensor: str,
    bands: Mapping[str, str | int] | None = None,
    date: str | None = None,
) -> pystac.ItemCollection:
    """STAC items of raster files: one per scene, an asset per band, placed by the files' own CRS and transform.

    `source` is a glob pattern ("scenes/**/*.tif"), a folder, or paths. Names are read as their producers write them
    (`NAMINGS`). For other names `bands` says for each band of the sensor which piece of the file's name has it
    ({"red": "B4", "nir": "B5"}) or its number in a file of several ({"blue": 1, "green": 2}); a sensor of one band
    needs none. `date` (ISO) is for names that hold no date. What the values mean is the sensor's row and what the
    files declare: items of sensor "image" are as stored. Keep them with `search.freeze`, and use that as provider.

    Raises FileNotFoundError, OSError (no raster), LookupError (no file named so), ValueError (no date, no CRS).
    """
    row, paths = sensor_row(sensor), rasters(source)
    if not paths:
        raise FileNotFoundError(f"no raster in {source}: give a folder or a pattern such as scenes/**/*.tif")
    scenes: dict[tuple, dict[str, tuple]] = {}
    for path in paths:
        if told := _told(path, row, bands):
            scene, key, names, when = told
            with _opened(path) as src:
                size = abs(src.transform.a * src.transform.e)
            held = scenes.setdefault((path.parent.as_posix(), scene), {})
            if key not in held or size < held[key][0]:  # of a band at several resolutions the finest
                held[key] = (size, path, names, when)
    if not scenes:
        raise LookupError(
            f"no name in {source} reads as {row.name}, such as {paths[0].name}: give files.items(..., bands={{...}}), "
            f"a piece of the name or a number for each of {', '.join(band.name for band in row.bands)}"
        )
    many = {scene for _, scene in scenes if sum(scene == other for _, other in scenes) > 1}
    made = [
        _item(f"{pathlib.Path(folder).name}_{scene}" if scene in many else scene, row, held, date)
        for (folder, scene), held in scenes.items()
    ]
    return pystac.ItemCollection(sorted(made, key=lambda item: (item.datetime, item.id)))


def _told(path: pathlib.Path, row: Sensor, bands: Mapping | None) -> tuple | None:
    """Scene, asset key, names of the file's bands, and (start, end, form) as its name tells; None for another file."""
    if bands:
        return _by_hand(path, row, bands)
    for naming in NAMINGS:
        found = re.search(rf"(?:^|/){naming.pattern}$", path.as_posix()) if naming.sensor == row.name else None
        if found:
            groups = found.groupdict()
            name = dict(naming.bands).get(groups.get("band", ""))
            if name is None and not naming.stacks:
                return None
            stack = [] if name else [stack for stack in naming.stacks if len(stack) == _count(path)]
            names = (name,) if name else stack[0] if stack else None
            if names is None:
                raise ValueError(f"{path.name} has {_count(path)} bands, {row.name} has {naming.stacks}: give bands=")
            when = (groups.get("date") or naming.span[0], groups.get("end") or naming.span[1], naming.form)
            return groups["scene"], name or "image", names, when
    if len(row.bands) == 1:
        return path.stem, row.bands[0].name, (row.bands[0].name,), _dated(path.stem)
    return None


def _by_hand(path: pathlib.Path, row: Sensor, bands: Mapping) -> tuple | None:
    """The same by the caller's word."""
    known = {band.name for band in row.bands} | {key for mask in row.masks for key in mask.keys}
    if unknown := [name for name in bands if name not in known]:
        raise LookupError(f"{row.name} has no {', '.join(unknown)}: its bands are {', '.join(sorted(known))}")
    numbers = {number: name for name, number in bands.items() if isinstance(number, int)}
    if numbers:
        names = tuple(numbers.get(number) for number in range(1, max(numbers) + 1))
        return path.stem, "image", names, _dated(path.stem)
    for name, piece in bands.items():
        if (at := re.search(rf"(?<![A-Za-z0-9]){re.escape(piece)}(?![A-Za-z0-9])", path.stem)) is not None:
            scene = (path.stem[: at.start()] + path.stem[at.end() :]).strip("_-. ") or path.parent.name
            return scene, name, (name,), _dated(scene)
    return None


def _dated(name: str) -> tuple[str, str, str]:
    """The first date in a name, as (start, end, form)."""
    found = re.search(r"(?<!\d)((?:19|20)\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d)", name)
    return ("-".join(found.groups()) if found else "", "", "")


@functools.lru_cache(maxsize=4096)
def _count(path: pathlib.Path) -> int:
    with _opened(path) as src:
        return src.count


def _opened(path: pathlib.Path) -> rasterio.DatasetReader:
    try:
        return rasterio.open(path)
    except rasterio.errors.RasterioIOError as error:
        raise OSError(f"{path.name} is no raster that GDAL opens ({error}): remove it from the pattern") from None


def _item(name: str, row: Sensor, held: dict[str, tuple], date: str | None) -> pystac.Item:
    """One scene."""
    boxes, assets = [], {}
    for key, (_, path, names, _when) in sorted(held.items()):
        with _opened(path) as src:
            assets[key], box = _asset(src, path, names)
        boxes.append(box)
    west, south, east, north = shapely.unary_union([shapely.box(*box) for box in boxes]).bounds
    _, path, _, (start, end, form) = next(iter(held.values()))
    facts = {**_from_metadata(path), **_product(path)}
    measured = facts.pop("datetime", "")
    told = date or measured or start
    if not told:
        raise ValueError(f"{path.name} tells no date: write it into the name, or give files.items(..., date=)")
    begin, last = (_moment(text, form, (west + east) / 2) for text in (told, "" if date else end))
    if last is not None:
        facts |= {"start_datetime": f"{begin:%Y-%m-%dT%H:%M:%SZ}", "end_datetime": f"{last:%Y-%m-%dT%H:%M:%SZ}"}
    bbox = [west, south, east - 360 * (east > 180), north]
    shape = shapely.geometry.mapping(shapely.box(west, south, east, north))
    item = pystac.Item(name, shape, bbox, begin.to_pydatetime(), facts, collection=row.name)
    for key, asset in assets.items():
        item.add_asset(key, asset)
    return item


def _asset(src: rasterio.DatasetReader, path: pathlib.Path, names: tuple) -> tuple[pystac.Asset, tuple]:
    """An asset with the grid and the bands of a file, and the file's lon/lat bounds (east beyond 180 if it must)."""
    points, crs = src.gcps
    if src.crs is None and not points:
        raise ValueError(f"{path.name} has no CRS: set it with gdal_edit.py -a_srs EPSG:... {path.name}")
    fields: dict = {"bands": []}
    for number, name in enumerate(names, 1):
        if number > src.count:
            raise ValueError(f"{path.name} has {src.count} bands, not {len(names)}: correct bands=")
        about = {"name": name or f"band{number}", **({"eo:common_name": name} if name else {})}
        if (src.scales[number - 1], src.offsets[number - 1]) != (1.0, 0.0):
            about |= {"raster:scale": src.scales[number - 1], "raster:offset": src.offsets[number - 1]}
        fields["bands"].append(about)
    if src.nodata is not None:
        fields["nodata"] = str(src.nodata).lower() if src.nodata != src.nodata else src.nodata
    if src.crs is not None:
        edges, crs = src.bounds, src.crs
        if code := crs.to_epsg():
            fields |= {
                "proj:code": f"EPSG:{code}",
                "proj:shape": list(src.shape),
                "proj:transform": [*src.transform][:6],
            }
    else:
        edges = shapely.MultiPoint([(point.x, point.y) for point in points]).bounds
    west, south, east, north = rasterio.warp.transform_bounds(crs, "EPSG:4326", *edges, densify_pts=21)
    roles = ["data"]
    return pystac.Asset(str(path.resolve()), roles=roles, extra_fields=fields), (
        west,
        south,
        east + 360 * (east < west),
        north,
    )


def _moment(text: str, form: str, longitude: float) -> pd.Timestamp | None:
    """UTC time of a date in a name; a day alone is its noon where the scene lies, a year alone its first of July."""
    if not text:
        return None
    if form:
        return pd.to_datetime(text, format=form, utc=True)
    if re.fullmatch(r"\d{4}", text):
        text += "-07-01"
    try:
        moment = pd.Timestamp(text.replace("_", "T"))
    except ValueError:
        raise ValueError(f"{text!r} is not a date: write 2019-07-31 or 2019-07-31T10:20:00") from None
    moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
    day_alone = moment == moment.normalize() and len(text) <= 10
    return moment + pd.Timedelta(hours=12 - ((longitude + 180) % 360 - 180) / 15).floor("s") if day_alone else moment


def _product(path: pathlib.Path) -> dict:
    """The Sentinel-2 product a file lies in: its name tells the processing baseline."""
    found = next((part for part in path.resolve().parts if re.match(r"S2[A-D]_MSIL\d[AC]_", part)), None)
    return {"s2:product_uri": found} if found else {}


def _from_metadata(path: pathlib.Path) -> dict:
    """Time, sun and cloud of a Landsat scene, from the MTL file beside it."""
    stem = re.match(r"L\w\d\d_L\d\w\w_\d{6}_\d{8}_\d{8}_\d\d_\w\d", path.name)
    metadata = path.with_name(f"{stem[0]}_MTL.json") if stem else path
    if stem is None or not metadata.exists():
        return {}
    image = json.loads(metadata.read_text())["LANDSAT_METADATA_FILE"]["IMAGE_ATTRIBUTES"]
    return {
        "datetime": f"{image['DATE_ACQUIRED']}T{image['SCENE_CENTER_TIME'][:8]}Z",
        "view:sun_elevation": float(image["SUN_ELEVATION"]),
        "view:sun_azimuth": float(image["SUN_AZIMUTH"]),
        "eo:cloud_cover": float(image["CLOUD_COVER"]),
        "platform": image["SPACECRAFT_ID"].lower().replace("_", "-"),
    }
