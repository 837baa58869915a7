"""A front's positions over time: outliers, gaps, season and trend, the farthest advance and retreat, rates.

All take a table as `terminus.positions` returns it (rgi_id, method, time, position_m, uncertainty_m), each series
(glacier and method) by itself, or one from `terminus.across` with `by=("rgi_id", "offset_m")`. Years are 365.25 days.

Without a source, plain or ours: `with_gaps`, `rates`, `envelope`, `curve`.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from glacier_nb.screening import outliers

YEAR = pd.Timedelta(days=365.25)
SERIES = ("rgi_id", "method")
COVER = 1 / 2  # of the shortest wave: where no date of any year is in a longer stretch, half a wave could hide
SPAN = 1.5  # years: in a shorter series a trend and a season cannot be told apart


def screened(table: pd.DataFrame, reach: float = 2.0, by: Sequence[str] = SERIES) -> pd.DataFrame:
    """`table` with a column outlier (bool), and the reason in `note`: nothing is thrown away.

    A position's step is its least distance to any of the two before and the two after, as AutoTerm takes it of areas
    (Zhang et al. 2023, see `screening.fronts`): a front wrong alone is far from all four, one that stays moved is not.
    Outlying are steps over the third quartile by `reach` interquartile ranges that are also over twice the two
    positions' uncertainty.
    """
    frame = table.assign(outlier=False, note=table.get("note", "")).reset_index(drop=True)
    for rows in _series(frame, by):
        values, errors = frame.position_m[rows].to_numpy(), frame.uncertainty_m[rows].fillna(0).to_numpy()
        off, n = np.full((len(values), 4), np.inf), len(values)
        room = np.full((n, 4), 0.0)
        for side, step in enumerate((1, 2)):
            apart, sure = np.abs(values[step:] - values[:-step]), 2 * np.hypot(errors[step:], errors[:-step])
            for column, part in ((side, slice(step, None)), (side + 2, slice(None, max(n - step, 0)))):
                off[part, column], room[part, column] = apart, sure
        least = off.argmin(axis=1)[:, None]
        off, room = (np.take_along_axis(all_, least, axis=1)[:, 0] for all_ in (off, room))
        wrong = outliers(np.where(np.isfinite(off), off, np.nan), reach) & (off > room)
        frame.loc[rows[wrong], "outlier"] = True
        frame.loc[rows[wrong], "note"] = [f"outlier: {one:.0f} m from its neighbours" for one in off[wrong]]
    return frame.set_index(table.index)


def with_gaps(table: pd.DataFrame, longest: str | pd.Timedelta, by: Sequence[str] = SERIES) -> pd.DataFrame:
    """`table` by series and time with gap_d (days since the date before) and an empty row in each gap over `longest`.

    The empty row has position_m NaN in the middle of the gap, so that no line is drawn across it, and says so in
    `note`; rate_m_a after a gap is NaN.

    >>> days = pd.to_datetime(["2020-08-01", "2020-08-11", "2020-12-09"])
    >>> table = pd.DataFrame({"rgi_id": "a", "method": "box", "time": days, "position_m": [0.0, -5.0, 9.0]})
    >>> with_gaps(table, "60D")[["position_m", "gap_d"]].values.tolist()
    [[0.0, nan], [-5.0, 10.0], [nan, nan], [9.0, 120.0]]
    """
    limit, pieces = pd.Timedelta(longest), []
    by = [name for name in by if name in table]
    for _, mine in table.assign(time=pd.to_datetime(table["time"])).groupby(by, sort=False, dropna=False):
        mine = mine.sort_values("time", kind="stable")
        step = mine["time"].diff()
        wide = step > limit
        after = mine.loc[wide, [*by, "time"]]
        said = [f"gap of {days} days" for days in step[wide].dt.days]
        empty = after.assign(time=after["time"] - step[wide] / 2, position_m=np.nan, note=said)
        mine = mine.assign(gap_d=step / pd.Timedelta(days=1))
        if "rate_m_a" in mine:
            mine["rate_m_a"] = mine["rate_m_a"].mask(wide)
        pieces.append(pd.concat([mine, empty]).sort_values("time", kind="stable") if wide.any() else mine)
    if not pieces:
        return table.assign(gap_d=np.nan)
    return pd.concat(pieces, ignore_index=True)


def rates(table: pd.DataFrame, by: Sequence[str] = SERIES) -> pd.DataFrame:
    """From the first position to the last: change and rate of each series, and whether they can be told from none.

    Columns: `by`, n, first, last, change_m, uncertainty_m (one standard deviation, both ends), rate_m_a, lower_m_a,
    upper_m_a (90 %), certain (the interval is on one side of 0). Series with two dates or more; outliers left out.
    The rate tells the two ends apart and nothing of what lay between: see `cycle` for a trend. ValueError as there.
    """
    rows = []
    for key, mine in _kept(table, by):
        a, b = mine.iloc[0], mine.iloc[-1]
        if a["time"] == b["time"]:
            continue
        change, years = b.position_m - a.position_m, (b["time"] - a["time"]) / YEAR
        error = np.hypot(a.uncertainty_m, b.uncertainty_m)
        rate, half = change / years, 1.645 * error / years
        rows.append(
            (*key, len(mine), a["time"], b["time"], change, error, rate, rate - half, rate + half, abs(rate) > half)
        )
    names = ["n", "first", "last", "change_m", "uncertainty_m", "rate_m_a", "lower_m_a", "upper_m_a", "certain"]
    return pd.DataFrame(rows, columns=[*(name for name in by if name in table), *names])


def envelope(table: pd.DataFrame, every: str | None = "YS", by: Sequence[str] = SERIES) -> pd.DataFrame:
    """Farthest retreat and advance in each period: `by`, start, n, retreat_m, retreat_time, advance_m, advance_time.

    `every` is a pandas offset (a year; "12YS-SEP" ...), None for the whole series. position_m itself, not changes; a
    period without a date has no row. range_m is advance_m - retreat_m: only as wide as the dates in it show. ValueError
    for a position without a date.
    """
    rows = []
    for key, mine in _kept(table, by):
        periods = [(mine["time"].iloc[0], mine)] if every is None else mine.groupby(pd.Grouper(key="time", freq=every))
        for start, part in periods:
            if len(part):
                low, high = part.loc[part.position_m.idxmin()], part.loc[part.position_m.idxmax()]
                span = high.position_m - low.position_m
                rows.append((*key, start, len(part), low.position_m, low["time"], high.position_m, high["time"], span))
    names = ["start", "n", "retreat_m", "retreat_time", "advance_m", "advance_time", "range_m"]
    return pd.DataFrame(rows, columns=[*(name for name in by if name in table), *names])


class Fit(NamedTuple):
    """Least squares of one series: position = terms @ coefficients, with what is left alike over `days`."""

    origin: pd.Timestamp
    coefficients: np.ndarray  # at origin (m), per year (m), then cosine and sine of each harmonic (m)
    covariance: np.ndarray
    residual: float  # standard deviation of what is neither trend, season nor uncertainty (m)
    days: float  # over which the residual falls to 1 / e
    p_season: float  # of no season, by a Wald test
    quantile: float  # of Student's t for a two-sided 90 % interval


def cycle(table: pd.DataFrame, harmonics: int = 1, by: Sequence[str] = SERIES) -> pd.DataFrame:
    """Seasonal cycle and linear trend of each series by weighted least squares, with 90 % intervals.

    position = a + b t + `harmonics` cosines and sines of a year. Weights are 1 / uncertainty_m^2; a front that has
    calved stays back for weeks, so the residual is alike over a time that is fitted too (exponential correlation, by
    restricted likelihood, Patterson and Thompson 1971), and as many dates count as that leaves: without it the
    intervals are too narrow.

    Columns: `by`, n, years, trend_m_a, trend_lower_m_a, trend_upper_m_a, amplitude_m (half of highest to lowest in the
    season), amplitude_lower_m, amplitude_upper_m, advanced_day (of the year, when farthest advanced),
    advanced_day_error (standard deviation), p_season (of none), residual_m, correlation_d (at most half of the series:
    then a season and a slow drift are hard to tell apart, and the intervals wide), note. Without a season (NaN, `note`
    says why): fewer dates than terms and three more, under 1.5 years, or half of the shortest wave that no date of any
    year is in. Three dates or more; outliers left out. Years are from 1 January, 365.25 days.
    Raises ValueError for `harmonics` below 1 and, as all here that fit or compare, for a position without a date.
    """
    rows = []
    groups = list(_kept(table, by))
    for key, mine in tqdm(groups, desc="season and trend", delay=2, leave=False):
        if len(mine) < 3 or mine["time"].iloc[0] == mine["time"].iloc[-1]:
            continue
        why = _no_season(mine["time"], harmonics)
        fit = _fit(mine, 0 if why else harmonics)
        slope, half = fit.coefficients[1], fit.quantile * np.sqrt(fit.covariance[1, 1])
        years = (mine["time"].iloc[-1] - mine["time"].iloc[0]) / YEAR
        season = [np.nan] * 5 if why else _season(fit)
        trend = slope, slope - half, slope + half
        rows.append((*key, len(mine), years, *trend, *season, fit.p_season, fit.residual, fit.days, why))
    names = ["n", "years", "trend_m_a", "trend_lower_m_a", "trend_upper_m_a", "amplitude_m", "amplitude_lower_m",
             "amplitude_upper_m", "advanced_day", "advanced_day_error", "p_season", "residual_m", "correlation_d",
             "note"]  # fmt: skip
    return pd.DataFrame(rows, columns=[*(name for name in by if name in table), *names])


def curve(table: pd.DataFrame, harmonics: int = 1, every: str = "7D", by: Sequence[str] = SERIES) -> pd.DataFrame:
    """What `cycle` fits, from the first date to the last: `by`, time, fitted_m, lower_m, upper_m (90 %), trend_m.

    The interval is of the curve, not of a front on that day, which is off it by residual_m as well. ValueError for a
    position without a date.
    """
    pieces = []
    for key, mine in _kept(table, by):
        if len(mine) < 3 or mine["time"].iloc[0] == mine["time"].iloc[-1]:
            continue
        fit = _fit(mine, 0 if _no_season(mine["time"], harmonics) else harmonics)
        times = pd.date_range(mine["time"].iloc[0], mine["time"].iloc[-1], freq=every)
        terms = _terms(times, fit.origin, (len(fit.coefficients) - 2) // 2)
        middle = terms @ fit.coefficients
        half = fit.quantile * np.sqrt(np.einsum("ij,jk,ik->i", terms, fit.covariance, terms))
        straight = terms[:, :2] @ fit.coefficients[:2]
        facts = {"time": times, "fitted_m": middle, "lower_m": middle - half, "upper_m": middle + half}
        names = [name for name in by if name in table]
        pieces.append(pd.DataFrame(dict(zip(names, key, strict=True)) | facts | {"trend_m": straight}))
    columns = [*(name for name in by if name in table), "time", "fitted_m", "lower_m", "upper_m", "trend_m"]
    return pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame(columns=columns)


def _series(table: pd.DataFrame, by: Sequence[str]) -> Iterator[pd.Index]:
    """Index of each series' measured rows, by time."""
    known = table[table.position_m.notna()].sort_values("time", kind="stable")
    for _, mine in known.groupby([name for name in by if name in table], sort=False, dropna=False):
        yield mine.index


def _kept(table: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[tuple, pd.DataFrame]]:
    """Each series' name and its measured rows by time, without outliers; ValueError for a position without a date."""
    if missing := {"time", "position_m", "uncertainty_m"} - set(table):
        raise ValueError(f"positions lack {', '.join(sorted(missing))}: measure them with terminus.positions")
    endless = np.isinf(table[["position_m", "uncertainty_m"]].to_numpy(float)).any(axis=1)
    if endless.any():
        raise ValueError(f"row {table.index[endless][0]} has no end in position_m or uncertainty_m: leave it out")
    table = table[~table["outlier"]] if "outlier" in table else table
    undated = table["time"].isna() & table["position_m"].notna()
    if undated.any():
        raise ValueError(
            f"{undated.sum()} of {len(table)} positions have no date, the first in row {table.index[undated][0]}: set"
            " their column time, or leave them out, table.dropna(subset='time')"
        )
    table = table.assign(time=pd.to_datetime(table["time"])).reset_index(drop=True)
    for rows in _series(table, by):
        mine = table.loc[rows]
        yield tuple(mine[name].iloc[0] for name in by if name in mine), mine


def _no_season(time: pd.Series, harmonics: int) -> str:
    if harmonics < 1:
        raise ValueError(f"harmonics={harmonics}: a season has one wave or more; for a rate alone take rates")
    years = (time - time.iloc[0]) / YEAR
    if len(time) < 5 + 2 * harmonics:
        return f"{len(time)} dates are too few for a season"
    if years.iloc[-1] < SPAN:
        return f"{years.iloc[-1]:.1f} years are too short for a season"
    phase = np.sort(years % 1)
    empty = np.diff(np.append(phase, phase[0] + 1)).max()
    return f"no date in {12 * empty:.0f} months of any year" if empty > COVER / harmonics else ""


def _terms(time: pd.DatetimeIndex | pd.Series, origin: pd.Timestamp, harmonics: int) -> np.ndarray:
    t = np.asarray((pd.DatetimeIndex(time) - origin) / YEAR, dtype=float)
    waves = [wave(2 * np.pi * k * t) for k in range(1, harmonics + 1) for wave in (np.cos, np.sin)]
    return np.stack([np.ones_like(t), t, *waves], axis=1)


def _fit(mine: pd.DataFrame, harmonics: int) -> Fit:
    """Generalised least squares; residual and its correlation time by restricted maximum likelihood."""
    import scipy.optimize  # with scipy.stats 40 MB that a worker need not carry
    import scipy.stats

    origin = pd.Timestamp(year=mine["time"].iloc[0].year, month=1, day=1, tz=mine["time"].dt.tz)
    terms, y = _terms(mine["time"], origin, harmonics), mine.position_m.to_numpy()
    days = np.asarray((mine["time"] - mine["time"].iloc[0]) / pd.Timedelta(days=1), dtype=float)
    lag, noise = np.abs(days[:, None] - days), np.square(mine.uncertainty_m.fillna(0).to_numpy())
    rough = max(float(np.std(y - terms @ np.linalg.lstsq(terms, y, rcond=None)[0])), 1e-6)

    def solve(log_sigma: float, log_days: float) -> tuple[np.ndarray, np.ndarray, float, float]:
        cov = np.exp(2 * log_sigma) * np.exp(-lag / np.exp(log_days)) + np.diag(noise + (1e-6 * rough) ** 2)
        low = np.linalg.cholesky(cov)
        a, b = np.linalg.solve(low, terms), np.linalg.solve(low, y)
        normal = a.T @ a
        beta = np.linalg.solve(normal, a.T @ b)
        loss = np.log(np.diag(low)).sum() + np.linalg.slogdet(normal)[1] / 2 + ((b - a @ beta) ** 2).sum() / 2
        many = cov.diagonal().mean() * np.square(a[:, 0]).sum()  # dates that would say as much if none were alike
        return beta, np.linalg.inv(normal), float(loss), float(many)

    # correlation over less than a tenth of the common step, or over more than half of the series, cannot be seen
    short, long = np.log(max(np.median(np.diff(days)), 1.0) / 10), np.log(max(days[-1] / 2, 2.0))
    start = [np.log(rough), np.clip(np.log(30.0), short, long)]
    bounds = [(np.log(rough) - 7, np.log(rough) + 3), (short, max(long, short + 1e-6))]
    best = scipy.optimize.minimize(lambda p: solve(*p)[2], start, bounds=bounds, method="L-BFGS-B").x
    beta, covariance, _, many = solve(*best)
    free = max(min(many, len(y)) - len(beta), 1.0)
    waves, p = beta[2:], np.nan
    if len(waves):
        wald = float(waves @ np.linalg.solve(covariance[2:, 2:], waves))
        p = float(scipy.stats.f.sf(wald / len(waves), len(waves), free))
    quantile = float(scipy.stats.t.ppf(0.95, free))
    return Fit(origin, beta, covariance, float(np.exp(best[0])), float(np.exp(best[1])), p, quantile)


def _season(fit: Fit) -> tuple[float, float, float, float, float]:
    """Amplitude with bounds, day of the farthest advance and its standard deviation, from 2000 draws of the fit."""
    year = pd.date_range(fit.origin, periods=366, freq="D")
    waves = _terms(year, fit.origin, (len(fit.coefficients) - 2) // 2)[:, 2:]
    draws = np.random.default_rng(0).multivariate_normal(fit.coefficients[2:], fit.covariance[2:, 2:], 2000)
    best, drawn = waves @ fit.coefficients[2:], draws @ waves.T
    half = np.ptp(best) / 2
    spread = fit.quantile * np.std(np.ptp(drawn, axis=1) / 2)
    day = int(best.argmax())
    turn = np.exp(2j * np.pi * (drawn.argmax(axis=1) - day) / 365.25).mean()
    error = np.sqrt(-2 * np.log(max(abs(turn), 1e-12))) * 365.25 / (2 * np.pi)
    return half, max(half - spread, 0.0), half + spread, day + 1.0, float(error)
