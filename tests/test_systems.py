"""Every row: parameters counted on the network, one step of learning, terms that all systems share."""

import ast
import dataclasses
import inspect
import json
import subprocess
import sys

import pytest
import torch

from glacier_nb import clean, features, losses, recipes, systems, trials, vectorize

ROWS = pytest.mark.parametrize("system", systems.SYSTEMS, ids=lambda row: row.name)


def test_names_are_unique_and_found():
    names = [row.name for row in systems.SYSTEMS]
    assert len(set(names)) == len(names)
    assert all(systems.find(name).name == name for name in names)
    assert systems.find(systems.SYSTEMS[0]) is systems.SYSTEMS[0]
    with pytest.raises(LookupError, match=r"no system called 'unet': one of band-ratio, ndsi"):
        systems.find("unet")


def test_what_counts_as_ice_and_water_is_the_same_everywhere():
    assert clean.ICE == vectorize.ICE and systems.WATER == vectorize.WATER
    assert set(clean.ICE) | set(clean.LAND) | set(systems.WATER) < set(vectorize.ZONES)


def test_a_scene_that_gives_a_system_nothing_is_refused_by_name():
    with pytest.raises(LookupError, match="hed_unet_hh_hv needs hh, hv; the scene has green, red: add it"):
        systems.layers("hed_unet_hh_hv", ["red", "green"])
    assert systems.layers("any-sensors", ["lwir11"]) == ["lwir11"]


@ROWS
def test_row_is_whole(system):
    assert system.citation and system.task
    assert list(system.zones) == [name for name in recipes.ZONES if name in system.zones]
    assert set(system.optional) < set(system.inputs)
    assert set(system.inputs) <= {row.name for row in features.FEATURES}
    assert len(system.mean) == len(system.std) and len(system.mean) in (0, len(system.inputs))
    for loss, _, options in system.loss:
        assert set(options) <= set(inspect.signature(loss).parameters)
    for step, options in system.clean:
        assert set(options) <= set(inspect.signature(step).parameters)


@ROWS
def test_parameters_are_the_reference_s(system):
    card = systems.card(system)
    assert card["parameters"] == (system.reference_parameters or card["parameters"])
    assert card["outputs"] and card["inputs"] == list(system.inputs)


def test_counts_are_those_of_the_reference_networks(data):
    """Every network of the reference sheet is a row, and has its count."""
    sheet = json.loads((data.parent / "systems-parameters.json").read_text())
    found = {name: systems.card(systems.find(name))["parameters"] for name in sheet}
    assert found == {name: record["trainable_parameters"] for name, record in sheet.items()}


def test_the_command_lists_every_row_as_json(data):
    """What others count and cite by: one record a row, with the reference's count where its network was released."""
    command = [sys.executable, "-W", "ignore", "-m", "glacier_nb", "systems", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    cards = {card["name"]: card for card in json.loads(done.stdout)}
    assert list(cards) == [row.name for row in systems.SYSTEMS]
    asked = {"name", "task", "inputs", "outputs", "parameters", "reference_parameters", "departs"}
    known = {row.name for row in features.FEATURES}
    for card in cards.values():
        assert asked <= set(card)
        assert isinstance(card["parameters"], int) and isinstance(card["departs"], str)
        assert card["task"] in ("extent", "change", "rock glacier", "front")
        assert set(card["inputs"]) <= known and set(card["outputs"]) <= {*recipes.ZONES, "front"}
    sheet = json.loads((data.parent / "systems-parameters.json").read_text())
    released = {
        name: record["trainable_parameters"]
        for name, record in sheet.items()
        if record["source"].startswith(("released code", "published weights"))
    }
    assert len(released) > 10
    for count in ("parameters", "reference_parameters"):
        assert {name: cards[name][count] for name in released} == released


@ROWS
def test_terms_are_probabilities_and_one_step_reaches_every_parameter(system):
    """Parameters behind one that starts at zero are reached by the second step: two are made where one leaves some."""
    torch.manual_seed(0)
    network, side = system.network(len(system.inputs)), trials.smallest(system)
    long = side + getattr(network, "stride", 1)
    x = torch.rand(2, len(system.inputs), long, side)
    with torch.inference_mode():
        found = systems.finish(system, network.eval()(x))
    for values in found.values():
        assert values.shape[0] == 2 and values.shape[2:] == (long, side)
        assert values.min() >= 0 and values.max() <= 1
    if system.zones:
        assert found["zones"].shape[1] == len(system.zones)
        assert torch.allclose(found["zones"].sum(dim=1), torch.ones(2, long, side))
    if system.recipe is None:
        return
    sample = trials.drawn(system, side, count=2)
    sample["seen"] = torch.rand(2, side, side) > 0.2
    optimiser, x = system.recipe.optimiser(network.train().parameters()), sample.pop("x")
    left = {name for name, _ in network.named_parameters()}
    for _ in range(2):
        optimiser.zero_grad()
        loss = losses.total(system.loss, {**network(x), **sample})
        loss.backward()
        assert torch.isfinite(loss)
        left -= {name for name, p in network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
        if not left:
            break
        optimiser.step()
    assert not left


def test_front_is_derived_where_ice_meets_water():
    system = systems.find("extent-demo")
    scores = torch.full((1, 6, 5, 6), -20.0)
    scores[:, 1, :, :3], scores[:, 3, :, 3:] = 20.0, 20.0  # glacier left, ocean right
    front = systems.finish(system, {"zones": scores})["front"]
    assert torch.allclose(front[0, 0], torch.tensor([0.0, 0, 1, 0, 0, 0]).expand(5, 6), atol=1e-6)
    scores[:, 0, :, 3:], scores[:, 3, :, 3:] = 20.0, -20.0  # rock instead: no front
    assert systems.finish(system, {"zones": scores})["front"].max() < 1e-6


def test_a_front_of_the_network_s_own_is_kept():
    system = dataclasses.replace(
        systems.find("extent-demo"), finish=lambda zones, front: {"zones": zones, "front": front}
    )
    own = torch.rand(1, 1, 4, 4)
    assert torch.equal(systems.finish(system, {"zones": torch.rand(1, 6, 4, 4), "front": own})["front"], own)


def test_schedules_follow_their_papers():
    schedule = systems.find("diaconu2023").recipe.schedule
    assert [schedule(epoch / 50, []) for epoch in (0, 9, 10, 24, 25, 49)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    schedule = systems.find("mohajerani2019").recipe.schedule
    assert schedule(0.5, [1.0, 0.9, 0.8]) == 1
    assert schedule(0.5, [0.8] + [0.9] * 5) == 0.5
    assert schedule(0.5, [0.8] + [0.9] * 4 + [0.7] + [0.75] * 10) == 0.25


def test_no_branch_on_a_row_anywhere(root):
    """No name of a row is compared with, matched or looked up with a way out: a field would be missing."""
    names = {row.name for row in systems.SYSTEMS}
    for path in (root / "glacier_nb").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            parts = [part for part in operands(node) if isinstance(part, ast.Constant) and part.value in names]
            assert not parts, f"{path.name}:{parts[0].lineno} asks which row it is: a field is missing"


def operands(node: ast.AST) -> list[ast.AST]:
    """What a comparison, a pattern or a look-up that may fail compares, and what collections among it hold."""
    if isinstance(node, ast.Compare):
        found = [node.left, *node.comparators]
    elif isinstance(node, ast.MatchValue):
        found = [node.value]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOOKS:
        found = node.args
    else:
        return []
    return found + [one for part in found for one in getattr(part, "elts", ())]


LOOKS = ("get", "startswith", "endswith", "pop", "setdefault")
"""Methods that tell one name from others."""
