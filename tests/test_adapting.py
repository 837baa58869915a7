"""A few scenes teach a new place: the error falls with their number; rock stays rock; test scenes stay apart."""

import dataclasses

import numpy as np
import pytest
import xarray as xr
from test_train import SCENES, SYSTEM, scene

from glacier_nb import scores, train
from glacier_nb.labels import UNSEEN


def darker(number: int):
    """A scene of a place where ice is darker and rock is brighter than the weights know."""
    one = scene(number)
    values = one.features.astype("float32")
    values[0] += np.where(one.truth == 1, -0.4, 0.25)
    values[1] += np.where(one.truth == 1, 0.25, 0.0)
    return dataclasses.replace(one, name=f"new {number}", features=values)


NEW = [darker(number) for number in range(10, 16)]
HOW = {"threads": 1, "progress": False, "validations": 2, "rate": 1.0, "steps": 40}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Weights that know another place."""
    found = train.fit(SYSTEM, SCENES, steps=60, validations=3, threads=1, progress=False)
    return train.save(found, tmp_path_factory.mktemp("weights") / "old.safetensors")


def test_the_curve_of_error_falls_with_scenes(path, tmp_path):
    table = train.adaptation(path, NEW[:4], NEW[4:], tmp_path, (0, 1, 3), n=2, system=SYSTEM, **HOW)
    iou = table[table.score == "mean_iou"].set_index("scenes")
    assert iou.n.tolist() == [1, 2, 2] and iou.spread.notna().tolist() == [False, True, True]
    error = 1 - iou["mean"]
    print(error)
    assert error[3] < error[0] / 2 and error[1] < error[0]
    with pytest.raises(ValueError, match="new 14 is to be learnt from and tested on"):
        train.adaptation(path, NEW, NEW[4:], tmp_path, system=SYSTEM)
    with pytest.raises(ValueError, match="10 scenes asked for, 4 given"):
        train.adaptation(path, NEW[:4], NEW[4:], tmp_path, system=SYSTEM)


def test_adapting_keeps_the_normalisation_and_old_knowledge_at_a_rate_of_nothing(path):
    from glacier_nb import tensors, weights

    still = train.adapt(path, NEW[:1], system=SYSTEM, **HOW | {"rate": 0.0, "steps": 1})
    row = weights.find(path)
    assert (still.mean, still.std) == (row.mean, row.std)
    given = tensors.read(path)
    assert all(np.array_equal(still.state[name], given[name]) for name in given if name.endswith("weight"))


def test_rock_is_taught_where_no_label_is_and_products_keep_off_it(path, monkeypatch):
    from glacier_nb import adapting

    bare = dataclasses.replace(NEW[0], truth=np.where(NEW[0].truth == 1, NEW[0].truth, np.uint8(UNSEEN)))
    rock = NEW[0].truth == 0
    taught = []
    monkeypatch.setattr(adapting, "fit", lambda system, samples, *given, **more: taught.extend(samples))
    train.adapt(path, [bare], rock=rock, system=SYSTEM)
    train.adapt(path, [bare], rock={"another": rock}, system=SYSTEM)
    known, unknown = (one.truth for one in taught)
    assert (known[rock] == 0).all() and (known[NEW[0].truth == 1] == 1).all()
    assert (known[NEW[0].truth == 2] == UNSEEN).all() and np.array_equal(unknown, bare.truth)

    zones = xr.DataArray(np.full((3, 4, 4), 1 / 3, "float32"), {"zone": list(SYSTEM.zones)}, ("zone", "y", "x"))
    zones[:, 0] = np.nan
    mask = np.zeros((4, 4), bool)
    mask[:2] = True
    found = train.masked(zones, mask)
    assert found.sel(zone="rock")[1].values.tolist() == [1] * 4 and found.sel(zone="glacier")[1].max() == 0
    assert np.isnan(found[:, 0]).all() and (found[:, 2:] == zones[:, 2:]).all()
    front = train.masked(zones.isel(zone=0, drop=True), mask)
    assert (front[1] == 0).all() and np.isnan(front[0]).all() and (front[2:] > 0).all()
    with pytest.raises(ValueError, match="have no rock to be sure of"):
        train.masked(zones.assign_coords(zone=["glacier", "ocean", "lake"]), mask)


def test_summer_scenes_teach_only_what_the_weights_are_sure_of(path, monkeypatch):
    from glacier_nb import adapting

    taught = []
    monkeypatch.setattr(adapting, "fit", lambda system, samples, *given, **more: taught.extend(samples))
    blank = dataclasses.replace(SCENES[3], name="summer", truth=np.full((96, 96), UNSEEN, "uint8"))
    train.adapt(path, NEW[:1], summer=[blank], sure=0.8, system=SYSTEM)
    label, chance = taught[1].truth, scores.chances(SYSTEM, path, blank)
    sure = chance.max(axis=0) >= 0.8
    assert np.array_equal(label == UNSEEN, ~sure) and 0.3 < sure.mean() < 1
    assert (label[sure] == SCENES[3].truth[sure]).mean() > 0.97
    with pytest.raises(ValueError, match="no labelled scene"):
        train.adapt(path, [], system=SYSTEM)
    alone = dataclasses.replace(SYSTEM, zones=())
    with pytest.raises(ValueError, match="maps a front alone"):
        train.adapt(path, NEW[:1], summer=[blank], system=alone)
