"""Scenes over a region and dates: STAC items found at a provider, frozen to a file and found again."""

import contextlib
import dataclasses
import datetime as dt
import glob
import itertools
import json
import os
import pathlib
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
import pystac
import pystac_client
import requests
import rustac
import shapely.geometry
import urllib3
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from pystac_client.warnings import PystacClientWarning
from tqdm import tqdm

from glacier_nb import files, provenance, scaling
from glacier_nb.providers import PROVIDERS, Provider, collection, provider_row
from glacier_nb.sensors import SENSORS, Sensor, sensor_of, sensor_row

__all__ = ("PROVIDERS", "SENSORS", "boxes_of", "footprint", "freeze", "newest", "scenes", "spans_of", "thaw", "tidy")


def scenes(
    bbox: Sequence[float],
    datetime: str | int | Sequence | None = None,
    sensor: str = "sentinel-2-l2a",
    provider: str | os.PathLike = "planetary-computer",
    max_cloud: float | None = None,
    months: Sequence[int] | None = None,
) -> pystac.ItemCollection:
    """STAC items of a sensor over a region and dates: all pages, one processing of each acquisition, by time.

    `bbox` is west, south, east, north in degrees (west > east crosses the antimeridian) or has such a `.bbox`.
    `datetime` is a STAC interval ("2019-07-01/2019-09-30", "2019", "2016/2024"), a pair of dates, or a list of
    years, each searched by itself; None is any time. `provider` is a name in `PROVIDERS`, the address of any STAC
    API, a folder, item, item collection, catalogue or frozen file, or GeoTIFFs ("scenes/**/*.tif", see
    `files.items`). Cloud cover (percent, items that state none are kept) and `months` (1-12) are checked here even
    where the API cannot. Times are cut to milliseconds, the precision of a frozen list. What is found stays, frozen,
    in the folder GLACIER_NB_KEEP_ITEMS names; a file of items that GLACIER_NB_ITEMS names stands for every provider.

    Raises ValueError (region, dates), LookupError (unknown sensor, no scene), FileNotFoundError, ConnectionError.
    """
    boxes = boxes_of(getattr(bbox, "bbox", bbox))
    spans = spans_of(datetime)
    row, source = sensor_row(sensor), provider_row(str(provider))
    if months is not None and not all(1 <= month <= 12 for month in months):
        raise ValueError(f"months {list(months)}: give numbers from 1 (January) to 12")
    asked = dataclasses.replace(source, address=os.environ.get("GLACIER_NB_ITEMS") or source.address)
    items: dict[str, pystac.Item] = {}
    remote = re.match(r"https?://", asked.address)
    found = (_api if remote else _local)(asked, row, boxes, spans, max_cloud)
    for item in tqdm(found, desc=f"searching {source.name}", unit=" scenes", delay=2, leave=False):
        item.properties = source.told | item.properties
        items.setdefault(item.id, tidy(item))
    clear = [i for i in items.values() if max_cloud is None or i.properties.get("eo:cloud_cover", 0.0) <= max_cloud]
    kept = [i for i in clear if months is None or i.datetime.month in months]
    if not kept:
        raise LookupError(_nothing(source, row, boxes, datetime, max_cloud, months, len(items), len(clear)))
    ordered = pystac.ItemCollection(sorted(newest(kept), key=lambda item: (item.datetime, item.id)))
    if folder := os.environ.get("GLACIER_NB_KEEP_ITEMS"):
        freeze(ordered, pathlib.Path(folder) / f"{os.urandom(8).hex()}.parquet")
    return ordered


def spans_of(datetime: str | int | Sequence | None) -> list[tuple[dt.datetime | None, dt.datetime | None]]:
    """Start and end (UTC, inclusive) of each stretch of time that `datetime` names; None is open.

    >>> [(str(a.date()), str(b.date())) for a, b in spans_of([2016, 2024])]
    [('2016-01-01', '2016-12-31'), ('2024-01-01', '2024-12-31')]
    >>> spans_of("2024/2016")
    Traceback (most recent call last):
    ValueError: dates 2024/2016 run backwards: write the earlier one first
    """
    if datetime is None:
        return [(None, None)]
    if isinstance(datetime, str | int | dt.date):
        parts = str(datetime).split("/")
        if len(parts) > 2:
            raise ValueError(f"datetime {datetime!r}: give one date, or two with one / between them")
        spans = [(_edge(parts[0], "start"), _edge(parts[-1], "end"))]
    elif all(isinstance(year, int) or re.fullmatch(r"\d{4}", str(year)) for year in datetime):
        spans = [(_edge(str(year), "start"), _edge(str(year), "end")) for year in datetime]
        if [span[0] for span in spans] != sorted({span[0] for span in spans}):
            raise ValueError(f"years {list(datetime)} run backwards or repeat: write each once, the earliest first")
    else:
        start, end = datetime
        spans = [(_edge(str(start), "start"), _edge(str(end), "end"))]
    if not spans:
        raise ValueError("no years given: name at least one")
    for start, end in spans:
        if start and end and start > end:
            shown = datetime if isinstance(datetime, str) else "/".join(map(str, datetime))
            raise ValueError(f"dates {shown} run backwards: write the earlier one first")
    return spans


def newest(items: Iterable[pystac.Item]) -> list[pystac.Item]:
    """One item per acquisition: of Sentinel-2 processings of the same datastrip and tile, the latest baseline."""
    kept: dict = {}
    for item in items:
        about = item.assets.get("datastrip_metadata")  # Copernicus Data Space names the datastrip in an address alone
        named = item.properties.get("s2:datastrip_id") or (about.href if about else "")
        strip = re.search(r"_S(\d{8}T\d{6})(?=_N|/|$)", named)
        tile = item.properties.get("s2:mgrs_tile") or item.properties.get("grid:code")
        key = (tile, item.properties.get("platform"), strip[1]) if strip and tile else (item.id,)
        made = item.properties.get("s2:generation_time") or item.properties.get("published", "")
        rank = (scaling.baseline(item) or 0.0 if strip else 0.0, made, item.id)
        if key not in kept or kept[key][0] < rank:
            kept[key] = (rank, item)
    return [item for _, item in kept.values()]


def freeze(items: Iterable[pystac.Item], path: str | os.PathLike) -> pathlib.Path:
    """Write items as STAC GeoParquet (ValueError: another suffix), whole or not at all, without signatures."""
    path = pathlib.Path(path)
    if path.suffix != ".parquet":
        raise ValueError(f"{path.name}: frozen items are GeoParquet, name the file something.parquet")
    documents = [tidy(item).to_dict(include_self_link=False, transform_hrefs=False) for item in items]
    for document in documents:
        document["links"] = []
        for asset in document["assets"].values():
            asset["href"] = re.sub(r"\?.*(sig|Signature|token)=.*$", "", asset["href"], flags=re.IGNORECASE)
    with provenance.whole(path) as temporary:
        rustac.write_sync(str(temporary), {"type": "FeatureCollection", "features": documents})
    return path


def thaw(path: str | os.PathLike) -> pystac.ItemCollection:
    """Read items that `freeze` wrote, by time; FileNotFoundError where there are none."""
    if not pathlib.Path(path).exists():
        raise FileNotFoundError(f"no frozen items {path}: write them with search.freeze(items, path)")
    items = [pystac.Item.from_dict(document) for document in rustac.read_sync(str(path))["features"]]
    return pystac.ItemCollection(sorted(items, key=lambda item: (item.datetime, item.id)))


def boxes_of(bbox: Sequence[float]) -> list[tuple[float, float, float, float]]:
    """The bbox (west, south, east, north in degrees), two where it crosses the antimeridian; ValueError: it is none."""
    values = [float(value) for value in bbox]
    if len(values) != 4 or not np.isfinite(values).all():
        raise ValueError(f"bbox {bbox}: give four numbers: west, south, east, north in degrees")
    west, south, east, north = values
    text = f"bbox {west:g}, {south:g}, {east:g}, {north:g}"
    if max(abs(south), abs(north)) > 90:
        swapped = max(abs(west), abs(east)) <= 90
        fix = "longitude and latitude look swapped" if swapped else "latitude lies between -90 and 90"
        raise ValueError(f"{text}: {fix}; the order is west, south, east, north in degrees")
    if max(abs(west), abs(east)) > 180:
        raise ValueError(
            f"{text}: longitude lies between -180 and 180; the order is west, south, east, north in degrees"
        )
    if south >= north or west == east or (west > east and west - east < 180):
        raise ValueError(f"{text} encloses nothing: the order is west, south, east, north")
    return [(west, south, east, north)] if west < east else [(west, south, 180, north), (-180, south, east, north)]


def _edge(text: str, side: str) -> dt.datetime | None:
    """First or last moment of a year, month, day or moment."""
    if text in ("", ".."):
        return None
    try:
        if len(text) <= 10:
            period = pd.Period(text)
            moment = period.start_time if side == "start" else period.end_time.floor("ms")
        else:
            moment = pd.Timestamp(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a date: write 2019, 2019-07 or 2019-07-31") from None
    moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
    return moment.to_pydatetime()


def _api(source: Provider, row: Sensor, boxes: list, spans: list, max_cloud: float | None) -> Iterator[pystac.Item]:
    """Items from a STAC API, or from a static catalogue over HTTP."""
    known = collection(source, row.name)
    retry = urllib3.Retry(5, connect=2, backoff_factor=0.3, status_forcelist=(429, 502, 503, 504), allowed_methods=None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PystacClientWarning)
            client = pystac_client.Client.open(source.address, stac_io=StacApiIO(max_retries=retry, timeout=60))
            if known is None and not client.conforms_to("ITEM_SEARCH"):
                yield from _within(client.get_items(recursive=True), row, boxes, spans)
                return
            if known is not None:  # swisstopo's API answers a search and does not say so
                client.add_conforms_to("ITEM_SEARCH")
        names = [known]
        if known is None:
            there = sorted(collection.id for collection in client.get_collections())
            names = [name for name in (row.name, *row.collections) if name in there][:1]
            if not names:
                raise LookupError(
                    f"{source.name} has no {row.name}: it has {', '.join(there) or 'no collection at all'}"
                )
        asks = max_cloud is not None and client.conforms_to("QUERY")
        query = {"eo:cloud_cover": {"lte": max_cloud}} if asks else None
        for box, span in itertools.product(boxes, spans):
            when = None if span == (None, None) else span
            yield from client.search(collections=names, bbox=box, datetime=when, query=query, limit=source.page).items()
    except (APIError, requests.RequestException, urllib3.exceptions.HTTPError) as error:
        text = str(getattr(next(iter(error.args), None), "reason", error))
        reason = re.split(r"[)>]: ", text)[-1].splitlines()[0][:200]  # after the connection that it names
        hint = f"check the network, or use {', '.join(one.name for one in PROVIDERS if one != source)} or a folder"
        raise ConnectionError(f"{source.address} does not answer: {reason}; {hint}") from None


def _local(source: Provider, row: Sensor, boxes: list, spans: list, max_cloud: float | None) -> Iterator[pystac.Item]:
    """Items from a folder of item JSON, a catalogue, an item, an item collection, a frozen file, or rasters."""
    path = pathlib.Path(source.address)
    if glob.has_magic(source.address) or path.suffix.lower() in files.SUFFIXES:
        yield from _within(files.items(source.address, row.name), row, boxes, spans)
        return
    if not path.exists():
        names = ", ".join(other.name for other in PROVIDERS)
        raise FileNotFoundError(
            f"no provider {source.name!r}: name {names}, the http address of a STAC API, a folder or scenes/*.tif"
        )
    found = list(_read(path))
    if not found and path.is_dir() and files.rasters(path):
        found = files.items(path, row.name)
    yield from _within(found, row, boxes, spans)


def _read(path: pathlib.Path) -> Iterator[pystac.Item]:
    """Every item of a file or tree, asset addresses made absolute."""
    if path.is_dir():
        for found in sorted(path.rglob("*.json")):
            yield from _read(found)
    elif path.suffix == ".parquet":
        yield from thaw(path)
    else:
        document = json.loads(path.read_text())
        entries = document if isinstance(document, list) else document.get("features", [document])
        for entry in entries:
            if isinstance(entry, dict) and entry.get("type") == "Feature" and "stac_version" in entry:
                item = pystac.Item.from_dict(entry, href=str(path.resolve()))
                yield item.make_asset_hrefs_absolute()


def _within(items: Iterable[pystac.Item], row: Sensor, boxes: list, spans: list) -> Iterator[pystac.Item]:
    """Those of a sensor that touch the region and the dates."""
    for item in items:
        with contextlib.suppress(LookupError):
            if sensor_of(item) != row:
                continue
            first = tidy(item).datetime
            last = max(first, pd.Timestamp(item.properties.get("end_datetime") or first))
            west, south, east, north = item.bbox
            east += 360 * (east < west)
            turned = [(w + turn, s, e + turn, n) for w, s, e, n in boxes for turn in (0, 360 * (east > 180))]
            inside = any(w <= east and e >= west and s <= north and n >= south for w, s, e, n in turned)
            dated = any((a is None or a <= last) and (b is None or first <= b) for a, b in spans)
            if inside and dated:
                yield item


def tidy(item: pystac.Item) -> pystac.Item:
    """The item, changed in place, as a frozen list can hold it: times in milliseconds (RFC 3339), a valid footprint.

    Some Sentinel-1 items of Planetary Computer write a space for the T of a time, and MultiPolygons that are none.
    """
    for key in ("start_datetime", "end_datetime"):
        if item.properties.get(key):
            moment = pd.Timestamp(item.properties[key]).floor("ms")
            item.properties[key] = moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    item.datetime = pd.Timestamp(item.datetime or item.properties["start_datetime"]).floor("ms").to_pydatetime()
    item.geometry = footprint(item)
    return item


def footprint(item: pystac.Item) -> dict:
    """The item's geometry, or its bbox where that geometry is missing or no GeoJSON."""
    with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError, shapely.errors.ShapelyError):
        if not shapely.geometry.shape(item.geometry).is_empty:
            return item.geometry
    west, south, east, north = item.bbox
    return shapely.geometry.mapping(shapely.geometry.box(west, south, east + 360 * (east < west), north))


def _nothing(source, row, boxes, datetime, max_cloud, months, there: int, clear: int) -> str:
    """Why no scene is left, and what to widen."""
    when = "at any time" if datetime is None else f"in {datetime}"
    where = " and ".join(", ".join(f"{degrees:g}" for degrees in box) for box in boxes)
    if not there:
        return f"no {row.name} scene from {source.name} in bbox {where} {when}: widen dates or bbox, or change sensor"
    if not clear:
        return (
            f"all {there} {row.name} scenes in bbox {where} {when} are cloudier than {max_cloud:g} %: raise max_cloud"
        )
    return f"none of {clear} {row.name} scenes in bbox {where} {when} lies in months {list(months)}: widen months"
