"""Calving fronts of a scene: predicted by a system, traced the way its paper traces them or by another method."""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator

import distributed
import geopandas as gpd
import numpy as np
import shapely
import xarray as xr

from glacier_nb import features, predict, summers, systems, tracing, vectorize
from glacier_nb.systems import System


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to draw a front; METHODS holds all. `trace` takes zones or a front map, as its first argument is called.

    needs: what `mapped` must be given besides where the scene holds more than one fjord, as its paper's do not.
    """

    name: str
    citation: str
    trace: Callable[..., gpd.GeoDataFrame]
    needs: str = ""


METHODS = (
    Method("zone boundary", "between ice and water, sub-pixel, ended on rock", vectorize.fronts),
    Method("minimum-cost path", "Mohajerani et al. 2019, doi:10.3390/rs11010074", tracing.minimum_cost, "walls"),
    Method("spanning tree", "Cheng et al. 2021, doi:10.5194/tc-15-1663-2021", tracing.spanning_tree),
    Method("skeleton", "Gourmelon et al. 2022, doi:10.5194/essd-14-4287-2022", tracing.ridge),
    Method("contour vertices", "Heidler et al. 2023, arXiv:2307.03461", tracing.vertices),
    Method("glacier edge", "Zhang et al. 2019, doi:10.5194/tc-13-1729-2019", tracing.boundary, "land"),
    Method("water edge", "Gourmelon et al. 2022, doi:10.5194/essd-14-4287-2022", tracing.water_edge),
    Method("longest contour", "Loebel et al. 2024, doi:10.5194/tc-18-3315-2024", tracing.contour, "land"),
    Method("coastline", "Baumhoer et al. 2019, doi:10.3390/rs11212529", tracing.coastline, "land"),
)
"""How the literature draws fronts, by name; options and what each needs stand with its function."""


def find(name: str) -> Method:
    """A row of METHODS; ValueError lists the names.

    >>> find("skeleton").trace.__name__
    'ridge'
    """
    row = {row.name: row for row in METHODS}.get(name)
    if row is None:
        raise ValueError(
            f"method={name!r}: one of {', '.join(row.name for row in METHODS)}, or none for the system's own"
        )
    return row


WHAT = {"walls": "the two walls of each fjord, lines", "land": "ground that is neither ice nor water, polygons"}
"""What the words in `Method.needs` stand for."""


def ready(method: str, **given: gpd.GeoDataFrame | None) -> dict[str, gpd.GeoDataFrame]:
    """What is given of walls and land, for `mapped` over a region of several fjords and glaciers.

    ValueError where the method by name ("": the system's own) needs what is not given: there it would follow every
    margin of the ice, or run from one side of the scene to the other.

    >>> ready("skeleton", land=None)
    {}
    >>> ready("coastline", land=None)
    Traceback (most recent call last):
    ValueError: drawn='coastline' needs land: ground that is neither ice nor water, polygons; give it or draw otherwise
    """
    needs = find(method).needs if method else ""
    if needs and given.get(needs) is None:
        raise ValueError(f"drawn={method!r} needs {needs}: {WHAT[needs]}; give it or draw otherwise")
    return {name: shapes for name, shapes in given.items() if shapes is not None}


def mapped(
    features: xr.DataArray,
    system: str | System,
    weights=None,
    client: distributed.Client | None = None,
    divides: gpd.GeoDataFrame | None = None,
    walls: gpd.GeoDataFrame | None = None,
    land: gpd.GeoDataFrame | xr.DataArray | None = None,
    method: str = "",
    **options,
) -> tuple[gpd.GeoDataFrame, xr.DataArray]:
    """Fronts, one row a glacier (see `vectorize.fronts` for the columns), and what they were traced on.

    That is the front's probability (y, x) where the tracer asks for it, else the zones (zone, y, x). `method`, one of
    METHODS, draws them as another paper does; without, the row's own tracer (`System.trace`), or `vectorize.fronts`
    where it has none. divides and walls (a fjord's, as lines) go to the tracers that use them; what stands on `land`
    (polygons, or a boolean layer) is cut from every line. features, weights, client, options and errors as in
    `predict.zones`; ValueError for an unknown method.
    """
    row = systems.find(system)
    trace, how, takes = _tracer(row, method)
    ask = predict.front if takes[0] == "front" else predict.zones
    layer = ask(features, row, weights, client, **options)
    return _traced(layer, trace, how, takes, divides=divides, walls=walls, land=land), layer


def dates(
    scenes: Iterable[xr.Dataset],
    system: str | System,
    weights=None,
    client: distributed.Client | None = None,
    divides: gpd.GeoDataFrame | None = None,
    walls: gpd.GeoDataFrame | None = None,
    land: gpd.GeoDataFrame | xr.DataArray | None = None,
    method: str = "",
    **options,
) -> Iterator[tuple[gpd.GeoDataFrame, xr.DataArray, xr.Dataset]]:
    """Of each scene (as `summers.scenes` has them) its fronts, what they were traced on, and itself, as in `mapped`.

    One scene is in memory at a time. A system of series (`System.series`) gets all dates at once, lazily, so that what
    one did not see is made good by the others, and only the last scene comes back in memory. ValueError as in `mapped`,
    and where a method draws on a map of fronts, which a series has not.
    """
    row, given = systems.find(system), {"divides": divides, "walls": walls, "land": land}
    if not row.series:
        for scene in map(summers.read, scenes):
            yield *mapped(_stack(scene, row), row, weights, client, **given, method=method, **options), scene
        return
    trace, how, takes = _tracer(row, method)
    if takes[0] == "front":
        raise ValueError(f"method={method!r} draws on a map of fronts, {row.name} maps zones: take 'zone boundary'")
    scenes = list(scenes)
    maps = predict.series([_stack(scene, row) for scene in scenes], row, weights, client, **options)
    for layer, scene in zip(maps, [*scenes[:-1], summers.read(scenes[-1])], strict=True):
        yield _traced(layer, trace, how, takes, **given), layer, scene


def _stack(scene: xr.Dataset, row: System) -> xr.DataArray:
    return features.stack(scene, systems.layers(row, scene))


def _tracer(row: System, method: str) -> tuple[Callable, dict, list[str]]:
    """A method by name, else the row's own: what draws, its options, and the names of what it takes."""
    trace, how = (find(method).trace, {}) if method else row.trace or (vectorize.fronts, {})
    return trace, how, list(inspect.signature(trace).parameters)


def _traced(layer: xr.DataArray, trace: Callable, how: dict, takes: list[str], **given) -> gpd.GeoDataFrame:
    """Lines of a map, cut by land where their tracer does not do it."""
    used = {name: thing for name, thing in given.items() if name in takes and thing is not None}
    lines, land = trace(layer, **used, **how), given["land"]
    return lines if land is None or "land" in takes else off_land(lines, land)


def off_land(lines: gpd.GeoDataFrame, land: gpd.GeoDataFrame | xr.DataArray) -> gpd.GeoDataFrame:
    """`lines` (geometry, pixel_m) without what stands on `land` (polygons, or a boolean layer): a front there is rock.

    Pieces under three pixels are left out, as are fronts of which nothing is left.
    """
    ground = land if isinstance(land, gpd.GeoDataFrame) else vectorize.seen(land)
    cut = lines.difference(ground.to_crs(lines.crs).union_all())
    pieces, row = shapely.get_parts(cut.to_numpy(), return_index=True)
    kept = shapely.length(pieces) >= 3 * lines["pixel_m"].to_numpy()[row]
    rows, group = np.unique(row[kept], return_inverse=True)
    left = shapely.line_merge(shapely.multilinestrings(pieces[kept], indices=group))
    return lines.iloc[rows].set_geometry(left, crs=lines.crs).reset_index(drop=True)
