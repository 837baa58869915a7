"""Sensors as rows: which asset is which band, what its values are, and what makes a pixel unclear."""

from dataclasses import dataclass

import pystac


@dataclass(frozen=True)
class Band:
    """One variable of the cube: physical value = stored value x scale + offset."""

    name: str
    keys: tuple[str, ...]
    """Asset keys it is known under, the best first; each a regular expression of the whole key."""
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    units: str = "1"
    resampling: str = "bilinear"
    index: int = 1
    """Number of the band in its file, from 1."""
    extra: bool = False
    """Read where it is asked for by name only."""
    within: tuple[float, float] | None = None
    """What nearly all of its physical values lie between, whatever the scene; None: nobody can tell (8-bit images)."""


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
    """Properties that tell its items where they name no collection; one is enough."""
    added: float = 0.0
    """What processing baseline 04.00 and later added to the reflectance (Sentinel-2)."""
    power: int = 1
    """2 where the stored value is an amplitude: power = (stored x scale) ** 2."""
    radar: bool = False
    """Zeros are unseen whatever the file says, passes of a day stay apart, any polarisation makes a pixel seen."""
    tied: bool = False
    """Whether its files lie in radar geometry, placed by ground control points."""
    sunlit: bool = False
    """Whether the values are still to be divided by the sine of the sun's elevation (Landsat Level 1)."""

    def band(self, name: str) -> Band:
        """One of its bands; StopIteration where it has none of that name."""
        return next(band for band in self.bands if band.name == name)


REFLECTANCE = -0.03, 2.0
"""A little noise below nothing; above one are slopes that face a low sun, and clouds."""
LANDSAT = -0.1, 2.0
"""Its atmospheric correction takes more away in shadow; Collection 1, whose scale was another, lies below."""
POWER = 0.0, 100.0
"""Not in decibels, which are negative."""
HEIGHTS = -500.0, 9000.0


def _each(names: tuple, **common) -> tuple[Band, ...]:
    """Bands of one kind: (name, key, ...) each."""
    return tuple(Band(name, tuple(keys), **common) for name, *keys in names)


def _sentinel2(*names: tuple[str, str, int], extra: bool = False) -> tuple[Band, ...]:
    """Sentinel-2's keys: of its own, by common name, and with the resolution as Copernicus Data Space has them."""
    keys = ((name, code, name, f"{code}_{metres}m") for name, code, metres in names)
    return _each(tuple(keys), scale=1e-4, nodata=0, extra=extra, within=REFLECTANCE)


_S2 = (
    *_sentinel2(("blue", "B02", 10), ("green", "B03", 10), ("red", "B04", 10), ("nir", "B08", 10),
                ("swir16", "B11", 20), ("swir22", "B12", 20)),
    *_sentinel2(("coastal", "B01", 20), ("nir08", "B8A", 20), extra=True),
    # Earth Search numbers them, Planetary Computer has codes alone
    *_each((("rededge071", "B05", "rededge071", "rededge1", "B05_20m"),
            ("rededge075", "B06", "rededge075", "rededge2", "B06_20m"),
            ("rededge078", "B07", "rededge078", "rededge3", "B07_20m")), scale=1e-4, nodata=0, extra=True,
            within=REFLECTANCE),
)  # fmt: skip
_OLI = (("blue", "blue"), ("green", "green"), ("red", "red"), ("nir", "nir08", "nir"), ("swir16", "swir16"),
        ("swir22", "swir22"))  # fmt: skip
_QA_PIXEL = Mask(("qa_pixel", "QA_PIXEL.TIF"), "uint16", fill=1, bits=(0, 1, 2, 3, 4))
"""Fill, dilated cloud, cirrus, cloud, cloud shadow."""
_QA_RADSAT = Mask(("qa_radsat", "QA_RADSAT.TIF"), "uint16", bits=(9, 11))
"""Dropped pixel, terrain occlusion; its saturation bits stay: bright snow saturates the visible bands of Landsat 4-7
and is snow all the same."""
_POLARISATIONS = tuple((name, f"(?i){name}") for name in ("vv", "vh", "hh", "hv"))
_RGB = ("red", "green", "blue")


def _heights(*keys: str, nodata: float | None) -> tuple[Band, ...]:
    return (Band("elevation", keys, nodata=nodata, units="m", resampling="cubic", within=HEIGHTS),)


SENSORS = (
    Sensor(
        "sentinel-2-l2a", "Sentinel-2 surface reflectance", _S2, 10,
        # no data, saturated or defective, cloud shadow, cloud (medium, high), cirrus; 2 (dark, cast shadow) stays
        masks=(Mask(("SCL", "scl", "SCL_20m"), "uint8", values=(0, 1, 3, 8, 9, 10)),),
        collections=("sentinel-s2-l2a", "sentinel-s2-l2a-cogs", "sentinel-2-c1-l2a", "sentinel-2-pre-c1-l2a"),
        marks=(("s2:product_type", "S2MSI2A"), ("product:type", "S2MSI2A")), added=0.1,
    ),
    Sensor(
        "sentinel-2-l1c", "Sentinel-2 top-of-atmosphere reflectance, without a cloud layer", _S2, 10,
        collections=("sentinel-s2-l1c",),
        marks=(("s2:product_type", "S2MSI1C"), ("product:type", "S2MSI1C")), added=0.1,
    ),
    Sensor(
        "landsat-c2-l2", "Landsat 4-9 Collection 2 Level 2: surface reflectance and temperature",
        (*_each(_OLI, scale=2.75e-5, offset=-0.2, nodata=0, within=LANDSAT),
         Band("lwir11", ("lwir11", "lwir"), 0.00341802, 149.0, nodata=0, units="K", within=(170.0, 350.0)),
         Band("coastal", ("coastal",), 2.75e-5, -0.2, nodata=0, extra=True, within=LANDSAT)), 30,
        masks=(_QA_PIXEL, _QA_RADSAT), collections=("landsat-c2l2-sr", "landsat-c2l2-st"),
        marks=(("landsat:correction", "L2SP"), ("landsat:correction", "L2SR")),
    ),
    Sensor(
        # without temperature: Level 1 stores radiance there, and Planck's law is no scale and offset
        "landsat-c2-l1", "Landsat 8-9 Collection 2 Level 1: top-of-atmosphere reflectance, with pan and cirrus",
        _each((*_OLI, ("coastal", "coastal"), ("pan", "pan"), ("cirrus", "cirrus")), scale=2e-5, offset=-0.1, nodata=0,
              within=LANDSAT),
        15, masks=(_QA_PIXEL, _QA_RADSAT), collections=("landsat-c2l1",),
        marks=(("landsat:correction", "L1TP"), ("landsat:correction", "L1GT")), sunlit=True,
    ),
    Sensor(
        "planetscope", "PlanetScope surface reflectance",
        _each((("blue", "blue"), ("green", "green"), ("red", "red"), ("nir", "nir")), scale=1e-4, nodata=0,
              within=REFLECTANCE), 3,
        masks=(Mask(("udm2", "ortho_udm2"), "uint8", values=(0,)),),  # its first band is 1 where the view is clear
        collections=("PSScene",),
    ),
    Sensor(
        "image", "Any other image from files, values as stored",
        _each(tuple((name, name) for name, *_ in _OLI)), 10,
    ),
    Sensor(
        "swissimage", "swisstopo's aerial images, eight bits a colour as published",
        tuple(Band(name, (r"swissimage-dop10_.*_2_2056\.tif", r"swissimage-dop10_.*\.tif", "image"), index=number)
              for number, name in enumerate(_RGB, 1)), 2,
        collections=("ch.swisstopo.swissimage-dop10",),
    ),
    Sensor(
        "sentinel-1-rtc", "Sentinel-1 gamma0, radiometrically terrain corrected",
        _each(_POLARISATIONS, nodata=-32768, within=POWER), 10, radar=True,
    ),
    Sensor(
        # 1 / sigmaNought of the product's lookup table, which is near 600 in mid-swath: sigma0 within about 1 dB
        "sentinel-1-grd", "Sentinel-1 ground range detected, sigma0 by the nominal calibration",
        _each(_POLARISATIONS, scale=1 / 600, nodata=0, within=POWER), 10,
        marks=(("sar:product_type", "GRD"), ("product:type", "GRD")), power=2, radar=True, tied=True,
    ),
    Sensor(
        "coherence", "Interferometric coherence of two radar passes, 0 to 1",
        (Band("coherence", ("coherence", "coh.*", "corr"), nodata=0, within=(0.0, 1.0)),), 40,
    ),
    Sensor(
        "cop-dem-glo-30", "Copernicus DEM, surface heights over EGM2008",
        _heights("data", "elevation", "DEM", nodata=-32767), 30, collections=("cop-dem-glo-30-dged-cog",),
    ),
    Sensor(
        "cop-dem-glo-90", "Copernicus DEM at 90 m, surface heights over EGM2008",
        _heights("data", "elevation", "DEM", nodata=-32767), 90, collections=("cop-dem-glo-90-dged-cog",),
    ),
    Sensor("nasadem", "NASADEM, heights of February 2000", _heights("elevation", "data", nodata=-32768), 30),
    Sensor("alos-dem", "ALOS World 3D 30 m, surface heights", _heights("data", "elevation", nodata=-9999), 30),
    Sensor(
        "arcticdem", "ArcticDEM mosaic, heights over the WGS 84 ellipsoid", _heights("dem", nodata=-9999), 10,
        collections=("arcticdem-mosaics-v4.1-10m", "arcticdem-mosaics-v4.1-2m", "arcticdem-mosaics-v4.1-32m",
                     "arcticdem-mosaics-v3.0-10m", "arcticdem-mosaics-v3.0-2m", "arcticdem-mosaics-v3.0-32m"),
    ),
    Sensor(
        "rema", "Reference Elevation Model of Antarctica, heights over the WGS 84 ellipsoid",
        _heights("dem", nodata=-9999), 10,
        collections=("rema-mosaics-v2.0-10m", "rema-mosaics-v2.0-2m", "rema-mosaics-v2.0-32m"),
    ),
    Sensor(
        "arcticdem-strips", "ArcticDEM strips, each of one date", _heights("dem", nodata=-9999), 2,
        collections=("arcticdem-strips-s2s041-2m",),
    ),
    Sensor(
        "rema-strips", "REMA strips, each of one date", _heights("dem", nodata=-9999), 2,
        collections=("rema-strips-s2s041-2m",),
    ),
    Sensor(
        "swissalti3d", "swissALTI3D, ground heights over LN02",
        _heights(r"swissalti3d_.*_2_2056_5728\.tif", r"swissalti3d_.*\.tif", "elevation", nodata=-9999), 2,
        collections=("ch.swisstopo.swissalti3d",),
    ),
    Sensor(
        "hugonnet-dh-dt", "Elevation change rate of Hugonnet et al. 2021, doi:10.1038/s41586-021-03436-z",
        _each((("dh_dt", "dhdt"), ("dh_dt_error", "dhdt_err")), nodata=-9999, units="m a-1", within=(-100.0, 100.0)),
        100,
    ),
    Sensor(
        # along the axes of the file's own grid, on maps whose north is not the grid's a vector turns with it
        "its-live-velocity", "ITS_LIVE surface velocity, Gardner et al., doi:10.5067/6II6VW8LLWJ7",
        _each((("velocity", "v"), ("velocity_x", "vx"), ("velocity_y", "vy")), nodata=-32767, units="m a-1",
              within=(-25000.0, 25000.0)), 120,
    ),
    Sensor(
        "ice-thickness", "Ice thickness, as of Farinotti et al. 2019, doi:10.1038/s41561-019-0300-3",
        (Band("thickness", ("thickness",), units="m", within=(0.0, 4900.0)),), 25,
    ),
    Sensor(
        "dem", "Any other elevation item, metres", _heights("elevation", "dem", "data", nodata=-9999), 30,
        collections=("dem-90m",),
    ),
)  # fmt: skip


def sensor_row(name: str) -> Sensor:
    """The row of a sensor's name or collection id; LookupError lists the names."""
    for row in SENSORS:
        if name == row.name or name in row.collections:
            return row
    raise LookupError(f"no sensor {name!r}: name one of {', '.join(row.name for row in SENSORS)}")


def sensor_of(item: pystac.Item) -> Sensor:
    """The sensor an item comes from, by its collection, or by its properties where that is none of ours.

    LookupError: of none.
    """
    for row in SENSORS:
        if item.collection_id in (row.name, *row.collections):
            return row
    for row in SENSORS:
        if any(item.properties.get(key) == value for key, value in row.marks):
            return row
    raise LookupError(
        f"item {item.id} (collection {item.collection_id}) is of no known sensor: "
        f"its collection should be one of {', '.join(row.name for row in SENSORS)}"
    )
