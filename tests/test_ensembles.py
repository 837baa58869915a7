"""Several opinions: a symmetric network agrees with itself, dropout is drawn by its seed, mean and spread are exact."""

import dataclasses

import numpy as np
import pytest
import torch
from small import EXACT, SYSTEM, WET, Symmetric, by_hand, scene, write

from glacier_nb import ensembles, forward, networks, predict, systems, weights

HOW = {"window": 48, "halo": 8, "progress": False, "clean": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where weights of these tests lie."""
    return tmp_path_factory.mktemp("weights")


def test_a_symmetric_network_agrees_with_itself(folder):
    system = dataclasses.replace(SYSTEM, name="symmetric", network=Symmetric)
    path = write(folder, 1, system)
    once = predict.zones(scene(100, 90), system, path, **HOW)
    turned = predict.zones(scene(100, 90), system, path, symmetries=8, **HOW)
    np.testing.assert_allclose(turned, once, atol=EXACT)
    assert turned.spread.max() < EXACT and turned.attrs["members"] == 8 and "members" not in once.attrs
    assert once.std() > 0.01


def test_a_turned_scene_gives_the_turned_map(folder):
    """With all symmetries any network treats all directions alike."""
    layers = scene(64, 64)
    path = write(folder, 2)
    straight = predict.zones(layers, SYSTEM, path, symmetries=8, **{**HOW, "window": 64})
    mirrored = layers.copy(data=layers.values[:, :, ::-1])
    found = predict.zones(mirrored, SYSTEM, path, symmetries=8, **{**HOW, "window": 64})
    np.testing.assert_allclose(found.values[:, :, ::-1], straight, atol=EXACT)
    np.testing.assert_allclose(found.spread.values[:, :, ::-1], straight.spread, atol=1e-3)  # a root of 1e-7
    assert np.abs(predict.zones(mirrored, SYSTEM, path, **HOW).values[:, :, ::-1] - straight.values).max() > 0.01


def test_mean_and_spread_of_an_ensemble_of_weights(folder):
    """Each network by its own normalisation, as it was trained."""
    paths = [write(folder, seed, mean=[0.1 * seed, 0.5, 20, 1.5], std=[0.1 * seed, 0.3, 9, 1]) for seed in (3, 4, 5)]
    layers = scene(60, 50)
    single = np.stack([by_hand(layers, path) for path in paths])
    found = predict.zones(layers, SYSTEM, paths, window=128, progress=False, clean=False)
    np.testing.assert_allclose(found, single.mean(axis=0), atol=EXACT)
    np.testing.assert_allclose(found.spread, single.std(axis=0), atol=1e-4)
    assert found.attrs["weights"] == "small3, small4, small5"


def test_features_of_a_window_are_read_once_for_all_members(folder, monkeypatch):
    path, reads, passes = write(folder, 6), [], []
    layers = scene(100, 90)
    lazy = layers.chunk(feature=-1, y=50, x=45)
    lazy = lazy.copy(data=lazy.data.map_blocks(lambda x: reads.append(1) or x, meta=np.empty((0, 0, 0), "float32")))
    finish = systems.finish
    monkeypatch.setattr(systems, "finish", lambda *given: passes.append(1) or finish(*given))
    predict.zones(lazy, SYSTEM, path, symmetries=4, batch=100, **HOW)
    members = len(passes)
    passes.clear()
    predict.zones(layers, SYSTEM, path, batch=100, **HOW)
    assert len(reads) == 4 and members == 4 * len(passes)


def test_dropout_is_drawn_by_its_seed_and_leaves_batch_norm_alone(folder):
    path = write(folder, 7, WET)
    layers = scene(100, 90)
    before = torch.random.get_rng_state()
    first, again, other = (predict.zones(layers, WET, path, passes=6, seed=s, **HOW) for s in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first.spread, again.spread)
    assert np.abs(first - other).max() > 1e-3 and first.spread.max() > 0.01
    np.testing.assert_allclose(first.sum("zone"), 1, atol=EXACT)
    network = ensembles.allow_dropout(weights.load(WET.network(4), weights.find(path)).eval(), True)
    assert {type(layer).__name__ for layer in network.modules() if layer.training} == {"Dropout"}


def test_more_passes_come_closer_to_their_mean(folder):
    """The standard error falls with the root of the passes: from 4 to 64 by a factor 4."""
    path = write(folder, 8, WET)
    layers = scene(32, 32)
    single = {n: [predict.zones(layers, WET, path, passes=n, seed=s, **HOW).values for s in (1, 2)] for n in (4, 64)}
    apart = {n: np.sqrt(np.mean((a - b) ** 2)) for n, (a, b) in single.items()}
    assert 2 < apart[4] / apart[64] < 8


def test_a_system_asks_whom_its_paper_asked(folder):
    path = write(folder, 9, WET)
    system = dataclasses.replace(WET, views=(0, 4), passes=3)
    assert predict.zones(scene(40, 40), system, path, **HOW).attrs["members"] == 6
    assert predict.zones(scene(40, 40), system, path, symmetries=1, passes=2, **HOW).attrs["members"] == 2


def test_misuse_is_named(folder):
    path = write(folder, 10)
    with pytest.raises(ValueError, match="Monte-Carlo dropout of a network without dropout"):
        predict.zones(scene(40, 40), SYSTEM, path, passes=3)
    with pytest.raises(ValueError, match="3 symmetries: take 1"):
        predict.zones(scene(40, 40), SYSTEM, path, symmetries=3)
    with pytest.raises(ValueError, match=r"symmetries \(0, 9\): there are 0 to 7"):
        predict.zones(scene(40, 40), SYSTEM, path, symmetries=[0, 9])
    with pytest.raises(ValueError, match="precision 'int4': one of float32"):
        predict.zones(scene(40, 40), SYSTEM, path, precision="int4")
    assert not forward._models


def test_turning_back_undoes_a_turn():
    x = torch.arange(24).reshape(2, 3, 4)
    for number in range(8):
        assert torch.equal(ensembles.back(networks.symmetry(x, number), number), x)


def test_dates_count_where_they_saw_the_ground(folder):
    path = write(folder, 3)
    layers = [scene(64, 48, seed=k) for k in range(3)]
    layers[0].values[:, :20] = np.nan
    layers[1].values[:, :10] = np.nan
    layers[2].values[:, :5] = np.nan
    maps = [predict.zones(one, SYSTEM, path, symmetries=4, **HOW) for one in layers]
    both = ensembles.of_dates(maps)
    values, spreads = (np.stack(some) for some in ([m.values for m in maps], [m.spread.values for m in maps]))
    np.testing.assert_allclose(both[:, 20:], values[:, :, 20:].mean(0), atol=EXACT)
    np.testing.assert_allclose(both[:, 5:10], values[2, :, 5:10], atol=EXACT)
    assert both[:, :5].isnull().all() and both.dates.values[:, 0].tolist() == [0] * 5 + [1] * 5 + [2] * 10 + [3] * 44
    total = values[:, :, 20:].var(0) + (spreads[:, :, 20:] ** 2).mean(0)  # law of total variance
    np.testing.assert_allclose(both.spread[:, 20:], np.sqrt(total), atol=1e-5)
    np.testing.assert_allclose(both.sum("zone")[5:], 1, atol=1e-5)
    assert both.attrs["times"] == ["2024-08-15"] * 3 and both.attrs["system"] == SYSTEM.name
    lazy = ensembles.of_dates([one.chunk() for one in maps])
    assert lazy.chunks is not None and np.array_equal(lazy, both, equal_nan=True)


def test_maps_that_do_not_belong_together_are_named(folder):
    one = predict.zones(scene(48, 48), SYSTEM, write(folder, 3), **HOW)
    with pytest.raises(ValueError, match="no map"):
        ensembles.of_dates([])
    with pytest.raises(ValueError, match="small, other: take"):
        ensembles.of_dates([one, one.assign_attrs(system="other")])
    with pytest.raises(ValueError, match="one grid"):
        ensembles.of_dates([one, one.assign_coords(x=one.x + 10)])
