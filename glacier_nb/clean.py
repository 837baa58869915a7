"""Zone maps made plausible: specks and holes smaller than a real glacier or nunatak, lakes at a terminus.

A system names its steps in order, each with its options; `clean.apply` takes them one after the other. Every step
takes and returns zones (zone, y, x) whose probabilities sum to one wherever they did before; NaN stays NaN. A step
that asks for `layers` is given features (feature, y, x) and looks them up by name. More steps: `objects`, `crf`,
`drainage`.

Without a source, plain or ours: `apply`, `layer`, `holes`, `enclosed`, `share`, `reshare`, `pixel_area`, `small`.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import odc.geo.xr  # noqa: F401  registers .odc.geobox
import scipy.ndimage
import xarray as xr

ICE = ("glacier", "debris cover")
LAND = ("rock", "rock glacier")
EIGHT = np.ones((3, 3), dtype=int)
FOUR = scipy.ndimage.generate_binary_structure(2, 1)

Steps = Sequence[tuple[Callable[..., xr.DataArray], Mapping]]


def apply(
    zones: xr.DataArray, steps: Steps, layers: xr.DataArray | None = None, opinions: Sequence[str] = ()
) -> xr.DataArray:
    """`zones` after each (function, options) of `steps`; attrs are kept and "clean" says what was done.

    layers: features (feature, y, x) on the grid of `zones`, for the steps that ask for them; they may hold more than
    the system's inputs. opinions: names in `zones` of maps that stand beside its zones: steps read them as layers, what
    is returned is without. LookupError where a step asks for a layer that is not there, ValueError on another grid.
    """
    if layers is not None and layers.shape[1:] != zones.shape[1:]:
        raise ValueError(f"layers of {layers.shape[1:]} and zones of {zones.shape[1:]} pixels: put them on one GeoBox")
    if opinions:
        own = zones.sel(zone=list(opinions)).drop_vars("spread", errors="ignore").rename(zone="feature")
        how = {"coords": "minimal", "compat": "override", "join": "override"}
        layers = own if layers is None else xr.concat([layers, own], "feature", **how)
        zones = zones.sel(zone=[name for name in zones.zone.values if name not in opinions])
    told = [f"{step.__name__}({', '.join(_told(options))})" for step, options in steps]
    attrs = zones.attrs
    for step, options in steps:
        given = {"layers": layers} if "layers" in inspect.signature(step).parameters else {}
        zones = step(zones, **given, **options)
    return zones.assign_attrs(attrs, clean=", ".join(told))


def _told(options: Mapping) -> list[str]:
    """Options as text; steps among them by name and options, joined by +."""
    texts = {name: str(value) for name, value in options.items()}
    for name, value in options.items():
        if isinstance(value, tuple) and value and isinstance(value[0], tuple):
            texts[name] = "+".join(" ".join([step.__name__, *_told(how)]) for step, how in value)
    return [f"{name}={text}" for name, text in texts.items()]


def layer(layers: xr.DataArray | None, name: str, step: str) -> np.ndarray:
    """The feature `name` (y, x) as float64; LookupError where `step` asks for one that is not there."""
    there = [] if layers is None else [str(known) for known in layers.feature.values]
    if name not in there:
        raise LookupError(
            f"{step} needs the layer {name!r}, given {there or 'none'}: add it to features.stack(...), or,"
            " where it is a member's own map (System.opinions), keep it with predict.zones(..., opinions=True)"
        )
    return layers.sel(feature=name).values.astype(float)


def specks(zones: xr.DataArray, min_area: float = 10_000.0, names: Sequence[str] = ICE) -> xr.DataArray:
    """Bodies of `names` (8-connected, probability 0.5 and more) under `min_area` (m2) become what else they may be.

    10 000 m2 is the smallest glacier an inventory lists: RGI 7.0, doi:10.5067/f6jmovy5navz. Ice melange fills a
    fjord from wall to wall, so that a speck of it is shaded ice or single bergs.
    """
    body = share(zones, names)
    return reshare(zones, names, small(body >= 0.5, EIGHT, min_area / pixel_area(zones)))


def holes(zones: xr.DataArray, max_area: float = 10_000.0) -> xr.DataArray:
    """Land (4-connected) of `max_area` (m2) or less, all its neighbours ice, becomes ice: too small for a nunatak.

    Water and unseen pixels are no land, so a lake and a cloud stay; so does land on the edge of the map.
    """
    ice, land = share(zones, ICE), share(zones, LAND)
    bodies, _ = scipy.ndimage.label(land > np.maximum(ice, 0.5 * (1 - ice)), FOUR)
    rim = scipy.ndimage.grey_dilation(bodies, footprint=EIGHT) * ((bodies == 0) & ~(ice >= 0.5))
    framed = np.unique(np.r_[rim.ravel(), bodies[[0, -1]].ravel(), bodies[:, [0, -1]].ravel()])
    little = small(bodies > 0, FOUR, max_area / pixel_area(zones) + 1) & ~np.isin(bodies, framed)
    others = tuple(name for name in zones.zone.values if name not in ICE)
    return reshare(zones, others, little)


def median(zones: xr.DataArray, size: int = 3) -> xr.DataArray:
    """Median over `size` x `size` pixels of each zone, unseen pixels left out, then scaled to the sum there was.

    The noise filter of Paul et al. 2002, doi:10.3189/172756402781817941, on probabilities. ValueError: an even `size`.
    """
    if size < 1 or size % 2 == 0:
        raise ValueError(f"size={size}: a median has a pixel in its middle, take 3, 5 ...")
    reach = size // 2
    padded = np.pad(zones.values, ((0, 0), (reach, reach), (reach, reach)), constant_values=np.nan)
    views = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    seen = ~np.isnan(zones.values)
    values = np.full(zones.shape, np.nan, dtype=zones.dtype)
    for zone, (view, shown) in enumerate(zip(views, seen, strict=True)):
        whole = scipy.ndimage.binary_erosion(shown, np.ones((size, size)))
        filtered = scipy.ndimage.median_filter(np.where(shown, zones.values[zone], 0), size)
        values[zone][whole] = filtered[whole]
        part = shown & ~whole  # beside what is unseen, few: nanmedian takes many times the map's memory
        values[zone][part] = np.nanmedian(view[part].reshape(-1, size * size), axis=1)
    with np.errstate(invalid="ignore"):
        values *= zones.sum("zone", skipna=False).values / values.sum(axis=0)
    return zones.copy(data=values)


def largest(zones: xr.DataArray, names: Sequence[str] = ICE) -> xr.DataArray:
    """Only the largest body of `names` (8-connected, probability 0.5 and more) stays; the others become the rest.

    Baumhoer et al. 2019, doi:10.3390/rs11212529, for land ice; Gourmelon et al. 2022, doi:10.5194/essd-14-4287-2022,
    for the ocean.
    """
    bodies, _ = scipy.ndimage.label(share(zones, names) >= 0.5, EIGHT)
    sizes = np.bincount(bodies.ravel())
    sizes[0] = 0
    return reshare(zones, names, (bodies > 0) & (bodies != sizes.argmax()))


def enclosed(zones: xr.DataArray, names: Sequence[str], max_area: float = np.inf) -> xr.DataArray:
    """All else (4-connected) that `names` enclose becomes them, up to `max_area` (m2): islands of any zone.

    Unseen pixels are neither filled nor a wall: what touches them or the map's edge is not enclosed.
    """
    body = share(zones, names)
    others, _ = scipy.ndimage.label(~(body >= 0.5), FOUR)
    edge = [others[np.isnan(body)], others[[0, -1]].ravel(), others[:, [0, -1]].ravel()]
    inside = small(others > 0, FOUR, max_area / pixel_area(zones) + 1) & ~np.isin(others, np.concatenate(edge))
    return reshare(zones, names, inside, 1.0)


def lake_termini(
    zones: xr.DataArray,
    layers: xr.DataArray,
    threshold: float = 0.3,
    min_area: float = 10_000.0,
    names: Sequence[str] = ICE,
) -> xr.DataArray:
    """Open water by NDWI that reaches from the glacier's edge into its map is a lake at its terminus: no ice.

    Water (8-connected, the layer "ndwi" above `threshold`, `min_area` in m2 and more) that touches pixels outside
    `names` is taken from them; ponds within the ice stay. Xie et al. 2020, doi:10.1109/ACCESS.2020.2991187, do so by
    NDWI and do not say how; McFeeters 1996 parts water from land at 0, but snow and ice pass that too.
    """
    ice = share(zones, names) >= 0.5
    water = layer(layers, "ndwi", "lake_termini") > threshold
    bodies, count = scipy.ndimage.label(water, EIGHT)
    pixels = np.bincount(bodies.ravel(), minlength=count + 1) >= min_area / pixel_area(zones)
    rim = scipy.ndimage.binary_dilation(~ice & ~np.isnan(share(zones, names)), EIGHT)
    reaches = np.bincount(bodies[rim], minlength=count + 1) > 0
    lake = (pixels & reaches)[bodies] & water & ice
    return reshare(zones, ("lake",), lake, 1.0) if "lake" in zones.zone.values else reshare(zones, names, lake)


def share(zones: xr.DataArray, names: Sequence[str]) -> np.ndarray:
    """Summed probability (y, x) of those of `names` that the map has; NaN where unseen."""
    present = [name for name in zones.zone.values if name in names]
    return zones.sel(zone=present).sum("zone", skipna=False).values + zones.isel(zone=0).values * 0


def reshare(
    zones: xr.DataArray, names: Sequence[str], where: np.ndarray, part: float | np.ndarray = 0.0
) -> xr.DataArray:
    """`zones` with `part` of the sum for `names` at the pixels `where`, and all else for the other zones.

    Both groups keep their proportions inside; where a group had nothing, its zones share alike. part: 0-1, one or
    one per pixel of `where`. Where the map has none of `names`, or nothing else, nothing changes.
    """
    group = np.isin(zones.zone.values, list(names))
    if group.all() or not group.any():
        return zones
    values = zones.values.copy()
    here = values[:, where].astype(float)
    total = here.sum(axis=0)
    for chosen, amount in ((group, part), (~group, 1 - np.asarray(part))):
        mine = here[chosen]
        held = mine.sum(axis=0)
        inner = np.where(held > 0, mine / np.where(held > 0, held, 1), 1 / chosen.sum())
        here[chosen] = inner * amount * total
    values[:, where] = here
    return zones.copy(data=values)


def pixel_area(zones: xr.DataArray) -> float:
    """Area of a pixel in m2; ValueError in degrees."""
    geobox = zones.odc.geobox
    if geobox is None or geobox.crs is None or not geobox.crs.projected:
        raise ValueError(
            "areas need zones on a projected grid in metres; load them on regions.geobox(region, resolution)"
        )
    return abs(geobox.resolution.x * geobox.resolution.y)


def small(mask: np.ndarray, structure: np.ndarray, pixels: float) -> np.ndarray:
    """Those bodies of a boolean `mask` (y, x), connected by `structure`, that have fewer than `pixels`."""
    bodies, _ = scipy.ndimage.label(mask, structure)
    return ((np.bincount(bodies.ravel()) < pixels)[bodies]) & mask
