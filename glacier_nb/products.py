"""STAC items of what we made: outlines, fronts and maps beside their files, and the networks that made them."""

import datetime as dt
import hashlib
import importlib.metadata
import json
import os
import pathlib
import re
from collections.abc import Iterable, Mapping

import geopandas as gpd
import pandas as pd
import pyproj
import pystac
import shapely
import xarray as xr

from glacier_nb import __version__, exports, provenance, rgi, systems, weights

MEDIA = {
    **{row.suffix: row.media for row in exports.FORMATS},
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".zarr": "application/vnd.zarr; version=3",
}
"""Media type of each kind of file that is an asset, by suffix."""

EXTENSIONS = {
    "mlm": "https://stac-extensions.github.io/mlm/v1.4.0/schema.json",
    "file": "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "proj": "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "processing": "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "sci": "https://stac-extensions.github.io/scientific/v1.0.0/schema.json",
    "table": "https://stac-extensions.github.io/table/v1.2.0/schema.json",
}
"""Extensions that our items keep to, by the prefix of their fields."""

_UNITS = {row.name: row.units for row in rgi.ATTRIBUTES} | {"perimeter_m": "m", "pixel_m": "m", "margin_m": "m"}


def write(
    folder: str | os.PathLike,
    things: Mapping[str, gpd.GeoDataFrame | xr.DataArray],
    sources: Iterable[pystac.Item | str] = (),
    title: str = "",
) -> pathlib.Path:
    """A STAC catalogue of products in folder/stac, whole or not at all; returns the path of its catalog.json.

    things: outlines or fronts (time, system, geometry) and maps (zone, y, x), by the name their files have in `folder`
    without suffix: outlines.parquet and outlines.gpkg are two assets of one item. What is empty has no item. sources:
    the scenes behind them, items or ids; a link where one has a public address, without what stands behind its "?".
    Each system with weights has an item with the MLM extension 1.4, which its products are derived from (links, and
    mlm:name on assets); weights without an address are named by their hash. Addresses are relative; no path, no token.
    Raises FileNotFoundError: no such product in `folder`. ValueError: a product without a date.
    """
    folder, items = pathlib.Path(folder), {}
    sources = list(sources)
    told = [item if isinstance(item, str) else item.id for item in sources]
    public = [link for item in sources if not isinstance(item, str) and (link := _address(item))]
    for name, thing in things.items():
        if thing.size == 0:
            continue
        files = [path for path in sorted(folder.glob(f"{name}.*")) if path.suffix in MEDIA]
        if not files:
            raise FileNotFoundError(f"no {name}.parquet, {name}.tif ... in {folder.name}: write {name} before its item")
        item = _of_table(name, thing) if isinstance(thing, gpd.GeoDataFrame) else _of_map(name, thing)
        models = {one.id: one for one in _models(thing)}
        for path in files:
            item.add_asset(path.suffix[1:], _asset(path, thing, list(models.values())))
        for id in models:
            extra = {"mlm:name": models[id].properties["mlm:name"], "processing:level": "L4"}
            item.add_link(pystac.Link("derived_from", f"./{id}.json", pystac.MediaType.GEOJSON, extra_fields=extra))
        item.add_links([pystac.Link("derived_from", link, pystac.MediaType.GEOJSON) for link in public])
        if told:
            item.properties["processing:lineage"] = f"from {len(told)} scenes: {', '.join(told)}"
        items |= {name: item, **models}
    root = {"type": "Catalog", "stac_version": pystac.get_stac_version(), "id": _slug(title) or "products"}
    root |= {"description": f"Glacier outlines, fronts and maps, and the networks that made them. {title}".strip()}
    root["links"] = [{"rel": "root", "href": "./catalog.json", "type": "application/json"}]
    with provenance.whole(folder / "stac") as temporary:
        temporary.mkdir()
        for name, item in items.items():
            for rel in ("root", "parent"):
                item.add_link(pystac.Link(rel, "./catalog.json", pystac.MediaType.JSON))
            document = item.to_dict(include_self_link=False, transform_hrefs=False)
            (temporary / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
            root["links"].append({"rel": "item", "href": f"./{name}.json", "type": "application/geo+json"})
        (temporary / "catalog.json").write_text(json.dumps(root, indent=1) + "\n")
    return folder / "stac" / "catalog.json"


def model(system: str, row: weights.Weights) -> pystac.Item:
    """A system and its weights as an item with the MLM extension 1.4: id model-<weights>, no geometry."""
    one, card = systems.find(system), systems.card(systems.find(system))
    patch, task = card["patch"] or -1, ["semantic-segmentation"]
    bands = [{"name": name} for name in row.inputs or one.inputs]
    scaling = zip(row.mean or one.mean, row.std or one.std, strict=True)
    network = getattr(one.network, "func", one.network)
    doi = re.search(r"doi:(10\.\S+?)[,;.]?(?:\s|$)", card["citation"])
    made = pd.Timestamp(row.card["created"]) if "created" in row.card else pd.Timestamp.now("UTC")
    properties = {
        "title": f"{system} with weights {row.name}",
        "mlm:name": row.name,
        "mlm:architecture": network.__name__,
        "mlm:tasks": task,
        "mlm:framework": "PyTorch",
        "mlm:framework_version": importlib.metadata.version("torch"),
        "mlm:total_parameters": card["parameters"],
        "mlm:input": [{
            "name": "features", "bands": [band["name"] for band in bands],
            "input": {"shape": [-1, len(bands), patch, patch], "dim_order": ["batch", "bands", "height", "width"],
                      "data_type": "float32"},
            "value_scaling": [{"type": "z-score", "mean": mean, "stddev": std} for mean, std in scaling] or None,
            "resize_type": None,
        }],
        "mlm:output": [{
            "name": "zones" if one.zones else "front", "tasks": task,
            "result": {"shape": [-1, max(len(one.zones), 1), patch, patch], "data_type": "float32",
                       "dim_order": ["batch", "class", "height", "width"]},
            "classification:classes": [
                {"value": n, "name": zone.replace(" ", "-"), "description": zone} for n, zone in enumerate(one.zones)
            ],
        }],
        "mlm:hyperparameters": {name: card[name] for name in ("task", "patch", "loss", "clean") if card[name]},
        "bands": bands,
        "sci:citation": row.citation or card["citation"],
        **({"sci:doi": doi[1]} if doi else {}),
        **({"license": row.licence if re.fullmatch(r"[\w.\-+]+", row.licence) else "other",
            "description": f"Licence of the weights: {row.licence}"} if row.licence else {}),
    }  # fmt: skip
    names = ("mlm", "file", "sci")
    item = pystac.Item(f"model-{_slug(row.name)}", None, None, made.to_pydatetime(), properties,
                       stac_extensions=[EXTENSIONS[name] for name in names])  # fmt: skip
    suffix = pathlib.PurePosixPath(row.file).suffix
    fields = {"mlm:artifact_type": suffix[1:] or "unknown", "file:checksum": f"1220{row.sha256}"}
    fields["bands"] = bands  # STAC 1.1 has them in properties only where an asset has them; MLM asks for those
    item.add_asset("weights", pystac.Asset(
        row.url if re.match(r"https?://", row.url) else f"urn:sha256:{row.sha256}", f"Weights {row.name}",
        media_type="application/octet-stream", roles=["mlm:model", "mlm:weights"], extra_fields=fields,
    ))  # fmt: skip
    return item


def _of_table(name: str, frame: gpd.GeoDataFrame) -> pystac.Item:
    """Outlines or fronts as an item over their dates."""
    columns = [{"name": str(column), "type": str(frame[column].dtype)} for column in frame]
    for column in columns:
        if unit := _UNITS.get(column["name"]):
            column["description"] = f"in {unit}"
    facts = {"table:columns": columns, "table:row_count": len(frame), "table:primary_geometry": frame.geometry.name}
    return _item(name, frame.total_bounds, frame.crs, pd.to_datetime(frame["time"]).dropna(), facts, ("table",))


def _of_map(name: str, layer: xr.DataArray) -> pystac.Item:
    """A map as an item of its date."""
    box = layer.odc.geobox
    time = pd.Series([pd.Timestamp(layer.attrs.get("time", "NaT")).tz_localize(None)]).dropna()
    facts = {"proj:shape": list(box.shape), "proj:transform": [float(value) for value in box.affine[:6]]}
    facts["gsd"] = float(abs(box.resolution.x))
    return _item(name, box.boundingbox.bbox, pyproj.CRS(box.crs.to_wkt()), time, facts, ())


def _item(name: str, bounds, crs: pyproj.CRS, times: pd.Series, facts: Mapping, more: tuple) -> pystac.Item:
    """An item over bounds in `crs`, of one date or of the first to the last."""
    if times.empty:
        raise ValueError(f"{name} has no date: set its column time, or attrs['time'] of a map")
    degrees = pyproj.Transformer.from_crs(crs, 4326, always_xy=True)
    west, south, east, north = map(float, degrees.transform_bounds(*bounds))
    edges = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    shape = shapely.union_all([shapely.box(a, south, b, north) for a, b in edges])
    first, last = (time.to_pydatetime().replace(tzinfo=dt.UTC) for time in (times.min(), times.max()))
    one = first == last
    made = dt.datetime.now(dt.UTC).replace(microsecond=0)
    code = crs.to_epsg()
    properties = {
        "created": made.isoformat().replace("+00:00", "Z"),
        "processing:level": "L4",
        "processing:software": {"glacier_nb": __version__},
        **({"proj:code": f"EPSG:{code}"} if code else {"proj:code": None, "proj:wkt2": crs.to_wkt()}),
        "proj:bbox": [float(value) for value in bounds],
        **facts,
    }  # fmt: skip
    return pystac.Item(
        _slug(name), shapely.geometry.mapping(shape), [west, south, east, north], first if one else None, properties,
        start_datetime=None if one else first, end_datetime=None if one else last,
        stac_extensions=[EXTENSIONS[name] for name in ("file", "proj", "processing", *more)],
    )  # fmt: skip


def _models(thing: gpd.GeoDataFrame | xr.DataArray) -> list[pystac.Item]:
    """The items of the networks that made a product: those of its systems that have weights."""
    known = {row.name for row in systems.SYSTEMS}
    if isinstance(thing, gpd.GeoDataFrame):
        names = thing["system"].unique() if "system" in thing else []
        firsts = [(name, weights.default(name)) for name in names if name in known]
        return [model(name, row) for name, first in firsts if first for row in weights.together(first)]
    name = thing.attrs.get("system", "")
    told = [str(thing.attrs.get(key, "")).split(", ") for key in ("weights", "weights_sha256")]
    told.append(thing.attrs.get("weights_licence", " | " * (len(told[0]) - 1)).split(" | "))  # where any is told
    ours = {row.sha256: row.name for row in weights.WEIGHTS}
    rows = [weights.find(ours[sha256]) if sha256 in ours else weights.Weights(own, name, "", sha256, licence)
            for own, sha256, licence in zip(*told, strict=True) if sha256]  # fmt: skip
    return [model(name, row) for row in rows if name in known]


def _asset(path: pathlib.Path, thing: gpd.GeoDataFrame | xr.DataArray, models: list[pystac.Item]) -> pystac.Asset:
    """A file as an asset, by its relative address."""
    fields = {}
    if path.is_file():
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        fields |= {"file:size": path.stat().st_size, "file:checksum": f"1220{digest}"}
    if isinstance(thing, xr.DataArray) and "zone" in thing.dims:
        fields["bands"] = [{"name": str(zone)} for zone in thing.zone.values]
    alone = not isinstance(thing, gpd.GeoDataFrame) or thing.get("system", pd.Series()).nunique() == 1
    if len(models) == 1 and alone:
        fields |= {"mlm:name": models[0].properties["mlm:name"], "processing:level": "L4"}
        fields["processing:expression"] = {"format": "stac-mlm", "expression": f"./{models[0].id}.json"}
    kind = MEDIA[path.suffix]
    return pystac.Asset(f"../{path.name}", path.stem, media_type=kind, roles=["data"], extra_fields=fields)


def _address(item: pystac.Item) -> str:
    """The public address of an item, without a query, which may hold a token; "" where it has none."""
    own = next((link for link in item.links if link.rel in ("self", "canonical")), None)
    href = (own.get_href(transform_href=False) if own else None) or ""
    return href.partition("?")[0] if re.match(r"https?://(?!127\.|localhost)[^@]+$", href) else ""


def _slug(text: str) -> str:
    """A name as an id: letters, digits, dots, underscores and hyphens."""
    return re.sub(r"[^\w.\-]+", "-", text).strip("-")
