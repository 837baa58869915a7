"""Folders of exactly the shape that the field's sets have are read into samples, and scored by the sets' own rules."""

import importlib.util

import geopandas as gpd
import h5py
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from PIL import Image

from glacier_nb import datasets, labelled, patches, sets, systems
from glacier_nb.labels import UNSEEN, Sample

SIDE = 40


def png(path, values) -> None:
    """Write a grey picture, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, "uint8")).save(path)


def shore(column: int = 20) -> np.ndarray:
    """True on the ice, left of a column."""
    return np.broadcast_to(np.arange(SIDE) < column, (SIDE, SIDE))


@pytest.fixture(scope="module")
def grey():
    """A picture with every level from 0 to 255."""
    return np.arange(SIDE * SIDE).reshape(SIDE, SIDE) % 256


def test_caffe(tmp_path, grey):
    zones = np.where(shore(), 127, 254)
    zones[:5], zones[5:8] = 64, 0
    front = 255 * (shore(21) & ~shore(20))
    for part, name in (("train", "COL_2011-11-13_TDX_7_1_092"), ("test", "Mapple_2009-06-24_TSX_7_1_110")):
        png(tmp_path / "sar_images" / part / f"{name}.png", grey)
        png(tmp_path / "zones" / part / f"{name}_zones.png", zones)
        png(tmp_path / "fronts" / part / f"{name}_front.png", front)
    row = datasets.labelled("caffe")
    first, second = row.read(tmp_path)
    assert (first.name, first.group, first.time, first.resolution, first.part) == (
        "COL_2011-11-13_TDX_7_1_092", "COL", "2011-11-13", 7.0, "train")  # fmt: skip
    assert (second.group, second.part) == ("Mapple", "test")
    assert hasattr(first.features, "dask") and hasattr(first.truth, "dask")
    np.testing.assert_array_equal(np.asarray(first.features)[0], (grey / 255).astype("float32"))
    truth = np.asarray(first.truth)
    assert (np.unique(truth[:5]), np.unique(truth[5:8])) == ([0], [UNSEEN])
    assert np.unique(truth[8:, :20]) == [1] and np.unique(truth[8:, 20:]) == [2]
    assert (np.argwhere(np.asarray(first.front))[:, 1] == 20).all()
    off = {first.name: np.roll(np.asarray(first.front), 3, axis=1), second.name: np.zeros((SIDE, SIDE), bool)}
    assert row.score([first, second], off) == {"mde_m": 21.0, "n": 2, "missed": 1}
    (tmp_path / "zones" / "test" / f"{second.name}_zones.png").unlink()
    with pytest.raises(FileNotFoundError, match="has no label"):
        row.read(tmp_path)


def test_caffe_teaches_the_systems_of_its_paper(tmp_path, grey):
    name = "COL_2011-11-13_TDX_7_1_092"
    png(tmp_path / "sar_images" / "train" / f"{name}.png", np.tile(grey, (7, 7)))
    png(tmp_path / "zones" / "train" / f"{name}_zones.png", np.tile(np.where(shore(), 127, 254), (7, 7)))
    png(tmp_path / "fronts" / "train" / f"{name}_front.png", np.tile(255 * (shore(21) & ~shore(20)), (7, 7)))
    samples = labelled.caffe(tmp_path)
    for system in ("caffe_zones", "caffe_fronts"):
        row = systems.find(system)
        assert set(row.zones) <= set(datasets.labelled("caffe").zones) and row.inputs == ("vv_grey",)
        if row.zones:
            patches.check(row, samples[0])


def test_calfin(tmp_path, grey):
    for part, name in (("train", "Upernavik_LC08_L1TP_2014-08-30_015-008_T1_B5"),
                       ("validation", "Rink-Isbrae_LT05_L1TP_1987-07-20_012-010_T1_B4")):  # fmt: skip
        png(tmp_path / part / f"{name}.png", grey)
        png(tmp_path / part / f"{name}_mask.png", 255 * shore())
    row = datasets.labelled("calfin")
    first, second = row.read(tmp_path)
    assert (first.group, first.time, second.group, second.part) == (
        "Upernavik", "2014-08-30", "Rink-Isbrae", "validation")  # fmt: skip
    assert [row.zones[k] for k in np.asarray(first.truth)[0, [0, -1]]] == ["glacier", "ocean"]
    front = np.asarray(first.front)
    assert np.unique(np.argwhere(front)[:, 1]) == [19]
    found = row.score([first, second], {first.name: np.roll(front, 2, axis=1), second.name: np.roll(front, -4, axis=1)})
    assert found == {"mean_px": 3.0, "n": 2, "missed": 0}


def test_termpicks(tmp_path):
    lines = [shapely.LineString([(-2e5, -2.2e6 + k), (-1.9e5, -2.2e6 + k)]) for k in range(2)]
    columns = {"GlacierID": [12, 3], "Date": ["2014-07-05", "1999-08-01"], "Satellite": ["Landsat 8", "Landsat 7"],
               "Author": ["A", "B"], "ImageID": ["x", "y"], "QualFlag": [0, 3]}  # fmt: skip
    gpd.GeoDataFrame(columns, geometry=lines, crs=3413).to_file(tmp_path / "TermPicks_V2.shp")
    row = datasets.labelled("termpicks")
    found = row.read(tmp_path)
    assert not row.images and row.score is None
    assert list(found.columns[:5]) == ["rgi_id", "time", "system", "sensor", "geometry"]
    assert found.rgi_id.tolist() == ["TermPicks-12", "TermPicks-3"] and found.crs.to_epsg() == 3413
    assert found.time.dt.year.tolist() == [2014, 1999] and found.quality.tolist() == [0, 3]


def test_glavitu(tmp_path):
    rng = np.random.default_rng(0)
    for part in ("train", "val"):
        with h5py.File(tmp_path / f"20230905_{part}_global_ps384.hdf5", "w") as file:
            for name, region in (("ALP_0", "ALP"), ("HMA_0", "HMA")):
                tile = file.create_group(f"{part}_{name}")
                tile["optical"], tile["dem"] = rng.random((SIDE, SIDE, 6)), rng.random((SIDE, SIDE, 2))
                tile["outlines"] = np.stack([~shore(), shore()], axis=2).astype("uint8")
                tile.attrs["region"] = region
    row = datasets.labelled("glavitu")
    samples = row.read(tmp_path)
    assert [(s.group, s.part) for s in samples] == [(r, p) for p in ("train", "validation") for r in ("ALP", "HMA")]
    with h5py.File(tmp_path / "20230905_train_global_ps384.hdf5") as file:
        optical = file["train_ALP_0/optical"][..., 3]
    np.testing.assert_array_equal(np.asarray(samples[0].features)[3], optical.astype("float32"))
    assert len(samples[0].features) == len(row.inputs) == 8
    np.testing.assert_array_equal(np.asarray(samples[0].truth), shore())
    found = row.score(samples[:2], {samples[0].name: shore(), samples[1].name: shore(10)})
    assert found == {"mean_iou": 0.75, "spread": 0.25, "ALP": 1.0, "HMA": 0.5}


def test_dl4gam(tmp_path):
    folder = tmp_path / "RGI60-11.00897"
    folder.mkdir()
    ids = np.where(shore(10), 7, -1)
    ids[:, 30:] = 9  # a neighbour
    with h5py.File(folder / "2023-08-21.nc", "w") as file:
        bands = file.create_dataset("band_data", data=np.stack([np.full((SIDE, SIDE), 100 * k) for k in (1, 2)]))
        bands.attrs["long_name"], bands.attrs["_FillValue"] = ["B", "NIR"], 200
        file["mask_all_g_id"], file["mask_crt_g"] = ids, (ids == 7).astype("int8")
        bad = np.zeros((SIDE, SIDE), "int8")
        bad[0] = 1
        file["mask_nok"], file["dem"] = bad, np.full((SIDE, SIDE), 3000.0)
        file["x"] = 5e5 + 10.0 * np.arange(SIDE)
    row = datasets.labelled("dl4gam")
    (found,) = row.read(tmp_path)
    (other,) = row.read(tmp_path, inputs=("dem", "B"))
    assert (found.group, found.time, found.resolution) == ("RGI60-11.00897", "2023-08-21", 10.0)
    assert np.isnan(np.asarray(found.features)[1]).all() and (np.asarray(found.features)[0] == 100).all()
    assert np.asarray(other.features)[:, 0, 0].tolist() == [3000, 100]
    truth = np.asarray(found.truth)
    assert (truth[0] == UNSEEN).all() and np.unique(truth[1:, :10]) == [1] and np.unique(truth[1:, 10:30]) == [0]
    assert not np.asarray(found.within)[:, 30:].any() and np.asarray(found.glaciers)[5, [0, 15, 35]].tolist() == [
        8,
        0,
        10,
    ]
    score = row.score([found], {found.name: shore(12)})  # the neighbour's pixels count for nothing
    assert score == {"mean_iou": pytest.approx(10 / 12), "area_error_percent": pytest.approx(20), "n": 1}
    with pytest.raises(LookupError, match=r"has no coherence: its bands are B, NIR"):
        row.read(tmp_path, inputs=("coherence",))


def raster(path, count: int = 2) -> None:
    """A small GeoTIFF."""
    with rasterio.open(path, "w", driver="GTiff", height=SIDE, width=SIDE, count=count, dtype="float32",
                       crs="EPSG:32645", transform=Affine(10, 0, 5e5, 0, -10, 3.1e6)) as file:  # fmt: skip
        file.write(np.ones((count, SIDE, SIDE), "float32"))


def test_ones_own_labels_of_the_days_they_are_of(tmp_path):
    raster(tmp_path / "khumbu_20200801.tif")
    raster(tmp_path / "khumbu_2021-08-02.tif")
    boxes = [shapely.box(5e5, 3.0996e6, 5e5 + width, 3.1e6) for width in (100, 200)]
    frame = gpd.GeoDataFrame({"rgi_id": "a", "time": ["2020-08-01T10:20", "02.08.2021"]}, geometry=boxes, crs=32645)
    frame.to_file(tmp_path / "labels.gpkg")
    found = datasets.labelled("own").read(tmp_path)
    assert [(one.time, int(one.truth.sum())) for one in found] == [("2020-08-01", 400), ("2021-08-02", 800)]
    assert found[0].geobox.shape == (SIDE, SIDE) and hasattr(found[0].features, "dask")
    raster(tmp_path / "khumbu_20220803.tif")
    with pytest.raises(ValueError, match=r"khumbu_20220803.tif: no label of 2022-08-03"):
        labelled.own(tmp_path)
    (tmp_path / "labels.gpkg").unlink()
    with pytest.raises(FileNotFoundError, match="0 vector files"):
        labelled.own(tmp_path)


def test_ones_own_front_lines_are_drawn_on_every_scene(tmp_path):
    raster(tmp_path / "a.tif")
    line = gpd.GeoDataFrame(geometry=[shapely.LineString([(5.0025e5, 3.1e6), (5.0025e5, 3.0996e6)])], crs=32645)
    line.to_crs(4326).to_file(tmp_path / "front.geojson")
    (found,) = labelled.own(tmp_path)
    assert found.front.any(axis=1).all() and set(np.argwhere(found.front)[:, 1]) <= {23, 24, 25, 26}


def test_the_123_real_scenes_fall_to_their_three_fjords(data, root):
    samples = datasets.labelled("frontscenes").read(data / "frontlearning" / "train")
    names = [sample.group for sample in samples]
    assert {name: names.count(name) for name in set(names)} == {
        "Jakobshavn": 30, "Sverdrup": 70, "Kangerlussuaq": 23}  # fmt: skip
    spec = importlib.util.spec_from_file_location("frontlearning", root / "benchmarks" / "frontlearning.py")
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    for sample in samples[::40]:
        picture = data / "frontlearning" / "train" / "images" / f"{sample.name}_Subset.png"
        np.testing.assert_array_equal(np.asarray(sample.features)[0], bench.grey(picture))
        front = np.asarray(sample.front)
        assert sample.truth.shape == front.shape and 0.002 < front.mean() < 0.06
        patches.check(systems.find("mohajerani2019"), sample)


def test_sets_are_found_by_name_and_empty_folders_named(tmp_path):
    with pytest.raises(LookupError, match="did you mean calfin"):
        datasets.labelled("clafin")
    for row in sets.SETS:
        with pytest.raises(FileNotFoundError):
            row.read(tmp_path)


def test_missed_fronts_are_counted_not_averaged():
    front = shore(20) & ~shore(19)
    one, two = (Sample(name, None, np.zeros((SIDE, SIDE)), front, resolution=10.0) for name in "ab")
    found = sets.pooled_fronts([one, two], {"a": np.zeros_like(front), "b": np.zeros_like(front)})
    assert np.isnan(found["mde_m"]) and found["missed"] == 2
