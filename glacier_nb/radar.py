"""Sentinel-1 and TanDEM-X over a synthetic landscape: backscatter under speckle, and elevation models.

Without a source, plain or ours: `backscatter`.
"""

import numpy as np
import pyproj
import rasterio.control
import rasterio.warp
from scipy import ndimage

from glacier_nb import spectra, truth
from glacier_nb.overpass import Layer, Pass, Picture, asset, coarser, grid, placed
from glacier_nb.relief import PIXEL
from glacier_nb.truth import Landscape

LAUNCH = np.datetime64("2014-04-03T00:00:00")  # Sentinel-1A: orbits are counted from here, 175 in 12 days
# What differs between the two modes: orbit, looks (range, azimuth, equivalent), resolution (m), pixel (m)
IW = {"sat:orbit_state": "descending", "sat:relative_orbit": 83, "sar:instrument_mode": "IW", "sar:looks_range": 5,
      "sar:looks_azimuth": 1, "sar:looks_equivalent_number": 4.4, "sar:resolution_range": 20,
      "sar:resolution_azimuth": 22, "sar:pixel_spacing_range": 10, "sar:pixel_spacing_azimuth": 10,
      "s1:resolution": "high", "s1:instrument_configuration_ID": "7"}  # fmt: skip
EW = {"sat:orbit_state": "ascending", "sat:relative_orbit": 31, "sar:instrument_mode": "EW", "sar:looks_range": 6,
      "sar:looks_azimuth": 2, "sar:looks_equivalent_number": 10.7, "sar:resolution_range": 93,
      "sar:resolution_azimuth": 87, "sar:pixel_spacing_range": 40, "sar:pixel_spacing_azimuth": 40,
      "s1:resolution": "medium", "s1:instrument_configuration_ID": "7"}  # fmt: skip


def backscatter(land: Landscape, flight: Pass, fields: np.ndarray, column: int) -> np.ndarray:
    """Mean linear backscatter (y, x) in polarisation `column` of spectra's VV, VH, HH, HV: the ground's, brighter where
    it faces the radar, as terrain correction leaves it."""
    zone, surface = land.zones.values[flight.date], land.surface.values[flight.date].astype("float64")
    wet = (zone == truth.GLACIER) & (surface > float(land.snowline[flight.date]) + 60.0 * fields[0])
    material = np.where(wet, spectra.SNOW, spectra.OF_ZONE[zone])
    decibel = np.array([row.decibel[column] for row in spectra.SURFACES])[material] + 0.7 * fields[1]
    facing = np.clip(np.gradient(ndimage.gaussian_filter(surface, 1.0), PIXEL, axis=1), -1.0, 1.0)
    solid = np.isin(zone, (truth.ROCK, truth.GLACIER, truth.DEBRIS, truth.ROCK_GLACIER))
    return 10.0 ** ((decibel + (1.5 * facing + 0.6 * fields[0]) * solid) / 10.0)


def speckle(rng: np.random.Generator, mean: np.ndarray, looks: float) -> np.ndarray:
    """`mean` under gamma-distributed speckle of `looks` equivalent looks, float32 with 8 bits kept: it packs well.

    Goodman 1976, doi:10.1364/JOSA.66.001145.
    """
    seen = (mean * rng.gamma(looks, 1.0 / looks, mean.shape)).astype("float32")
    return ((seen.view("uint32") + np.uint32(1 << 14)) & np.uint32(0xFFFF8000)).view("float32")


def acquisition(flight: Pass, product: str, mode: dict, polarisations: list[str]) -> tuple[str, dict]:
    """Identifier of a Sentinel-1 product, and the properties that GRD and RTC items share.

    Sentinel-1 Product Specification.
    """
    start = np.datetime64(flight.when)
    end = start + np.timedelta64(25, "s")
    orbit = int((start - LAUNCH) / np.timedelta64(12, "D") * 175)
    first, last = (str(t).replace("-", "").replace(":", "") for t in (start, end))
    identifier = f"{flight.platform}_{product}_{first}_{last}_{orbit:06d}_{orbit * 8:06X}"
    return identifier, {
        "datetime": f"{flight.when}.696652Z", "platform": "SENTINEL-1A", "constellation": "Sentinel-1",
        "start_datetime": f"{start}+00:00".replace("T", " "), "end_datetime": f"{end}+00:00".replace("T", " "),
        "s1:orbit_source": "RESORB", "s1:processing_level": "1", "s1:product_timeliness": "Fast-24h",
        "s1:datatake_id": str(orbit * 8), "s1:slice_number": "1", "s1:total_slices": "1",
        "sat:absolute_orbit": orbit, "sat:platform_international_designator": "2014-016A", "sar:product_type": "GRD",
        "sar:frequency_band": "C", "sar:center_frequency": 5.405, "sar:observation_direction": "right",
        "sar:polarizations": polarisations, **mode,
    }  # fmt: skip


def sentinel1_rtc(land: Landscape, flight: Pass, rng: np.random.Generator, fields: np.ndarray) -> Picture:
    """A Sentinel-1 radiometrically terrain corrected scene: gamma0, linear, VV and VH.

    The product's correction: Small 2011, doi:10.1109/TGRS.2011.2120616.
    """
    base, properties = acquisition(flight, "IW_GRDH_1SDV", IW, ["VV", "VH"])
    layers = []
    for column, (key, receive) in enumerate((("vv", "vertical"), ("vh", "horizontal"))):
        seen = speckle(rng, backscatter(land, flight, fields, column), 4.4)
        name = f"{base}_rtc_iw-{key}.rtc.tiff"
        raster = {"nodata": -32768, "data_type": "float32", "spatial_resolution": 10.0}
        title = f"{key.upper()}: vertical transmit, {receive} receive"
        facts = asset(name, title, **{"raster:bands": [raster]})
        layers.append(Layer(key, name, seen, *grid(land.geobox, 10), -32768, facts))
    properties |= {"proj:epsg": land.geobox.crs.to_epsg(), "s1:shape": list(land.geobox.shape[::-1])}
    extensions = ("sar/v1.0.0", "sat/v1.0.0", "projection/v1.1.0", "raster/v1.1.0")
    return Picture(f"{base}_rtc", tuple(layers), {**properties, **placed(land.geobox, 10)}, extensions)


def sentinel1_grd(land: Landscape, flight: Pass, rng: np.random.Generator, fields: np.ndarray) -> Picture:
    """A Sentinel-1 extra-wide GRD scene, HH and HV: amplitudes (600 times the root of sigma0, which is 1 over the mid-
    swath calibration of the real product), placed by ground control points as in the archive
    (Sentinel-1 Product Specification)."""
    identifier, properties = acquisition(flight, "EW_GRDM_1SDH", EW, ["HH", "HV"])
    transform, crs = grid(land.geobox, 40)
    lonlat = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    layers = []
    for column, (key, receive) in enumerate((("hh", "horizontal"), ("hv", "vertical")), 2):
        mean = coarser(backscatter(land, flight, fields, column), 4)
        number = np.clip(np.round(600.0 * np.sqrt(speckle(rng, mean, 10.7))), 1, 65_535).astype("uint16")
        rows, columns = (np.linspace(0, n, 9) for n in number.shape)
        points = tuple(
            rasterio.control.GroundControlPoint(row, column, *lonlat.transform(*(transform * (column, row))), 0.0)
            for row in rows for column in columns
        )  # fmt: skip
        name = f"{identifier}_ew-{key}.tiff"
        eo = {"name": key.upper(), "description": f"{key.upper()} band: horizontal transmit and {receive} receive"}
        facts = asset(name, key.upper(), **{"eo:bands": [eo]})
        layers.append(Layer(key, name, number, None, "EPSG:4326", 0, facts, gcps=points))
    properties["s1:shape"] = list(layers[0].pixels.shape[::-1])
    return Picture(identifier, tuple(layers), properties, ("sar/v1.0.0", "sat/v1.0.0", "eo/v1.0.0"))


def elevation(land: Landscape, flight: Pass, rng: np.random.Generator, fields: np.ndarray) -> Picture:
    """A Copernicus-like DEM of the pass's date: 1 by 2 arc seconds as at 60 to 70 degrees north, 1 m of noise, half of
    it correlated over 100 m. The grid is that of the Copernicus DEM Product Handbook."""
    box = land.geobox.extent.to_crs("EPSG:4326").boundingbox
    dx, dy = 2 / 3600, 1 / 3600
    left, top = np.floor(box.left / dx - 1) * dx, np.ceil(box.top / dy + 1) * dy
    shape = int(np.ceil((top - box.bottom) / dy + 1)), int(np.ceil((box.right - left) / dx + 1))
    transform = rasterio.Affine(dx, 0.0, left, 0.0, -dy, top)
    edge = 80  # pixels: the map's square is turned in a rectangle of longitude and latitude
    made = np.zeros(shape, "float32")
    rasterio.warp.reproject(
        np.pad(land.surface.values[flight.date], edge, mode="edge"), made, src_crs=grid(land.geobox, 10)[1],
        src_transform=land.geobox.affine * rasterio.Affine.translation(-edge, -edge), dst_crs="EPSG:4326",
        dst_transform=transform, resampling=rasterio.warp.Resampling.average, num_threads=1,
    )  # fmt: skip
    fine, long = rng.standard_normal((2, *shape))
    long = ndimage.gaussian_filter(long, 2.0)
    made = made + 0.7 * fine + 0.7 * long / long.std()
    latitude, longitude = (int(np.floor(v)) for v in (box.bottom, box.left))
    tile = f"N{latitude:02d}_00_W{-longitude:03d}_00"
    # the archive has one date a tile; the second, for elevation change, takes its year into the name
    identifier = f"Copernicus_DSM_COG_10_{tile}_DEM" + (f"_{flight.when[:4]}" if flight.date else "")
    heights = (np.round(made * 64.0) / 64.0).astype("float32")
    name = f"{identifier}.tif"
    layer = Layer("data", name, heights, transform, "EPSG:4326", None, asset(name, tile))
    properties = {
        "gsd": 30, "datetime": f"{flight.when}Z", "platform": "TanDEM-X", "proj:epsg": 4326,
        "proj:shape": list(shape), "proj:transform": list(transform)[:6],
    }  # fmt: skip
    return Picture(identifier, (layer,), properties, ("projection/v1.0.0",))
