"""What a stored value means: scale, offset and no-data of every asset, by what item and provider say of themselves."""

import re
from dataclasses import dataclass

import numpy as np
import pystac

from glacier_nb.sensors import Band, Sensor, sensor_of


@dataclass(frozen=True)
class Encoding:
    """What the stored values of one asset mean: physical = (stored x scale + offset) ** power."""

    key: str
    """The asset's key in its item."""
    scale: float
    offset: float
    nodata: float | None
    power: int
    why: str
    """How the offset was decided."""
    doubtful: bool = False
    """Whether the values themselves must be asked, because the provider's word has been wrong."""
    index: int = 1
    """Number of the band in the asset's file, from 1."""


def encodings(item: pystac.Item, doubtful: bool = False) -> dict[str, Encoding]:
    """The bands an item has, by common name, and what their stored values mean: STAC's raster extension.

    An asset is found by the keys in the sensor's row, else by the common name it declares for one of its bands.
    Scale, offset and nodata are those it declares, else the row's; the Sentinel-2 offset is decided by `_added`.
    `doubtful` says that the provider's word on it may be wrong.
    ValueError: the item leaves open what that takes: its processing baseline or offset, or the sun's elevation.
    """
    row, found = sensor_of(item), {}
    for band in row.bands:
        key, index = _asset(item, band)
        if key is None:
            continue
        declared = _declared(item.assets[key], index)
        scale = float(declared.get("scale", band.scale))
        offset = float(declared.get("offset", band.offset))
        nodata = declared.get("nodata", band.nodata)
        nodata = None if nodata is None else float(nodata)  # STAC writes NaN and infinities as text
        why, unsure = "declared by the item" if "offset" in declared else "as the sensor's row says", False
        if row.added:
            offset, why, unsure = _added(item, row.added, declared.get("offset"))
        if row.sunlit:
            shine = _shine(item, row)
            scale, offset, why = scale / shine, offset / shine, f"{why}, over the sine of the sun's elevation"
        found[band.name] = Encoding(key, scale, offset, nodata, row.power, why, doubtful and unsure, index)
    return found


def baseline(item: pystac.Item) -> float | None:
    """Sentinel-2 processing baseline, such as 4.0 or 5.11; None where neither properties nor names tell it.

    Sentinel-2 Products Specification Document.
    """
    for key in (
        "s2:processing_baseline",
        "processing:version",
        "sentinel2:processing_baseline",
        "sentinel:processing_baseline",
    ):
        if told := re.fullmatch(r"N?(\d\d|\d+(?=\.))\.?(\d+)", str(item.properties.get(key, ""))):
            return float(f"{told[1]}.{told[2]}")
    names = [item.id, *(str(item.properties.get(f"s2:{key}")) for key in ("product_uri", "granule_id", "datastrip_id"))]
    told = next((m for m in (re.search(r"_N(\d\d)\.?(\d\d)(?=_|\.|$)", name) for name in names) if m), None)
    return float(f"{told[1]}.{told[2]}") if told else None


def _added(item: pystac.Item, added: float, declared: float | None) -> tuple[float, str, bool]:
    """Offset that Sentinel-2 reflectance still needs, why, and whether that rests on a word that has been wrong.

    Baseline 04.00 (25 January 2022) and later, reprocessed older scenes included, store reflectance + 0.1 so that
    it can be negative; some providers have taken it off again. The date decides nothing.
    """
    applied = [_yes(value) for key, value in item.properties.items() if key.endswith("boa_offset_applied")]
    number = baseline(item)
    if any(applied):
        return 0.0, f"baseline {number}: the provider took the offset off", False
    if number is not None:
        later = 4 <= number < 90  # 99.99 is ESA's mark of a trial processing, made before the offset came
        said = f"baseline {number:05.2f}: offset {'still in the values' if later else 'never added'}"
        return (-added if later else 0.0), said, later and bool(applied)
    if declared is not None:
        return float(declared), "baseline unknown: offset as the item declares", True
    raise ValueError(
        f"item {item.id} tells neither its processing baseline nor an offset: "
        f"write s2:processing_baseline into its properties or raster:bands into its assets"
    )


def _yes(value) -> bool:
    """A truth that some catalogues write as text."""
    return str(value).strip().lower() in ("true", "1", "yes")


def _shine(item: pystac.Item, row: Sensor) -> float:
    """Sine of the sun's elevation over the scene."""
    height = item.properties.get("view:sun_elevation")
    if height is None or not 0 < float(height) <= 90:
        raise ValueError(f"item {item.id} has no sun elevation, which {row.name} needs: write view:sun_elevation")
    return float(np.sin(np.radians(float(height))))


def _declared(asset: pystac.Asset, index: int) -> dict:
    """Scale, offset and nodata an asset states: on itself, in raster:bands, or in STAC 1.1 bands, the last first."""
    fields, told = asset.extra_fields, {}
    bands = [(fields.get(name) or [])[index - 1 : index] for name in ("raster:bands", "bands")]
    for source in (fields, *bands[0], *bands[1]):
        for name in ("scale", "offset", "nodata"):
            value = source.get(f"raster:{name}", source.get(name))
            if value is not None:
                told[name] = value
    return told


def _asset(item: pystac.Item, band: Band) -> tuple[str | None, int]:
    """Key of the asset that holds a band, and the band's number in it; (None, 1) where there is none."""
    for wanted in band.keys:
        for key in item.assets:
            if re.fullmatch(wanted, key):
                return key, band.index
    several = None, 1
    for key, asset in item.assets.items():
        fields = asset.extra_fields
        about = fields.get("eo:bands") or fields.get("bands") or []
        names = [one.get("common_name", one.get("eo:common_name")) for one in about]
        place = next((place for place, name in enumerate(names) if name in (band.name, *band.keys)), None)
        if place is None:
            continue
        if len(names) == 1:
            return key, 1
        if several[0] is None and not _for_show(key, asset):
            several = key, place + 1
    return several


def _for_show(key: str, asset: pystac.Asset) -> bool:
    """Whether an asset is a picture for people: a true-colour image or a thumbnail, stretched to eight bits."""
    shown = {"visual", "overview", "thumbnail"} & set(asset.roles or ())
    return bool(shown) or re.match(r"(?i)visual|tci|preview|rendered|overview|thumb", key) is not None
