"""Errors that neighbours share: how far they reach, from stable terrain, and what they leave of a mean over an area."""

import dataclasses
from collections.abc import Sequence

import dask.array as da
import numpy as np
import pandas as pd
import scipy.optimize
import scipy.spatial.distance
import xarray as xr

CITATION = "Rolstad et al. 2009, doi:10.3189/002214309789470950; Hugonnet et al. 2022, doi:10.1109/JSTARS.2022.3188922"

WHITE = np.sqrt(5 / np.pi)
"""Range, in pixels, of the spherical model that leaves as much of a mean as noise without any correlation does."""

BLOCKS = 16
"""Blocks of a lazy layer that are read to sample its pairs."""


@dataclasses.dataclass(frozen=True)
class Correlation:
    """A sum of spherical models: `sills` (variances) that are shared over `ranges` (m), short range first.

    >>> Correlation((100.0, 2000.0), (3.0, 1.0)).sigma
    2.0
    """

    ranges: tuple[float, ...]
    sills: tuple[float, ...]

    @property
    def sigma(self) -> float:
        """Standard deviation of a single pixel's error."""
        return float(np.sqrt(sum(self.sills)))


def variogram(layer: xr.DataArray, pairs: int = 20_000, lags: int = 18, seed: int = 0) -> pd.DataFrame:
    """Semivariance by distance of a layer (y, x) in metres: columns lag_m, gamma (unit squared), n; a row a lag.

    NaN is left out, so mask what is not stable first. `pairs` of random pixels at random bearings for each of `lags`
    distances, from one pixel to half the layer's longer side in even steps of their logarithm; the estimator
    of Dowd 1984, which a twentieth of wild values does not move. A lazy layer is sampled in BLOCKS of its blocks, and
    lags end at half a block. Lags with under 100 pairs are left out; ValueError where none is left.
    """
    pixel, rng = float(abs(layer.odc.geobox.resolution.x)), np.random.default_rng(seed)
    blocks = [layer.data]
    if isinstance(layer.data, da.Array):
        blocks = list(layer.data.blocks.ravel())
        chosen = rng.permutation(len(blocks))[:BLOCKS]
        blocks = [blocks[n] for n in sorted(chosen)]
    reach = max(max(block.shape) for block in blocks) / 2
    steps = np.unique(np.geomspace(1, max(reach, 2), lags).round(1))
    found = [[] for _ in steps]
    for block in blocks:  # one at a time: a region does not fit
        values = np.asarray(block)
        for n, apart in enumerate(_apart(values, steps, pairs // len(blocks) + 1, rng)):
            found[n].append(apart)
    apart = [np.concatenate(parts) for parts in found]
    rows = [(step * pixel, 2.198 * np.median(a) ** 2 / 2, len(a)) for step, a in zip(steps, apart, strict=True)
            if len(a) >= 100]  # fmt: skip
    if not rows:
        raise ValueError(
            f"{int(sum(map(len, apart)))} pairs of stable pixels, a variogram needs 100 a lag: widen the stable terrain"
        )
    return pd.DataFrame(rows, columns=["lag_m", "gamma", "n"])


def fit(table: pd.DataFrame, models: int = 2, pixel: float | None = None) -> Correlation:
    """The sum of spherical models nearest to a `variogram`, at most `models` of them and as few as it takes (corrected
    Akaike criterion, Hurvich and Tsai 1989): a second range that only noise asks for would keep means from ever being
    sure.

    No range is under WHITE of `pixel` (m; default the first lag).
    """
    lag, gamma, n = (table[name].to_numpy(dtype=float) for name in ("lag_m", "gamma", "n"))
    least, scale = WHITE * (lag[0] if pixel is None else pixel), max(float(gamma.max()), 1e-12)
    found = [_fit(lag, gamma / scale, n / n.sum(), count, least) for count in range(1, models + 1)]

    def price(result) -> float:
        free, known = len(result.x), len(lag)
        spare = max(known - free - 1, 1e-3)
        return known * np.log(2 * result.cost + 1e-9) + 2 * free + 2 * free * (free + 1) / spare

    ranges, sills = min(found, key=price).x.reshape(2, -1)
    order = np.argsort(ranges)
    return Correlation(tuple(map(float, ranges[order])), tuple(float(s) for s in sills[order] * scale))


def _fit(lag: np.ndarray, gamma: np.ndarray, weight: np.ndarray, count: int, least: float):
    """Least squares of `count` spherical models: x holds their ranges, then their sills."""
    start = np.r_[np.geomspace(2 * least, max(lag[-1] / 2, 3 * least), count), np.full(count, 1 / count)]
    low = np.r_[np.full(count, least), np.zeros(count)]
    high = np.r_[np.full(count, 2 * lag[-1] + 3 * least), np.full(count, 2.0)]

    def off(x: np.ndarray) -> np.ndarray:
        return (sum(_spherical(lag, *one) for one in x.reshape(2, -1).T) - gamma) * np.sqrt(weight)

    return scipy.optimize.least_squares(off, start, bounds=(low, high), x_scale=np.abs(start))


def covariance(distance: np.ndarray, model: Correlation) -> np.ndarray:
    """What errors `distance` m apart have in common, in the unit of `sills`: spherical models, Hugonnet et al. 2022."""
    distance = np.asarray(distance, dtype=float)
    return sum(sill - _spherical(distance, reach, sill) for reach, sill in zip(model.ranges, model.sills, strict=True))


def effective_samples(area: float | np.ndarray, model: Correlation) -> np.ndarray:
    """How many independent pixels an area (m2) is worth: sigma / sqrt(that) is the error of its mean.

    The area as a disc, its correlation as seen from the middle (Rolstad et al. 2009, for a sum of models Hugonnet et
    al. 2022): no less error than over all pairs. One at least.

    >>> float(effective_samples(np.pi * 1000.0**2, Correlation((100.0,), (1.0,))).round(6))
    500.0
    """
    radius = np.sqrt(np.asarray(area, dtype=float) / np.pi)
    shared = 0.0
    for reach, sill in zip(model.ranges, model.sills, strict=True):
        near = np.minimum(radius, reach)  # 2 / radius2 times the integral of h (1 - 1.5 h/a + 0.5 (h/a)^3)
        whole = near**2 / 2 - near**3 / (2 * reach) + near**5 / (10 * reach**3)
        shared = shared + sill * 2 * whole / np.maximum(radius, 1e-9) ** 2
    return np.maximum(sum(model.sills) / np.maximum(shared, 1e-300), 1.0)


def areal_errors(area: np.ndarray, at: np.ndarray, model: Correlation) -> tuple[np.ndarray, float]:
    """Standard error of the mean over each area (m2), and of the mean over all of them together.

    `at` (n, 2) are the areas' centres in m: what two areas share is the covariance over their distance (Hugonnet et
    al. 2022), and no more than one's own.
    """
    area, own = np.asarray(area, dtype=float), model.sigma / np.sqrt(effective_samples(area, model))
    if not area.sum() > 0:
        return own, float("nan")
    total = 0.0
    for first in range(0, len(area), 1000):  # rows of the matrix at a time: 10 000 glaciers take 80 MB
        rows = slice(first, first + 1000)
        shared = covariance(scipy.spatial.distance.cdist(at[rows], at), model)
        shared = np.minimum(shared, own[rows, None] * own[None, :])
        n = np.arange(first, first + len(shared))
        shared[n - first, n] = own[rows] ** 2
        total += float(area[rows] @ shared @ area)
    return own, float(np.sqrt(total) / area.sum())


def _spherical(distance: np.ndarray, reach: float, sill: float) -> np.ndarray:
    """Semivariance of the spherical model: 0 at no distance, `sill` from `reach` on."""
    part = np.minimum(distance / reach, 1.0)
    return sill * (1.5 * part - 0.5 * part**3)


def _apart(values: np.ndarray, steps: Sequence[float], pairs: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Absolute differences of pairs of known pixels, at most `pairs` for each of `steps` (pixels)."""
    rows, columns = np.nonzero(np.isfinite(values))
    found = []
    for step in steps:
        take = rng.integers(0, len(rows), 4 * pairs) if len(rows) else np.zeros(0, dtype=int)
        bearing = rng.uniform(0, 2 * np.pi, len(take))
        y = rows[take] + np.rint(step * np.sin(bearing)).astype(int)
        x = columns[take] + np.rint(step * np.cos(bearing)).astype(int)
        inside = (y >= 0) & (y < values.shape[0]) & (x >= 0) & (x < values.shape[1])
        apart = np.abs(values[y[inside], x[inside]] - values[rows[take[inside]], columns[take[inside]]].astype(float))
        found.append(apart[np.isfinite(apart)][:pairs])
    return found
