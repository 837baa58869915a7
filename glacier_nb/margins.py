"""Glaciers drawn at random and mapped with margins that are off as maps' margins are: what intervals are tried on."""

import numpy as np
import shapely

POINTS = 256
"""Vertices of an outline: at the median size one each 12 m, nearer than errors change."""


def drawn(
    n: int,
    seed: int,
    pixel: float = 10.0,
    point: float = 0.5,
    reach: float = 10.0,
    glacier: float = 0.15,
    scene: float = 0.1,
    bias: float = 0.1,
    snowy: float = 0.1,
    together: int = 25,
    retreat: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """`n` glaciers: polygons (m) as they are, and as a system maps them.

    Sizes are lognormal (median 0.5 km2, one in fifty above 9 km2), shapes lobed. The mapped margin lies off along its
    normal, in units of `pixel` (m): a point of it by `point` (standard deviation; half a pixel is what the buffer
    method takes it for, Paul et al. 2013, doi:10.3189/2013AoG63A296), alike over `reach` (exponential correlation
    along the margin); a whole `glacier` by its light and rock; a whole `scene` of `together` glaciers by its snow and
    threshold; all maps of the system by `bias`, outwards. Of the glaciers the share `snowy` keeps snow along a part of
    its margin, of 1.5 pixels on average. `retreat` (m): the same glaciers with all margins drawn back by it, mapped
    with errors of their own but for the scene's and the system's; give it the same seed.

    >>> true, mapped = drawn(3, seed=1)
    >>> len(true), bool(shapely.is_valid(mapped).all())
    (3, True)
    """
    rng = np.random.default_rng([seed, 0])
    angle = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
    radius = np.exp(rng.normal(6.0, 0.7, (n, 1)))
    waves = sum(rng.normal(0, 0.12 / k, (n, 1)) * np.sin(k * angle + rng.uniform(0, 6, (n, 1))) for k in (2, 3, 5))
    common = pixel * (bias + np.repeat(rng.normal(0, scene, -(-n // together)), together)[:n, None])
    ring = np.clip(radius * (1 + waves) - retreat, 0.1 * radius, None)[..., None] * np.stack(
        [np.cos(angle), np.sin(angle)], axis=-1
    )
    rng = np.random.default_rng([seed, 1, int(retreat * 1000)])
    ahead = np.roll(ring, -1, axis=1) - np.roll(ring, 1, axis=1)
    normal = np.stack([ahead[..., 1], -ahead[..., 0]], axis=-1) / np.hypot(ahead[..., 0], ahead[..., 1])[..., None]
    around = np.linalg.norm(np.roll(ring, -1, axis=1) - ring, axis=-1).sum(axis=1)
    off = common + pixel * (glacier * rng.standard_normal((n, 1)) + point * along(rng, around, reach * pixel))
    patch = (angle - rng.uniform(0, 2 * np.pi, (n, 1))) % (2 * np.pi) < rng.uniform(0, np.pi, (n, 1))
    off = off + patch * (rng.random((n, 1)) < snowy) * rng.gamma(2.0, 0.75 * pixel, (n, 1))
    return shapely.polygons(ring), shapely.make_valid(shapely.polygons(ring + off[..., None] * normal))


def along(rng: np.random.Generator, around: np.ndarray, reach: float) -> np.ndarray:
    """Unit noise (ring, POINTS) along closed margins of length `around` (m): exponential correlation over `reach` m.

    Exact on the ring: the circulant covariance has the Fourier modes as its own (Wood and Chan 1994).
    """
    step = np.minimum(np.arange(POINTS), POINTS - np.arange(POINTS)) / POINTS
    power = np.fft.rfft(np.exp(-step * np.asarray(around)[:, None] / reach), axis=1).real.clip(min=0)
    white = np.fft.rfft(rng.standard_normal((len(power), POINTS)), axis=1)
    return np.fft.irfft(white * np.sqrt(power), POINTS, axis=1)
