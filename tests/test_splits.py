"""Folds hold equal areas, every glacier is whole in one, and no two patches of two folds ever share ground."""

import itertools

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from test_train import SYSTEM

from glacier_nb import labels, patches, splits
from glacier_nb.labels import Sample

PIXEL = 30.0


def landscape(number: int = 60, seed: int = 0, side: float = 60_000.0) -> gpd.GeoDataFrame:
    """Ellipses of many sizes strewn over a square of `side` metres, none over another."""
    rng, shapes = np.random.default_rng(seed), []
    while len(shapes) < number:
        at = rng.uniform((4e5, 5.1e6), (4e5 + side, 5.1e6 + side))
        one = shapely.affinity.scale(shapely.Point(at).buffer(1), *rng.uniform(300, 2500, 2))
        if not any(one.intersects(other) for other in shapes):
            shapes.append(one)
    return gpd.GeoDataFrame({"rgi_id": [f"g{k:02d}" for k in range(number)]}, geometry=shapes, crs="EPSG:32632")


def grid(pixel: float = PIXEL, offset: float = 0.0) -> GeoBox:
    """A grid over the landscape and a kilometre around it."""
    count = round(62_000 / pixel)
    return GeoBox((count, count), Affine(pixel, 0, 3.99e5 + offset, 0, -pixel, 5.161e6 + offset), "EPSG:32632")


OUTLINES = landscape()


@pytest.mark.parametrize("split", [splits.regional(OUTLINES, 5), splits.by_glacier(OUTLINES, 3, apart=900.0)],
                         ids=["regional", "glacier"])  # fmt: skip
def test_cells_never_overlap_and_hold_each_glacier_whole(split):
    cells = shapely.from_wkt(list(split.cells))
    for a in range(split.folds):
        for b in range(a):
            assert cells[a].intersection(cells[b]).area < 1.0  # coordinates are rounded to a millimetre
    for key, fold in split.members.items():
        shape = OUTLINES.geometry[OUTLINES.rgi_id == key].iloc[0]
        assert shape.difference(cells[fold]).area < 10.0 + 1e-3 * shape.length
    area = OUTLINES.set_index("rgi_id").area
    share = area.groupby(area.index.map(split.members)).sum() / area.sum()
    largest = area.max() / area.sum() if split.kind == "regional" else 0.25
    assert (abs(share - 1 / split.folds) <= largest).all()


def test_regional_folds_go_from_west_to_east_by_the_easternmost_point():
    split = splits.regional(OUTLINES, 5)
    east = OUTLINES.bounds["maxx"].set_axis(OUTLINES.rgi_id)
    by_fold = [east[[key for key, fold in split.members.items() if fold == k]] for k in range(5)]
    assert all(west.max() < other.min() for west, other in itertools.pairwise(by_fold))


@pytest.mark.parametrize("split", [splits.regional(OUTLINES, 4), splits.by_glacier(OUTLINES, 3, apart=900.0)],
                         ids=["regional", "glacier"])  # fmt: skip
def test_no_patches_of_two_folds_share_ground_even_of_scenes_on_other_grids(split):
    side = SYSTEM.recipe.patch
    drawn = {role: [] for role in splits.ROLES}
    for geobox in (grid(), grid(24.0, offset=11.0)):
        shape = tuple(geobox.shape)
        values = np.broadcast_to(np.float32(0), (3, *shape))
        sample = Sample("scene", values, np.ones(shape, "uint8"), geobox=geobox)
        for role in splits.ROLES:
            some = splits.part(split, [sample], 1, role, side)
            cuts = patches.batches(SYSTEM, some, (0,), (0,) * 3, (1,) * 3, 0.0)
            for _ in range(12):
                for _, top, left in next(cuts)["cuts"].tolist():
                    corners = [geobox.affine * (left, top), geobox.affine * (left + side, top + side)]
                    drawn[role].append(shapely.box(*corners[0], *corners[1]))
    assert all(len(boxes) == 2 * 12 * SYSTEM.recipe.batch for boxes in drawn.values())
    tests, others = shapely.STRtree(drawn["test"]), [*drawn["train"], *drawn["validation"]]
    assert not tests.query(others, predicate="overlaps").size
    assert not shapely.STRtree(drawn["validation"]).query(drawn["train"], predicate="overlaps").size


def test_a_split_is_kept_with_a_hash_that_tells_of_changes(tmp_path):
    split = splits.regional(OUTLINES, 5)
    path = splits.write(split, tmp_path / "split.json")
    assert splits.read(path) == split
    path.write_text(path.read_text().replace('"g07": ', '"g99": '))
    with pytest.raises(ValueError, match="it was changed after it was made"):
        splits.read(path)
    assert splits.regional(OUTLINES.sample(frac=1, random_state=1), 5).sha256 == split.sha256


def test_whole_scenes_are_split_by_date_and_by_what_they_show():
    def blank(name, **more):
        return Sample(name, np.zeros((3, 40, 40)), np.zeros((40, 40), "uint8"), **more)

    some = [blank(f"s{k}", time=f"2020-0{1 + k // 2}-01", group=("helheim", "store")[k % 2]) for k in range(6)]
    dates, places = splits.by_time(some, 3), splits.by_group(some)
    assert dates.members == {"2020-01-01": 0, "2020-02-01": 1, "2020-03-01": 2}
    assert [one.name for one in splits.part(dates, some, 2, "test")] == ["s4", "s5"]
    assert [one.name for one in splits.part(dates, some, 2, "train")] == ["s2", "s3"]
    assert {one.group for one in splits.part(places, some, 0, "test")} == {"helheim"}
    assert {one.group for one in splits.part(places, some, 0, "train")} == {"store"}
    with pytest.raises(ValueError, match="s9 has no time"):
        splits.by_time([*some, blank("s9")])
    with pytest.raises(ValueError, match="s9: group 'rink' is in no fold"):
        splits.part(places, [blank("s9", group="rink")], 0, "test")


def test_folds_without_glaciers_and_parts_without_patches_are_named():
    few = OUTLINES.head(3)
    with pytest.raises(ValueError, match=r"3 glaciers of 100000 m2 or more, 5 folds: a fold would be without"):
        splits.regional(few, 5)
    giant = gpd.GeoDataFrame(
        {"rgi_id": ["a", "b", "c"]}, crs=few.crs,
        geometry=[shapely.box(0, 0, 9e4, 9e4), shapely.box(1e5, 0, 1.01e5, 1e3), shapely.box(1.1e5, 0, 1.11e5, 1e3)],
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"fold 0 of regional folds would be without glaciers"):
        splits.regional(giant, 3)
    with pytest.raises(ValueError, match=r"1 groups of glaciers 100000 m apart"):
        splits.by_glacier(OUTLINES, 3, apart=1e5)
    with pytest.raises(ValueError, match="metres"):
        splits.regional(OUTLINES.to_crs(4326))
    split = splits.by_glacier(OUTLINES, 3, apart=900.0)
    sample = Sample("s", np.zeros((3, 600, 600)), np.zeros((600, 600), "uint8"), geobox=grid(100.0)[:600, :600])
    with pytest.raises(ValueError, match="fold 0: no scene for test holds a patch of 256 pixels"):
        splits.part(split, [sample], 0, "test", 256)
    with pytest.raises(ValueError, match="no geobox"):
        splits.part(split, [Sample("s", sample.features, sample.truth)], 0, "test")


def test_truth_outside_a_part_is_unknown():
    geobox = grid(100.0)
    truth = np.zeros(tuple(geobox.shape), "uint8")
    sample = Sample("s", np.zeros((3, *truth.shape)), truth, geobox=geobox)
    split = splits.regional(OUTLINES, 4)
    parts = [splits.part(split, [sample], 2, role)[0] for role in splits.ROLES]
    known = np.sum([part.truth != labels.UNSEEN for part in parts], axis=0)
    assert known.max() == 1 and 0.9 < known.mean() < 1  # only the edges between are nobody's
    assert all(np.array_equal(part.truth != labels.UNSEEN, part.within) for part in parts)
