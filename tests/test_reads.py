"""A read fetches what its grid needs: overviews for a coarse grid, the blocks of a region for a region."""

import numpy as np
import pytest
import rasterio
import test_load
from odc.geo.geobox import GeoBox

from glacier_nb import faults, kept, load, reads, remote

GRID = GeoBox((1024, 1024), rasterio.Affine(10, 0, 600_000, 0, -10, 5_100_000), "EPSG:32632")
STEADY = reads.Patience(silence=60)  # nothing is asked for twice


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """A scene of noise, which hardly compresses, with overviews that are means: folder, item, reflectance."""
    folder = tmp_path_factory.mktemp("image")
    stored = np.random.default_rng(6).integers(1, 60_000, GRID.shape).astype("uint16")
    href = test_load.write(folder / "red.tif", stored, GRID, resampling="average")
    with rasterio.open(href) as src:
        assert src.overviews(1) == [2, 4, 8] and src.block_shapes == [(128, 128)]
    return folder, test_load.item("one", {"B04": href}, grid=GRID, **test_load.old()), stored / 10_000


def served(image, grid):
    """Reflectance on a grid, and the bytes that the server sent for it."""
    folder, item, _ = image
    moved, plan = item.clone(), faults.Faults()
    kept.forget()
    with faults.files(folder, plan) as address:
        moved.assets["B04"].href = f"{address}/red.tif"
        red = load.cube([moved], grid, ["red"], patience=STEADY).red[0].compute()
    return red.values, plan.counts["bytes"]


def blocks(image, level, rows, columns):
    """Bytes of blocks of the file, as it says itself; level -1 is the full resolution."""
    with rasterio.open(image[1].assets["B04"].href) as src:
        sizes = [
            src.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", bidx=1, ovr=None if level < 0 else level)
            for row in rows
            for column in columns
        ]
    return sum(map(int, sizes))


def test_a_coarse_grid_reads_overviews(image):
    truth = image[2]
    fine, whole = served(image, GRID)
    np.testing.assert_allclose(fine, truth, atol=0.5e-4)
    assert whole >= blocks(image, -1, range(8), range(8))
    for level, shrink in enumerate((2, 4, 8)):
        size = GRID.shape[0] // shrink
        coarse, sent = served(image, GRID.zoom_out(shrink))
        means = truth.reshape(size, shrink, size, shrink).mean((1, 3))
        np.testing.assert_allclose(coarse, means, atol=(level + 1) * 0.5e-4 + 1e-6)  # each mean is rounded to a count
        there = blocks(image, level, range(size // 128), range(size // 128))
        assert sent <= remote.HEAD + there + remote.STEP  # the beginning, all blocks of this overview, a step more
    assert sent < whole / 16  # a 64th of the pixels, and a beginning that is a 64th of this file


def test_a_region_reads_its_blocks(image):
    region = GRID[256:768, 384:896]  # a quarter of the image: four by four blocks
    red, sent = served(image, region)
    np.testing.assert_allclose(red, image[2][256:768, 384:896], atol=0.5e-4)
    wanted = blocks(image, -1, range(2, 6), range(3, 7))
    assert wanted <= sent <= remote.HEAD + wanted + remote.STEP
