"""Calving fronts of a scene: predicted by a system, traced the way its paper traces them."""

import inspect

import distributed
import geopandas as gpd
import xarray as xr

from glacier_nb import predict, systems, vectorize
from glacier_nb.systems import System


def mapped(
    features: xr.DataArray,
    system: str | System,
    weights=None,
    client: distributed.Client | None = None,
    divides: gpd.GeoDataFrame | None = None,
    walls: gpd.GeoDataFrame | None = None,
    land: gpd.GeoDataFrame | xr.DataArray | None = None,
    **options,
) -> tuple[gpd.GeoDataFrame, xr.DataArray]:
    """Fronts, one row a glacier (see `vectorize.fronts` for the columns), and what they were traced on.

    That is the front's probability (y, x) where the system's tracer asks for it, else the zones (zone, y, x). A row
    without a tracer of its own (`System.trace`) is traced by `vectorize.fronts`. divides, walls (a fjord's, as lines)
    and land (what stands on rock) go to the tracers that use them. features, weights, client, options and errors as in
    `predict.zones`.
    """
    row = systems.find(system)
    trace, how = row.trace or (vectorize.fronts, {})
    takes = list(inspect.signature(trace).parameters)
    ask = predict.front if takes[0] == "front" else predict.zones
    layer = ask(features, row, weights, client, **options)
    given = {"divides": divides, "walls": walls, "land": land}
    given = {name: thing for name, thing in given.items() if name in takes and thing is not None}
    return trace(layer, **given, **how), layer
