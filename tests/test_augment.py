"""Augmentation: image, truth and front move together, blank ground stays blank, no step draws no number."""

import dataclasses

import numpy as np
import pytest
import torch
from test_train import SCENES, SYSTEM

from glacier_nb import augment, networks, patches, systems

STEPS = (
    (augment.rotated, {"most": 30.0}),
    (augment.rotated, {"by": (-12, 12)}),
    (augment.scaled, {"low": 0.5, "high": 1.5}),
    (augment.warped, {"most": 4.0}),
)
TONES = (
    (augment.toned, {}),
    (augment.inverted, {}),
    (augment.noisy, {"spread": 0.5}),
    (augment.sharpened, {}),
)


def disc(side: int = 64) -> dict[str, torch.Tensor]:
    """A smooth hill about the middle, its ground above a half as truth, the rim of that as front."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    hill = torch.tensor(np.exp(-(y**2 + (x - 6) ** 2) / 200), dtype=torch.float32)
    truth = (hill > 0.5).long()
    return {
        "x": hill[None],
        "truth": truth,
        "seen": torch.ones_like(hill, dtype=bool),
        "front": (hill - 0.5).abs() < 0.1,
    }


@pytest.mark.parametrize("step, options", STEPS, ids=lambda value: getattr(value, "__name__", ""))
def test_image_truth_and_front_move_together(step, options):
    parts, rng = disc(), np.random.default_rng(0)
    for _ in range(20):
        found = step(parts, rng, **options)
        clear = found["seen"] & ((found["x"][0] - 0.5).abs() > 0.06)  # off the rim by more than a pixel's slope
        assert torch.equal(found["truth"][clear], (found["x"][0] > 0.5).long()[clear])
        near = (found["x"][0] - 0.5).abs() < 0.04
        assert found["front"][near & found["seen"]].all()
        assert not found["front"][((found["x"][0] - 0.5).abs() > 0.16) & found["seen"]].any()
        assert not torch.equal(found["x"], parts["x"])


def test_a_turn_is_by_the_angle_asked_for():
    parts = disc(65)
    there, back = (augment.rotated(parts, np.random.default_rng(0), by=(angle,)) for angle in (90, -90))
    torch.testing.assert_close(there["x"], torch.rot90(parts["x"], 1, (1, 2)), atol=1e-4, rtol=0)
    torch.testing.assert_close(back["x"], torch.rot90(parts["x"], -1, (1, 2)), atol=1e-4, rtol=0)
    still = augment.rotated(parts, np.random.default_rng(0), by=(0,))
    torch.testing.assert_close(still["x"], parts["x"], atol=1e-5, rtol=0)


def numbered(side: int = 4) -> dict[str, torch.Tensor]:
    """Parts whose every pixel has its own number: each symmetry of the square gives another picture."""
    number = torch.arange(float(side * side)).reshape(side, side)
    return {"x": number[None], "truth": number.long(), "seen": number > 3, "front": number % 5 == 0}


def test_flips_and_turns_are_the_symmetries_of_the_square():
    parts, rng = numbered(), np.random.default_rng(0)
    for step, options, numbers in (
        (augment.mirrored, {}, {4}),
        (augment.mirrored, {"axes": ("y", "x")}, {4, 6}),
        (augment.turned, {}, {1, 2, 3}),
        (augment.turned, {"by": (2,)}, {2}),
    ):
        drawn = set()
        for _ in range(40):
            found = step(parts, rng, **options)
            one = next(n for n in range(8) if torch.equal(found["x"], networks.symmetry(parts["x"], n)))
            drawn.add(one)
            assert all(torch.equal(found[name], networks.symmetry(parts[name], one)) for name in parts)
        assert drawn == numbers


@pytest.mark.parametrize(
    "name, flip, turn", [("caffe_zones", 0.3, 0.5), ("caffe_fronts", 0.65, 0.65), ("amd_hooknet", 0.5, 0.5)]
)
def test_cuts_are_flipped_and_turned_as_often_as_published(name, flip, turn):
    """Counted by the picture they give: a flip and a half turn are the other flip."""
    recipe, parts, rng, n = systems.find(name).recipe, numbered(), np.random.default_rng(0), 4000
    steps = [step for step in recipe.augment if step[0] in (augment.mirrored, augment.turned)]
    found = [augment.applied(steps, parts, rng)["x"] for _ in range(n)]
    pictures = [networks.symmetry(parts["x"], number) for number in range(8)]
    counts = np.array([sum(torch.equal(one, picture) for one in found) for picture in pictures])
    quarter, still = turn / 3, 1 - turn
    expected = np.array(
        [(1 - flip) * still, *[(1 - flip) * quarter] * 3, *[flip * (still + quarter) / 2, flip * quarter] * 2]
    )
    assert expected.sum() == pytest.approx(1) and recipe.symmetries == (0,)
    assert (abs(counts / n - expected) < 4 * np.sqrt(expected * (1 - expected) / n)).all()


def test_ground_from_beyond_the_cut_is_unseen():
    small = augment.scaled(disc(), np.random.default_rng(1), low=2.0, high=2.0)
    assert small["seen"].float().mean() == pytest.approx(0.25, abs=0.02)  # half the side
    assert (small["x"][0][~small["seen"]] < 0.01).all() and not small["front"][~small["seen"]].any()
    large = augment.scaled(disc(), np.random.default_rng(1), low=0.5, high=0.5)
    assert large["seen"].all() and large["truth"].float().mean() > disc()["truth"].float().mean()


@pytest.mark.parametrize("step, options", TONES, ids=lambda value: getattr(value, "__name__", ""))
def test_tones_change_the_image_alone(step, options):
    parts = disc()
    parts["seen"][:10] = False
    parts["x"][:, :10] = 0
    found = step(parts, np.random.default_rng(0), **options)
    assert all(torch.equal(found[name], parts[name]) for name in ("truth", "seen", "front"))
    assert not torch.equal(found["x"], parts["x"])
    if step is not augment.sharpened:
        assert (found["x"][:, :10] == 0).all()


def test_tones_are_as_strong_as_said():
    parts, rng = disc(), np.random.default_rng(0)
    assert torch.equal(augment.inverted(parts, rng, about=1.0)["x"], 1 - parts["x"])
    toned = [augment.toned(parts, rng, gain=0.2, lift=0.1)["x"] for _ in range(200)]
    assert max(one.max() for one in toned) <= 1.2 + 0.1 and min(one.min() for one in toned) >= -0.1
    assert max(one.max() for one in toned) > 1.25
    noise = [(augment.noisy(parts, rng, spread=0.3)["x"] - parts["x"]).std() for _ in range(200)]
    assert 0 <= min(noise) < 0.02 and 0.28 < max(noise) < 0.31


def test_steps_come_as_often_as_said_and_draw_nothing_where_there_are_none():
    parts, rng = disc(), np.random.default_rng(0)
    steps = ((augment.inverted, 0.3, {"about": 1.0}),)
    share = np.mean([not torch.equal(augment.applied(steps, parts, rng)["x"], parts["x"]) for _ in range(1000)])
    assert share == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / 1000))
    before = rng.bit_generator.state
    assert augment.applied((), parts, rng) is parts and rng.bit_generator.state == before


def test_cuts_are_augmented_in_training_and_not_in_validation():
    recipe = dataclasses.replace(SYSTEM.recipe, augment=((augment.inverted, 1.0, {}),))
    system = dataclasses.replace(SYSTEM, recipe=recipe)

    def first(one, **options):
        return next(patches.batches(one, SCENES, (3,), (0.0,) * 3, (1.0,) * 3, 0.0, **options))

    plain, changed, watched = first(SYSTEM), first(system), first(system, augmented=False)
    assert torch.equal(watched["x"], plain["x"])
    torch.testing.assert_close(changed["x"][0], -plain["x"][0])


@pytest.mark.parametrize("name", [row.name for row in systems.SYSTEMS if row.recipe and row.recipe.augment])
def test_published_steps_take_their_options(name):
    parts, rng = disc(), np.random.default_rng(0)
    for step, probability, options in systems.find(name).recipe.augment:
        found = step(parts, rng, **options)
        assert 0 < probability <= 1 and found["x"].shape == parts["x"].shape and torch.isfinite(found["x"]).all()
