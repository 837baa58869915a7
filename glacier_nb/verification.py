"""What the notebooks retrieved from the embedded region, held against what is true there."""

import json
import pathlib

import geopandas as gpd
import numpy as np
import pandas as pd
import rioxarray

from glacier_nb import demo, metrics, terminus, vectorize

PIXEL = 10.0
"""Metres a pixel of the region."""


def compare(seed: int, out: pathlib.Path) -> dict:
    """Retrieved against true, from the products that the notebooks left in `out`: percent, points, pixels.

    Areas are compared on the ground that each date saw clear; unseen_percent is the share of true ice that it did not.

    Keys: area_error_percent (per date), area_change_error_points and debris_recall of the system that the manifest
    names, and the same after the name of the one shown beside it (ndsi_debris_recall); front_error_px (mean over clear
    dates), front_error_px_melange, fronts_missed, front_sign_errors.
    """
    true = demo.truth("outlines", seed)
    outlines = _dated(gpd.read_parquet(out / "03_area_change" / "outlines.parquet"), true)
    seen = _dated(gpd.read_parquet(out / "03_area_change" / "seen.parquet"), true).dissolve("time").geometry
    areas = outlines.groupby(["system", "time"]).area_m2.sum().unstack("time")
    whole = true.groupby("time").area_m2.sum()
    true_areas = true.dissolve("time").geometry.intersection(seen.to_crs(true.crs)).area.reindex(whole.index)
    error = (areas / true_areas - 1) * 100
    change = (areas[areas.columns[-1]] / areas[areas.columns[0]] - true_areas.iloc[-1] / true_areas.iloc[0]) * 100
    system = json.loads((out / "03_area_change" / "manifest.json").read_text())["system"]
    beside = next(name for name in areas.index if name != system)
    facts = {
        "system": system,
        "unseen_percent": _by_date(100 * (1 - true_areas / whole)),
        "area_error_percent": _by_date(error.loc[system]),
        "area_change_error_points": round(float(change[system]), 3),
        f"{beside}_area_error_percent": _by_date(error.loc[beside]),
        f"{beside}_area_change_error_points": round(float(change[beside]), 3),
        "debris_recall": round(_debris_recall(outlines[outlines.system == system], seed), 4),
        f"{beside}_debris_recall": round(_debris_recall(outlines[outlines.system == beside], seed), 4),
    }
    return facts | _front_errors(gpd.read_parquet(out / "04_calving_fronts" / "fronts.parquet"), seed)


def _dated(found: gpd.GeoDataFrame, true: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """`found` with each time (the middle of a composite's scenes) replaced by the nearest date of the truth."""
    dates = np.sort(true.time.unique())
    nearest = np.abs(found.time.to_numpy()[:, None] - dates).argmin(axis=1)
    return found.assign(time=dates[nearest])


def _by_date(errors: pd.Series) -> dict[str, float]:
    """Errors keyed by ISO date, to three decimals."""
    return {f"{time:%Y-%m-%d}": round(float(value), 3) for time, value in errors.items()}


def _debris_recall(outlines: gpd.GeoDataFrame, seed: int) -> float:
    """Share of truly debris-covered ice inside the mapped outlines, mean over the dates."""
    with rioxarray.open_rasterio(demo.folder(seed) / "truth" / "zones.tif") as zones:
        debris = zones.values == vectorize.ZONES.index("debris cover")
        geobox = zones.odc.geobox
    times = sorted(outlines.time.unique())
    mapped = [vectorize.rasterize(outlines[outlines.time == time], geobox).values > 0.5 for time in times]
    return float(np.mean([(inside & true).sum() / true.sum() for inside, true in zip(mapped, debris, strict=True)]))


def _front_errors(fronts: gpd.GeoDataFrame, seed: int) -> dict:
    """Deviation of mapped from true fronts in pixels, missed ones, and steps between dates with the wrong sign."""
    true = demo.truth("fronts", seed)
    fronts = _dated(fronts, true)
    scores = metrics.front_scores(fronts, true, spacing=PIXEL).merge(true[["rgi_id", "time", "melange"]])
    pixels = scores[~scores.missed].groupby("melange").mean_m.mean() / PIXEL
    box, line = demo.truth("boxes", seed), demo.truth("centrelines", seed)
    tables = [terminus.positions(lines, box=box, upglacier=line) for lines in (fronts, true)]
    both = tables[0].merge(tables[1], on=["rgi_id", "time"], suffixes=("", "_true")).dropna(subset="position_m")
    steps = both.sort_values("time")[["position_m", "position_m_true"]].diff().dropna()
    return {
        "front_error_px": round(float(pixels.get(False, np.nan)), 3),
        "front_error_px_melange": round(float(pixels.get(True, np.nan)), 3),
        "fronts_missed": int(scores.missed.sum()),
        "fronts_unmeasured": int(len(true) - len(both)),
        "front_sign_errors": int((np.sign(steps.position_m) != np.sign(steps.position_m_true)).sum()),
    }
