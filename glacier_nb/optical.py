"""Sentinel-2 and Landsat over a synthetic landscape: what each pass saw, in its archive's numbers.

Without a source, plain or ours: `view`, `textures`, `looked`, `states`, `temperature`.
"""

import dataclasses

import numpy as np
from scipy import ndimage

from glacier_nb import spectra, truth
from glacier_nb.overpass import Layer, Pass, Picture, asset, coarser, grid, placed
from glacier_nb.relief import PIXEL, noise
from glacier_nb.truth import Landscape


@dataclasses.dataclass(frozen=True)
class Band:
    """A band of reflectance: asset key, STAC common name, title, wavelengths (um), pixel (m), name in its file."""

    key: str
    common: str
    title: str
    center: float
    width: float
    pixel: int
    name: str


SENTINEL2 = (
    Band("B02", "blue", "Band 2 - Blue", 0.49, 0.098, 10, "B02"),
    Band("B03", "green", "Band 3 - Green", 0.56, 0.045, 10, "B03"),
    Band("B04", "red", "Band 4 - Red", 0.665, 0.038, 10, "B04"),
    Band("B08", "nir", "Band 8 - NIR", 0.842, 0.145, 10, "B08"),
    Band("B11", "swir16", "Band 11 - SWIR (1.6)", 1.61, 0.143, 20, "B11"),
    Band("B12", "swir22", "Band 12 - SWIR (2.2)", 2.19, 0.242, 20, "B12"),
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
class View:
    """What a pass sees, each (y, x): material (row of spectra.SURFACES), share under snow, direct light, opacity of
    cloud, of its shadow and of cirrus, fields (2, y, x) of unit noise; and the sun's azimuth and elevation."""

    material: np.ndarray
    snow: np.ndarray
    direct: np.ndarray
    cloud: np.ndarray
    shade: np.ndarray
    cirrus: np.ndarray
    fields: np.ndarray
    sun: tuple[float, float]


def view(land: Landscape, flight: Pass, rng: np.random.Generator, fields: np.ndarray) -> View:
    """The landscape at the pass's date, under its sun and weather; `fields` as `textures` makes them."""
    zone, surface = land.zones.values[flight.date], land.surface.values[flight.date].astype("float64")
    size = zone.shape[0]
    azimuth, elevation = spectra.sun(*land.middle, np.datetime64(flight.when))
    slope = np.hypot(*np.gradient(ndimage.gaussian_filter(surface, 3.0), PIXEL))
    meadow = (zone == truth.ROCK) & (surface > 3.0) & (surface < 230.0 + 70.0 * fields[1]) & (slope < 0.45)
    line = float(land.snowline[flight.date]) + 60.0 * fields[0] + 120.0 * (slope - 0.15)
    snow = np.where(zone == truth.GLACIER, np.clip((surface - line) / 90.0 + 0.5, 0.0, 1.0), 0.0)
    if flight.snow is not None:
        fresh = np.clip((surface - flight.snow - 90.0 * fields[1]) / 120.0, 0.0, 1.0) * np.clip(1.6 - slope, 0.0, 1.0)
        solid = np.isin(zone, (truth.ROCK, truth.GLACIER, truth.DEBRIS, truth.ROCK_GLACIER))
        snow = np.where(solid, np.maximum(snow, 0.9 * fresh), snow)
    skies = [noise(rng, hurst, share * size * PIXEL, size) for hurst, share in ((1.1, 0.3), (1.6, 0.5))]
    cloud, shade = spectra.clouds(skies[0], flight.cover, PIXEL, azimuth, elevation)
    cirrus, _ = spectra.clouds(skies[1], flight.cirrus, PIXEL, azimuth, elevation)
    direct = spectra.light(surface, PIXEL, azimuth, elevation) * (1.0 - 0.85 * shade)
    material = np.where(meadow, spectra.TUNDRA, spectra.OF_ZONE[zone])
    floes = np.array([noise(rng, -0.2, 60.0, size), np.zeros_like(slope)], "float32")
    fields = np.where(zone == truth.MELANGE, floes, fields)  # brash ice drifts: no two passes see the same
    return View(material, snow, direct, cloud, shade, 0.3 * cirrus, fields, (azimuth, elevation))


def textures(land: Landscape) -> np.ndarray:
    """Unit noise (2, y, x) float32 that stays on the ground from date to date: the first is drawn out down the slope,
    most on the ice, whose flow it shows."""
    size = land.geobox.shape[0]
    rng = np.random.default_rng([land.seed, 0])
    kinds = ((0.5, 500.0), (0.4, 80.0), (0.9, 1500.0))
    blotches, grain, broad = (noise(rng, hurst, longest, size) for hurst, longest in kinds)
    surface = ndimage.gaussian_filter(land.surface.values[0].astype("float64"), 4.0)
    lines = spectra.streaks(surface, grain.astype("float32"), 30)
    drawn = np.array([0.3, 0.75, 0.6, 0.0, 0.0, 0.0, 0.3])[land.zones.values[0]]
    first = 0.6 * blotches + drawn * lines / lines.std() + 0.5 * broad
    return np.array([first / first.std(), 0.6 * blotches + 0.8 * broad], "float32")


def looked(seen: View, sensor: str, rng: np.random.Generator, bands: tuple[Band, ...]) -> list[np.ndarray]:
    """Reflectance of each band on its own grid, with clouds, the optics' blur and the sensor's noise."""
    made = spectra.reflectance(seen.material, seen.snow, seen.fields, seen.direct, sensor)
    veil = np.maximum(seen.cloud, seen.cirrus)
    out = []
    for b, band in enumerate(bands):
        bright = spectra.CLOUD[b] * (0.8 + 0.2 * seen.cloud)
        level = coarser(ndimage.gaussian_filter(made[b] + veil * (bright - made[b]), 0.6), band.pixel // 10)
        relative, absolute = rng.standard_normal((2, *level.shape), "float32")
        out.append(level * (1.0 + 0.004 * relative) + 0.0006 * absolute)
    return out


def describe(band: Band, **more) -> dict:
    """The eo:bands entry of a band: STAC's EO extension, v1."""
    wave = {"center_wavelength": band.center, "full_width_half_max": band.width}
    return {"eo:bands": [{"name": band.name, "common_name": band.common, **wave, **more}]}


def sentinel2(land: Landscape, flight: Pass, rng: np.random.Generator, fields: np.ndarray) -> Picture:
    """A Sentinel-2 L2A scene; from baseline 04.00 on its numbers carry the offset of 1000, as the archive's do
    (Sentinel-2 Products Specification Document)."""
    seen, box = view(land, flight, rng, fields), land.geobox
    day = flight.when.replace("-", "").replace(":", "")
    orbit, tile = (67 if "14:07" in flight.when else 110), "24WWU"
    start = f"{flight.platform}_MSIL2A_{day}"
    identifier = f"{start}_R{orbit:03d}_T{tile}_{day[:8]}T{int(day[9:]) + 40000:06d}"
    offset = 1000.0 if flight.baseline >= "04.00" else 0.0
    layers = []
    for band, level in zip(SENTINEL2, looked(seen, "sentinel2", rng, SENTINEL2), strict=True):
        number = np.clip(np.round(level * 10_000.0 + offset), 1, 65_535).astype("uint16")
        name = f"{identifier}_{band.key}_{band.pixel}m.tif"
        eo = describe(band, description=band.title)
        facts = asset(name, f"{band.title} - {band.pixel}m", gsd=float(band.pixel), **placed(box, band.pixel), **eo)
        layers.append(Layer(band.key, name, number, *grid(box, band.pixel), 0, facts))
    classes, name = scl(seen), f"{identifier}_SCL_20m.tif"
    facts = asset(name, "Scene classfication map (SCL)", gsd=20.0, **placed(box, 20))
    layers.append(Layer("SCL", name, classes, *grid(box, 20), 0, facts, "nearest"))
    share = [round(100.0 * float((classes == i).mean()), 6) for i in range(12)]
    properties = {
        "datetime": f"{flight.when}.024000Z", "platform": f"Sentinel-{flight.platform[1:]}", "instruments": ["msi"],
        "constellation": "Sentinel 2", "proj:epsg": box.crs.to_epsg(), "s2:mgrs_tile": tile,
        "s2:product_uri": f"{start}_N{flight.baseline.replace('.', '')}{identifier.removeprefix(start)}.SAFE",
        "s2:product_type": "S2MSI2A", "s2:datatake_type": "INS-NOBS", "s2:processing_baseline": flight.baseline,
        "s2:generation_time": f"{flight.when}.865Z", "sat:orbit_state": "descending", "sat:relative_orbit": orbit,
        "s2:mean_solar_zenith": 90.0 - seen.sun[1], "s2:mean_solar_azimuth": seen.sun[0],
        "eo:cloud_cover": round(share[8] + share[9] + share[10], 6), "s2:nodata_pixel_percentage": share[0],
        "s2:saturated_defective_pixel_percentage": share[1], "s2:dark_features_percentage": share[2],
        "s2:cloud_shadow_percentage": share[3], "s2:vegetation_percentage": share[4],
        "s2:not_vegetated_percentage": share[5], "s2:water_percentage": share[6],
        "s2:unclassified_percentage": share[7], "s2:medium_proba_clouds_percentage": share[8],
        "s2:high_proba_clouds_percentage": share[9], "s2:thin_cirrus_percentage": share[10],
        "s2:snow_ice_percentage": share[11], "s2:degraded_msi_data_percentage": 0.0,
    }  # fmt: skip
    return Picture(identifier, tuple(layers), properties, ("eo/v1.0.0", "sat/v1.0.0", "projection/v1.0.0"))


def states(seen: View, step: int) -> tuple[dict, np.ndarray, np.ndarray]:
    """On a grid `step` times coarser: mean cloud, shade, cirrus and light; masks of snow or ice, and of water."""
    mean = {name: coarser(getattr(seen, name), step) for name in ("cloud", "shade", "cirrus", "direct")}
    white = np.isin(seen.material, (spectra.ICE, spectra.MELANGE)) | (seen.snow > 0.4)
    wet = np.isin(seen.material, (spectra.SEA, spectra.LAKE))
    return mean, coarser(white * 1.0, step) > 0.5, coarser(wet * 1.0, step) > 0.5


def scl(seen: View) -> np.ndarray:
    """Scene classification at 20 m: cloud (8, 9), cirrus (10), its shadow (3), cast shadow (2), vegetation (4), bare
    (5), water (6), snow and ice (11): Sentinel-2 Products Specification Document."""
    mean, white, wet = states(seen, 2)
    green = coarser((seen.material == spectra.TUNDRA) * 1.0, 2) > 0.5
    tests = [mean["cloud"] > 0.4, mean["cloud"] > 0.06, mean["cirrus"] > 0.03, mean["shade"] > 0.12, white, wet]
    return np.select([*tests, mean["direct"] < 0.25, green], [9, 8, 10, 3, 11, 6, 2, 4], 5).astype("uint8")


def qa_pixel(seen: View) -> np.ndarray:
    """QA_PIXEL at 30 m: the values that the archive holds for high cloud, dilated cloud, cirrus, cloud shadow, snow or
    ice, water and clear land (USGS LSDS-1619, table 6-3)."""
    mean, white, wet = states(seen, 3)
    cloud = mean["cloud"] > 0.15
    near = ndimage.binary_dilation(mean["cloud"] > 0.03, iterations=2)
    tests = [cloud, near, mean["cirrus"] > 0.05, mean["shade"] > 0.12, white, wet]
    return np.select(tests, [22280, 21762, 54596, 23888, 30048, 21952], 21824).astype("uint16")


def temperature(land: Landscape, flight: Pass, rng: np.random.Generator, seen: View) -> np.ndarray:
    """Surface temperature (K) at 30 m: ice at the melting point, rock by sun and height, debris over ice between."""
    height, zone = land.surface.values[flight.date], land.zones.values[flight.date]
    dry = np.isin(seen.material, (spectra.ROCK, spectra.TUNDRA, spectra.DEBRIS))
    warm = 7.0 * (seen.direct - 0.8) * np.where(zone == truth.DEBRIS, 0.5, 1.0) - 0.005 * (height - 300.0)
    kelvin = np.array([row.kelvin for row in spectra.SURFACES])[seen.material] + dry * (warm + 0.6 * seen.fields[1])
    kelvin = np.where(seen.snow > 0.4, spectra.SURFACES[spectra.SNOW].kelvin, kelvin)
    kelvin = kelvin + np.maximum(seen.cloud, seen.cirrus) * (258.0 - kelvin)
    kelvin = coarser(ndimage.gaussian_filter(kelvin, 4.0), 3)  # the thermal sensor's pixels are 100 m
    return kelvin + 0.25 * rng.standard_normal(kelvin.shape)


def landsat(land: Landscape, flight: Pass, rng: np.random.Generator, fields: np.ndarray) -> Picture:
    """A Landsat 8 or 9 Collection 2 Level 2 scene: reflectance, surface temperature, QA_PIXEL and QA_RADSAT.

    USGS LSDS-1619.
    """
    seen, place = view(land, flight, rng, fields), grid(land.geobox, 30)
    day = np.datetime64(flight.when[:10])
    identifier = f"{flight.platform}_L2SP_231014_{flight.when[:10].replace('-', '')}_02_T1"
    layers = []

    def add(key: str, suffix: str, pixels: np.ndarray, title: str, roles: tuple, raster: dict, **more) -> None:
        name = f"{identifier}_{suffix}.TIF"
        facts = asset(name, title, roles, **{"raster:bands": [{**raster, "spatial_resolution": 30}]}, **more)
        overviews = "nearest" if suffix.startswith("QA") else "average"
        layers.append(Layer(key, name, pixels, *place, raster.get("nodata"), facts, overviews))

    for band, level in zip(LANDSAT, looked(seen, "landsat", rng, LANDSAT), strict=True):
        number = np.clip(np.round((level + 0.2) / 2.75e-5), 1, 65_535).astype("uint16")
        raster = {"scale": 2.75e-5, "nodata": 0, "offset": -0.2, "data_type": "uint16"}
        add(band.key, f"SR_{band.name[4:]}", number, band.title, ("data", "reflectance"), raster, **describe(band))
    kelvin = np.round((temperature(land, flight, rng, seen) - 149.0) / 0.00341802).astype("uint16")
    raster = {"unit": "kelvin", "scale": 0.00341802, "nodata": 0, "offset": 149.0, "data_type": "uint16"}
    eo = describe(Band("lwir11", "lwir11", "", 10.9, 0.59, 30, "TIRS_B10"))
    add("lwir11", "ST_B10", kelvin, "Surface Temperature Band", ("data", "temperature"), raster, gsd=100, **eo)
    quality, bits = qa_pixel(seen), {"unit": "bit index", "data_type": "uint16"}
    roles = ("cloud", "cloud-shadow", "snow-ice", "water-mask")
    add("qa_pixel", "QA_PIXEL", quality, "Pixel Quality Assessment Band", roles, {**bits, "nodata": 1})
    title = "Radiometric Saturation and Terrain Occlusion Quality Assessment Band"
    add("qa_radsat", "QA_RADSAT", np.zeros_like(quality), title, ("saturation",), bits)
    cover = round(100.0 * float((quality & 8 > 0).mean()), 2)
    spot = {k: v for k, v in placed(land.geobox, 30).items() if k != "proj:bbox"}
    properties = {
        "gsd": 30, "sci:doi": "10.5066/P9OGBGM6", "datetime": f"{flight.when}.935246Z",
        "platform": f"landsat-{int(flight.platform[2:])}", "proj:epsg": land.geobox.crs.to_epsg(), **spot,
        "description": "Landsat Collection 2 Level-2", "instruments": ["oli", "tirs"], "eo:cloud_cover": cover,
        "view:off_nadir": 0, "view:sun_azimuth": seen.sun[0], "view:sun_elevation": seen.sun[1],
        "landsat:scene_id": f"{flight.platform.replace('0', '')}231014{day.astype(object).strftime('%Y%j')}LGN00",
        "landsat:wrs_path": "231", "landsat:wrs_row": "014", "landsat:wrs_type": "2", "landsat:correction": "L2SP",
        "landsat:cloud_cover_land": cover, "landsat:collection_number": "02", "landsat:collection_category": "T1",
    }  # fmt: skip
    extensions = ("raster/v1.1.0", "eo/v1.0.0", "view/v1.0.0", "projection/v1.1.0", "scientific/v1.0.0")
    return Picture(identifier, tuple(layers), properties, extensions)
