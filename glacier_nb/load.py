"""Items to a lazy cube on one GeoBox, in physical units, with what is clear in it."""

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence

import dask.array as da
import numpy as np
import pandas as pd
import pystac
import xarray as xr
from odc.geo.geobox import GeoBox
from scipy import ndimage

from glacier_nb import ledger, reads, sanity, search, stacks
from glacier_nb.providers import FOUND, Provider, provider_row
from glacier_nb.scaling import Encoding, encodings
from glacier_nb.sensors import Sensor, sensor_of

CHUNK = 1024
"""Pixels on a side of a block, about."""

_PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"


def cube(
    items: Iterable[pystac.Item],
    geobox: GeoBox,
    bands: Sequence[str] | None = None,
    provider: str = "planetary-computer",
    chunks: dict[str, int] | None = None,
    missing: str = "raise",
    patience: reads.Patience | None = None,
) -> xr.Dataset:
    """The items of one sensor as a Dataset over dims time, y, x on `geobox`, lazy in blocks.

    Variables by common name: reflectance (float32, 1), `lwir11` (K), `vv` `vh` `hh` `hv` (linear power),
    `elevation` (m), NaN where there is no data; and `clear` (bool): seen, and no cloud, shadow of one, fill or
    defect in the sensor's quality layers. Items of a solar day are one time (radar: of one pass); coordinate
    `item` holds their ids. `bands` defaults to all that the items have. Attrs: sensor, provider, collection, and
    `manifest` with the items and how each one's scale and offset were decided. Baselines may be mixed.

    Nothing is read but an overview of one item for each decision on scale and offset (of every item where the
    provider's word is known to be unsafe), because its values must be physically possible; a warning and
    `manifest["values"]` say where they are not. Files of hosts that want a signature are signed at each request: no
    token is in items, graph or logs.

    A read is tried again as `patience` says (default: the environment's, see `reads.Patience`). One that fails for
    good raises `reads.ReadError`, which names item and asset. With missing="report" its window is no data instead,
    not clear, True in the variable `lost` (bool), and a row of `reads.report(cube)`, after computing.

    Raises LookupError (no item, no such band) and ValueError (several sensors, no such `missing`).
    """
    found = stack(items, geobox, bands, provider, missing, patience)
    return found.read(chunks={"time": 1, **_blocks(geobox), **(chunks or {})})


def stack(
    items: Iterable[pystac.Item],
    geobox: GeoBox,
    bands: Sequence[str] | None = None,
    provider: str = "planetary-computer",
    missing: str = "raise",
    patience: reads.Patience | None = None,
) -> stacks.Stack:
    """What `cube` would hold, decided but without a graph: for `composite`, which then reads scene after scene.

    The memory and the graph of a composite of it do not grow with the number of scenes. Arguments and errors
    (LookupError, ValueError) as in `cube`; `stack(...).read(chunks={})` is the cube.
    """
    if missing not in ("raise", "report"):
        raise ValueError(f'missing={missing!r}: give "raise" or "report"')
    items = list(items)
    if not items:
        raise LookupError("no items to load: search for some first")
    rows = {row.name: row for row in map(sensor_of, items)}
    if len(rows) > 1:
        raise ValueError(f"items of several sensors ({', '.join(rows)}): load one cube for each")
    (row,) = rows.values()
    source = provider_row(provider, (item.properties.get(FOUND) for item in items))
    known = {item.id: encodings(item, source.doubtful) for item in items}
    there = [band.name for band in row.bands if any(band.name in found for found in known.values())]
    if unknown := [band for band in bands or () if band not in there]:
        raise LookupError(f"no band {', '.join(unknown)} in these {row.name} items: they have {', '.join(there)}")
    extra = {band.name for band in row.bands if band.extra}
    names = [name for name in there if (bands is None and name not in extra) or name in (bands or ())]
    how = reads.How(uuid.uuid4().hex, patience or reads.Patience.here(), missing)

    def few(item: pystac.Item, name: str) -> np.ndarray:
        return reads.overview(_plain(item, row, known[item.id], [name], source), name, dict(source.gdal), how.patience)

    said = sanity.settle(items, row, known, names, few, missing)
    plain = [_plain(item, row, known[item.id], names, source) for item in items]
    wanted = {name: reads.of(asset) for item in plain for name, asset in item.assets.items()}
    masks = sorted(set(wanted) - set(names))

    ((longitude, _),) = geobox.extent.centroid.to_crs("EPSG:4326").points
    days = {item.id: _day(item, longitude, row) for item in items}
    groups = [tuple(item for item in plain if days[item.id] == day) for day in sorted(set(days.values()))]
    attrs = {
        "sensor": row.name,
        "provider": source.name,
        "collection": ", ".join(sorted({str(item.collection_id) for item in items})),
        ledger.KEY: how.cube,
        "manifest": {"provider": source.name, "sensor": row.name, **_decisions(items, known, names), "values": said},
    }
    scenes = tuple(sorted(groups, key=lambda group: min(item.datetime for item in group)))
    return stacks.Stack(scenes, row, tuple(names), tuple(masks), geobox, wanted, dict(source.gdal), how, attrs)


def elevation(
    items: Iterable[pystac.Item],
    geobox: GeoBox,
    time: str | dt.datetime | None = None,
    provider: str = "planetary-computer",
    chunks: dict[str, int] | None = None,
    missing: str = "raise",
    patience: reads.Patience | None = None,
) -> xr.DataArray:
    """Elevation (m, float32, dims y, x) on `geobox`: the tiles of one date as a mosaic, hairline seams closed.

    Of several dates the one nearest to `time` is taken, or else the latest; attrs["time"] says which. `missing` and
    `patience` as in `cube`; with missing="report" the coordinate `lost` (bool) says where a read failed.
    LookupError: no items.
    """
    dates: dict[dt.date, list] = {}
    for item in items:
        dates.setdefault(_moment(item).date(), []).append(item)
    if not dates:
        raise LookupError("no elevation items: search for sensor cop-dem-glo-30 or nasadem over the region")
    date = max(dates) if time is None else min(dates, key=lambda date: abs(date - pd.Timestamp(time).date()))
    ds = cube(dates[date], geobox, ["elevation"], provider, chunks, missing, patience)
    tiles = ds.elevation.mean("time").astype("float32") if ds.sizes["time"] > 1 else ds.elevation.isel(time=0)
    closed = tiles.copy(data=da.map_overlap(_close_seams, tiles.data, depth=4, boundary="none", dtype="float32"))
    closed.attrs = {
        "units": "m",
        "long_name": "elevation",
        "time": str(date),
        "items": sorted(i.id for i in dates[date]),
        ledger.KEY: ds.attrs[ledger.KEY],
    }
    if "lost" in ds:
        closed = closed.assign_coords(lost=ds.lost.any("time") & tiles.isnull())
    return closed.drop_vars(["time", "item"], errors="ignore").rename("elevation")


def elevation_rate(
    items: Iterable[pystac.Item],
    geobox: GeoBox,
    provider: str = "planetary-computer",
    chunks: dict[str, int] | None = None,
    missing: str = "raise",
    patience: reads.Patience | None = None,
) -> xr.DataArray:
    """`dh_dt` (m a-1, dims y, x): elevation of the last date less that of the first, over the years between.

    `missing` and `patience` as in `elevation`. ValueError: items of one date only.
    """
    items = list(items)
    dates = sorted({_moment(item).date() for item in items})
    if len(dates) < 2:
        raise ValueError(f"elevation items of {len(dates)} date: dh/dt needs two, search over more years")
    first, last = (
        elevation(items, geobox, str(date), provider, chunks, missing, patience) for date in (dates[0], dates[-1])
    )
    if "lost" in first.coords:
        first, last = (one.assign_coords(lost=first.lost | last.lost) for one in (first, last))
    rate = (last - first) / np.float32((dates[-1] - dates[0]).days / 365.25)
    attrs = {"units": "m a-1", "long_name": "elevation change rate", "from": str(dates[0]), "to": str(dates[-1])}
    attrs[ledger.KEY] = f"{first.attrs[ledger.KEY]} {last.attrs[ledger.KEY]}"
    return rate.rename("dh_dt").assign_attrs(attrs)


def _plain(item: pystac.Item, row: Sensor, known: dict[str, Encoding], names: list, source: Provider) -> pystac.Item:
    """A copy that holds only what is read, each asset under the cube's name and with what its reader needs."""
    wanted = {}
    for name in names:
        if name in known:
            one = known[name]
            wanted[name] = reads.Read(
                item.id, one.key, nodata=one.nodata, scale=one.scale, offset=one.offset, power=one.power,
                zeros=not row.radar, tied=row.tied, index=one.index,
            )  # fmt: skip
    for number, mask in enumerate(row.masks):
        for key in [key for key in mask.keys if key in item.assets][:1]:
            wanted[f"mask{number}"] = reads.Read(item.id, key, mask.dtype, mask.fill, mask.fill)
    grids = {name: _grid(item, item.assets[read.asset]) for name, read in wanted.items()}
    placed = all(grids.values())
    plain = pystac.Item(
        item.id, search.footprint(item), item.bbox, _moment(item), {},
        stac_extensions=[_PROJECTION] if placed else [], collection="placed" if placed else "unplaced",
    )  # fmt: skip
    for name, read in wanted.items():
        href = reads.address(item.assets[read.asset].get_absolute_href(), item.collection_id, source.signed)
        extra = {**(grids[name] if placed else {}), **reads.fields(read)}
        plain.assets[name] = pystac.Asset(href, roles=["data"], extra_fields=extra)
    plain.properties["pass"] = str(item.properties.get("sat:relative_orbit", ""))
    return plain


def _grid(item: pystac.Item, asset: pystac.Asset) -> dict | None:
    """Projection fields of an asset, its own or its item's; None where they are not complete."""
    fields = {**item.properties, **asset.extra_fields}
    code = fields.get("proj:code") or (f"EPSG:{fields['proj:epsg']}" if fields.get("proj:epsg") else None)
    if not (code and fields.get("proj:shape") and fields.get("proj:transform")):
        return None
    return {"proj:code": code, "proj:shape": fields["proj:shape"], "proj:transform": fields["proj:transform"][:6]}


def _blocks(geobox: GeoBox) -> dict[str, int]:
    """Block sizes near `CHUNK` that leave no sliver at the edge."""
    return {axis: -(-size // max(1, round(size / CHUNK))) for axis, size in zip("yx", geobox.shape, strict=True)}


def _moment(item: pystac.Item) -> dt.datetime:
    """When an item was taken; the start where it is a stretch of time."""
    return item.datetime or pd.Timestamp(item.properties["start_datetime"]).to_pydatetime()


def _day(item: pystac.Item, longitude: float, row: Sensor) -> tuple[dt.date, str]:
    """Solar day at a longitude; for radar also the orbit, since backscatter depends on the look."""
    day = (_moment(item) + dt.timedelta(hours=longitude / 15)).date()
    return day, str(item.properties.get("sat:relative_orbit", "")) if row.radar else ""


def _decisions(items: list[pystac.Item], known: dict, names: list[str]) -> dict[str, dict]:
    """Per item its time, the offset left to apply and why; per band its asset keys and scales."""
    told, bands = {}, {name: set() for name in names}
    for item in items:
        found = {name: one for name, one in known[item.id].items() if name in names}
        offsets, why = ({getattr(one, field) for one in found.values()} for field in ("offset", "why"))
        told[item.id] = {"time": _moment(item).isoformat(), "offset": sorted(offsets), "why": "; ".join(sorted(why))}
        for name, one in found.items():
            bands[name].add((one.key, one.scale))
    return {"items": told, "bands": {name: sorted(map(list, pairs)) for name, pairs in bands.items()}}


def _close_seams(block: np.ndarray) -> np.ndarray:
    """NaN lines up to two pixels wide between data, as left where tiles of two grids meet, filled by neighbours."""
    seen = np.isfinite(block)
    gaps = ndimage.binary_closing(np.pad(seen, 2, mode="edge"), np.ones((3, 3)))[2:-2, 2:-2] & ~seen
    if not gaps.any():
        return block
    weight = ndimage.uniform_filter(seen.astype("float32"), 5)
    total = ndimage.uniform_filter(np.where(seen, block, 0).astype("float32"), 5)
    return np.where(gaps & (weight > 0), total / np.maximum(weight, 1e-6), block).astype("float32")
