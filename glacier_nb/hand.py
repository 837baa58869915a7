"""A pen for outlines and fronts in a notebook: drag, add and remove vertices over the scene, take the edit out."""

import dataclasses
import os
import pathlib
import textwrap

import geopandas as gpd
import holoviews as hv
import numpy as np
import pandas as pd
import shapely
import xarray as xr
from bokeh.models import Title
from IPython import get_ipython

from glacier_nb import edits, layers, maps

EDIT = (
    "Edit: hold the mouse still on a line to see its vertices, and drag them. Hold it on a vertex and click beside it"
    " to add one (Escape ends that); Backspace removes the one last clicked."
)
DRAW = "Draw: hold to begin a new line, click to go on, hold to end it."
"""What the two tools of a pen take: Bokeh's, which know a press (0.3 s) from a click."""
ROOM = 0.1
"""Share of the greater side about lines without a scene, so that they can be drawn outwards."""
ABOUT = 1.0
"""The same over a scene: the ground that a front could have stood on, at the scene's own resolution."""
LETTER = 6
"""Width of one below the map, pixels."""


@dataclasses.dataclass(frozen=True, repr=False)
class Pen:
    """A map to draw on, and what was drawn on it."""

    view: hv.Overlay
    """Show it in a cell; without a kernel it is a map like any other."""
    stream: hv.streams.PolyEdit
    model: gpd.GeoDataFrame
    tolerance: float
    """Metres by which the lines on the map were thinned."""
    made: str = dataclasses.field(default_factory=lambda: f"{pd.Timestamp.now():%Y%m%dT%H%M%S}")
    """When, in local time: it stands in the name of the file that `save` writes."""

    def _repr_mimebundle_(self, include=None, exclude=None):
        return self.view._repr_mimebundle_(include, exclude)

    def edited(self) -> gpd.GeoDataFrame:
        """rgi_id, time, geometry as they are drawn now: what edits.apply takes."""
        drawn = self.stream.data
        if drawn is None:  # nobody has drawn yet
            return self.model[["rgi_id", "time", "geometry"]]
        names = {"x": "xs", "y": "ys", "rgi_id": "rgi_id", "part": "part", "ring": "ring"}
        empty = [""] * len(drawn["xs"])
        columns = [drawn.get(name, empty) for name in names.values()]
        now = gathered([dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)], self.model)
        begun = gathered(spread(self.model, self.tolerance), self.model)
        begun = dict(zip(begun["rgi_id"], begun.geometry, strict=True))
        own = dict(zip(self.model["rgi_id"].astype(str), self.model.geometry, strict=True))
        same = [
            name in begun and begun[name].equals_exact(shape, 1e-3)
            for name, shape in now[["rgi_id", "geometry"]].values
        ]
        shapes = [
            own[name] if one else shape for name, shape, one in zip(now["rgi_id"], now.geometry, same, strict=True)
        ]
        return now.set_geometry(shapes, crs=now.crs)  # a line nobody touched keeps all its vertices

    def save(self, folder: str | os.PathLike) -> pathlib.Path | None:
        """Write what is drawn now into `folder`, for the notebooks' `edited` and edits.corrected; returns the path.

        Drawn on and saved again, the same file; another pen writes another. None, and no file, where nothing is drawn.
        Errors of edits.apply: what could not be used later is told while it can still be drawn otherwise.
        """
        now = self.edited()
        if not edits.apply(self.model, now, "-", "-")["edited"].any():
            return None
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        return edits.write(now, pathlib.Path(folder) / f"by_hand_{self.made}.gpkg")


def attended() -> bool:
    """Whether somebody sits before the cell that runs: a front end that lets it ask (JupyterLab), not papermill.

    So the kernel is told with every cell (`allow_stdin`, https://jupyter-client.readthedocs.io/en/stable/messaging.html).
    """
    kernel = getattr(get_ipython(), "kernel", None)
    return bool(kernel and kernel.get_parent("shell").get("content", {}).get("allow_stdin"))


def pen(
    shapes: gpd.GeoDataFrame,
    scene: xr.Dataset | None = None,
    width: int = 700,
    tolerance: float | None = None,
) -> Pen:
    """A pen over `scene` for `shapes` (outlines or fronts of one date: rgi_id, time, geometry).

    Needs a running kernel; afterwards `edits.apply(shapes, pen.edited(), who, why)`. Args: vertices that move a line
    by less than `tolerance` (m; default a quarter of `pixel_m`, else 2.5) are left out, so that few remain to drag; a
    line that nobody touches comes back with all of them. A scene of another date is left out, and the map says so.
    Raises ValueError for no rows or several dates.
    """
    if shapes.empty or shapes["time"].nunique() > 1:
        raise ValueError(f"{shapes['time'].nunique()} dates: a pen takes the outlines or fronts of one, over its scene")
    day, title = f"{shapes['time'].iloc[0]:%Y-%m-%d}", ""
    if scene is not None and (other := str(scene.attrs.get("time", day))[:10]) != day:
        scene, title = None, f"{day}, without the scene, which is of {other}"
    crs = scene.odc.crs if scene is not None else shapes.crs
    drawn = shapes.to_crs(crs)
    grain = float(shapes["pixel_m"].min()) / 4 if "pixel_m" in shapes else 2.5
    tolerance = grain if tolerance is None else tolerance
    rows = spread(drawn, tolerance)
    lines = hv.Path(rows, ["x", "y"], ["rgi_id", "part", "ring"]).opts(
        color=maps.EARLIER, line_width=2.2, active_tools=["poly_edit"], show_legend=False, hooks=[_taught]
    )
    edit = hv.streams.PolyEdit(
        source=lines, vertex_style={"color": maps.LOSS, "size": 8, "line_color": maps.PAPER}, shared=True, tooltip=EDIT
    )
    hv.streams.PolyDraw(source=lines, show_vertices=False, empty_value="", tooltip=DRAW)
    left, bottom, right, top = drawn.total_bounds
    room = max(right - left, top - bottom) * (ROOM if scene is None else ABOUT)
    edges, below = (left - room, bottom - room, right + room, top + room), None
    near = scene.sel(x=slice(edges[0], edges[2]), y=slice(edges[3], edges[1])) if scene is not None else None
    if near is not None and near.sizes["x"] > 1 and near.sizes["y"] > 1:
        small, bands, name = layers.shown(near, None)
        edges, title = maps.bounds(small), layers.told(scene, name)
        below = maps.picture(maps.tones(small, bands, maps.limits(small, bands)), edges)
    view = lines if below is None else below * lines
    return Pen(maps.frame(view, crs, edges, title, width), edit, drawn, tolerance)


def _taught(plot, element) -> None:
    """How the tools are used, below the map."""
    text = "\n".join(line for tool in (EDIT, DRAW) for line in textwrap.wrap(tool, plot.state.frame_width // LETTER))
    type_ = {"text_font": maps.FONT, "text_font_size": "11px", "text_font_style": "normal", "text_color": maps.INK}
    if not any(isinstance(part, Title) for part in plot.state.below):
        plot.state.add_layout(Title(text=text, **type_), "below")


def spread(shapes: gpd.GeoDataFrame, tolerance: float = 0.0) -> list[dict]:
    """Every ring of polygons, or every line, as a path of its own: x, y, rgi_id, part (number), ring (0: the outer).

    >>> ring = shapely.box(0, 0, 9, 9).difference(shapely.box(3, 3, 6, 6))
    >>> [(row["part"], row["ring"]) for row in spread(gpd.GeoDataFrame({"rgi_id": ["a"]}, geometry=[ring]))]
    [(0, 0), (0, 1)]
    """
    rows = []
    for rgi_id, shape in zip(shapes["rgi_id"].astype(str), shapes.geometry.simplify(tolerance), strict=True):
        for number, part in enumerate(shapely.get_parts(shape)):
            rings = [part.exterior, *part.interiors] if isinstance(part, shapely.Polygon) else [part]
            for ring, line in enumerate(rings):
                x, y = shapely.get_coordinates(line).T
                rows.append({"x": x, "y": y, "rgi_id": rgi_id, "part": number, "ring": ring})
    return rows


def gathered(rows: list[dict], model: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The rows of `spread`, as they were edited, put together as `model` has them: rgi_id, time, geometry.

    A new closed line belongs to the glacier that it meets, else it is a new one, "new-1"; one inside a glacier is
    a hole in it. A glacier all of whose lines are gone comes with an empty geometry.
    """
    solid = model.geom_type.str.contains("Polygon").any()
    least, pieces = (3 if solid else 2), []
    for row in rows:
        points = np.column_stack([np.asarray(row["x"], float), np.asarray(row["y"], float)])
        points = points[np.isfinite(points).all(axis=1)]
        if len(np.unique(points, axis=0)) < least:
            continue
        shape = shapely.make_valid(shapely.Polygon(points)) if solid else shapely.LineString(points)
        pieces.append((str(row.get("rgi_id") or ""), str(row.get("ring") or "0"), shape))
    old = [piece for piece in pieces if piece[0]]
    found = {name: [] for name in model["rgi_id"].astype(str)}
    for rgi_id, ring, shape in old:
        found.setdefault(rgi_id, []).append((shape, ring not in ("0", "0.0")))
    for *_, shape in (piece for piece in pieces if not piece[0]):
        near = [
            name for name, mine in found.items() if any(shape.intersects(other) for other, hole in mine if not hole)
        ]
        whole = [name for name in near if _joined(found[name], solid).contains(shape)] if solid else []
        name = f"new-{sum(name.startswith('new-') for name in found) + 1}"
        found.setdefault((whole or near or [name])[0], []).append((shape, bool(whole)))
    shapes = [_joined(mine, solid) for mine in found.values()]
    time = pd.Timestamp(model["time"].iloc[0])
    return gpd.GeoDataFrame({"rgi_id": list(found), "time": time}, geometry=shapes, crs=model.crs)


def _joined(parts: list[tuple[shapely.Geometry, bool]], solid: bool) -> shapely.Geometry:
    """All parts together, less those that are holes; an empty shape of none."""
    outer = shapely.union_all([shape for shape, hole in parts if not hole])
    if not solid:
        return shapely.line_merge(outer) if not outer.is_empty else shapely.LineString()
    found = outer.difference(shapely.union_all([shape for shape, hole in parts if hole]))
    return found if not found.is_empty else shapely.Polygon()
