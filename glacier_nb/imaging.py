"""The synthetic landscape as satellites would have delivered it: COGs, STAC items, and the truth beside them."""

import concurrent.futures
import dataclasses
import hashlib
import os
import pathlib

import numpy as np
import pyproj
import rasterio
import rasterio.control
import rasterio.warp
from scipy import ndimage
from tqdm.auto import tqdm

from glacier_nb import provenance, spectra, synthetic
from glacier_nb.relief import noise
from glacier_nb.synthetic import PIXEL, ZONES, Landscape

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
EXTENSION = "https://stac-extensions.github.io/{}/schema.json"


@dataclasses.dataclass(frozen=True)
class Band:
    """An asset that holds a band: its key, STAC common name, title, wavelengths (um) and pixel (m)."""

    key: str
    common: str
    title: str
    center: float
    width: float
    pixel: int
    name: str = ""


SENTINEL2 = (
    Band("B02", "blue", "Band 2 - Blue", 0.49, 0.098, 10),
    Band("B03", "green", "Band 3 - Green", 0.56, 0.045, 10),
    Band("B04", "red", "Band 4 - Red", 0.665, 0.038, 10),
    Band("B08", "nir", "Band 8 - NIR", 0.842, 0.145, 10),
    Band("B11", "swir16", "Band 11 - SWIR (1.6)", 1.61, 0.143, 20),
    Band("B12", "swir22", "Band 12 - SWIR (2.2)", 2.19, 0.242, 20),
)
LANDSAT = (
    Band("blue", "blue", "Blue Band", 0.48, 0.06, 30, "OLI_B2"),
    Band("green", "green", "Green Band", 0.56, 0.06, 30, "OLI_B3"),
    Band("red", "red", "Red Band", 0.65, 0.04, 30, "OLI_B4"),
    Band("nir08", "nir08", "Near Infrared Band 0.8", 0.87, 0.03, 30, "OLI_B5"),
    Band("swir16", "swir16", "Short-wave Infrared Band 1.6", 1.61, 0.09, 30, "OLI_B6"),
    Band("swir22", "swir22", "Short-wave Infrared Band 2.2", 2.2, 0.19, 30, "OLI_B7"),
)


@dataclasses.dataclass(frozen=True)
class Pass:
    """One overpass: collection, the landscape's date it shows, day, and the weather of that day.

    cover: share under cloud; cirrus: share under thin cloud; snow: m above which new snow lies (None: none).
    """

    collection: str
    date: int
    when: str
    platform: str = ""
    baseline: str = ""
    cover: float = 0.0
    cirrus: float = 0.0
    snow: float | None = None


# Three Sentinel-2 scenes about each date: before it with clouds, on it nearly clear, after it with new snow on two dates.
PASSES = (
    Pass("sentinel-2-l2a", 0, "2017-08-11T14:07:51", "S2A", "02.12", 0.35, 0.10),
    Pass("sentinel-2-l2a", 0, "2017-08-21T14:07:49", "S2A", "02.12", 0.04),
    Pass("sentinel-2-l2a", 0, "2017-09-02T14:17:51", "S2B", "02.12", 0.10),
    Pass("sentinel-2-l2a", 1, "2019-08-10T14:17:49", "S2A", "02.12", 0.25),
    Pass("sentinel-2-l2a", 1, "2019-08-22T14:07:51", "S2B", "02.12", 0.05, 0.04),
    Pass("sentinel-2-l2a", 1, "2019-09-04T14:17:51", "S2A", "02.12", 0.08, 0.0, 420.0),
    Pass("sentinel-2-l2a", 2, "2021-08-08T14:17:49", "S2B", "03.01", 0.30, 0.12),
    Pass("sentinel-2-l2a", 2, "2021-08-20T14:07:51", "S2A", "03.01", 0.03),
    Pass("sentinel-2-l2a", 2, "2021-08-31T14:17:51", "S2B", "03.01", 0.12),
    Pass("sentinel-2-l2a", 3, "2023-08-11T14:07:49", "S2A", "05.09", 0.20),
    Pass("sentinel-2-l2a", 3, "2023-08-23T14:17:51", "S2B", "05.09", 0.04),
    Pass("sentinel-2-l2a", 3, "2023-09-06T14:07:51", "S2A", "05.09", 0.07, 0.0, 300.0),
    Pass("sentinel-2-l2a", 4, "2025-08-09T14:17:51", "S2B", "05.11", 0.30, 0.10),
    Pass("sentinel-2-l2a", 4, "2025-08-21T14:07:49", "S2A", "05.11", 0.05),
    Pass("sentinel-2-l2a", 4, "2025-09-01T14:07:51", "S2B", "05.11", 0.10),
    Pass("landsat-c2-l2", 0, "2017-08-18T14:20:12", "LC08", cover=0.06),
    Pass("landsat-c2-l2", 1, "2019-08-24T14:20:31", "LC08", cover=0.04),
    Pass("landsat-c2-l2", 2, "2021-08-21T14:20:18", "LC08", cover=0.08),
    Pass("landsat-c2-l2", 3, "2023-08-19T14:20:25", "LC09", cover=0.05),
    Pass("landsat-c2-l2", 4, "2025-08-24T14:20:09", "LC09", cover=0.03),
    Pass("sentinel-1-rtc", 0, "2017-08-20T08:55:10", "S1A"),
    Pass("sentinel-1-rtc", 1, "2019-08-22T08:55:22", "S1A"),
    Pass("sentinel-1-rtc", 2, "2021-08-23T08:55:34", "S1A"),
    Pass("sentinel-1-rtc", 3, "2023-08-25T08:55:46", "S1A"),
    Pass("sentinel-1-rtc", 4, "2025-08-26T08:55:58", "S1A"),
    Pass("sentinel-1-grd", 0, "2017-08-24T20:12:41", "S1A"),
    Pass("sentinel-1-grd", 4, "2025-08-22T20:13:29", "S1A"),
    Pass("cop-dem-glo-30", 0, "2017-08-21T00:00:00"),
    Pass("cop-dem-glo-30", 4, "2025-08-21T00:00:00"),
)  # fmt: skip


def stored(
    path: pathlib.Path, arrays: np.ndarray, transform, crs, nodata=None, resampling="average", names=(), gcps=()
):
    """Write (band, y, x) as a Cloud Optimized GeoTIFF; the same bytes for the same pixels."""
    arrays = arrays if arrays.ndim == 3 else arrays[None]
    place = {} if gcps else {"crs": crs, "transform": transform}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="COG", width=arrays.shape[2], height=arrays.shape[1], count=arrays.shape[0],
        dtype=arrays.dtype, nodata=nodata, compress="ZSTD", level=9, predictor="YES", blocksize=512,
        overview_resampling=resampling, **place,
    ) as file:  # fmt: skip
        file.write(arrays)
        if gcps:
            file.gcps = (list(gcps), crs)
        for index, name in enumerate(names, 1):
            file.set_band_description(index, name)


def coarser(a: np.ndarray, step: int) -> np.ndarray:
    """Block means over step x step pixels of the last two dimensions, the edge repeated where it does not divide."""
    pad = [(0, 0)] * (a.ndim - 2) + [(0, -n % step) for n in a.shape[-2:]]
    a = np.pad(a, pad, mode="edge")
    return a.reshape(*a.shape[:-2], a.shape[-2] // step, step, a.shape[-1] // step, step).mean(axis=(-3, -1))


@dataclasses.dataclass(frozen=True)
class View:
    """What a pass sees: the ground's materials, snow share, light, clouds and their shadows, textures, sun."""

    material: np.ndarray
    snow: np.ndarray
    direct: np.ndarray
    cloud: np.ndarray
    shade: np.ndarray
    cirrus: np.ndarray
    fields: np.ndarray
    sun: tuple[float, float]


MATERIAL = np.array(
    [spectra.STONE, spectra.ICE, spectra.COVER, spectra.SEA, spectra.BRASH, spectra.TARN, spectra.STONE], "uint8"
)  # of each of ZONES


def view(land: Landscape, flight: Pass, rng: np.random.Generator, ground: np.ndarray) -> View:
    """The landscape at the pass's date under its sun and weather. ground (2, y, x): unit noise that stays."""
    zone, surface = land.zones.values[flight.date], land.surface.values[flight.date].astype("float64")
    size = zone.shape[0]
    azimuth, elevation = spectra.sun(*middle(land), np.datetime64(flight.when))
    smooth = ndimage.gaussian_filter(surface, 3.0)
    slope = np.hypot(*np.gradient(smooth, PIXEL))
    material = MATERIAL[zone]
    meadow = (zone == 0) & (surface < 230.0 + 70.0 * ground[1]) & (slope < 0.45) & (surface > 3.0)
    material = np.where(meadow, spectra.TUNDRA, material)
    line = float(land.snowline[flight.date]) + 60.0 * ground[0] + 120.0 * (slope - 0.15)
    snow = np.where(zone == 1, np.clip((surface - line) / 90.0 + 0.5, 0.0, 1.0), 0.0)
    if flight.snow is not None:
        fresh = np.clip((surface - flight.snow - 90.0 * ground[1]) / 120.0, 0.0, 1.0) * np.clip(1.6 - slope, 0.0, 1.0)
        snow = np.where(np.isin(zone, (0, 1, 2, 6)), np.maximum(snow, 0.9 * fresh), snow)
    sky = noise(rng, 1.1, 0.3 * size * PIXEL, size)
    cloud, shade = spectra.clouds(sky, flight.cover, PIXEL, azimuth, elevation)
    cirrus, _ = spectra.clouds(noise(rng, 1.6, 0.5 * size * PIXEL, size), flight.cirrus, PIXEL, azimuth, elevation)
    direct = spectra.light(surface, PIXEL, azimuth, elevation) * (1.0 - 0.85 * shade)
    return View(material, snow, direct, cloud, shade, 0.3 * cirrus, ground, (azimuth, elevation))


def middle(land: Landscape) -> tuple[float, float]:
    """Longitude and latitude of the landscape's centre."""
    box = land.geobox.extent.to_crs("EPSG:4326").boundingbox
    return (box.left + box.right) / 2.0, (box.bottom + box.top) / 2.0


def toa(seen: View, sensor: str, rng: np.random.Generator) -> np.ndarray:
    """Reflectance (band, y, x) with clouds over it, blurred by the optics, before the sensor's noise."""
    made = spectra.reflectance(seen.material, seen.snow, seen.fields, seen.direct, sensor)
    veil = np.maximum(seen.cloud, seen.cirrus)
    for b in range(len(made)):
        bright = spectra.CLOUD[b] * (0.8 + 0.2 * seen.cloud)
        made[b] = ndimage.gaussian_filter(made[b] + veil * (bright - made[b]), 0.6)
    return made


def sentinel2(
    land: Landscape, flight: Pass, rng: np.random.Generator, ground: np.ndarray, folder: pathlib.Path
) -> dict:
    """Write one Sentinel-2 L2A scene; its item."""
    seen = view(land, flight, rng, ground)
    made = toa(seen, "sentinel2", rng)
    day = flight.when.replace("-", "").replace(":", "")
    orbit = "R067" if "14:07" in flight.when else "R110"
    identifier = f"{flight.platform}_MSIL2A_{day}_{orbit}_T24WWU_{day[:8]}T{int(day[9:]) + 40000:06d}"
    shift = 1000.0 if flight.baseline >= "04.00" else 0.0
    assets = {}
    for b, band in enumerate(SENTINEL2):
        level = coarser(made[b], band.pixel // 10)
        level = level * (1.0 + 0.004 * rng.standard_normal(level.shape)) + 0.0006 * rng.standard_normal(level.shape)
        number = np.clip(np.round(level * 10_000.0 + shift), 1, 65_535).astype("uint16")
        name = f"{identifier}_{band.key}_{band.pixel}m.tif"
        stored(folder / name, number, *grid(land, band.pixel), nodata=0)
        common = {"name": band.key, "common_name": band.common, "description": band.title}
        eo = {"eo:bands": [{**common, "center_wavelength": band.center, "full_width_half_max": band.width}]}
        assets[band.key] = {**asset(name, f"{band.title} - {band.pixel}m"), **placed(land, band.pixel), **eo}
    classes = scl(land, flight, seen)
    name = f"{identifier}_SCL_20m.tif"
    stored(folder / name, classes, *grid(land, 20), nodata=0, resampling="nearest")
    assets["SCL"] = {**asset(name, "Scene classfication map (SCL)"), **placed(land, 20)}
    share = {i: round(100.0 * float((classes == i).mean()), 6) for i in range(12)}
    product = f"N{flight.baseline.replace('.', '')}"
    properties = {
        "datetime": f"{flight.when}.024000Z", "platform": f"Sentinel-{flight.platform[1:]}",
        "proj:epsg": land.geobox.crs.to_epsg(), "instruments": ["msi"], "s2:mgrs_tile": "24WWU",
        "constellation": "Sentinel 2", "eo:cloud_cover": round(share[8] + share[9] + share[10], 6),
        "s2:product_uri": identifier.replace("_MSIL2A_" + day, f"_MSIL2A_{day}_{product}") + ".SAFE",
        "s2:product_type": "S2MSI2A", "sat:orbit_state": "descending", "s2:datatake_type": "INS-NOBS",
        "s2:generation_time": f"{flight.when}.865Z", "sat:relative_orbit": int(orbit[1:]),
        "s2:water_percentage": share[6], "s2:mean_solar_zenith": 90.0 - seen.sun[1], "s2:mean_solar_azimuth": seen.sun[0],
        "s2:processing_baseline": flight.baseline, "s2:snow_ice_percentage": share[11],
        "s2:vegetation_percentage": share[4], "s2:thin_cirrus_percentage": share[10],
        "s2:cloud_shadow_percentage": share[3], "s2:nodata_pixel_percentage": share[0],
        "s2:unclassified_percentage": share[7], "s2:dark_features_percentage": share[2],
        "s2:not_vegetated_percentage": share[5], "s2:degraded_msi_data_percentage": 0.0,
        "s2:high_proba_clouds_percentage": share[9], "s2:medium_proba_clouds_percentage": share[8],
        "s2:saturated_defective_pixel_percentage": share[1],
    }  # fmt: skip
    return item(land, identifier, flight, properties, assets, ("eo/v1.0.0", "sat/v1.0.0", "projection/v1.0.0"))


def scl(land: Landscape, flight: Pass, seen: View) -> np.ndarray:
    """Scene classification at 20 m: cloud (8, 9), cirrus (10), its shadow (3), cast shadow (2), vegetation (4), bare
    (5), water (6), snow and ice (11)."""
    half = {name: coarser(getattr(seen, name), 2) for name in ("cloud", "shade", "cirrus", "direct", "snow")}
    material = seen.material[::2, ::2]
    bright = np.isin(material, (spectra.ICE, spectra.BRASH)) | (half["snow"] > 0.4)
    classes = np.select(
        [half["cloud"] > 0.4, half["cloud"] > 0.06, half["cirrus"] > 0.03, half["shade"] > 0.12, bright,
         np.isin(material, (spectra.SEA, spectra.TARN)), half["direct"] < 0.25, material == spectra.TUNDRA],
        [9, 8, 10, 3, 11, 6, 2, 4], 5,
    )  # fmt: skip
    return classes.astype("uint8")


def landsat(land: Landscape, flight: Pass, rng: np.random.Generator, ground: np.ndarray, folder: pathlib.Path) -> dict:
    """Write one Landsat Collection 2 Level 2 scene; its item."""
    seen = view(land, flight, rng, ground)
    made = toa(seen, "landsat", rng)
    day = flight.when[:10].replace("-", "")
    identifier = f"{flight.platform}_L2SP_231014_{day}_02_T1"
    assets = {}
    for b, band in enumerate(LANDSAT):
        level = coarser(made[b], 3)
        level = level * (1.0 + 0.006 * rng.standard_normal(level.shape)) + 0.001 * rng.standard_normal(level.shape)
        number = np.clip(np.round((level + 0.2) / 2.75e-5), 1, 65_535).astype("uint16")
        name = f"{identifier}_SR_{band.name[4:]}.TIF"
        stored(folder / name, number, *grid(land, 30), nodata=0)
        eo = {"name": band.name, "common_name": band.common, "center_wavelength": band.center}
        raster = {"scale": 2.75e-5, "nodata": 0, "offset": -0.2, "data_type": "uint16", "spatial_resolution": 30}
        assets[band.key] = {
            **asset(name, band.title, ["data", "reflectance"]),
            "eo:bands": [{**eo, "full_width_half_max": band.width}], "raster:bands": [raster],
        }  # fmt: skip
    zone = land.zones.values[flight.date]
    kelvin = np.array([row.kelvin for row in spectra.SURFACES])[seen.material] + seen.snow * 0.0
    dry = np.isin(seen.material, (spectra.STONE, spectra.TUNDRA, spectra.COVER))
    height = land.surface.values[flight.date]
    warm = np.where(dry, 7.0 * (seen.direct - 0.8) * np.where(zone == 2, 0.5, 1.0) - 0.005 * (height - 300.0), 0.0)
    kelvin = np.where(seen.snow > 0.4, 274.0, kelvin + warm + 0.6 * ground[1] * dry)
    kelvin = kelvin + np.maximum(seen.cloud, seen.cirrus) * (258.0 - kelvin)
    kelvin = coarser(ndimage.gaussian_filter(kelvin, 4.0), 3)
    kelvin = kelvin + 0.25 * rng.standard_normal(kelvin.shape)
    name = f"{identifier}_ST_B10.TIF"
    stored(folder / name, np.round((kelvin - 149.0) / 0.00341802).astype("uint16"), *grid(land, 30), nodata=0)
    assets["lwir11"] = {
        **asset(name, "Surface Temperature Band", ["data", "temperature"]), "gsd": 100,
        "eo:bands": [{"name": "TIRS_B10", "common_name": "lwir11", "center_wavelength": 10.9, "full_width_half_max": 0.59}],
        "raster:bands": [{"unit": "kelvin", "scale": 0.00341802, "nodata": 0, "offset": 149.0, "data_type": "uint16",
                          "spatial_resolution": 30}],
    }  # fmt: skip
    quality = qa_pixel(seen)
    for key, number, title, role in (
        ("qa_pixel", quality, "Pixel Quality Assessment Band", "cloud"),
        (
            "qa_radsat",
            np.zeros_like(quality),
            "Radiometric Saturation and Terrain Occlusion Quality Assessment Band",
            "saturation",
        ),
    ):
        name = f"{identifier}_{key.upper()}.TIF"
        stored(folder / name, number, *grid(land, 30), nodata=1 if key == "qa_pixel" else None, resampling="nearest")
        assets[key] = {**asset(name, title, [role]), "raster:bands": [{"unit": "bit index", "data_type": "uint16"}]}
    cover = round(100.0 * float((quality & 8 > 0).mean()), 2)
    properties = {
        "gsd": 30, "sci:doi": "10.5066/P9OGBGM6", "datetime": f"{flight.when}.935246Z",
        "platform": f"landsat-{int(flight.platform[2:])}", **placed(land, 30, bounds=False),
        "proj:epsg": land.geobox.crs.to_epsg(), "description": "Landsat Collection 2 Level-2",
        "instruments": ["oli", "tirs"], "eo:cloud_cover": cover, "view:off_nadir": 0, "landsat:wrs_row": "014",
        "landsat:wrs_path": "231", "landsat:wrs_type": "2", "view:sun_azimuth": seen.sun[0],
        "landsat:scene_id": f"{flight.platform.replace('0', '')}2310142{day[2:4]}000LGN00", "landsat:correction": "L2SP",
        "view:sun_elevation": seen.sun[1], "landsat:cloud_cover_land": cover, "landsat:collection_number": "02",
        "landsat:collection_category": "T1",
    }  # fmt: skip
    extensions = (
        "raster/v1.1.0",
        "eo/v1.0.0",
        "view/v1.0.0",
        "projection/v1.1.0",
        "classification/v1.0.0",
        "scientific/v1.0.0",
    )
    return item(land, identifier, flight, properties, assets, extensions)


def qa_pixel(seen: View) -> np.ndarray:
    """QA_PIXEL bits at 30 m, USGS LSDS-1619 table 6-3: the values that the archive holds for each state."""
    third = {name: coarser(getattr(seen, name), 3) for name in ("cloud", "shade", "cirrus", "snow")}
    material = np.pad(seen.material, [(0, -n % 3) for n in seen.material.shape], mode="edge")[1::3, 1::3]
    cloud = third["cloud"] > 0.15
    near = ndimage.binary_dilation(cloud | (third["cloud"] > 0.03), iterations=2) & ~cloud
    bright = np.isin(material, (spectra.ICE, spectra.BRASH)) | (third["snow"] > 0.4)
    water = np.isin(material, (spectra.SEA, spectra.TARN))
    return np.select(
        [cloud, near, third["cirrus"] > 0.05, third["shade"] > 0.12, bright, water],
        [22280, 21762, 54596, 23888, 30048, 21952], 21824,
    ).astype("uint16")  # fmt: skip


def backscatter(land: Landscape, flight: Pass, rng: np.random.Generator, ground: np.ndarray, column: int) -> np.ndarray:
    """Mean linear backscatter (y, x) of one polarisation: the ground's, rougher where it faces the radar (west)."""
    zone, surface = land.zones.values[flight.date], land.surface.values[flight.date].astype("float64")
    material = MATERIAL[zone]
    wet = (zone == 1) & (surface > float(land.snowline[flight.date]) + 60.0 * ground[0])
    material = np.where(wet, spectra.SNOW, material)
    decibel = np.array([row.decibel[column] for row in spectra.SURFACES])[material]
    facing = np.clip(np.gradient(ndimage.gaussian_filter(surface, 1.0), PIXEL, axis=1), -1.0, 1.0)
    land_only = np.isin(zone, (0, 1, 2, 6))
    return 10.0 ** ((decibel + 0.7 * ground[1] + (1.5 * facing + 0.6 * ground[0]) * land_only) / 10.0)


def speckle(rng: np.random.Generator, mean: np.ndarray, looks: float) -> np.ndarray:
    """`mean` under gamma-distributed speckle of `looks` equivalent looks, 8 bits of it kept so that it packs well."""
    seen = (mean * rng.gamma(looks, 1.0 / looks, mean.shape)).astype("float32")
    return ((seen.view("uint32") + np.uint32(1 << 14)) & np.uint32(0xFFFF8000)).view("float32")


def radar(identifier: str, flight: Pass, mode: str, looks: float, pixel: int, polarisations: list[str]) -> dict:
    """Properties that Sentinel-1 GRD and RTC items share."""
    end = str(np.datetime64(flight.when) + np.timedelta64(25, "s")).replace("T", " ")
    return {
        "datetime": f"{flight.when}.696652Z", "platform": "SENTINEL-1A", "constellation": "Sentinel-1",
        "start_datetime": f"{flight.when.replace('T', ' ')}+00:00", "end_datetime": f"{end}+00:00",
        "s1:resolution": "high" if mode == "IW" else "medium", "s1:orbit_source": "RESORB", "s1:processing_level": "1",
        "s1:product_timeliness": "Fast-24h", "s1:instrument_configuration_ID": "7",
        "sat:orbit_state": "descending" if mode == "IW" else "ascending", "sat:absolute_orbit": int(identifier[49:55]),
        "sat:relative_orbit": 83 if mode == "IW" else 31, "sar:product_type": "GRD", "sar:frequency_band": "C",
        "sar:instrument_mode": mode, "sar:polarizations": polarisations, "sar:center_frequency": 5.405,
        "sar:looks_range": 5 if mode == "IW" else 6, "sar:looks_azimuth": 1 if mode == "IW" else 2,
        "sar:resolution_range": 20 if mode == "IW" else 93, "sar:resolution_azimuth": 22 if mode == "IW" else 87,
        "sar:pixel_spacing_range": pixel, "sar:pixel_spacing_azimuth": pixel, "sar:observation_direction": "right",
        "sar:looks_equivalent_number": looks, "sat:platform_international_designator": "2014-016A",
    }  # fmt: skip


def radar_name(flight: Pass, product: str) -> str:
    """The identifier of a Sentinel-1 product: acquisition, orbit and datatake."""
    start = np.datetime64(flight.when)
    first, last = (str(t).replace("-", "").replace(":", "") for t in (start, start + np.timedelta64(25, "s")))
    days = int((start - np.datetime64("2014-04-03T00:00:00")) / np.timedelta64(1, "D"))
    return f"S1A_{product}_{first}_{last}_{days * 175 // 12:06d}_{days * 73 % 0xFFFFFF:06X}"


def sentinel1_rtc(
    land: Landscape, flight: Pass, rng: np.random.Generator, ground: np.ndarray, folder: pathlib.Path
) -> dict:
    """Write one Sentinel-1 radiometrically terrain corrected scene (gamma0, linear); its item."""
    base = radar_name(flight, "IW_GRDH_1SDV")
    identifier, assets = f"{base}_rtc", {}
    for column, key in enumerate(("vv", "vh")):
        seen = speckle(rng, backscatter(land, flight, rng, ground, column), 4.4)
        name = f"{identifier}_iw-{key}.rtc.tiff"
        stored(folder / name, seen, *grid(land, 10), nodata=-32768)
        raster = {"nodata": -32768, "data_type": "float32", "spatial_resolution": 10.0}
        title = f"{key.upper()}: vertical transmit, {'vertical' if key == 'vv' else 'horizontal'} receive"
        assets[key] = {**asset(name, title), "raster:bands": [raster]}
    properties = {
        **radar(base, flight, "IW", 4.4, 10, ["VV", "VH"]), **placed(land, 10),
        "proj:epsg": land.geobox.crs.to_epsg(), "s1:shape": list(land.geobox.shape[::-1]),
    }  # fmt: skip
    extensions = ("sar/v1.0.0", "sat/v1.0.0", "projection/v1.1.0", "raster/v1.1.0")
    return item(land, identifier, flight, properties, assets, extensions)


def sentinel1_grd(
    land: Landscape, flight: Pass, rng: np.random.Generator, ground: np.ndarray, folder: pathlib.Path
) -> dict:
    """Write one Sentinel-1 extra-wide GRD scene: amplitudes (600 times the root of sigma0), placed by ground control
    points, as the archive has it; its item."""
    identifier, assets = radar_name(flight, "EW_GRDM_1SDH"), {}
    transform, crs = grid(land, 40)
    to_lonlat = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    size = -(-land.geobox.shape[0] // 4)
    points = []
    for row in np.linspace(0, size, 9):
        for column in np.linspace(0, size, 9):
            longitude, latitude = to_lonlat.transform(*(transform * (column, row)))
            points.append(rasterio.control.GroundControlPoint(row, column, longitude, latitude, 0.0))
    for column, key in ((2, "hh"), (3, "hv")):
        mean = coarser(backscatter(land, flight, rng, ground, column), 4)
        number = np.clip(np.round(600.0 * np.sqrt(speckle(rng, mean, 10.7))), 1, 65_535).astype("uint16")
        name = f"{identifier}_ew-{key}.tiff"
        stored(folder / name, number, None, rasterio.CRS.from_epsg(4326), nodata=0, gcps=points)
        receive = "horizontal" if key == "hh" else "vertical"
        eo = {"name": key.upper(), "description": f"{key.upper()} band: horizontal transmit and {receive} receive"}
        assets[key] = {**asset(name, key.upper()), "eo:bands": [eo]}
    properties = {**radar(identifier, flight, "EW", 10.7, 40, ["HH", "HV"]), "s1:shape": [size, size]}
    return item(land, identifier, flight, properties, assets, ("sar/v1.0.0", "sat/v1.0.0", "eo/v1.0.0"))


def elevation(
    land: Landscape, flight: Pass, rng: np.random.Generator, ground: np.ndarray, folder: pathlib.Path
) -> dict:
    """Write a Copernicus-like DEM of the pass's date (1 by 2 arc seconds, 1 m of noise); its item."""
    box = land.geobox.extent.to_crs("EPSG:4326").boundingbox
    dx, dy = 2 / 3600, 1 / 3600
    left, top = np.floor(box.left / dx - 1) * dx, np.ceil(box.top / dy + 1) * dy
    shape = int(np.ceil((top - box.bottom) / dy + 1)), int(np.ceil((box.right - left) / dx + 1))
    transform = rasterio.Affine(dx, 0.0, left, 0.0, -dy, top)
    edge = 80  # the map's corners turn out of a rectangle of longitude and latitude
    source = np.pad(land.surface.values[flight.date], edge, mode="edge")
    made = np.zeros(shape, "float32")
    rasterio.warp.reproject(
        source, made, src_transform=land.geobox.affine * rasterio.Affine.translation(-edge, -edge),
        src_crs=str(land.geobox.crs), dst_transform=transform, dst_crs="EPSG:4326",
        resampling=rasterio.warp.Resampling.average, num_threads=1,
    )  # fmt: skip
    long = ndimage.gaussian_filter(rng.standard_normal(shape), 2.0) * 2.0 * np.sqrt(np.pi) * 2.0
    made = made + np.where(made != 0.0, 0.7 * rng.standard_normal(shape) + 0.7 * long, 0.0).astype("float32")
    identifier = f"Copernicus_DSM_COG_10_N66_00_W039_00_DEM{'' if flight.date == 0 else '_' + flight.when[:4]}"
    name = f"{identifier}.tif"
    stored(folder / name, np.round(made * 64.0).astype("float32") / 64.0, transform, "EPSG:4326")
    properties = {
        "gsd": 30, "datetime": f"{flight.when}Z", "platform": "TanDEM-X", "proj:epsg": 4326,
        "proj:shape": list(shape), "proj:transform": list(transform)[:6],
    }  # fmt: skip
    return item(land, identifier, flight, properties, {"data": asset(name, "N66_00_W039_00")}, ("projection/v1.0.0",))


MAKERS = {
    "sentinel-2-l2a": sentinel2,
    "landsat-c2-l2": landsat,
    "sentinel-1-rtc": sentinel1_rtc,
    "sentinel-1-grd": sentinel1_grd,
    "cop-dem-glo-30": elevation,
}


def asset(name: str, title: str, roles: list[str] | None = None) -> dict:
    """A STAC asset whose file lies in the region's `data` folder, seen from an item's."""
    return {"href": f"../../data/{name}", "type": COG, "roles": roles or ["data"], "title": title}


def grid(land: Landscape, pixel: int) -> tuple[rasterio.Affine, str]:
    """Transform and CRS of the landscape's area in pixels of `pixel` metres."""
    a = land.geobox.affine
    return rasterio.Affine(pixel, 0.0, a.c, 0.0, -pixel, a.f), str(land.geobox.crs)


def placed(land: Landscape, pixel: int, bounds: bool = True) -> dict:
    """proj:shape, proj:transform (and proj:bbox) of a band."""
    transform, _ = grid(land, pixel)
    size = -(-int(land.geobox.shape[0] * PIXEL) // pixel)
    box = [transform.c, transform.f - size * pixel, transform.c + size * pixel, transform.f]
    place = {"proj:shape": [size, size], "proj:transform": list(transform)[:6]}
    return {**({"proj:bbox": box} if bounds else {}), **place}


def item(land: Landscape, identifier: str, flight: Pass, properties: dict, assets: dict, extensions: tuple) -> dict:
    """A STAC item of the landscape's area."""
    outline = land.geobox.extent.to_crs("EPSG:4326")
    ring = [[round(x, 8), round(y, 8)] for x, y in outline.exterior.points]
    x, y = np.array(ring).T
    parent = f"../../collections/{flight.collection}.json"
    return {
        "type": "Feature", "stac_version": "1.0.0", "stac_extensions": [EXTENSION.format(e) for e in extensions],
        "id": identifier, "collection": flight.collection, "bbox": [x.min(), y.min(), x.max(), y.max()],
        "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": properties, "assets": assets,
        "links": [{"rel": rel, "type": "application/json", "href": parent} for rel in ("collection", "parent")],
    }  # fmt: skip


def collection(name: str, items: list[dict]) -> dict:
    """The STAC collection of `items`."""
    times = sorted(i["properties"]["datetime"] for i in items)
    return {
        "type": "Collection", "stac_version": "1.0.0", "id": name, "title": f"{name} (synthetic landscape)",
        "description": "Images of a landscape that does not exist, in the form of the real collection.",
        "license": "Apache-2.0", "keywords": ["synthetic"], "links": [],
        "extent": {"spatial": {"bbox": [items[0]["bbox"]]}, "temporal": {"interval": [[times[0], times[-1]]]}},
    }  # fmt: skip


def truth(land: Landscape, folder: pathlib.Path) -> None:
    """Write what is known: tables as GeoParquet, zones, surface and elevation change as COGs, volumes as JSON."""
    folder.mkdir(parents=True)
    for name in ("outlines", "divides", "fronts", "centrelines", "boxes"):
        getattr(land, name).to_parquet(folder / f"{name}.parquet")
    dates = [str(t)[:10] for t in land.zones.time.values]
    surface = np.round(land.surface.values * 64.0) / 64.0
    stored(folder / "zones.tif", land.zones.values, *grid(land, 10), resampling="nearest", names=dates)
    stored(folder / "surface.tif", surface, *grid(land, 10), names=dates)
    change = (surface[-1] - surface[0]) / np.float32(synthetic.SPAN)
    stored(folder / "dh_dt.tif", change, *grid(land, 10), names=["dh_dt"])
    rows = land.budget.assign(time=dates).to_dict("records")
    facts = {"unit": "m3", "flow_grid_m": 80, "dates": rows, **land.budget.attrs, "zones": ZONES}
    provenance.write(folder / "ice_volume.json", facts)


def write(folder: str | os.PathLike, seed: int, size: int = synthetic.SIDE, progress: bool = True) -> pathlib.Path:
    """Make the region of `seed` in `folder`, whole or not at all; returns the folder.

    region.json; collections/<id>.json; items/<collection>/<id>.json with relative hrefs; data/*.tif (COG);
    truth/*. `size` in pixels of 10 m: 1024 is the whole landscape, less is a window about the calving front.
    The same seed and size give the same bytes.
    """
    land = synthetic.landscape(seed, size)
    with provenance.whole(folder) as path:
        path.mkdir()
        ground = textures(land)

        def take(number: int) -> dict:
            flight = PASSES[number]
            rng = np.random.default_rng([seed, 1, number])
            made = MAKERS[flight.collection](land, flight, rng, ground, path / "data")
            provenance.write(path / "items" / flight.collection / f"{made['id']}.json", made)
            return made

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            made = list(
                tqdm(pool.map(take, range(len(PASSES))), total=len(PASSES), desc="images", disable=not progress)
            )
        for name in MAKERS:
            group = [i for i in made if i["collection"] == name]
            provenance.write(path / "collections" / f"{name}.json", collection(name, group))
        truth(land, path / "truth")
        provenance.write(path / "region.json", {
            "name": f"synthetic-{seed}", "seed": seed, "size": size, "bbox": made[0]["bbox"], "crs": str(land.geobox.crs),
            "years": [int(str(t)[:4]) for t in synthetic.DATES], "dates": [str(t)[:10] for t in synthetic.DATES],
            "sha": digest(path),
        })  # fmt: skip
    return pathlib.Path(folder)


def textures(land: Landscape) -> np.ndarray:
    """Unit noise (2, y, x) float32 that stays on the ground from date to date: one drawn out down the slope, one not."""
    size = land.geobox.shape[0]
    rng = np.random.default_rng([land.seed, 0])
    blotches, grain, broad = (
        noise(rng, hurst, longest, size) for hurst, longest in ((0.5, 500.0), (0.4, 80.0), (0.9, 1500.0))
    )
    surface = ndimage.gaussian_filter(land.surface.values[0].astype("float64"), 4.0)
    lines = spectra.streaks(surface, grain.astype("float32"), 30)
    lines = lines / lines.std()
    drawn = np.array([0.3, 0.75, 0.6, 0.0, 0.0, 0.0, 0.3])[land.zones.values[0]]  # by zone: ice shows its flow most
    first = 0.6 * blotches + drawn * lines + 0.5 * broad
    return np.array([first / first.std(), 0.6 * blotches + 0.8 * broad], "float32")


def digest(folder: pathlib.Path) -> str:
    """sha256 over the names and bytes of every file under `folder`."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(path.relative_to(folder).as_posix().encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
