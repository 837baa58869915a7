"""Grey values by the statistics of their whole image: percentiles, stretches, equalised and tone-mapped images.

Everything takes an image (y, x), lazy or not, with NaN where unseen, and gives back one as lazy. Statistics of a lazy
image are gathered block by block and given to each block; no task holds the image, except in `pillow_grey`.

Without a source, plain or ours: `percentiles`, `stretch`.
"""

from collections.abc import Sequence

import dask.array as da
import numpy as np
from PIL import Image, ImageFilter, ImageOps
from scipy import ndimage
from scipy.special import ndtr

from glacier_nb import blocks

_LOOKS = 12, 10, 10  # bits of a float32 that each look at an image sorts
_BELL = 128.0, 20.0 / np.sqrt(2.0)  # mean and standard deviation of exp(-((level - 128) / 20)^2)
_PATCH = 960 * 720  # pixels of which the published min-max took the lowest and the highest
_TILES = 8


def percentiles(image, shares: Sequence[float]):
    """Values (float32) below which these percents of the seen pixels lie, lazy where the image is; NaN of nothing.

    As `numpy.nanpercentile`, but infinities are unseen too. Three looks at the image narrow the leading bits of the
    pixels beside each percentile.

    >>> percentiles(np.arange(101, dtype="float32").reshape(1, -1), (0, 50, 98))
    array([ 0., 50., 98.], dtype=float32)
    """
    parts, call = blocks.taken_apart(image)
    found, start = None, 0
    for bits in _LOOKS:
        counts = [call(_count)(block, found, start, bits) for block in parts]
        found = call(_narrowed)(found, call(_sum)(counts), bits, tuple(shares))
        start += bits
    levels = call(_levels)(found)
    return da.from_delayed(levels, (len(shares),), "float32") if isinstance(image, da.Array) else levels


def stretch(image, low: float = 0.0, high: float = 100.0):
    """0 at the percentile `low`, 1 at `high`, clipped; 0 all over where they are one value."""
    return blocks.each(_stretch, image, numbers=percentiles(image, (low, high)))


def eight_bit(image, low: float, high: float):
    """`stretch` to whole numbers 0 to 255, cut off and not rounded: for Loebel et al. 2022."""
    return blocks.each(_floor, stretch(image, low, high))


def bell(image):
    """Histogram matched to exp(-((level - 128) / 20)^2) over the levels 0 to 255, then min-max to 0 to 1.

    As gdal_contrast_stretch -histeq 20 does, for Zhang et al. 2021, doi:10.5194/tc-15-1827-2021. 0 and 1 are where the
    lowest and the highest of a published patch of 960 x 720 pixels are expected, at any size of the image.
    """
    share = ndtr((np.arange(1, 256) - 0.5 - _BELL[0]) / _BELL[1])
    share = 100.0 * share[(share > 1 / _PATCH) & (share < 1 - 1 / _PATCH)]
    return blocks.each(_bell, image, numbers=percentiles(image, share))


def clahe(image, clip: float):
    """Contrast-limited adaptive histogram equalisation of greys in [0, 1]: 8 x 8 tiles, 256 levels.

    A tile's histogram is cut at `clip` times its mean count and the rest spread evenly (Zuiderveld 1994, Graphics
    Gems IV); its cumulative share is the new grey, interpolated between the middles of tiles.
    """
    (ny, nx), lazy = image.shape, isinstance(image, da.Array)
    tile = -(-ny // _TILES), -(-nx // _TILES)
    rows, columns = np.arange(ny).reshape(-1, 1), np.arange(nx).reshape(1, -1)
    parts, call = blocks.taken_apart(image)
    if lazy:
        rows = da.from_array(rows, (image.chunks[0], 1))
        columns = da.from_array(columns, (1, image.chunks[1]))
    first = [np.concatenate([[0], np.cumsum(sizes)[:-1]]) for sizes in image.chunks] if lazy else [[0], [0]]
    corners = [(y, x) for y in first[0] for x in first[1]]
    counts = [call(_tile_counts)(block, corner, tile) for block, corner in zip(parts, corners, strict=True)]
    greys = call(_equalised)(call(_sum)(counts), clip)
    if not lazy:
        return _interpolated(image, rows, columns, greys, tile)
    greys = da.from_delayed(greys, (_TILES, _TILES, 256), "float32")
    places = (image, "ij", rows, "ij", columns, "ij", greys, "klm")
    return da.blockwise(_interpolated, "ij", *places, tile=tile, concatenate=True, meta=image._meta, align_arrays=False)


def toned(image, sigma: float = 16.0):
    """Greys in [0, 1] made logarithmic and sharpened: twice log2(1 + grey) less its mean around, `sigma` in pixels.

    For the tone mapping of Cheng et al. 2021, doi:10.5194/tc-15-1663-2021; the operator is ours.
    """
    return blocks.near(_toned, image, int(2 * sigma), sigma=sigma)


def pillow_grey(*bands):
    """Mean of bands in [0, 1] as eight-bit image through Pillow's equalize, autocontrast, SMOOTH and EDGE_ENHANCE,
    over 255. Mohajerani et al. 2019, doi:10.3390/rs11010074.
    """
    return blocks.together(_pillow_grey, *bands)


def _sum(counts: list[np.ndarray]) -> np.ndarray:
    return np.sum(counts, axis=0)


def _keys(image: np.ndarray) -> np.ndarray:
    """Seen pixels as whole numbers (uint32) that sort as the floats do."""
    bits = np.ascontiguousarray(image[np.isfinite(image)], "float32").view("uint32")
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))


def _count(image: np.ndarray, found: dict | None, start: int, bits: int) -> np.ndarray:
    """Counts (class, subclass) of seen pixels: `bits` more of their keys, after `start` bits that `found` tells."""
    keys, known = _keys(image), np.zeros(1, "uint32") if found is None else found["known"]
    head = keys.astype("uint64") >> (32 - start)
    row = np.minimum(np.searchsorted(known, head), len(known) - 1)
    part = (keys >> (32 - start - bits)) & ((1 << bits) - 1)
    within = known[row] == head
    return np.bincount((row[within] << bits) + part[within], minlength=len(known) << bits).reshape(-1, 1 << bits)


def _narrowed(found: dict | None, counts: np.ndarray, bits: int, shares: Sequence[float]) -> dict:
    """What is known of the pixels that lie beside each percentile: leading bits of their keys, how many of those that
    begin so lie before them; and the weight of the upper one."""
    if found is None:
        seen = int(counts.sum())
        place = np.asarray(shares, "float64") / 100.0 * max(seen - 1, 0)
        rank = np.stack([np.floor(place), np.minimum(np.floor(place) + 1, max(seen - 1, 0))]).astype("int64")
        found = {"head": np.zeros_like(rank), "before": rank, "weight": place - rank[0], "seen": seen}
        found["known"] = np.zeros(1, "int64")
    last = np.cumsum(counts, axis=1)[np.searchsorted(found["known"], found["head"])]
    part = np.minimum((last <= found["before"][..., None]).sum(axis=-1), (1 << bits) - 1)
    passed = np.take_along_axis(last, np.maximum(part - 1, 0)[..., None], axis=-1)[..., 0]
    head = (found["head"] << bits) + part
    before = found["before"] - np.where(part > 0, passed, 0)
    return found | {"head": head, "before": before, "known": np.unique(head)}


def _levels(found: dict) -> np.ndarray:
    """Percentiles from the whole keys of the pixels beside them."""
    if not found["seen"]:
        return np.full(len(found["weight"]), np.nan, "float32")
    keys = found["head"].astype("uint32")
    bits = np.where(keys >> 31, keys & np.uint32(0x7FFFFFFF), ~keys).astype("uint32")
    low, high = bits.view("float32").astype("float64")
    return (low + (high - low) * found["weight"]).astype("float32")


def _stretch(image: np.ndarray, ends: np.ndarray) -> np.ndarray:
    low, high = ends
    return np.clip((image - low) / (high - low), 0.0, 1.0) if high > low else 0.0 * image


def _floor(grey: np.ndarray) -> np.ndarray:
    return np.floor(grey * 255.0)


def _bell(image: np.ndarray, ends: np.ndarray) -> np.ndarray:
    grey = np.searchsorted(ends, image) / np.float32(len(ends))
    return np.where(np.isnan(image), np.nan, grey).astype("float32")


def _tile_counts(image: np.ndarray, corner: tuple[int, int], tile: tuple[int, int]) -> np.ndarray:
    """Counts (tile, tile, level) of a block whose first pixel lies at `corner` of the image."""
    i, j = np.nonzero(np.isfinite(image))
    place = ((i + corner[0]) // tile[0] * _TILES + (j + corner[1]) // tile[1]) * 256 + _level(image[i, j])
    return np.bincount(place, minlength=_TILES * _TILES * 256).reshape(_TILES, _TILES, 256)


def _level(grey: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(np.nan_to_num(grey) * 255.0), 0, 255).astype("int64")


def _equalised(counts: np.ndarray, clip: float) -> np.ndarray:
    """New grey of each level (tile, tile, level) from counts; a tile that saw nothing leaves greys alone."""
    number = counts.sum(axis=-1, keepdims=True)
    limit = np.maximum(clip * number / 256.0, 1.0)
    cut = np.minimum(counts, limit)
    share = np.cumsum(cut + (number - cut.sum(axis=-1, keepdims=True)) / 256.0, axis=-1) / np.maximum(number, 1)
    return np.where(number > 0, share, np.arange(256) / 255.0).astype("float32")


def _interpolated(image: np.ndarray, rows, columns, greys: np.ndarray, tile: tuple[int, int]) -> np.ndarray:
    """The new greys of the four tiles around each pixel, weighted by its distance from their middles."""
    level, made = _level(image), 0.0
    sides = []
    for place, size in ((rows, tile[0]), (columns, tile[1])):
        at = np.clip((place + 0.5) / size - 0.5, 0.0, _TILES - 1.0)
        low = np.minimum(at.astype("int64"), _TILES - 2)
        sides.append(((low, 1.0 - (at - low)), (low + 1, at - low)))
    for i, down in sides[0]:
        for j, across in sides[1]:
            made = made + down * across * greys[i, j, level]
    return np.where(np.isnan(image), np.nan, made).astype("float32")


def _toned(image: np.ndarray, sigma: float) -> np.ndarray:
    seen = np.isfinite(image)
    light = np.where(seen, np.log2(1.0 + np.nan_to_num(image)), 0.0)
    total, weight = (ndimage.gaussian_filter(layer, sigma, truncate=2.0) for layer in (light, seen.astype("float64")))
    sharp = np.clip(2.0 * light - total / np.maximum(weight, 1e-6), 0.0, 1.0)
    return np.where(seen, sharp, np.nan).astype("float32")


def _pillow_grey(*bands: np.ndarray) -> np.ndarray:
    light = sum(bands) / np.float32(len(bands))
    image = Image.fromarray(np.uint8(np.clip(np.nan_to_num(light), 0, 1) * 255))
    image = ImageOps.autocontrast(ImageOps.equalize(image))
    image = image.filter(ImageFilter.SMOOTH).filter(ImageFilter.EDGE_ENHANCE)
    return np.where(np.isnan(light), np.nan, np.asarray(image, "float32") / 255)
