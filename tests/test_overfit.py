"""Every trainable row learns eight small patches by heart with its own network and loss."""

import dataclasses
import time

import numpy as np
import pytest
import torch

from glacier_nb import fitting, systems, trials
from glacier_nb.labels import Sample

LEARNERS = [row for row in systems.SYSTEMS if row.recipe]


@pytest.mark.slow
@pytest.mark.parametrize("system", LEARNERS, ids=lambda row: row.name)
def test_row_learns_eight_patches_by_heart(system):
    found = trials.overfit(system)
    assert found.passed, found
    assert found.steps <= 350, found  # one start's steps, and those until others died: seconds are the table's


@pytest.mark.slow
@pytest.mark.parametrize("system", LEARNERS, ids=lambda row: row.name)
def test_row_is_trained_by_its_own_recipe(system, monkeypatch):
    """Loss, optimiser, schedule and augmentation as published, on the smallest patches: two steps, the same twice."""
    monkeypatch.setattr(fitting, "_watched", lambda *_: {"validation": 0.0, "iou": None})  # 64 cuts cost more than that
    side, seed = trials.smallest(system), 3
    recipe = dataclasses.replace(system.recipe, patch=side, batch=2)
    row = dataclasses.replace(system, recipe=recipe)
    part = {name: values[0].numpy() for name, values in trials.drawn(system, side + 16, count=1).items()}
    zones = part["truth"] if system.zones else 0 * part["truth"]  # a front alone is learnt from no zones
    sample = Sample("drawn", part["x"], zones.astype("uint8"), part["front"])
    how = {"steps": 2, "validations": 1, "threads": 2, "progress": False}
    found, again = (fitting.fit(row, [sample], seed, **how) for _ in range(2))
    assert [step["step"] for step in found.history] == [2] and found.history == again.history
    assert np.isfinite(found.history[0]["loss"])
    torch.manual_seed(seed)
    moved = [
        not torch.equal(found.state[name], value) for name, value in row.network(len(row.inputs)).named_parameters()
    ]
    assert any(moved)


@pytest.mark.parametrize("system", systems.SYSTEMS, ids=lambda row: row.name)
def test_drawn_patches_hold_every_zone_and_tell_them_apart(system):
    patches = trials.drawn(system, 64)
    zones = system.zones or ("glacier", "ocean")
    assert patches["x"].shape == (8, len(system.inputs), 64, 64)
    assert patches["truth"].unique().tolist() == list(range(len(zones)))
    means = [patches["x"].movedim(1, -1)[patches["truth"] == k].mean(dim=0) for k in range(len(zones))]
    apart = min((a - b).abs().max() for i, a in enumerate(means) for b in means[:i])
    assert apart > 3 / (len(zones) - 1) - 0.1  # levels lie evenly from -1.5 to 1.5, the noise averages out
    again = trials.drawn(system, 64)
    assert all(torch.equal(part, again[name]) for name, part in patches.items())


def test_a_drawn_front_is_ice_beside_water():
    patches = trials.drawn(systems.find("extent-demo"), 64)
    water = torch.nn.functional.max_pool2d((patches["truth"] == 3).float()[:, None], 3, 1, 1)[:, 0] > 0
    assert torch.equal(patches["front"], (patches["truth"] == 1) & water)
    assert patches["front"].flatten(1).any(dim=1).all()


def test_distance_between_fronts_is_that_of_shifted_lines():
    one, other = np.zeros((2, 20, 20), bool)
    one[:, 5], other[:, 8] = True, True
    assert trials._apart(one, other) == trials._apart(other, one) == 3
    assert trials._apart(one, one) == 0 and trials._apart(one, np.zeros_like(one)) == np.inf


def test_what_counts_as_learnt():
    assert trials.Learnt(0.95, None, 1, 0.0).passed and trials.Learnt(None, 1.5, 1, 0.0).passed
    assert not trials.Learnt(0.85, 1.0, 1, 0.0).passed  # zones decide where there are some
    assert not trials.Learnt(None, np.inf, 1, 0.0).passed


def test_a_dead_start_is_left_as_soon_as_it_dies():
    """Mohajerani's neck has three channels: with some seeds none of them is on any more after a few steps."""
    found = trials.overfit("mohajerani2019", steps=300)
    assert found.passed and found.starts > 1
    assert found.steps < 300  # a start that is not left takes as many alone


def test_seconds_are_those_that_the_work_took():
    """Waiting, as for a core that others have, is no work; work is, on whichever clock."""
    clock = trials._clock()
    time.sleep(0.2)
    assert clock() < 0.2
    clock, busy = trials._clock(), time.process_time()
    while time.process_time() - busy < 0.05:
        pass
    assert clock() > 0.04  # two clocks that tick apart


def test_the_table_tells_what_learning_took(monkeypatch):
    monkeypatch.setattr(trials, "measure", lambda *_, **__: {"forward_s": 0.1})
    found = {"robson2020": trials.Learnt(0.95, None, 20, 30.0), "hu2023": trials.Learnt(0.95, None, 300, 90.0)}
    monkeypatch.setattr(trials, "overfit", lambda system: found[system.name])
    rows = list(trials.table([systems.find(name) for name in ("ndsi", *found)], learn=True))
    assert [row["result"] for row in rows] == ["pass", "pass", "pass; over a minute"]
    head, *lines, last = trials.lines(rows)
    at = head.index("learnt s")
    assert [line[at:].split()[0] for line in lines] == ["-", "30.00", "90.00"]
    assert last == "learning took 2.0 minutes for 2 systems, 90 s at most"


def test_a_small_network_learns_in_a_few_steps_and_twice_the_same():
    first, second = (trials.overfit("robson2020", steps=10) for _ in range(2))
    assert first.iou == second.iou > 0.5


def test_memory_is_what_the_network_allocates():
    few, many = (trials.measure("ndsi", side=side, learn=False)["forward_mb"] for side in (64, 128))
    assert many == pytest.approx(4 * few, rel=0.1) and few > 4 * 64 * 64 / 1e6
    card = trials.measure("robson2020", side=32)
    assert card["weights_mb"] == 1.0 and card["step_mb"] > card["forward_mb"] > 0
