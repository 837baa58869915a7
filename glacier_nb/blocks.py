"""Functions over an image (y, x), all at once where it is in memory, block by block where it is lazy."""

from collections.abc import Callable, Sequence

import dask
import dask.array as da
import numpy as np
import odc.geo.xr  # noqa: F401  registers .odc.geobox
import xarray as xr

_IMAGE, _IMAGES = np.empty((0, 0), "float32"), np.empty((0, 0, 0), "float32")  # spares functions a trial on nothing


def near(function: Callable, image, depth: int, layers: int = 0, **options):
    """`function` of an image, which looks `depth` pixels around each one, over the edges of blocks; float32.

    Blocks end at the edge of the image, so that `function` decides what lies beyond. `layers`: how many images it
    gives back, stacked first; 0 for one that is not stacked.
    """
    if not isinstance(image, da.Array):
        return function(image, **options)
    reach = {axis: depth if size > depth else 0 for axis, size in enumerate(image.shape)}
    wide = image.rechunk({axis: -1 for axis, size in reach.items() if size == 0})
    wide = da.overlap.overlap(wide, depth=reach, boundary="none")
    shape = {"chunks": ((layers,), *wide.chunks), "new_axis": 0} if layers else {}
    made = wide.map_blocks(function, meta=_IMAGES if layers else _IMAGE, **shape, **options)
    around = {axis + bool(layers): size for axis, size in reach.items()}
    made = da.overlap.trim_internal(made, {0: 0} | around, boundary="none")
    return made.rechunk((-1, *image.chunks) if layers else image.chunks)


def each(function: Callable, *images, numbers=None):
    """`function` of images of one grid, pixel by pixel, and of a row of numbers that every block gets whole."""
    whole = () if numbers is None else (numbers,)
    if not isinstance(images[0], da.Array):
        return function(*images, *whole)
    pairs = [part for image in images for part in (image, "ij")] + [part for row in whole for part in (row, "k")]
    return da.blockwise(function, "ij", *pairs, meta=_IMAGE, concatenate=True)


def together(function: Callable, *images):
    """`function` of whole images, in one task: for what cannot be taken apart."""
    if not isinstance(images[0], da.Array):
        return function(*images)
    made = da.map_blocks(function, *(image.rechunk(-1) for image in images), meta=_IMAGE)
    return made.rechunk(images[0].chunks)


def taken_apart(image) -> tuple[list, Callable]:
    """Blocks in reading order, and a wrapper that makes a function work at once, or where blocks will be computed."""
    if isinstance(image, da.Array):
        return list(image.to_delayed(optimize_graph=False).ravel()), dask.delayed(pure=True)
    return [image], lambda function: function


def burnt(shapes: np.ndarray, numbers: Sequence[int], like: xr.DataArray):
    """Number (y, x; int32) of the shape that each pixel's middle lies in, the least of several, -1 for none.

    `shapes` in the CRS of `like` (y, x) and their numbers; lazy where `like` is.
    """
    import rasterio.features  # not every worker draws
    import shapely

    geobox, tree = like.odc.geobox, shapely.STRtree(shapes)
    numbers = np.asarray(numbers)

    def burn(shapes: list, numbers: np.ndarray, box) -> np.ndarray:
        pairs = [(shape, int(n)) for shape, n in zip(shapes, numbers, strict=True) if shape][::-1]
        empty = np.full(box.shape, -1, dtype="int32")
        return rasterio.features.rasterize(pairs, out=empty, transform=box.affine) if pairs else empty

    if not isinstance(like.data, da.Array):
        return burn(list(shapes), numbers, geobox)
    rows, later = [], dask.delayed(burn)
    edges = [np.r_[0, np.cumsum(sizes)] for sizes in like.data.chunks]
    for top, bottom in zip(edges[0], edges[0][1:], strict=False):
        row = []
        for left, right in zip(edges[1], edges[1][1:], strict=False):
            box = geobox[int(top) : int(bottom), int(left) : int(right)]
            hits = np.sort(tree.query(shapely.box(*box.boundingbox.bbox)))
            task = later(list(shapes[hits]), numbers[hits], box)
            row.append(da.from_delayed(task, box.shape, dtype="int32"))
        rows.append(row)
    return da.block(rows)
