"""Rock glaciers from maps of several summers: one inventory, and how often each landform is found again.

Without a source, plain or ours: `together`, `measured`.
"""

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import xarray as xr

from glacier_nb import attributes, vectorize

ZONES = ("rock glacier",)


def together(maps: Sequence[xr.DataArray]) -> xr.DataArray:
    """The mean of maps (zone, y, x) of one place and grid, pixel by pixel over those that saw it, NaN where none did.

    A rock glacier creeps by centimetres to metres a year: in the years of one inventory it stays where it is, and what
    differs between the summers is snow, light and the map's own error. attrs: those of the last map, and `summers`, how
    many. ValueError: no map.
    """
    if not maps:
        raise ValueError("no map: give the zones of one summer or more")
    count = sum(one.notnull().astype("int16") for one in maps)
    total = sum(one.fillna(0) for one in maps)
    return (total / count.where(count > 0)).assign_attrs(maps[-1].attrs | {"summers": len(maps)})


def inventory(
    maps: Sequence[xr.DataArray], elevation: xr.DataArray | None = None, min_area: float = 10_000.0
) -> gpd.GeoDataFrame:
    """Rock glaciers where the mean of `maps` passes one half, the largest first, with what each map alone says of them.

    maps: probability (zone, y, x) of one place and grid, one a summer, with a zone "rock glacier". min_area: m2; the
    RGIK guidelines of 2023 advise 0.01 km2. Columns: those of `vectorize.outlines`; lower_m2, upper_m2: the least and
    the largest area that one summer alone gives to it, with half a pixel off or on along the margin (the inventory's
    own area lies between); probability: mean inside; seen_in: summers that saw half of it or more; found_in: those of
    them whose own map has half of it or more; certain: whether all that saw it found it (Rouyet et al. 2025,
    doi:10.5194/essd-17-4125-2025, call what not all operators agree on uncertain: 222 of their 559). With `elevation`
    (m; y, x) also the columns of `attributes.attributes`: heights, slope, aspect, length. ValueError: no map.
    LookupError: none of the zones is rock glacier.
    """
    found = vectorize.outlines(together(maps), min_area=min_area, names=ZONES)
    return measured(found.sort_values("area_m2", ascending=False, ignore_index=True), maps, elevation, min_area)


def measured(
    found: gpd.GeoDataFrame,
    maps: Sequence[xr.DataArray],
    elevation: xr.DataArray | None = None,
    min_area: float = 10_000.0,
) -> gpd.GeoDataFrame:
    """Outlines `found` with the columns of `inventory`, whoever drew them: `edits.corrected` changes shapes alone.

    Args: `maps`, `elevation` and `min_area` as in `inventory`.
    The interval of an outline by hand holds what the summers alone would give to it too. One that was taken away (its
    geometry is empty) stays in the last rows with its edit, an area of 0 and certain False: it is no rock glacier.
    """
    mean, kept = together(maps), found.area > 0
    gone = found[~kept].assign(certain=False, found_in=0, seen_in=0, lower_m2=0.0, upper_m2=0.0)
    found = found[kept].reset_index(drop=True)
    chance = vectorize.glacier_probability(mean, ZONES)
    found["probability"] = attributes.zonal(chance, found, ["mean"])["mean"].to_numpy() if len(found) else []
    areas, held, seen = (np.zeros((len(maps), len(found))) for _ in range(3))
    for number, one in enumerate(maps):
        bodies = vectorize.outlines(one, min_area=min_area, names=ZONES).geometry.to_numpy()
        view = vectorize.seen(one).geometry.iloc[0]
        for k, shape in enumerate(found.geometry):
            mine = bodies[shapely.intersects(bodies, shape)]
            areas[number, k] = shapely.area(mine).sum()
            held[number, k] = shapely.area(shapely.intersection(mine, shape)).sum() / shape.area
            seen[number, k] = shapely.intersection(view, shape).area / shape.area
    saw = seen >= 0.5
    pixel = abs(float(mean["x"][1] - mean["x"][0]))  # one drawn by hand brings none
    half = found["margin_m"].fillna(found.length).to_numpy() * found["pixel_m"].fillna(pixel).to_numpy() / 2
    own = found["area_m2"].to_numpy()
    least, most = np.where(saw, areas, np.inf), np.where(saw, areas, -np.inf)
    found["lower_m2"] = (np.minimum(least.min(axis=0), own) - half).clip(0)
    found["upper_m2"] = np.maximum(most.max(axis=0), own) + half
    found["seen_in"], found["found_in"] = saw.sum(axis=0), (saw & (held >= 0.5)).sum(axis=0)
    found["certain"] = (found["found_in"] == found["seen_in"]) & (found["seen_in"] > 0)
    if elevation is not None and len(found):
        found = attributes.attributes(found, elevation, progress=False)
    return gpd.GeoDataFrame(pd.concat([found, gone], ignore_index=True), crs=found.crs) if len(gone) else found
