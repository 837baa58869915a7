"""A streamed product equals the one in memory, goes on where it was killed, and refuses other settings."""

import json
import pathlib
import subprocess
import sys

import dask.array
import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import xarray as xr
from small import SYSTEM, scene, write

from glacier_nb import assembly, forward, predict, sinks, windows


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Path of weights for SYSTEM."""
    return write(tmp_path_factory.mktemp("weights"))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks small enough that a small scene has many."""
    monkeypatch.setattr(predict, "BLOCK", 60)


HOW = {"window": 48, "halo": 8, "progress": False}  # narrower than the network feels: seams are blended
HALF, COUNT = 2.0**-11, sinks.STEP / 2
"""The most that rounding takes from a probability, as float16 and as uint8; a float32's own 1e-7 is added to it."""


@pytest.mark.parametrize("name", ["a.zarr", "a.tif"])
@pytest.mark.parametrize(("dtype", "step"), [("float16", HALF), ("uint8", COUNT), ("float32", 0)])
def test_on_disk_is_what_would_be_in_memory(trained, tmp_path, name, dtype, step):
    layers = scene(150, 130)
    layers[:, 30:60, 30:60] = np.nan
    memory = predict.zones(layers, SYSTEM, trained, clean=False, **HOW)
    disk = predict.zones(layers, SYSTEM, trained, out=tmp_path / name, dtype=dtype, **HOW)
    np.testing.assert_allclose(disk, memory, atol=step + 1e-7)
    assert (disk.isnull() == memory.isnull()).all() and memory.isnull().any()
    assert disk.zone.values.tolist() == memory.zone.values.tolist() and disk.dims == memory.dims
    assert disk.odc.geobox == layers.odc.geobox and disk.name == "zones"
    assert memory.attrs.items() <= disk.attrs.items()
    assert dask.is_dask_collection(disk.data)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_likeliest_zone_alone(trained, tmp_path):
    layers = scene(100, 130)
    layers[:, :20, :20] = np.nan
    memory = predict.zones(layers, SYSTEM, trained, clean=False, **HOW)
    for name in ("a.zarr", "a.tif"):
        disk = predict.zones(layers, SYSTEM, trained, out=tmp_path / name, dtype="zone", **HOW)
        assert disk.dims == ("y", "x")
        assert (disk.isnull() == memory.isnull().any("zone")).all()
        assert (disk == memory.fillna(-1).argmax("zone")).where(disk.notnull(), True).all()


def test_a_geotiff_is_a_cog_that_others_can_read(trained, tmp_path):
    predict.zones(scene(600, 520), SYSTEM, trained, out=tmp_path / "a.tif", dtype="uint8", progress=False)
    with rasterio.open(tmp_path / "a.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG" and file.overviews(1)
        assert file.descriptions == ("zones rock", "zones glacier", "zones ocean")
        assert file.scales == (sinks.STEP,) * 3 and file.nodata == sinks.UNSEEN
        assert json.loads(file.tags()["system"]) == "small"


def test_spread_is_kept_beside_the_mean(trained, tmp_path):
    memory = predict.zones(scene(100, 90), SYSTEM, trained, clean=False, symmetries=4, **HOW)
    for name in ("a.zarr", "a.tif"):
        disk = predict.zones(scene(100, 90), SYSTEM, trained, symmetries=4, out=tmp_path / name, **HOW)
        np.testing.assert_allclose(disk, memory, atol=HALF)
        np.testing.assert_allclose(disk.spread, memory.spread, atol=HALF)
        assert memory.spread.max() > 0.01


@pytest.mark.parametrize("symmetries", [1, 4])
def test_what_is_in_memory_is_written_as_a_run_writes_it(trained, tmp_path, symmetries):
    layers = scene(600, 130)
    layers[:, 30:60, 30:60] = np.nan
    memory = predict.zones(layers, SYSTEM, trained, clean=False, symmetries=symmetries, **HOW)
    run = predict.zones(layers, SYSTEM, trained, symmetries=symmetries, out=tmp_path / "run.tif", **HOW)
    disk = sinks.opened(sinks.write(memory, tmp_path / "memory.tif"))
    xr.testing.assert_equal(disk, run)  # spread too, where there is one
    assert ("spread" in disk.coords) == (symmetries > 1) and disk.isnull().any()
    assert memory.attrs == {key: disk.attrs[key] for key in memory.attrs}
    with rasterio.open(tmp_path / "memory.tif") as one, rasterio.open(tmp_path / "run.tif") as other:
        assert one.descriptions == other.descriptions and one.overviews(1) == other.overviews(1) == [2]
        assert one.tags(1, ns="IMAGE_STRUCTURE") == other.tags(1, ns="IMAGE_STRUCTURE") == {"NBITS": "16"}


@pytest.mark.parametrize("halo", [8, 24])
@pytest.mark.parametrize("after", [1, 3, 5])
def test_a_run_that_was_cut_off_goes_on(trained, tmp_path, monkeypatch, halo, after):
    layers, how = scene(150, 203), {**HOW, "window": 96, "halo": halo}
    whole = predict.zones(layers, SYSTEM, trained, out=tmp_path / "whole.zarr", **how).values
    block, seen = forward.block, []

    def dies(slab, piece, *rest):
        if len(seen) == after:
            raise KeyboardInterrupt
        seen.append(piece.number)
        return block(slab, piece, *rest)

    monkeypatch.setattr(forward, "block", dies)
    with pytest.raises(KeyboardInterrupt):
        predict.zones(layers, SYSTEM, trained, out=tmp_path / "a.zarr", **how)
    assert not (tmp_path / "a.zarr").exists()
    kept = set(seen)
    seen.clear()
    monkeypatch.setattr(
        forward, "block", lambda slab, piece, *rest: seen.append(piece.number) or block(slab, piece, *rest)
    )
    again = predict.zones(layers, SYSTEM, trained, out=tmp_path / "a.zarr", **how)
    np.testing.assert_array_equal(again, whole)
    assert len(set(seen) & kept) <= 3  # what was on its way when the run was cut off
    seen.clear()
    np.testing.assert_array_equal(predict.zones(layers, SYSTEM, trained, out=tmp_path / "a.zarr", **how), whole)
    assert not seen  # a finished product is given back


KILLED = """
import os, sys
sys.path[:0] = {path!r}
from small import SYSTEM, scene
from glacier_nb import predict, sinks
predict.BLOCK = 60
write, count = sinks.Store.write, []
def dies(self, block, chunk):
    count.append(block)
    if len(count) == 3:
        os.kill(os.getpid(), 9)
    write(self, block, chunk)
sinks.Store.write = dies
predict.zones(scene(150, 130), SYSTEM, {weights!r}, out={out!r}, window=48, halo=8, progress=False)
"""


def test_a_killed_process_leaves_a_run_to_go_on_with(trained, tmp_path):
    out = tmp_path / "a.zarr"
    text = KILLED.format(path=[str(pathlib.Path(__file__).parent)], weights=str(trained), out=str(out))
    assert subprocess.run([sys.executable, "-c", text]).returncode == -9
    assert not out.exists() and len(list(tmp_path.iterdir())) == 1
    disk = predict.zones(scene(150, 130), SYSTEM, trained, out=out, **HOW)
    whole = predict.zones(scene(150, 130), SYSTEM, trained, clean=False, **HOW)
    np.testing.assert_array_equal(disk, whole.astype("float16"))


def test_other_settings_are_refused_by_name(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(forward, "block", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        predict.zones(scene(150, 130), SYSTEM, trained, out=tmp_path / "a.zarr", **HOW)
    for other, said in (({"halo": 4}, "halo 8 -> 4"), ({"dtype": "uint8"}, "dtype float16 -> uint8")):
        with pytest.raises(ValueError, match=rf"a.zarr was begun with other settings \(.*{said}"):
            predict.zones(scene(150, 130), SYSTEM, trained, out=tmp_path / "a.zarr", **{**HOW, **other})
    with pytest.raises(ValueError, match=r"begun with other settings \(features"):
        predict.zones(scene(150, 130, seed=1), SYSTEM, trained, out=tmp_path / "a.zarr", **HOW)
    with pytest.raises(ValueError, match=r"a\.png is neither \.zarr nor \.tif"):
        predict.zones(scene(50, 50), SYSTEM, trained, out=tmp_path / "a.png")
    with pytest.raises(ValueError, match="dtype 'int7': one of float32"):
        predict.zones(scene(50, 50), SYSTEM, trained, out=tmp_path / "b.zarr", dtype="int7")
    with pytest.raises(ValueError, match="cleaning sees whole bodies"):
        predict.zones(scene(50, 50), SYSTEM, trained, out=tmp_path / "b.zarr", clean=True)


def test_what_lies_outside_is_neither_read_nor_predicted(trained, tmp_path):
    layers = scene(300, 300)
    reads = []

    def read(chunk):
        reads.append(chunk.shape)
        return chunk

    data = dask.array.from_array(layers.values, (5, 60, 60)).map_blocks(read, meta=np.empty((0, 0, 0), "float32"))
    box = shapely.box(*layers.odc.geobox[100:140, 120:170].boundingbox)
    inside = gpd.GeoSeries([box], crs=layers.odc.geobox.crs).to_crs(4326)
    lazy = layers.copy(data=data)
    found = predict.zones(lazy, SYSTEM, trained, within=inside, buffer=20, out=tmp_path / "a.zarr", **HOW)
    whole = predict.zones(layers, SYSTEM, trained, clean=False, **HOW).astype("float16")
    seen = found.notnull().all("zone").values
    assert seen[98:142, 118:172].all() and seen.sum() <= 48 * 58  # 2 pixels of buffer, and pixels that it touches
    np.testing.assert_array_equal(found.values[:, seen], whole.values[:, seen])
    assert len(reads) <= 4 * 4  # of 25: windows reach 32 pixels past what they are asked for
    memory = predict.zones(lazy, SYSTEM, trained, within=inside, buffer=20, clean=False, **HOW)
    np.testing.assert_array_equal(memory.astype("float16"), found)


def test_sums_come_together_to_the_same_bits_in_any_order():
    rows, columns = (windows.along(size, 48, 8, block=60) for size in (150, 203))
    blocks = windows.blocks(rows, columns)
    rng = np.random.default_rng(0)
    sums = [rng.random((2, *(side.stop - side.start for side in block.support)), dtype="float32") for block in blocks]
    results = []
    for order in (range(len(blocks)), reversed(range(len(blocks))), rng.permutation(len(blocks))):
        whole, parts = np.full((2, 150, 203), np.nan), assembly.Assembly(blocks)
        for number in order:
            for block, chunk in parts.put(blocks[number], sums[number]):
                assert np.isnan(whole[:, *block.owned]).all()  # every pixel is written once
                whole[:, *block.owned] = chunk
        assert not parts._sums
        results.append(whole)
    expected = np.zeros((2, 150, 203))
    for block, values in zip(blocks, sums, strict=True):
        expected[:, *block.support] += values
    np.testing.assert_allclose(results[0], expected, rtol=1e-6)
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def test_what_waits_does_not_grow_with_the_scene(trained, tmp_path, monkeypatch):
    """Memory counted, not measured: bytes of chunks that wait in memory while a scene is four times as high."""
    most = {}
    write = sinks.Store.write
    for height in (200, 800):
        layers = scene(height, 200).chunk(feature=-1, y=64, x=64)
        held = most.setdefault(height, [])

        def watched(self, block, chunk, held=held):
            held.append(len(list(self.sums.glob("*.npy"))))
            write(self, block, chunk)

        monkeypatch.setattr(sinks.Store, "write", watched)
        predict.zones(layers, SYSTEM, trained, out=tmp_path / f"{height}.zarr", **HOW)
    assert max(most[800]) <= max(most[200])


def test_a_product_opens_in_plain_xarray(trained, tmp_path):
    found = predict.zones(scene(100, 90), SYSTEM, trained, out=tmp_path / "a.zarr", dtype="uint8", **HOW)
    plain = xr.open_zarr(tmp_path / "a.zarr", consolidated=False)
    np.testing.assert_allclose(plain.zones, found, atol=1e-7)
    assert plain.odc.crs == found.odc.geobox.crs
