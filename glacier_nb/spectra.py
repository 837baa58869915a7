"""How surfaces look from orbit: reflectance, temperature and backscatter as rows, and sun, shadow and cloud.

Without a source, plain or ours: `shadow`, `clouds`, `reflectance`.
"""

import dataclasses

import numba
import numpy as np
from scipy import ndimage

BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
SKY = np.array(
    [0.34, 0.28, 0.23, 0.19, 0.16, 0.15]
)  # share of light from sky and slopes around, by band; cast shadow has no other
CLOUD = np.array([0.78, 0.78, 0.79, 0.80, 0.46, 0.34])  # thick cloud's reflectance


@dataclasses.dataclass(frozen=True)
class Surface:
    """One surface: median reflectance in BANDS for Sentinel-2 and Landsat, spread (half the range from the 16th to
    the 84th percentile of the logarithm), temperature (K), backscatter (dB) in VV, VH, HH, HV."""

    name: str
    sentinel2: tuple[float, ...]
    landsat: tuple[float, ...]
    spread: tuple[float, ...]
    kelvin: float
    decibel: tuple[float, float, float, float]


# Snow, ice, rock and water (lake): medians of the human-classified pixels of four North American glaciers, 2021,
# computed from the training tables of glacier-snow-cover-mapping (Aberle et al.; Landsat's as reflectance, 0.2 taken
# off). Spreads are Sentinel-2's (Landsat's hold its own error too); lake's past green are cut to 0.6: its points are
# one lake on two days. Snow in shadow is no row: it is snow under SKY. Debris: rock's, as the tables' class is both.
# Sea and melange: clear fjord water and brash ice of the ice row in it.
# Temperatures: snow and ice melt, rock lies in the tables' range (289 to 302 K), debris over ice between the two.
# Backscatter: plausible for C band in late summer, debris rougher than rock and ice; not measured.
SURFACES = (
    Surface(
        "snow", (0.8094, 0.8324, 0.8288, 0.6941, 0.0186, 0.0165), (0.4999, 0.5435, 0.5735, 0.5150, 0.0161, 0.0150),
        (0.23, 0.19, 0.15, 0.11, 0.63, 0.63), 274.5, (-17.0, -25.0, -17.0, -25.0),
    ),
    Surface(
        "ice", (0.3458, 0.3552, 0.3375, 0.2412, 0.0139, 0.0133), (0.2893, 0.3205, 0.3131, 0.1987, 0.0058, 0.0087),
        (0.42, 0.39, 0.39, 0.43, 0.46, 0.47), 274.7, (-11.5, -18.5, -11.0, -18.5),
    ),
    Surface(
        "rock", (0.1224, 0.1504, 0.1560, 0.1668, 0.2189, 0.2222), (0.0862, 0.1322, 0.1439, 0.1914, 0.2350, 0.2039),
        (0.31, 0.29, 0.34, 0.32, 0.31, 0.31), 293.0, (-10.5, -18.0, -10.5, -18.0),
    ),
    Surface(
        "debris", (0.1224, 0.1504, 0.1560, 0.1668, 0.2189, 0.2222), (0.0862, 0.1322, 0.1439, 0.1914, 0.2350, 0.2039),
        (0.31, 0.29, 0.34, 0.32, 0.31, 0.31), 283.5, (-8.5, -15.0, -8.5, -15.0),
    ),
    Surface(
        "lake", (0.1118, 0.1656, 0.1052, 0.0287, 0.0114, 0.0109), (0.0813, 0.1473, 0.1035, 0.0215, 0.0068, 0.0058),
        (0.24, 0.44, 0.6, 0.6, 0.6, 0.6), 280.0, (-20.0, -28.0, -21.0, -29.0),
    ),
    Surface(
        "sea", (0.0450, 0.0420, 0.0220, 0.0090, 0.0050, 0.0040), (0.0400, 0.0390, 0.0210, 0.0090, 0.0050, 0.0040),
        (0.15, 0.15, 0.2, 0.25, 0.25, 0.25), 277.5, (-16.0, -26.0, -18.0, -27.0),
    ),
    Surface(
        "melange", (0.2200, 0.2250, 0.2100, 0.1450, 0.0100, 0.0090), (0.1900, 0.2000, 0.1900, 0.1200, 0.0060, 0.0070),
        (0.55, 0.55, 0.58, 0.65, 0.4, 0.4), 275.0, (-9.0, -16.5, -9.0, -16.5),
    ),
    Surface(
        "tundra", (0.0420, 0.0680, 0.0650, 0.2300, 0.1900, 0.1150), (0.0360, 0.0660, 0.0640, 0.2350, 0.1950, 0.1150),
        (0.2, 0.2, 0.25, 0.18, 0.2, 0.22), 289.0, (-11.0, -16.5, -11.0, -16.5),
    ),
)  # fmt: skip
SNOW, ICE, ROCK, DEBRIS, LAKE, SEA, MELANGE, TUNDRA = range(len(SURFACES))
OF_ZONE = np.array([ROCK, ICE, DEBRIS, SEA, MELANGE, LAKE, ROCK])  # by zone's number; a rock glacier looks like rock


def sun(longitude: float, latitude: float, when: np.datetime64) -> tuple[float, float]:
    """Azimuth (degrees from north) and elevation (degrees) of the sun; mean solar time.

    Its declination: Cooper 1969, doi:10.1016/0038-092X(69)90047-4.

    >>> azimuth, elevation = sun(0.0, 66.0, np.datetime64("2021-06-21T12:00"))
    >>> round(azimuth), round(elevation, 1)
    (180, 47.4)
    """
    day = (when - when.astype("datetime64[Y]")) / np.timedelta64(1, "D")
    declination = np.radians(23.45) * np.sin(2 * np.pi * (284 + int(day) + 1) / 365)
    hour = np.radians((day % 1.0 * 24.0 - 12.0) * 15.0 + longitude)
    phi = np.radians(latitude)
    up = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour)
    north = np.cos(phi) * np.sin(declination) - np.sin(phi) * np.cos(declination) * np.cos(hour)
    azimuth = np.arctan2(-np.cos(declination) * np.sin(hour), north)
    return float(np.degrees(azimuth) % 360.0), float(np.degrees(np.arcsin(up)))


@numba.njit(cache=True, nogil=True)
def shadow(surface, pixel, azimuth, elevation):
    """Mask (y, x): the sun at `azimuth`, `elevation` (degrees) is behind terrain. Rows run from north to south."""
    ny, nx = surface.shape
    dx, dy = np.sin(np.radians(azimuth)), -np.cos(np.radians(azimuth))
    rise = np.tan(np.radians(elevation)) * pixel
    top = surface.max()
    dark = np.zeros((ny, nx), np.bool_)
    for i in range(ny):
        for j in range(nx):
            x, y, z = float(j), float(i), surface[i, j] + 0.5
            while True:
                x, y, z = x + dx, y + dy, z + rise
                a, b = int(y + 0.5), int(x + 0.5)
                if z > top or a < 0 or b < 0 or a >= ny or b >= nx:
                    break
                if surface[a, b] > z:
                    dark[i, j] = True
                    break
    return dark


@numba.njit(cache=True, nogil=True)
def streaks(surface, field, steps):
    """Mean of `field` (y, x) along the line of steepest descent, `steps` pixels up and down: ice drawn out as it flows,
    scree as it falls (line integral convolution: Cabral & Leedom 1993, doi:10.1145/166117.166151)."""
    ny, nx = surface.shape
    made = np.empty((ny, nx), np.float32)
    for i in range(ny):
        for j in range(nx):
            total, count = field[i, j], 1
            for way in (-1.0, 1.0):
                y, x = float(i), float(j)
                for _ in range(steps):
                    a, b = int(y + 0.5), int(x + 0.5)  # a step on stays inside: the edge is left out
                    if a < 1 or b < 1 or a >= ny - 1 or b >= nx - 1:
                        break
                    gy = surface[a + 1, b] - surface[a - 1, b]
                    gx = surface[a, b + 1] - surface[a, b - 1]
                    size = np.sqrt(gx * gx + gy * gy)
                    if size < 1e-6:
                        break
                    y, x = y + way * gy / size, x + way * gx / size
                    total += field[int(y + 0.5), int(x + 0.5)]
                    count += 1
            made[i, j] = total / count
    return made


def light(surface: np.ndarray, pixel: float, azimuth: float, elevation: float) -> np.ndarray:
    """Direct light (y, x) relative to level ground: 1 on the level, 0 in cast shadow. Softened as a terrain-corrected
    product leaves it (Minnaert 1941, doi:10.1086/144279, k = 0.5)."""
    gy, gx = np.gradient(surface, pixel)
    a, h = np.radians(azimuth), np.radians(elevation)
    facing = (-gx * np.sin(a) + gy * np.cos(a)) / np.tan(h) + 1.0
    relative = np.clip(facing / np.sqrt(1.0 + gx**2 + gy**2), 0.0, None) ** 0.5
    dark = ndimage.gaussian_filter(shadow(surface, pixel, azimuth, elevation).astype("float32"), 0.6)
    return np.minimum(relative, 1.5) * (1.0 - dark)


def clouds(
    field: np.ndarray, cover: float, pixel: float, azimuth: float, elevation: float, base: float = 1800.0
) -> tuple:
    """Opacity of clouds over `cover` of the area, from a noise `field`, and of their shadow, both (y, x) 0 to 1.

    The shadow lies where the sun puts it for a cloud `base` metres above the ground.
    """
    if cover <= 0.0:
        return np.zeros_like(field), np.zeros_like(field)
    opacity = np.clip((field - np.quantile(field, 1.0 - cover)) / 0.5, 0.0, 1.0) ** 0.7
    away = base / np.tan(np.radians(elevation)) / pixel
    move = (away * np.cos(np.radians(azimuth)), -away * np.sin(np.radians(azimuth)))
    return opacity, ndimage.shift(opacity, move, order=1, mode="grid-wrap")  # the field has no seam


def reflectance(
    material: np.ndarray, snow: np.ndarray, fields: np.ndarray, direct: np.ndarray, sensor: str = "sentinel2"
) -> np.ndarray:
    """Reflectance (band, y, x) float32 in BANDS.

    material (y, x): row of SURFACES; snow (y, x): share under snow; fields (2, y, x): unit noise, the first common to
    all bands, the second to short-wave infrared; direct (y, x): light relative to the level.
    """
    medians = np.array([getattr(row, sensor) for row in SURFACES], "float32")
    spreads = np.array([row.spread for row in SURFACES], "float32") * 0.7  # relief and mixing bring the rest
    made = np.empty((len(BANDS), *material.shape), "float32")
    for b in range(len(BANDS)):
        texture = fields[0] if b < 4 else 0.5 * fields[0] + 0.85 * fields[1]
        ground = medians[material, b] * np.exp(spreads[material, b] * texture)
        white = medians[SNOW, b] * np.exp(spreads[SNOW, b] * (0.6 * fields[0] if b < 4 else fields[1]))
        made[b] = (ground + snow * (white - ground)) * (SKY[b] + (1.0 - SKY[b]) * direct)
    return np.clip(made, 0.001, 1.4)
