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
