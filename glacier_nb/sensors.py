"""Providers and sensors as rows: which asset is which band, and what a stored value means."""

import re
from dataclasses import dataclass

import pystac


@dataclass(frozen=True)
class Provider:
    """Where items come from, and what reading their assets takes."""

    name: str
    address: str
    """STAC API."""
    collections: tuple[tuple[str, str], ...] = ()
    """(sensor, collection id) where the id is not the sensor's name."""
    signed: tuple[str, ...] = ()
    """Host endings whose files need a signature, which GDAL fetches at each read."""
    gdal: tuple[tuple[str, str], ...] = ()
    """GDAL settings its store needs; keys and secrets come from the environment."""
    doubtful: bool = False
    """Whether its word on the Sentinel-2 offset is known to be wrong for some items."""


@dataclass(frozen=True)
class Band:
    """One variable of the cube: physical value = stored value x scale + offset."""

    name: str
    keys: tuple[str, ...]
    """Asset keys it is known under, the best first."""
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    units: str = "1"
    resampling: str = "bilinear"


@dataclass(frozen=True)
class Mask:
    """A quality layer, and the values or bits in it that make a pixel unclear."""

    keys: tuple[str, ...]
    dtype: str
    fill: int = 0
    """Value where the file has no data."""
    values: tuple[int, ...] = ()
    bits: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sensor:
    """A collection as every provider serves it."""

    name: str
    title: str
    bands: tuple[Band, ...]
    resolution: float
    """Metres of its finest band."""
    masks: tuple[Mask, ...] = ()
    collections: tuple[str, ...] = ()
    """Collection ids besides its name."""
    marks: tuple[tuple[str, str], ...] = ()
    """Properties that tell its items where they name no collection."""
    added: float = 0.0
    """What processing baseline 04.00 and later added to the reflectance (Sentinel-2)."""
    power: int = 1
    """2 where the stored value is an amplitude: power = (stored x scale) ** 2."""
    radar: bool = False
    """Zeros are unseen whatever the file says, passes of a day stay apart, any polarisation makes a pixel seen."""
    tied: bool = False
    """Whether its files lie in radar geometry, placed by ground control points."""


PROVIDERS = (
    Provider(
        "planetary-computer",
        "https://planetarycomputer.microsoft.com/api/stac/v1",
        signed=(".blob.core.windows.net",),
    ),
    Provider(
        "earth-search",
        "https://earth-search.aws.element84.com/v1",
        gdal=(("AWS_NO_SIGN_REQUEST", "YES"),),
        doubtful=True,  # github.com/Element84/earth-search issues 9, 66 and 71
    ),
    Provider(
        "copernicus-data-space",
        "https://stac.dataspace.copernicus.eu/v1",
        collections=(("cop-dem-glo-30", "cop-dem-glo-30-dged-cog"),),
        gdal=(("AWS_S3_ENDPOINT", "eodata.dataspace.copernicus.eu"), ("AWS_VIRTUAL_HOSTING", "FALSE")),
    ),
)  # fmt: skip

_S2 = tuple(
    Band(name, (code, name, f"{code}_{metres}m"), 1e-4, nodata=0)
    for name, code, metres in (
        ("blue", "B02", 10), ("green", "B03", 10), ("red", "B04", 10), ("nir", "B08", 10),
        ("swir16", "B11", 20), ("swir22", "B12", 20),
    )
)  # fmt: skip
_LANDSAT = tuple(
    Band(name, keys, 2.75e-5, -0.2, nodata=0)
    for name, keys in (
        ("blue", ("blue",)), ("green", ("green",)), ("red", ("red",)), ("nir", ("nir08", "nir")),
        ("swir16", ("swir16",)), ("swir22", ("swir22",)),
    )
)  # fmt: skip
_POLARISATIONS = ("vv", "vh", "hh", "hv")

SENSORS = (
    Sensor(
        "sentinel-2-l2a", "Sentinel-2 surface reflectance", _S2, 10,
        # no data, saturated or defective, cloud shadow, cloud (medium, high), cirrus; 2 (dark, cast shadow) stays
        masks=(Mask(("SCL", "scl", "SCL_20m"), "uint8", values=(0, 1, 3, 8, 9, 10)),),
        collections=("sentinel-s2-l2a", "sentinel-s2-l2a-cogs", "sentinel-2-c1-l2a"),
        marks=(("s2:product_type", "S2MSI2A"),), added=0.1,
    ),
    Sensor(
        "sentinel-2-l1c", "Sentinel-2 top-of-atmosphere reflectance, without a cloud layer", _S2, 10,
        marks=(("s2:product_type", "S2MSI1C"),), added=0.1,
    ),
    Sensor(
        "landsat-c2-l2", "Landsat 4-9 Collection 2 Level 2: surface reflectance and temperature",
        (*_LANDSAT, Band("lwir11", ("lwir11", "lwir"), 0.00341802, 149.0, nodata=0, units="K")), 30,
        # QA_PIXEL: fill, dilated cloud, cirrus, cloud, cloud shadow. QA_RADSAT: dropped pixel, terrain occlusion; its
        # saturation bits stay: bright snow saturates the visible bands of Landsat 4-7 and is snow all the same
        masks=(
            Mask(("qa_pixel",), "uint16", fill=1, bits=(0, 1, 2, 3, 4)),
            Mask(("qa_radsat",), "uint16", bits=(9, 11)),
        ),
        collections=("landsat-c2l2-sr",),
    ),
    Sensor(
        "sentinel-1-rtc", "Sentinel-1 gamma0, radiometrically terrain corrected",
        tuple(Band(name, (name,), nodata=-32768) for name in _POLARISATIONS), 10, radar=True,
    ),
    Sensor(
        # 1 / sigmaNought of the product's lookup table, which is near 600 in mid-swath: sigma0 within about 1 dB
        "sentinel-1-grd", "Sentinel-1 ground range detected, sigma0 by the nominal calibration",
        tuple(Band(name, (name,), 1 / 600, nodata=0) for name in _POLARISATIONS), 10,
        power=2, radar=True, tied=True,
    ),
    Sensor(
        "cop-dem-glo-30", "Copernicus DEM, surface heights over EGM2008",
        (Band("elevation", ("data", "elevation"), nodata=-32767, units="m", resampling="cubic"),), 30,
        collections=("cop-dem-glo-30-dged-cog",),
    ),
    Sensor(
        "nasadem", "NASADEM, heights of February 2000",
        (Band("elevation", ("elevation", "data"), nodata=-32768, units="m", resampling="cubic"),), 30,
    ),
    Sensor(
        "alos-dem", "ALOS World 3D 30 m, surface heights",
        (Band("elevation", ("data", "elevation"), nodata=-9999, units="m", resampling="cubic"),), 30,
    ),
    Sensor(
        "dem", "Any other elevation item, metres",
        (Band("elevation", ("elevation", "dem", "data"), nodata=-9999, units="m", resampling="cubic"),), 30,
        collections=("dem-90m",),
    ),
)  # fmt: skip


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


def provider_row(provider: str) -> Provider:
    """The row of a provider's name or address; a row without needs for any other address or path."""
    rows = (row for row in PROVIDERS if provider in (row.name, row.address))
    return next(rows, Provider(str(provider), str(provider)))


def sensor_row(name: str) -> Sensor:
    """The row of a sensor's name or collection id; LookupError lists the names."""
    for row in SENSORS:
        if name == row.name or name in row.collections:
            return row
    raise LookupError(f"no sensor {name!r}: name one of {', '.join(row.name for row in SENSORS)}")


def sensor_of(item: pystac.Item) -> Sensor:
    """The sensor an item comes from, by its collection, or by its properties where it names none."""
    for row in SENSORS:
        if item.collection_id in (row.name, *row.collections):
            return row
        if any(item.properties.get(key) == value for key, value in row.marks):
            return row
    raise LookupError(
        f"item {item.id} (collection {item.collection_id}) is of no known sensor: "
        f"its collection should be one of {', '.join(row.name for row in SENSORS)}"
    )


def encodings(item: pystac.Item, doubtful: bool = False) -> dict[str, Encoding]:
    """The bands an item has, by common name, and what their stored values mean.

    An asset is found by the keys in the sensor's row, else by the common name it declares. Scale, offset and
    nodata are those it declares, else the row's; the Sentinel-2 offset is decided by `_added`. `doubtful` says
    that the provider's word on it may be wrong.
    """
    row, found = sensor_of(item), {}
    for band in row.bands:
        key = next((key for key in band.keys if key in item.assets), None) or _by_common_name(item, band.name)
        if key is None:
            continue
        declared = _declared(item.assets[key])
        scale = declared.get("scale", band.scale)
        nodata = declared.get("nodata", band.nodata)
        if isinstance(nodata, str):  # STAC writes NaN and infinities as text
            nodata = float(nodata)
        if row.added:
            offset, why, unsure = _added(item, row.added, declared.get("offset"))
            found[band.name] = Encoding(key, scale, offset, nodata, row.power, why, doubtful and unsure)
        else:
            why = "declared by the item" if "offset" in declared else "as the sensor's row says"
            found[band.name] = Encoding(key, scale, declared.get("offset", band.offset), nodata, row.power, why)
    return found


def baseline(item: pystac.Item) -> float | None:
    """Sentinel-2 processing baseline, such as 4.0 or 5.11; None where neither properties nor names tell it."""
    for key in (
        "s2:processing_baseline",
        "processing:version",
        "sentinel2:processing_baseline",
        "sentinel:processing_baseline",
    ):
        if re.fullmatch(r"\d+\.\d+", str(item.properties.get(key))):
            return float(item.properties[key])
    names = [item.id, *(str(item.properties.get(f"s2:{key}")) for key in ("product_uri", "granule_id", "datastrip_id"))]
    told = next((m for m in (re.search(r"_N(\d\d)\.?(\d\d)(?=_|\.|$)", name) for name in names) if m), None)
    return float(f"{told[1]}.{told[2]}") if told else None


def _added(item: pystac.Item, added: float, declared: float | None) -> tuple[float, str, bool]:
    """Offset that Sentinel-2 reflectance still needs, why, and whether that rests on a word that has been wrong.

    Baseline 04.00 (25 January 2022) and later, reprocessed older scenes included, store reflectance + 0.1 so that
    it can be negative; some providers have taken it off again. The date decides nothing.
    """
    applied = [bool(value) for key, value in item.properties.items() if key.endswith("boa_offset_applied")]
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


def _declared(asset: pystac.Asset) -> dict:
    """Scale, offset and nodata an asset states, in raster:bands, in STAC 1.1 bands or on the asset itself."""
    fields = asset.extra_fields
    bands = [*fields.get("raster:bands", []), *fields.get("bands", [])][:1]
    told = {}
    for source in (fields, *bands):
        for name in ("scale", "offset", "nodata"):
            value = source.get(f"raster:{name}", source.get(name))
            if value is not None:
                told[name] = value
    return told


def _by_common_name(item: pystac.Item, name: str) -> str | None:
    """Key of the single-band asset that declares a common name."""
    for key, asset in item.assets.items():
        bands = asset.extra_fields.get("eo:bands") or asset.extra_fields.get("bands") or []
        if len(bands) == 1 and name in (bands[0].get("common_name"), bands[0].get("eo:common_name")):
            return key
    return None
