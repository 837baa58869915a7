"""Training cuts: rare zones are seen, features and truth turn together, what is unseen or forgotten is blank."""

import dataclasses

import numpy as np
import pytest
import torch
from test_train import SCENES, SYSTEM

from glacier_nb import patches
from glacier_nb.patches import UNSEEN, Sample


def test_unseen_pixels_teach_nothing():
    sample = SCENES[0]
    truth = np.where(sample.features[0] > 0.45, UNSEEN, sample.truth)  # much of the ice: unknown
    noisy = sample.features.copy()
    noisy[:2, truth == UNSEEN] = np.nan
    cuts = patches.batches(SYSTEM, [Sample("a", noisy, truth)], np.random.default_rng(0), (0,) * 3, (1,) * 3, 0.0)
    batch = next(cuts)
    assert not batch["seen"].all() and batch["seen"].any()
    assert torch.isfinite(batch["x"]).all()
    assert (batch["x"][:, :2].abs().sum(dim=1)[~batch["seen"]] == 0).all()
    assert set(batch["truth"][batch["seen"]].unique().tolist()) <= {0, 1, 2}


def test_cuts_turn_features_and_truth_together_and_see_rare_zones():
    values = np.stack([SCENES[0].truth.astype("float16")] * 3)
    truth = SCENES[0].truth.copy()
    truth[:] = 0
    truth[40, 41] = 1  # one pixel in 9216
    values[:] = truth
    cuts = patches.batches(SYSTEM, [Sample("rare", values, truth)], np.random.default_rng(0), (0,) * 3, (1,) * 3, 0.0)
    some = [next(cuts) for _ in range(20)]
    for batch in some:
        assert torch.equal(batch["x"][:, 0], batch["truth"].float())
    assert np.mean([(batch["truth"] == 1).any(dim=(1, 2)).float().mean().item() for batch in some]) > 0.2
    spots = {tuple(spot) for batch in some for spot in (batch["truth"] == 1).nonzero()[:, 1:].tolist()}
    assert len(spots) > 20  # the rare pixel is not always in the middle


def test_forgetting_takes_optional_inputs_only():
    cuts = patches.batches(SYSTEM, SCENES[:1], np.random.default_rng(0), (9.0,) * 3, (1,) * 3, 0.5)
    x = torch.cat([next(cuts)["x"] for _ in range(10)])
    gone = (x == 0).all(dim=(2, 3)).float().mean(dim=0)
    assert gone[0] == gone[1] == 0 and 0.6 < gone[2] < 0.9  # by itself or with the others: 0.75


def test_statistics_leave_out_what_was_not_seen():
    values = np.full((2, 70, 70), np.nan, "float16")
    values[0, :, :35], values[0, :, 35:] = 1, 3
    values[0, ::2] = np.nan
    mean, std = patches.statistics([Sample("a", values, np.zeros((70, 70), "uint8"))])
    assert mean == pytest.approx((2, 0)) and std == pytest.approx((1, 1))


def test_small_glaciers_are_seen_as_often_as_large_ones():
    truth, glaciers = np.zeros((96, 96), "uint8"), np.zeros((96, 96), int)
    truth[:60], glaciers[:60] = 1, 1
    truth[90, 5], glaciers[90, 5] = 1, 2
    one = Sample("a", np.zeros((3, 96, 96), "float32"), truth, glaciers=glaciers)
    rates = []
    for sample in (one, dataclasses.replace(one, glaciers=None)):
        cuts = patches.batches(SYSTEM, [sample], np.random.default_rng(0), (0,) * 3, (1,) * 3, 0.0)
        spots = np.concatenate([next(cuts)["cuts"].numpy() for _ in range(40)])
        held = (spots[:, 1] + 32 > 90) & (spots[:, 2] <= 5)
        rates.append(held.mean())
    assert rates[0] > rates[1] + 0.05  # an eighth of the cuts are about it: half, of one of two zones, of one of two


def test_cuts_stay_within_and_reach_all_of_it():
    within = np.zeros((96, 96), bool)
    within[10:50, 20:60] = True  # 40 pixels: a cut of 32 has nine places along each side
    within[60:90, 60:90] = True  # too small for any
    sample = Sample("a", SCENES[0].features, SCENES[0].truth, within=within)
    cuts = patches.batches(SYSTEM, [sample], (0,), (0,) * 3, (1,) * 3, 0.0)
    spots = np.concatenate([next(cuts)["cuts"].numpy() for _ in range(60)])[:, 1:]
    assert spots.min(axis=0).tolist() == [10, 20] and spots.max(axis=0).tolist() == [18, 28]
    small = dataclasses.replace(sample, within=np.pad(np.ones((30, 30), bool), 33))
    with pytest.raises(ValueError, match="a: no patch of 32 pixels lies wholly within"):
        next(patches.batches(SYSTEM, [small], (0,), (0,) * 3, (1,) * 3, 0.0))


def test_a_batch_depends_on_its_number_alone():
    def drawn(start):
        return patches.batches(SYSTEM, SCENES[:2], (4, 2), (0,) * 3, (1,) * 3, 0.3, start)

    whole = drawn(0)
    third = [next(whole) for _ in range(4)][3]
    assert all(torch.equal(part, third[name]) for name, part in next(drawn(3)).items())


def test_drawing_leaves_the_scene_as_it_was():
    values = SCENES[0].features.astype("float32")
    before = values.copy()
    cuts = patches.batches(SYSTEM, [Sample("a", values, SCENES[0].truth)], (0,), (9.0,) * 3, (2,) * 3, 0.9)
    for _ in range(3):
        next(cuts)
    np.testing.assert_array_equal(values, before)
