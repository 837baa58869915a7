"""Zone maps as objects: one answer per segment of the image, rules on bodies of a zone, a second opinion at termini.

Without a source, plain or ours: `beside`.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.segmentation import slic

from glacier_nb import clean

MOST = 20_000  # agreed pixels that a vote is taken from


def mean_heat(
    zones: xr.DataArray, layers: xr.DataArray, image: Sequence[str], size: float = 100.0, compactness: float = 0.1
) -> xr.DataArray:
    """Each zone's mean over the segments of `image`, so that a segment has one answer.

    image: names of layers, each z-scored and clipped at three deviations; segments of about `size` pixels by SLIC
    (Achanta et al. 2012, doi:10.1109/TPAMI.2012.120), whose `compactness` weighs place against looks. Unseen pixels
    take no part. Robson et al. 2020, doi:10.1016/j.rse.2020.112033, and Thomas et al. 2023,
    doi:10.3389/frsen.2023.1161530, segment image and slope in eCognition; SLIC is a free stand-in.
    """
    segments = _segments(np.stack([clean.layer(layers, name, "mean_heat") for name in image]), size, compactness)
    seen = ~np.isnan(zones.values).any(axis=0)
    values, mine = zones.values.copy(), segments[seen]
    count = np.maximum(np.bincount(mine, minlength=segments.max() + 1), 1)
    for zone in values:
        zone[seen] = (np.bincount(mine, zone[seen], minlength=len(count)) / count)[mine]
    return zones.copy(data=values)


def within(
    zones: xr.DataArray,
    layers: xr.DataArray,
    layer: str,
    low: float = -np.inf,
    high: float = np.inf,
    names: Sequence[str] = clean.ICE,
) -> xr.DataArray:
    """Bodies of `names` (8-connected) whose mean of `layer` lies outside `low` to `high` become what else they may be.

    The rule of an object-based analysis: no debris cover steeper than 24 degrees (Paul et al. 2004,
    doi:10.1016/j.rse.2003.11.007), no ice with the NDWI of a lake. Where the layer is unknown no rule is broken.
    """
    bodies, count = ndimage.label(clean.share(zones, names) >= 0.5, clean.EIGHT)
    values = clean.layer(layers, layer, "within")
    known = ~np.isnan(values)
    pixels = np.bincount(bodies[known], minlength=count + 1)
    mean = np.bincount(bodies[known], values[known], minlength=count + 1) / np.maximum(pixels, 1)
    wrong = (pixels > 0) & ((mean < low) | (mean > high))
    wrong[0] = False
    return clean.reshare(zones, names, wrong[bodies])


def beside(zones: xr.DataArray, names: Sequence[str], to: Sequence[str]) -> xr.DataArray:
    """Bodies of `names` in zones (zone, y, x) that touch (8-connected) none of `to` become what else they may be.

    Debris cover lies on ice that is seen somewhere: a body of it far from clean ice is a scree slope.
    """
    bodies, count = ndimage.label(clean.share(zones, names) >= 0.5, clean.EIGHT)
    reached = ndimage.binary_dilation(clean.share(zones, to) >= 0.5, clean.EIGHT)
    lone = np.bincount(bodies[reached], minlength=count + 1) == 0
    lone[0] = False
    return clean.reshare(zones, names, lone[bodies])


def second_opinion(
    zones: xr.DataArray,
    layers: xr.DataArray,
    other: str,
    neighbours: int = 5,
    reach: float = 1000.0,
    inputs: Sequence[str] | None = None,
    first: clean.Steps = (),
    names: Sequence[str] = clean.ICE,
) -> xr.DataArray:
    """Where another map disagrees near a terminus, the agreed pixels that look most alike decide: ice by their votes.

    other: a layer with the other map's probability of ice, put through the steps `first`. Near: within `reach` (m) of
    the lowest pixel (layer "elevation") of a body of ice in either map. Of the pixels on which both agree (at most
    MOST, evenly drawn from the map), the nearest `neighbours` in the z-scored layers `inputs` (default: all but
    `other`) vote. Xie et al. 2022, arXiv:2204.05818; k, the inputs and what is near are plain choices.
    """
    one, two = clean.share(zones, names), clean.layer(layers, other, "second_opinion")
    if first:
        own = zones.isel(zone=[0, 0]).assign_coords(zone=["rock", names[0]]).copy(data=np.stack([1 - two, two]))
        two = clean.share(clean.apply(own, first, layers), names)
    first, second = one >= 0.5, two >= 0.5
    inputs = [str(name) for name in layers.feature.values if name != other] if inputs is None else list(inputs)
    looks = np.stack([clean.layer(layers, name, "second_opinion") for name in inputs], axis=-1)
    known = ~np.isnan(one) & ~np.isnan(two) & ~np.isnan(looks).any(axis=-1)
    near = _near_termini(first | second, clean.layer(layers, "elevation", "second_opinion"), zones, reach)
    agreed, asked = known & (first == second), known & near & (first != second)
    if not asked.any() or agreed.sum() < neighbours:
        return zones
    mean, spread = looks[known].mean(axis=0), looks[known].std(axis=0)
    scored = (looks - mean) / np.where(spread > 0, spread, 1)
    every = -(-int(agreed.sum()) // MOST)
    jury, verdict = scored[agreed][::every], first[agreed][::every]
    nearest = cKDTree(jury).query(scored[asked], min(neighbours, len(jury)))[1].reshape(int(asked.sum()), -1)
    return clean.reshare(zones, names, asked, verdict[nearest].mean(axis=1))


def _near_termini(ice: np.ndarray, elevation: np.ndarray, zones: xr.DataArray, reach: float) -> np.ndarray:
    """Pixels within `reach` (m) of the lowest pixel of a body of ice."""
    bodies, count = ndimage.label(ice & ~np.isnan(elevation), clean.EIGHT)
    away = np.ones(ice.shape, dtype=bool)
    if count:
        lowest = ndimage.minimum_position(elevation, bodies, range(1, count + 1))
        away[tuple(np.array(lowest).T)] = False
    pixel = np.sqrt(clean.pixel_area(zones))
    return (ndimage.distance_transform_edt(away) * pixel <= reach) & bool(count)


def _segments(image: np.ndarray, size: float, compactness: float) -> np.ndarray:
    """Labels (y, x) from 0 of segments of `image` (layer, y, x) of about `size` pixels."""
    known = ~np.isnan(image)
    parts = [layer[here] if here.any() else np.zeros(1) for layer, here in zip(image, known, strict=True)]
    mean, spread = (np.array([f(part) for part in parts])[:, None, None] for f in (np.mean, np.std))
    scored = np.nan_to_num(np.clip((image - mean) / np.where(spread > 0, spread, 1), -3, 3))
    count = max(int(image[0].size / size), 1)
    return slic(np.moveaxis(scored, 0, -1), count, compactness, start_label=0, convert2lab=False, channel_axis=-1)
