"""Scores of weights on labelled scenes: known maps give known numbers, real scenes those of the benchmark script."""

import dataclasses
import importlib.util

import numpy as np
import pytest
from test_train import SCENES, SYSTEM

from glacier_nb import datasets, scores, weights
from glacier_nb.labels import UNSEEN


def test_fronts_of_the_published_network_are_those_of_the_benchmark(data, root):
    spec = importlib.util.spec_from_file_location("frontlearning", root / "benchmarks" / "frontlearning.py")
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    folder = data / "frontlearning"
    path = folder / "published_keras_weights" / weights.default("mohajerani2019").file
    samples = datasets.labelled("frontscenes").read(folder / "train")[::60]
    table = scores.fronts("mohajerani2019", path, samples)
    assert table.name.tolist() == [sample.name for sample in samples] and table.attrs["missed"] == 0
    for sample, row in zip(samples, table.itertuples(), strict=True):
        label = folder / "train" / "labels" / f"{sample.name}_Front.png"
        picture = folder / "train" / "images" / f"{sample.name}_Subset.png"
        there, back = bench.deviations(picture, label, weights.find(path))
        assert (row.there_px, row.back_px) == pytest.approx((there, back), abs=1e-6)
    one = scores.one("mohajerani2019", path, samples)
    assert one == {"mean_px": pytest.approx(table.mean_px.mean()), "missed": 0.0}
    asked = scores.one("fronts-landsat", "fronts-landsat", samples[:1], front=True)  # though it has zones
    assert set(asked) == {"mean_px", "missed"}


def test_zones_count_only_what_is_known_and_within(monkeypatch):
    sample = SCENES[0]
    chance = np.eye(3)[sample.truth].transpose(2, 0, 1)
    wrong = np.eye(3)[np.where(sample.truth == 2, 0, sample.truth)].transpose(2, 0, 1)
    monkeypatch.setattr(scores, "chances", lambda *_: chance)
    assert scores.zones(SYSTEM, "", [sample])["iou"] == {"rock": 1, "glacier": 1, "ocean": 1}
    monkeypatch.setattr(scores, "chances", lambda *_: wrong)
    assert scores.zones(SYSTEM, "", [sample])["iou"]["ocean"] == 0
    within = np.zeros((96, 96), bool)
    within[:, :80] = True  # the ocean lies beyond
    told = scores.zones(SYSTEM, "", [dataclasses.replace(sample, within=within)])["iou"]
    assert told["rock"] == told["glacier"] == 1 and np.isnan(told["ocean"])
    dry = np.where(sample.truth == 2, np.uint8(UNSEEN), sample.truth)
    assert np.isnan(scores.zones(SYSTEM, "", [dataclasses.replace(sample, truth=dry)])["iou"]["ocean"])


def test_a_lost_sensor_costs_what_it_alone_told(monkeypatch):
    """A map that needs the first input alone: nothing is found without it, all is found without any other."""

    def chances(system, path, sample, cleaned=False):
        ice = (sample.truth == 1) & np.isfinite(sample.features[0])
        return np.stack([~ice, ice, 0 * ice]).astype("float32")

    monkeypatch.setattr(scores, "chances", chances)
    names = SYSTEM.inputs
    found = scores.without(SYSTEM, "", SCENES[:2], {"first": names[:1], "others": names[1:]})
    assert found == {"": 1.0, "first": 0.0, "others": 1.0}
    with pytest.raises(LookupError, match="has no input 'lidar'"):
        scores.without(SYSTEM, "", SCENES[:1], {"x": ["lidar"]})


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Of 300 places cut from one population of blocks, about 95 in 100 know its IoU; one that varies not is sure."""
    rng = np.random.default_rng(1)
    either = rng.integers(50, 1000, 100_000)
    both = np.rint(rng.beta(6, 2, len(either)) * either)
    true, drawn = both.sum() / either.sum(), rng.integers(0, len(either), (300, 40))
    found = [scores.of_blocks(both[one][None], either[one][None], draws=500) for one in drawn]
    held = sum(one["low"] <= true <= one["high"] for one in found)
    assert abs(held / 300 - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 300)  # four standard errors of a share
    twice = scores.of_blocks(np.tile(both[:40], (2, 1)), np.tile(either[:40], (2, 1)))
    assert twice == scores.of_blocks(both[:40][None], either[:40][None])  # a second summer alike is no second place


def test_blocks_of_ground_are_the_same_in_all_samples(monkeypatch):
    """All ice found in the west, none in the east: the IoU of single blocks, and of nothing known none."""
    truth = np.zeros((6, 8), np.uint8)
    truth[:3], truth[4:] = 1, UNSEEN
    sample = dataclasses.replace(SCENES[0], truth=truth, within=None)
    west = (truth == 1) & (np.arange(8) < 4)
    monkeypatch.setattr(scores, "chances", lambda *_: np.stack([~west, west, 0 * west]).astype("float32"))
    told = scores.ice(SYSTEM, None, [sample, sample], side=4).attrs
    assert told == {"iou": 0.5, "low": 0.0, "high": 1.0, "blocks": 2}  # the lower two are not known
    whole = scores.ice(SYSTEM, None, [sample], side=8).attrs
    assert whole["iou"] == 0.5 and np.isnan(whole["low"]) and whole["blocks"] == 1
    assert not scores.ice(SYSTEM, None, [sample]).attrs
    other = dataclasses.replace(sample, truth=truth[:5])
    with pytest.raises(ValueError, match="several grids"):
        scores.ice(SYSTEM, None, [sample, other], side=4)
    assert np.isnan([scores.of_blocks(np.zeros((1, 2)), np.zeros((1, 2)))[key] for key in ("iou", "low", "high")]).all()
