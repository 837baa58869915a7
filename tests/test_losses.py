"""Losses: known values, unseen pixels without influence, terms asked for by name."""

import math

import pytest
import torch

from glacier_nb import losses


@pytest.fixture
def batch():
    """Three zones, two samples, a third of the pixels unseen."""
    draw = torch.Generator().manual_seed(0)
    zones = torch.randn(2, 3, 8, 8, generator=draw, requires_grad=True)
    truth = torch.randint(0, 3, (2, 8, 8), generator=draw)
    seen = torch.rand(2, 8, 8, generator=draw) > 0.33
    return zones, torch.where(seen, truth, -1), seen


@pytest.mark.parametrize("loss", [losses.cross_entropy, losses.dice])
def test_unseen_pixels_have_neither_value_nor_gradient(batch, loss):
    zones, truth, seen = batch
    value = loss(zones, truth, seen)
    value.backward()
    assert zones.grad.movedim(1, -1)[~seen].abs().max() == 0
    assert zones.grad.movedim(1, -1)[seen].abs().min() > 0
    other = torch.where(seen[:, None], zones.detach(), 99.0)
    assert torch.allclose(loss(other, truth, seen), value.detach())


def test_cross_entropy_of_no_knowledge_is_the_log_of_the_number_of_zones(batch):
    _, truth, seen = batch
    assert losses.cross_entropy(torch.zeros(2, 3, 8, 8), truth, seen).item() == pytest.approx(math.log(3))


def test_a_sample_counts_once_however_much_of_it_was_seen():
    seen = torch.zeros(2, 4, 4, dtype=torch.bool)
    seen[0], seen[1, 0, 0] = True, True
    zones = torch.stack([torch.full((1, 4, 4), 2.0), torch.full((1, 4, 4), -2.0)])
    right, wrong = (math.log1p(math.exp(side)) for side in (-2, 2))
    found = losses.binary_cross_entropy(zones, torch.ones(2, 4, 4), seen).item()
    assert found == pytest.approx((right + wrong) / 2)


def test_nothing_seen_is_a_finite_loss_without_gradient(batch):
    zones, truth, seen = batch
    for loss in (losses.cross_entropy, losses.dice):
        value = loss(zones, truth, torch.zeros_like(seen))
        (gradient,) = torch.autograd.grad(value, zones)
        assert value.item() == 0 and gradient.abs().max() == 0


def test_dice_is_zero_for_a_perfect_map_and_one_for_its_opposite():
    truth = torch.tensor([[[0, 0, 1], [1, 1, 0]]])
    seen = torch.ones_like(truth, dtype=torch.bool)
    sure = torch.where(truth[:, None] == 1, 50.0, -50.0)
    assert losses.dice(sure, truth, seen).item() == pytest.approx(0, abs=1e-6)
    assert losses.dice(-sure, truth, seen).item() == pytest.approx(1, abs=1e-6)


def test_front_pixels_weigh_as_much_as_they_are_told_to():
    background, seen = torch.zeros(1, 1, 2, 2), torch.ones(1, 2, 2, dtype=torch.bool)
    front = torch.tensor([[[1, 0], [0, 0]]])
    found = losses.background_cross_entropy(background, front, seen, front_weight=5.0).item()
    assert found == pytest.approx(math.log(2) * (5 + 3) / 4)


def test_the_score_of_a_front_is_low_on_it():
    seen, front = torch.ones(1, 2, 2, dtype=torch.bool), torch.tensor([[[1, 0], [0, 0]]])
    background = torch.zeros(1, 1, 2, 2, requires_grad=True)
    losses.background_cross_entropy(background, front, seen, front_weight=1.0).backward()
    assert torch.equal(background.grad[0, 0] > 0, front[0].bool())  # a step down the gradient lowers it there


def test_parts_add_up_and_a_missing_term_is_named(batch):
    zones, truth, seen = batch
    terms = {"zones": zones, "truth": truth, "seen": seen, "other": seen}
    parts = ((losses.cross_entropy, 2.0, {"smoothing": 0.1}), (losses.dice, 0.5, {}))
    by_hand = 2 * losses.cross_entropy(zones, truth, seen, 0.1) + 0.5 * losses.dice(zones, truth, seen)
    assert torch.equal(losses.total(parts, terms), by_hand)
    with pytest.raises(LookupError, match=r"background_cross_entropy needs background, front; there is zones"):
        losses.total(((losses.background_cross_entropy, 1.0, {"front_weight": 2.0}),), terms)
