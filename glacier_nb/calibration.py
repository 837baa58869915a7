"""Intervals of change that hold as often as they say: found where the truth is known, kept in the card of the weights.

Without a source, plain or ours: `pairs`, `of`, `told`.
"""

import geopandas as gpd
import numpy as np
import pandas as pd

from glacier_nb import weights
from glacier_nb.uncertainty import Conformal

KEY = "intervals"
"""Of a card: change_interval and region_interval (fields of `uncertainty.Conformal`), the sensor and pixel_m that they
hold for, and what was measured of them."""

KINDS = {"glaciers": ("change_interval", 0.5), "regions": ("region_interval", 1.0)}
"""What is calibrated apart: as what `change.area` takes it, and the power of the half-width that errors grow by.

A half-width grows with the length of the margin. Errors that are alike for some hundred metres of it average out, so
that a glacier's grow as its root; those that all glaciers of a region share do not.
"""


def pairs(mapped: pd.DataFrame, true: pd.DataFrame) -> pd.DataFrame:
    """Changes beside the truth: rgi_id ("region": of all), time, mapped_m2, true_m2, scale_m2 (the half-width).

    Both tables are of `change.area` with the same divides and seen, so that they compare the same ground, and without
    calibration. Rows of glaciers that no date found (half-width 0) are left out, as nothing scales them.
    """
    key = ["rgi_id", "time"]
    rows = mapped.merge(true[[*key, "change_m2"]], on=key, suffixes=("", "_true"))
    scale = (rows["change_upper_m2"] - rows["change_lower_m2"]) / 2
    found = {"mapped_m2": rows["change_m2"], "true_m2": rows["change_m2_true"], "scale_m2": scale}
    return rows[key].assign(**found)[(rows["time"] > rows["since"]) & (scale > 0)].dropna(ignore_index=True)


def fit(rows: pd.DataFrame, level: float = 0.9) -> dict[str, Conformal]:
    """What `change.area` takes for other places of the kind that `rows` (of `pairs`, several places together) are.

    change_interval of the glaciers, and region_interval of the places as a whole: errors that its glaciers share do not
    average out in a sum, so that it is calibrated by itself. Split conformal prediction with normalised absolute errors
    (Lei et al. 2018): as far down as up, so that bounds hold the mapped change, whatever way maps of other changes are
    biased. ValueError: fewer of either than the level needs, 9 at 0.9.
    """
    found = {}
    for kind, (name, power) in KINDS.items():
        some = rows[(rows["rgi_id"] == "region") == (kind == "regions")]
        score = np.sort((some["true_m2"] - some["mapped_m2"]).abs() / some["scale_m2"] ** power)
        n, place = len(score), int(np.ceil((len(score) + 1) * level - 1e-9))
        if place > n:
            need = int(np.ceil(level / (1 - level) - 1e-9))
            raise ValueError(f"{n} {kind} to calibrate on: an interval of {level:g} needs {need}")
        reach = float(score[place - 1])
        found[name] = Conformal(-reach, reach, level, n, power, kind)
    return found


def of(outlines: gpd.GeoDataFrame) -> dict[str, Conformal]:
    """change_interval and region_interval of `change.area` for outlines (system, sensor, pixel_m), by their card.

    Empty, so that bounds are the buffer method's, where the card has none or was found for another sensor or pixel,
    where the outlines are of several, and where some were corrected by hand.
    """
    told = [outlines[name].unique() for name in ("system", "sensor", "pixel_m") if name in outlines]
    drawn = "edited" in outlines and outlines["edited"].any()
    if len(told) < 3 or any(len(values) != 1 for values in told) or drawn:
        return {}
    (system,), (sensor,), (pixel,) = told
    row = weights.default(system)
    known = row.card.get(KEY, {}) if row else {}
    if (known.get("sensor"), known.get("pixel_m")) != (sensor, pixel):
        return {}
    return {name: Conformal(**known[name]) for name, _ in KINDS.values()}


def told(table: pd.DataFrame) -> str:
    """What the bounds of a region's change in a table of `change.area` are, in a few words."""
    return table.attrs.get("region_method") or table.attrs["method"].partition(";")[0]
