"""Every chunk of a lazy stack is computed once, whatever waits, here and on workers."""

import pathlib

import dask.array
import geopandas as gpd
import numpy as np
import pytest
import shapely
import xarray as xr
from small import scene

from glacier_nb import cluster, selection, slabs, windows

EXTENTS = [(slice(y, y + 100), slice(x, x + 120)) for y in range(0, 300, 80) for x in range(0, 400, 100)]


def stack(reads: list | None = None) -> xr.DataArray:
    """A lazy stack (5, 300, 400), its values counting up."""
    values = np.arange(5 * 300 * 400, dtype="float32").reshape(5, 300, 400)
    data = dask.array.from_array(values, (2, 75, 90))
    if reads is not None:
        data = data.map_blocks(lambda x: reads.append(1) or x, meta=np.empty((0, 0, 0), "float32"))
    return xr.DataArray(data, dims=("feature", "y", "x"))


@pytest.mark.parametrize("keep", [2**30, 300_000, 0])
def test_each_chunk_is_computed_once_whether_it_waits_in_memory_or_on_disk(keep):
    reads = []
    lazy = stack(reads)
    found = slabs.Slabs(lazy, EXTENTS, keep=keep)
    expected = stack().values
    for number, extent in enumerate(EXTENTS):
        np.testing.assert_array_equal(found.read(number), expected[:, *extent])
        waiting = [f.result() for f in found._chunks.values()]
        assert sum(chunk.nbytes for chunk in waiting if isinstance(chunk, np.ndarray)) <= keep
        assert all(chunk.exists() for chunk in waiting if not isinstance(chunk, np.ndarray))
    assert len(reads) == 3 * 4 * 5 and not found._chunks
    assert found._folder is None or not list(pathlib.Path(found._folder.name).iterdir())
    found.close()


def test_a_read_that_fails_says_why_to_everyone_who_waits():
    def broken(chunk):
        raise OSError("cannot read B04 of S2A_X")

    data = stack().data.map_blocks(broken, meta=np.empty((0, 0, 0), "float32"))
    found = slabs.Slabs(xr.DataArray(data, dims=("feature", "y", "x")), EXTENTS)
    for number in (0, 1):
        with pytest.raises(OSError, match="cannot read B04 of S2A_X"):
            found.read(number)


def test_a_slab_of_an_array_is_a_copy():
    values = xr.DataArray(np.zeros((2, 30, 40), "float32"), dims=("feature", "y", "x"))
    slab = slabs.Slabs(values, [(slice(0, 50), slice(0, 20))]).read(0)
    assert slab.shape == (2, 30, 20)
    slab += 1
    assert not values.any()


def test_workers_give_the_same_slabs():
    with cluster.client(workers=1, threads=2) as client:
        for layers in (stack(), stack().compute()):
            found = slabs.Remote(client, layers, EXTENTS)
            for number, extent in enumerate(EXTENTS[:6]):
                parts, targets = found.parts(number)
                slab = slabs.joined(client.gather(parts), targets)
                np.testing.assert_array_equal(slab, layers[:, *extent])
                found.done(number)


def test_windows_are_chosen_by_outlines_and_by_what_is_clear():
    layers = scene(300, 300)
    rows = columns = windows.along(300, 48, 8, block=60)
    grid = layers.odc.geobox
    shapes = selection.outlines(
        layers, gpd.GeoSeries([shapely.box(*grid[100:110, 200:215].boundingbox)], crs=grid.crs), 0
    )
    spans = windows.spans(rows, columns)
    meets = (spans[:, 0] <= 110) & (spans[:, 1] >= 100) & (spans[:, 2] <= 215) & (spans[:, 3] >= 200)
    chosen = selection.chosen(layers, rows, columns, shapes)
    np.testing.assert_array_equal(chosen.ravel(), meets)  # edges that touch count
    clear = xr.zeros_like(layers[0], dtype=bool)
    clear[250, 10] = True
    for mask in (clear, clear.chunk(y=70, x=33)):
        found = selection.chosen(layers, rows, columns, None, mask).ravel()
        near = (spans[:, 0] // 16 * 16 <= 250) & (-(-spans[:, 1] // 16) * 16 > 250) & (spans[:, 2] <= 10)
        np.testing.assert_array_equal(found, near)
    hidden = selection.hidden(layers, rows, columns, chosen, shapes)((slice(90, 130), slice(190, 230)))
    assert not hidden[10:20, 10:25].any() and hidden.sum() >= 40 * 40 - 12 * 17
    assert selection.chosen(layers, rows, columns) is None
    with pytest.raises(ValueError, match="no outline of within= lies on the scene"):
        selection.outlines(layers, gpd.GeoSeries([shapely.box(0, 0, 1, 1)], crs=4326), 10)
    with pytest.raises(ValueError, match=r"clear= is \(100, 300\), the scene \(300, 300\)"):
        selection.chosen(layers, rows, columns, None, clear[:100])
