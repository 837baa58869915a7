"""How sure a number is: intervals of areas, their sum, trends, calibration, and maps unlike the training.

Bounds are of one kind throughout, the buffer method's, until `conformal` has measured how often they hold. `combine`
adds half-widths, so a sum or a difference has bounds of the same kind as its parts.

Without a source, plain or ours: `coverage`, `least_squares`, `moments`.
"""

import dataclasses
from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
import scipy.optimize
import scipy.special
import shapely
import xarray as xr

SYSTEMATIC = 0.5
"""Share of an outline's error variance taken as common to all outlines of one source (same system and sensor).

Snow, shadow and threshold push all margins of a date and a method the same way; noise does not. With 0 all errors
are independent and a region's interval shrinks with the number of glaciers, with 1 it does not shrink at all.
"""

NORMAL_90 = 1.645
"""Half of the width that holds 90 % of a normal distribution, in its standard deviations."""


@dataclasses.dataclass(frozen=True)
class Trend:
    """A trend; `slope`, `lower` and `upper` per year, `p` of no trend (Mann-Kendall's, or of the t-test)."""

    slope: float
    lower: float
    upper: float
    intercept: float
    p: float
    n: int


@dataclasses.dataclass(frozen=True)
class Conformal:
    """What lies between a mapped value and the truth, in units of a scale such as the buffer's half-width to `power`:
    with probability `level` from `low` to `high` of it, by `n` cases where the truth is known. `source`: which."""

    low: float
    high: float
    level: float
    n: int
    power: float = 1.0
    source: str = dataclasses.field(default="", repr=False)


def conformal(
    mapped: np.ndarray, true: np.ndarray, scale: np.ndarray, level: float = 0.9, by_size: bool = False
) -> Conformal:
    """Calibrate intervals on glaciers whose `true` value is known (split conformal; Vovk et al. 2005, Lei et al. 2018).

    `mapped` by the same system on images of the same kind, `scale` (same unit, positive) how hard each is: the
    half-width of `area_interval`. Nothing is assumed of the errors but that glaciers to come are drawn as these were;
    a bias is taken out with the rest. The truth then lies inside with probability `level` to 2 / (n + 1) above it; over
    other calibration sets that varies by sqrt(level (1 - level) / n). What is not finite is left out.

    `by_size`: errors along a margin that are alike for some hundred metres only average out on a long one, so that
    they grow less than `scale` does. Every fourth glacier then finds the power of it (0 to 1) by which the larger
    half's mean error exceeds the smaller's, and the others calibrate (normalised scores, Lei et al. 2018): wider on
    small glaciers. From 160 glaciers on. Raises ValueError for fewer glaciers than the level needs: 19 at 0.9.

    >>> conformal(np.zeros(19), np.arange(19.0), np.ones(19))
    Conformal(low=0.0, high=18.0, level=0.9, n=19, power=1.0)
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level:g}: the share of cases that an interval holds, between 0 and 1")
    error, scale = np.asarray(true, dtype=float) - mapped, np.asarray(scale, dtype=float)
    known = np.isfinite(error) & np.isfinite(scale) & (scale > 0)
    error, scale, power = error[known], scale[known], 1.0
    if by_size and len(error) >= 160:  # twenty in either half
        off, size = np.abs(error[::4] - np.median(error[::4])), np.log(scale[::4])
        large = size > np.median(size)
        ends = [(np.log(max(off[half].mean(), 1e-12)), size[half].mean()) for half in (large, ~large)]
        power = float(np.clip((ends[0][0] - ends[1][0]) / max(ends[0][1] - ends[1][1], 1e-6), 0, 1))
        error, scale = (np.delete(a, np.s_[::4]) for a in (error, scale))
    score = np.sort(error / scale**power)
    n, tail = len(score), (1 - level) / 2
    place = int(np.floor((n + 1) * tail + 1e-9))
    if n < (least := int(np.ceil(1 / tail - 1e-9)) - 1):
        raise ValueError(f"{n} glaciers to calibrate on: an interval of {level:g} needs {least}")
    return Conformal(float(score[place - 1]), float(score[n - place]), level, n, power)


def conformal_interval(mapped: np.ndarray, scale: np.ndarray, calibrated: Conformal) -> pd.DataFrame:
    """Mapped areas with the bounds that `conformal` found, a row each: area_m2, lower_m2 (0 at least), upper_m2.

    `scale` as in the calibration. Coverage holds over all glaciers together, not for each size or kind of them:
    calibrate kinds apart where they differ. Lei et al. 2018.

    >>> conformal_interval([100.0], [10.0], Conformal(-1.5, 0.5, 0.9, 19)).values.tolist()
    [[100.0, 85.0, 105.0]]
    """
    mapped, scale = np.asarray(mapped, dtype=float), np.asarray(scale, dtype=float) ** calibrated.power
    bounds = (np.maximum(mapped + side * scale, 0) for side in (calibrated.low, calibrated.high))
    return pd.DataFrame(dict(zip(("area_m2", "lower_m2", "upper_m2"), (mapped, *bounds), strict=True)))


def coverage(true: np.ndarray, bounds: pd.DataFrame) -> dict[str, float]:
    """How often intervals hold: n, coverage (0-1), error (its standard error), width (mean, in the unit of `bounds`).

    `bounds` has lower_m2 and upper_m2, a row for each `true` value; rows that are not finite are left out.

    >>> coverage([1.0, 5.0], pd.DataFrame({"lower_m2": [0.0, 0.0], "upper_m2": [2.0, 4.0]}))["coverage"]
    0.5
    """
    true, low, high = (np.asarray(a, dtype=float) for a in (true, bounds["lower_m2"], bounds["upper_m2"]))
    known = np.isfinite(true) & np.isfinite(low) & np.isfinite(high)
    held, n, width = ((low <= true) & (true <= high))[known], int(known.sum()), (high - low)[known]
    share, wide = (float(values.mean()) if n else np.nan for values in (held, width))
    return {"n": n, "coverage": share, "error": float(np.sqrt(share * (1 - share) / max(n, 1))), "width": wide}


def area_interval(
    geometry: gpd.GeoSeries | np.ndarray,
    pixel: float | np.ndarray = 10.0,
    buffer: float = 0.5,
    margin: np.ndarray | None = None,
) -> pd.DataFrame:
    """Areas with bounds by the buffer method: area_m2, lower_m2, upper_m2, one row a geometry.

    The margin, holes included, may lie `buffer` pixels of `pixel` metres to either side (Paul et al. 2013,
    doi:10.3189/2013AoG63A296; 2017, doi:10.1016/j.rse.2017.08.038): half-width = perimeter x buffer x pixel, the
    first order of buffering by that much, and never below no area. `margin` (m) is the length to use instead of
    the perimeter, for outlines that share divides. Debris cover needs a wider buffer: analysts differ there by
    30 %. Lengths and areas in the units of the map.

    >>> area_interval([shapely.box(0, 0, 1000, 1000)], pixel=10.0).values.tolist()
    [[1000000.0, 980000.0, 1020000.0]]
    """
    index, geometry = getattr(geometry, "index", None), np.asarray(geometry, dtype=object)
    area = shapely.area(geometry)
    length = shapely.length(geometry) if margin is None else np.asarray(margin, dtype=float)
    half = length * buffer * np.asarray(pixel, dtype=float)
    bounds = {"area_m2": area, "lower_m2": np.maximum(area - half, 0), "upper_m2": area + half}
    return pd.DataFrame(bounds, index=None if callable(index) else index)


def combine(
    half: np.ndarray | Sequence[float], systematic: float = SYSTEMATIC, source: Sequence | None = None
) -> np.ndarray | float:
    """Half-width of a sum from the half-widths of its terms, along the last axis (JCGM 100:2008, 5.2).

    A term that is taken off has a negative half-width: what it shares with the others cancels. `systematic` is the
    share of each variance that is common to all terms of one `source` (a label a term; default: one source for all).

    >>> float(combine([3.0, 4.0], systematic=0)), float(combine([3.0, 4.0], systematic=1))
    (5.0, 7.0)
    >>> float(combine([4.0, -4.0], systematic=1))
    0.0
    """
    half = np.asarray(half, dtype=float)
    labels = np.zeros(half.shape[-1]) if source is None else pd.factorize(np.asarray(source))[0]
    shared = sum(half[..., labels == label].sum(-1) ** 2 for label in np.unique(labels))
    return np.sqrt(systematic * shared + (1 - systematic) * (half**2).sum(-1))


def theil_sen(time: np.ndarray | pd.Series, value: np.ndarray | pd.Series, level: float = 0.9) -> Trend:
    """Trend per year as the median of all pairwise slopes (Theil 1950), its interval (Sen 1968) and Mann-Kendall's p.

    `time` as datetimes or decimal years; missing values are passed over. One value in five may be wild and
    the slope holds. Intercept at year 0. Raises ValueError under three values. Mann 1945, Kendall 1975.

    >>> theil_sen(np.array([2000.0, 2001, 2002, 2003, 2004]), np.array([8.0, 7, 6, 5, 50])).slope
    -1.0
    """
    years, value = _series(time, value)
    import scipy.stats  # 23 MB that a worker need not carry

    slope, intercept, lower, upper = scipy.stats.theilslopes(value, years, alpha=level)
    p = scipy.stats.kendalltau(years, value).pvalue
    return Trend(float(slope), float(lower), float(upper), float(intercept), float(p), len(years))


def least_squares(time: np.ndarray | pd.Series, value: np.ndarray | pd.Series, level: float = 0.9) -> Trend:
    """The same by ordinary least squares, with Student's interval and the t-test's p: one wild value moves it.

    ValueError: fewer than three dated values.

    >>> round(least_squares(np.array([2000.0, 2001, 2002, 2003, 2004]), np.array([8.0, 7, 6, 5, 50])).slope, 1)
    8.2
    """
    years, value = _series(time, value)
    import scipy.stats

    fit = scipy.stats.linregress(years, value)
    reach = scipy.stats.t.ppf((1 + level) / 2, len(years) - 2) * fit.stderr
    bounds = (float(fit.slope - reach), float(fit.slope + reach))
    return Trend(float(fit.slope), *bounds, float(fit.intercept), float(fit.pvalue), len(years))


def _series(time: np.ndarray | pd.Series, value: np.ndarray | pd.Series) -> tuple[np.ndarray, np.ndarray]:
    years, value = _years(time), np.asarray(value, dtype=float)
    good = np.isfinite(years) & np.isfinite(value)
    if good.sum() < 3:
        raise ValueError(f"a trend needs three dated values, here are {good.sum()}: add dates")
    return years[good], value[good]


def _years(time: np.ndarray | pd.Series) -> np.ndarray:
    time = np.asarray(time)
    if np.issubdtype(time.dtype, np.number):
        return time.astype(float)
    days = pd.DatetimeIndex(time) - pd.Timestamp("2000-01-01")
    return 2000 + np.asarray(days / pd.Timedelta(days=365.25), dtype=float)


def reliability(
    probability: np.ndarray | xr.DataArray, truth: np.ndarray | xr.DataArray, bins: int = 15
) -> pd.DataFrame:
    """How often the truth holds where the map says p: columns low, high, n, confidence, frequency; a row a bin.

    `probability` of the positive zone, `truth` boolean, same shape; unseen (NaN) pixels are left out. A calibrated
    map has confidence = frequency. Empty bins are NaN. DeGroot and Fienberg 1983. ValueError: shapes differ, no pixels.
    """
    p, y = _paired(probability, truth)
    edges = np.linspace(0, 1, bins + 1)
    which = np.clip(np.digitize(p, edges[1:-1]), 0, bins - 1)
    n = np.bincount(which, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(which, p, minlength=bins) / n
        frequency = np.bincount(which, y, minlength=bins) / n
    columns = {"low": edges[:-1], "high": edges[1:], "n": n, "confidence": confidence, "frequency": frequency}
    return pd.DataFrame(columns)


def ece(probability: np.ndarray | xr.DataArray, truth: np.ndarray | xr.DataArray, bins: int = 15) -> float:
    """Expected calibration error (0-1): mean |confidence - frequency| (Naeini et al. 2015). As `reliability`."""
    table = reliability(probability, truth, bins).dropna()
    return float(np.average((table.confidence - table.frequency).abs(), weights=table.n))


def temperature(probability: np.ndarray | xr.DataArray, truth: np.ndarray | xr.DataArray) -> float:
    """The temperature that makes a map's probabilities most likely given the truth; above 1: it was too sure.

    `probability` and `truth` of any shape, both the same. Find it on maps that were not trained on, then apply it with
    `temper`. Guo et al. 2017, arXiv:1706.04599. ValueError: they differ in shape.
    """
    p, y = _paired(probability, truth)
    logit, sign = _logit(p), np.where(y, 1.0, -1.0)

    def loss(log_t: float) -> float:
        return -float(np.mean(scipy.special.log_expit(sign * logit / np.exp(log_t))))

    return float(np.exp(scipy.optimize.minimize_scalar(loss, bounds=(-4, 4), method="bounded").x))


def temper(probability: np.ndarray | xr.DataArray, temperature: float) -> np.ndarray | xr.DataArray:
    """A map's probability with its logit divided by `temperature`: 0.5, and so outlines, stay. Guo et al. 2017."""
    values = scipy.special.expit(_logit(np.asarray(probability)) / temperature).astype(np.float32)
    return probability.copy(data=values) if isinstance(probability, xr.DataArray) else values


def moments(features: xr.DataArray) -> dict[str, dict[str, float]]:
    """Mean and deviation of each feature (feature, y, x) over what was seen, for a weights card; lazy: read once."""
    rest = [dim for dim in features.dims if dim != "feature"]
    table = xr.Dataset({"mean": features.mean(rest), "std": features.std(rest)}).compute()
    names = [str(name) for name in features.feature.values]
    return {name: {"mean": float(table["mean"][i]), "std": float(table["std"][i])} for i, name in enumerate(names)}


def out_of_domain(scene: dict[str, dict[str, float]], training: dict[str, dict[str, float]]) -> pd.Series:
    """How far a scene's features lie from the training's, in standard deviations of the training.

    Both as `moments` gives them. Per feature the distance of two normal distributions (2-Wasserstein; Dowson and Landau
    1982) over the training's standard deviation, sqrt((mean difference)^2 + (std difference)^2) / std; "all" is their
    root mean square. Past 1 a map deserves doubt: half of the scene may lie outside what most of the training looked
    like. Raises LookupError when a feature of the training is missing.

    >>> out_of_domain({"nir": {"mean": 0.5, "std": 0.1}}, {"nir": {"mean": 0.3, "std": 0.1}}).round(3).to_dict()
    {'nir': 2.0, 'all': 2.0}
    """
    if missing := set(training) - set(scene):
        raise LookupError(f"the scene lacks {sorted(missing)}, which the training had: stack them too")
    a, b = (pd.DataFrame(side).T.loc[list(training)] for side in (scene, training))
    distance = np.sqrt((a["mean"] - b["mean"]) ** 2 + (a["std"] - b["std"]) ** 2) / b["std"].clip(lower=1e-9)
    distance["all"] = float(np.sqrt((distance**2).mean()))
    return distance.rename("distance")


def _logit(p: np.ndarray) -> np.ndarray:
    return scipy.special.logit(np.clip(p.astype(float), 1e-7, 1 - 1e-7))


def _paired(probability: np.ndarray | xr.DataArray, truth: np.ndarray | xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    p, y = np.asarray(probability, dtype=float), np.asarray(truth)
    if p.shape != y.shape:
        raise ValueError(f"probability {p.shape} and truth {y.shape} differ in shape: put them on one GeoBox")
    seen = np.isfinite(p) & (np.isfinite(y) if y.dtype != bool else True)
    if not seen.any():
        raise ValueError("no pixel has both a probability and a truth: give ground that was seen")
    return p[seen], y[seen].astype(bool)
