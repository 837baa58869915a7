"""A killed training ends as if it had not been; what cannot be learnt is named; lazy scenes teach like others."""

import dataclasses
import functools
import json
import os
import re
import subprocess
import sys

import dask.array
import holoviews as hv
import numpy as np
import pytest
import safetensors
import scenery
import torch
from test_train import SCENES, SYSTEM, accuracy, scene

from glacier_nb import fitting, losses, patches, recipes, scores, systems, train
from glacier_nb.labels import UNSEEN

WET = dataclasses.replace(
    SYSTEM,
    name="wet",
    network=functools.partial(SYSTEM.network.func, terms={"zones": 3}, widths=(4, 8), norm=True, dropout=0.3),
    recipe=dataclasses.replace(
        SYSTEM.recipe, batch=4, accumulate=2, clip=1.0, schedule=lambda done, past: 0.5 ** (done + len(past) / 9)
    ),
)
"""With dropout, accumulation, clipping and a schedule that looks back: all that a resumed training must get right."""
HOW = {"steps": 12, "validations": 4, "threads": 1, "progress": False, "deterministic": True, "seed": 3}


class Killed(Exception):
    """The process is gone."""


@pytest.mark.parametrize("optimiser", [torch.optim.AdamW, functools.partial(torch.optim.SGD, momentum=0.9)])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, monkeypatch, optimiser):
    recipe = dataclasses.replace(WET.recipe, optimiser=lambda parameters: optimiser(parameters, lr=1e-2))
    system = dataclasses.replace(WET, recipe=recipe)
    whole = fitting.fit(system, SCENES[:2], **HOW)
    path, loss, calls = tmp_path / "on.safetensors", fitting._loss, iter(range(100))

    def dying(*arguments):
        if next(calls) == 30:  # in the middle of an accumulation, after the last kept step
            raise Killed
        return loss(*arguments)

    monkeypatch.setattr(fitting, "_loss", dying)
    with pytest.raises(Killed):
        fitting.fit(system, SCENES[:2], **HOW, checkpoint=path, keep=2)
    monkeypatch.setattr(fitting, "_loss", loss)
    with safetensors.safe_open(path, "pt") as file:
        assert 0 < json.loads(file.metadata()["state"])["step"] < 12
    ended = fitting.fit(system, SCENES[:2], **HOW, checkpoint=path, keep=2)
    assert ended.history == whole.history and len(whole.history) == 4
    assert all(torch.equal(ended.state[name], value) for name, value in whole.state.items())
    again = fitting.fit(system, SCENES[:2], **HOW, checkpoint=path, keep=2)  # it was over: nothing is trained
    assert again.history == whole.history
    with pytest.raises(ValueError, match=r"another training .seed differ"):
        fitting.fit(system, SCENES[:2], **HOW | {"seed": 4}, checkpoint=path)


def test_it_stops_early_where_nothing_gets_better(monkeypatch):
    scores = iter([3.0, 1.0, 2.0, 2.0, 2.0, 0.5])
    monkeypatch.setattr(fitting, "_watched", lambda *_: {"validation": next(scores), "iou": None})
    found = fitting.fit(SYSTEM, SCENES[:1], steps=6, validations=6, threads=1, progress=False, patience=2)
    assert [row["validation"] for row in found.history] == [3.0, 1.0, 2.0, 2.0, 2.0]


def test_a_recipe_tells_how_often_it_is_watched_and_when_it_stops(monkeypatch):
    """Patience of a paper counts epochs: with a validation each, a rate falls after so many of them and no more."""
    rates, scores = [], iter([3.0, 1.0, *[2.0] * 20])
    monkeypatch.setattr(fitting, "_watched", lambda *_: {"validation": next(scores), "iou": None})

    def schedule(done, losses):
        rates.append(recipes.plateau(done, losses, patience=2, factor=0.1))
        return rates[-1]

    recipe = dataclasses.replace(SYSTEM.recipe, schedule=schedule, validations=12, patience=3)
    found = fitting.fit(dataclasses.replace(SYSTEM, recipe=recipe), SCENES[:1], steps=12, threads=1, progress=False)
    assert [row["validation"] for row in found.history] == [3.0, 1.0, 2.0, 2.0, 2.0, 2.0]
    assert rates == pytest.approx([1, 1, 1, 1, 0.1, 0.1])


@pytest.mark.parametrize(("name", "patch", "instead"), [("rajat2022", 20, 32), ("diaconu2023", 40, 64)])
def test_a_patch_that_the_network_cannot_divide_is_refused(name, patch, instead):
    row = systems.find(name)
    row = dataclasses.replace(row, recipe=dataclasses.replace(row.recipe, patch=patch))
    with pytest.raises(ValueError, match=f"a patch of {patch} pixels is no multiple of .* take {instead}$"):
        fitting.fit(row, SCENES[:1])


def test_a_loss_that_is_no_number_names_the_patch():
    def strict(zones, truth, seen):  # a label that the loss has no number for, in one place of one scene
        bad = (truth == 1).any(dim=(1, 2))
        return torch.where(bad, torch.nan, zones.square().mean(dim=(1, 2, 3))).mean()

    system = dataclasses.replace(SYSTEM, loss=((strict, 1.0, {}),))
    rock = dataclasses.replace(scene(7), name="rock", truth=np.zeros((96, 96), "uint8"))
    spot = np.zeros((96, 96), "uint8")
    spot[40, 50] = 1
    odd = dataclasses.replace(scene(8), name="odd", truth=spot)
    with pytest.raises(ValueError, match=r"small: loss nan at step \d+: odd rows") as told:
        fitting.fit(system, [rock, odd], steps=20, threads=1, progress=False, absent=["ocean"])
    for top, down, left, right in re.findall(r"rows (\d+)-(\d+) columns (\d+)-(\d+)", str(told.value)):
        assert int(top) <= 40 <= int(down) and int(left) <= 50 <= int(right)
    assert "rock rows" not in str(told.value)


def test_an_empty_class_is_named_unless_it_is_meant():
    dry = [dataclasses.replace(one, truth=np.where(one.truth == 2, UNSEEN, one.truth)) for one in SCENES[:2]]
    with pytest.raises(ValueError, match=r"no pixel of ocean in 2 samples .*absent="):
        fitting.fit(SYSTEM, dry, steps=1)
    fitting.fit(SYSTEM, dry, steps=1, threads=1, progress=False, absent=["ocean"])
    with pytest.raises(ValueError, match="precision 'half': one of float32"):
        fitting.fit(SYSTEM, SCENES, precision="half")


def test_lazy_scenes_teach_as_those_in_memory_do():
    lazy = [dataclasses.replace(one, features=dask.array.from_array(one.features, (3, 40, 40))) for one in SCENES[:2]]
    how = {"steps": 3, "threads": 1, "progress": False}
    one, other = (fitting.fit(SYSTEM, some, **how) for some in (SCENES[:2], lazy))
    assert all(torch.equal(one.state[name], value) for name, value in other.state.items())


def test_half_precision_learns_too():
    found = fitting.fit(SYSTEM, SCENES[:3], steps=60, validation=SCENES[3:], threads=1, progress=False,
                        precision="bfloat16")  # fmt: skip
    assert accuracy(found, SCENES[3]) > 0.95 and next(iter(found.state.values())).dtype == torch.float32


def test_a_start_from_weights_keeps_their_normalisation_and_a_rate_of_nothing_their_numbers(tmp_path):
    first = fitting.fit(SYSTEM, SCENES[:1], steps=3, threads=1, progress=False)
    path = train.save(first, tmp_path / "first.safetensors")
    frozen = dataclasses.replace(SYSTEM, recipe=dataclasses.replace(SYSTEM.recipe, optimiser=torch.optim.SGD))
    found = fitting.fit(frozen, SCENES[1:2], steps=2, threads=1, progress=False, start=path, rate=0.0)
    assert (found.mean, found.std) == (first.mean, first.std) != patches.statistics(SCENES[1:2])
    held = dict(found.state)
    assert all(torch.equal(held[name], value) for name, value in first.state.items() if "running" not in name
               and "tracked" not in name)  # fmt: skip


def test_curves_show_what_the_history_says(tmp_path):
    found = fitting.fit(SYSTEM, SCENES[:1], steps=4, validations=2, threads=1, progress=False)
    path = train.save(found, tmp_path / "a.safetensors")
    for layout in (scores.curves(found.history), scores.curves(path)):
        (loss, score) = layout
        assert [list(line.dimension_values(1)) for line in loss] == [
            [row[name] for row in found.history] for name in ("loss", "validation")
        ]
        assert list(score.dimension_values("iou")) == [row["iou"] for row in found.history]
        assert not scenery.unnamed(hv.render(layout)), scenery.unnamed(hv.render(layout))


def test_a_front_alone_is_looked_for_where_it_is():
    system = dataclasses.replace(
        SYSTEM, zones=(), loss=((losses.background_cross_entropy, 1.0, {"front_weight": 9.0}),),
        network=functools.partial(SYSTEM.network.func, terms={"background": 1}, widths=(4, 8)),
    )  # fmt: skip
    front = np.zeros((96, 96), bool)
    front[17, 60] = True
    one = dataclasses.replace(SCENES[0], truth=np.zeros((96, 96), "uint8"), front=front)
    cuts = patches.batches(system, [one], (0,), (0,) * 3, (1,) * 3, 0.0)
    seen = [next(cuts)["front"].any(dim=(1, 2)).float().mean().item() for _ in range(20)]
    assert np.mean(seen) > 0.2  # a quarter of the cuts are about it, and some of the others hold it
    with pytest.raises(ValueError, match="no pixel of front in 1 samples"):
        fitting.fit(system, [dataclasses.replace(one, front=None)], steps=1)


SCRIPT = """
import os, sys
from test_train import SCENES, SYSTEM, accuracy
from glacier_nb import fitting
loss, calls = fitting._loss, iter(range(10**6))
def dying(*arguments):
    if next(calls) == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
    return loss(*arguments)
fitting._loss = dying
how = dict(steps=30, validation=SCENES[3:], validations=3, threads=1, progress=False, deterministic=True, keep=4)
more = dict(devices=2, strategy="ddp_fork") if sys.argv[3] == "two" else {}
found = fitting.fit(SYSTEM, SCENES[:3], checkpoint=sys.argv[1], **how, **more)
print(accuracy(found, SCENES[3]), found.history[-1], sum(value.double().sum().item() for value in found.state.values()))
"""


def script(path, dies: int, devices: str = "one") -> subprocess.CompletedProcess:
    """A training in a process of its own, that is killed at the nth loss."""
    place = os.pathsep.join([os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(path), str(dies), devices]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": place}, timeout=120)


@pytest.mark.slow
def test_a_process_killed_outright_goes_on_to_the_same_bits(tmp_path):
    whole = script(tmp_path / "a.safetensors", 10**6)
    killed = script(tmp_path / "b.safetensors", 30)
    assert killed.returncode == -9 and (tmp_path / "b.safetensors").exists()
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".safetensors"]
    ended = script(tmp_path / "b.safetensors", 10**6)
    assert whole.returncode == 0 and ended.stdout == whole.stdout, ended.stderr


@pytest.mark.slow
def test_two_processes_learn_together_by_lightning(tmp_path):
    found = script(tmp_path / "a.safetensors", 10**6, "two")
    assert found.returncode == 0, found.stderr
    assert float(found.stdout.split()[0]) > 0.95


def test_a_seed_that_dies_is_told_and_not_trained_to_the_end():
    """A neck of one channel: with some seeds it is off for every pixel, and only the last bias moves."""

    class Neck(torch.nn.Sequential):
        stride = 1

        def __init__(self, channels):
            layers = torch.nn.Conv2d(channels, 1, 1), torch.nn.ReLU(), torch.nn.Conv2d(1, 3, 1)
            super().__init__(*layers)
            torch.nn.init.constant_(self[0].bias, 9.0 * torch.randn(()).sign())  # one seed in two is dead

        def forward(self, x):
            return {"zones": super().forward(x)}

    system = dataclasses.replace(SYSTEM, network=Neck)
    how = {"steps": 8, "validations": 4, "threads": 1, "progress": False}
    died, lived = [], []
    for seed in range(8):
        try:
            lived.append(fitting.fit(system, SCENES[:2], seed, **how))
        except ValueError as error:
            assert str(error) == (
                "small gives a constant: no step since the last validation reached a weight;"
                f" seed {seed} is dead at step 2: take another seed="
            )
            died.append(seed)
    assert died and lived and all(one.history[-1]["step"] == 8 for one in lived)
