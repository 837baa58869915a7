"""What the literature works from, resource by resource: the row that has it here, or why there is none."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Resource:
    """Imagery, terrain, outlines, fronts or records that a published system or comparison uses."""

    name: str
    by: str = ""
    """The row that reads it: "sensor NAME", "inventory NAME", "dataset NAME" or "records FUNCTION"."""
    note: str = ""
    """What to know; where `by` is empty, why there is no row and what serves instead."""


_BY_HAND = (
    "no address that anybody may fetch and no hash: as a vector file with rgi_id and time, datasets.shapes reads it"
)
_OWN_FILES = "sold, or given on request; its files are read by files.items with bands="

RESOURCES = (
    Resource("Sentinel-2 Level 2A", "sensor sentinel-2-l2a"),
    Resource("Sentinel-2 Level 1C", "sensor sentinel-2-l1c"),
    Resource("Landsat 4-9 surface reflectance and temperature", "sensor landsat-c2-l2"),
    Resource("Landsat 8-9 top of atmosphere, pan and cirrus", "sensor landsat-c2-l1", "reflectance; not its radiances"),
    Resource("Sentinel-1 terrain corrected", "sensor sentinel-1-rtc", "IW only at Planetary Computer"),
    Resource("Sentinel-1 ground range", "sensor sentinel-1-grd", "IW and, at the poles, EW"),
    Resource("Interferometric coherence", "sensor coherence", "as ASF HyP3 delivers it: nobody serves it as STAC"),
    Resource("PlanetScope", "sensor planetscope", "sold; as Planet delivers its files"),
    Resource("Gaofen-6", "sensor image", _OWN_FILES),
    Resource("Pleiades images and DEM", "sensor image", _OWN_FILES + "; its DEM is sensor dem"),
    Resource("Corona", "sensor image", "panchromatic film, to be placed first; then files.items with bands="),
    Resource("TerraSAR-X", "", _OWN_FILES + " as sensor image, when it was made sigma0"),
    Resource("ERS, Envisat, RADARSAT-1, ALOS PALSAR", "", "as grey PNG in CaFFe alone, without a place on Earth"),
    Resource("Aerial images of swisstopo", "sensor swissimage"),
    Resource("Copernicus DEM, 30 m", "sensor cop-dem-glo-30"),
    Resource("Copernicus DEM, 90 m", "sensor cop-dem-glo-90"),
    Resource("NASADEM and SRTM", "sensor nasadem", "NASADEM is SRTM made again"),
    Resource("ALOS World 3D", "sensor alos-dem"),
    Resource("ArcticDEM mosaics", "sensor arcticdem"),
    Resource("ArcticDEM strips", "sensor arcticdem-strips"),
    Resource("REMA mosaics", "sensor rema"),
    Resource("REMA strips", "sensor rema-strips"),
    Resource("swissALTI3D", "sensor swissalti3d"),
    Resource("ASTER DEMs", "sensor dem", "as AST_L1A_003..._Z.tif"),
    Resource("TanDEM-X DEM and HMA DEM 8 m", "sensor dem", "behind a login; files with a date in the name"),
    Resource(
        "BedMachine", "", "netCDF behind a login: bed and surface to GeoTIFF with gdal_translate, then sensor dem"
    ),
    Resource("Elevation change of Hugonnet et al. 2021", "sensor hugonnet-dh-dt", "tiles from doi:10.6096/13"),
    Resource("ITS_LIVE velocity mosaics", "sensor its-live-velocity"),
    Resource("Ice thickness of Farinotti et al. 2019", "sensor ice-thickness"),
    Resource("Randolph Glacier Inventory 7.0", "inventory rgi7"),
    Resource("Randolph Glacier Inventory 6.0", "inventory rgi6"),
    Resource("GLIMS", "inventory glims"),
    Resource("GAMDAM", "inventory gamdam"),
    Resource("Swiss Glacier Inventory 2016", "inventory sgi2016"),
    Resource("Second Chinese Glacier Inventory", "dataset cgi2-debris", "five glaciers; whole, as an own file"),
    Resource("Alpine inventory 2015 of Paul et al. 2020", "", _BY_HAND),
    Resource("Supraglacial debris of Scherler et al. 2018 and of Herreid and Pellicciotti 2020", "", _BY_HAND),
    Resource("MEaSUREs termini of Greenland", "dataset measures-termini"),
    Resource("Fronts of Harald Moltke Brae", "dataset harald-moltke-brae"),
    Resource("FrontLearning scenes", "dataset frontlearning"),
    Resource("FrontLearning weights", "dataset frontlearning-weights"),
    Resource("TermPicks", "", _BY_HAND),
    Resource("CALFIN fronts and masks", "", _BY_HAND),
    Resource("AutoTerm traces", "", _BY_HAND),
    Resource("IceLines", "", _BY_HAND),
    Resource("Svalbard fronts of Li et al. 2024", "", _BY_HAND),
    Resource("CaFFe", "", "grey PNG without a place on Earth: the systems read them as patches, no map can be made"),
    Resource("Rock glaciers of the Tibetan Plateau (TPRoGI) and of West Kunlun", "", _BY_HAND),
    Resource(
        "GlaViTU tiles", "", "several hundred gigabytes of rasters on a grid of their own; as files, sensor image"
    ),
    Resource("DL4GAM patches", "", "netCDF of its own layout; its source scenes are here by sensor and inventory"),
    Resource(
        "Hindu Kush Himalaya tiles of Microsoft and ICIMOD", "", "NumPy arrays without a place; their labels: GLIMS"
    ),
    Resource("WGMS front variations", "records lengths"),
    Resource("WGMS mass balances", "records mass_balance"),
    Resource("GLAMOS length changes", "records lengths"),
    Resource("GLAMOS mass balances", "records mass_balance"),
    Resource("Lengths of Leclercq et al. 2014", "dataset leclercq-lengths"),
    Resource("Classified snow and ice pixels", "dataset snow-ice-points"),
    Resource("Svalbard outlines of 1936, 1990 and 2007", "dataset svalbard-1936-2007"),
    Resource("Debris of Liligo Glacier", "dataset liligo-debris"),
    Resource("NASA's Common Metadata Repository", "", "a STAC API by address; its files ask for an Earthdata login"),
    Resource("Google Earth Engine", "", "a commercial account, and pixels that leave it by export alone"),
)
"""In the order of imagery, terrain, change, inventories, fronts, rock glaciers, training sets, records, catalogues."""


def find(text: str) -> list[Resource]:
    """Resources whose name, row or note has all words of `text`; LookupError where none has.

    >>> [one.by for one in find("leclercq lengths")]
    ['dataset leclercq-lengths']
    """
    words = text.casefold().split()
    found = [one for one in RESOURCES if all(word in f"{one.name} {one.by} {one.note}".casefold() for word in words)]
    if not found:
        raise LookupError(f"no resource with {text!r}: resources.RESOURCES lists all {len(RESOURCES)}")
    return found
