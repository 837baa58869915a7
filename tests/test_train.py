"""Training learns; a seed gives one set of weights; unseen pixels and forgotten inputs do no harm; cards are whole."""

import dataclasses
import functools
import json

import numpy as np
import pytest
import torch
import xarray as xr

from glacier_nb import losses, predict, recipes, systems, train, weights
from glacier_nb.networks.unet import UNet
from glacier_nb.patches import UNSEEN, Sample

SYSTEM = systems.System(
    name="small",
    citation="",
    task="extent",
    inputs=("red", "swir16", "dh_dt"),
    network=functools.partial(UNet, terms={"zones": 3}, widths=(8, 16), norm=True),
    finish=recipes.exclusive_zones,
    zones=("rock", "glacier", "ocean"),
    optional=("dh_dt",),
    loss=((losses.cross_entropy, 1.0, {}), (losses.dice, 0.5, {})),
    recipe=systems.Recipe(
        patch=32, batch=8, epochs=1, optimiser=functools.partial(torch.optim.AdamW, lr=1e-2), symmetries=tuple(range(8))
    ),
)


def scene(seed: int, side: int = 96) -> Sample:
    """Discs of ice (bright, dark in the short-wave infrared) and a strip of dark ocean on grey rock."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    truth = np.zeros((side, side), "uint8")
    for cy, cx in rng.uniform(20, side - 20, (3, 2)):
        truth[np.hypot(y - cy, x - cx) < rng.uniform(6, 14)] = 1
    truth[:, -8:] = 2
    levels = np.array([[0.2, 0.7, 0.05], [0.25, 0.1, 0.02], [0.0, -1.5, 0.0]])
    values = levels[:, truth] + 0.1 * rng.standard_normal((3, side, side))
    return Sample(f"scene {seed}", values.astype("float16"), truth)


SCENES = [scene(seed) for seed in range(4)]


def accuracy(found: train.Fit, sample: Sample, hide: tuple[int, ...] = ()) -> float:
    """Share of the pixels that get their zone."""
    network = SYSTEM.network(3)
    network.load_state_dict(found.state)
    values = (sample.features.astype("float32") - np.reshape(found.mean, (-1, 1, 1))) / np.reshape(
        found.std, (-1, 1, 1)
    )
    values[list(hide)] = 0
    with torch.inference_mode():
        zones = network.eval()(torch.from_numpy(values.astype("float32"))[None])["zones"][0].argmax(dim=0).numpy()
    return float((zones == sample.truth).mean())


@pytest.fixture(scope="module")
def found():
    """A short training."""
    return train.fit(
        SYSTEM, SCENES[:3], seed=0, steps=60, validation=SCENES[3:], validations=6, threads=1, progress=False
    )


def test_it_learns_what_carries_over_to_an_unseen_scene(found):
    assert accuracy(found, SCENES[3]) > 0.97
    assert found.history[-1]["loss"] < found.history[0]["loss"]
    assert [row["step"] for row in found.history] == [10, 20, 30, 40, 50, 60]


def test_it_can_do_without_an_optional_input(found):
    assert accuracy(found, SCENES[3], hide=(2,)) > 0.95


def test_the_best_by_validation_is_kept(found, monkeypatch):
    scores = iter([3.0, 1.0, 2.0])
    states = []
    loss = train._loss

    def scripted(system, network, batch):
        if network.training:
            return loss(system, network, batch)
        states.append({name: value.clone() for name, value in network.state_dict().items()})
        return torch.tensor(next(scores))

    monkeypatch.setattr(train, "_loss", scripted)
    one = dataclasses.replace(SYSTEM, recipe=dataclasses.replace(SYSTEM.recipe, batch=64))
    kept = train.fit(one, SCENES[:1], steps=3, validations=3, threads=1, progress=False)
    assert [row["validation"] for row in kept.history] == [3.0, 1.0, 2.0]
    assert all(torch.equal(kept.state[name], value) for name, value in states[1].items())


def test_the_same_seed_gives_the_same_weights_and_another_does_not():
    first, again, other = (
        train.fit(SYSTEM, SCENES[:2], seed=seed, steps=4, threads=1, progress=False) for seed in (5, 5, 6)
    )
    assert all(torch.equal(first.state[name], again.state[name]) for name in first.state)
    assert any(not torch.equal(first.state[name], other.state[name]) for name in first.state)
    assert first.history == again.history


def test_a_saved_network_maps_by_path_and_says_what_it_is(found, tmp_path):
    path = train.save(found, tmp_path / "small.safetensors", **{"for": "tests", "not_for": "glaciers"})
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["sha256"] == weights.sha256(path) and card["not_for"] == "glaciers"
    assert {"system", "inputs", "zones", "mean", "std", "seed", "steps", "history", "created"} <= card.keys()
    features = xr.DataArray(
        SCENES[3].features.astype("float32"), {"feature": list(SYSTEM.inputs)}, ("feature", "y", "x")
    )
    zones = predict.zones(features, SYSTEM, path, window=64).values.argmax(axis=0)
    assert (zones == SCENES[3].truth).mean() == pytest.approx(accuracy(found, SCENES[3]), abs=1e-3)
    told = train.score(SYSTEM, path, SCENES[3:])
    assert told["iou"]["ocean"] > 0.9 and abs(told["ice_area_error_percent"]["scene 3"]) < 10


def test_misuse_is_named():
    with pytest.raises(ValueError, match="ndsi has nothing to learn"):
        train.fit("ndsi", SCENES)
    with pytest.raises(ValueError, match="scene 0 has 3 channels, extent-demo takes 11"):
        train.fit("extent-demo", SCENES)
    with pytest.raises(ValueError, match="hold a patch of 32 pixels"):
        train.fit(SYSTEM, [scene(0, side=96), Sample("tiny", np.zeros((3, 8, 8)), np.zeros((8, 8), "uint8"))])
    with pytest.raises(ValueError, match="nothing can be learnt"):
        train.fit(SYSTEM, [dataclasses.replace(SCENES[0], truth=np.full((96, 96), UNSEEN, "uint8"))], steps=1)
    with pytest.raises(ValueError, match="two or more"):
        train.demo(seeds=[1])


@pytest.mark.slow
def test_the_demo_command_end_to_end(tmp_path):
    path = train.demo(seeds=[901, 902], folder=tmp_path / "cache", steps=30, out=tmp_path / "out")
    card = json.loads(path.with_suffix(".json").read_text())
    assert path.stat().st_size <= 4e6 and card["validation_seeds"] == [902]
    assert len(card["score"]["ice_area_error_percent"]) == 5
    assert len(train.landscape(901, tmp_path / "cache")) == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    "system", [row for row in systems.SYSTEMS if row.recipe and row.zones], ids=lambda row: row.name
)
def test_every_extent_row_overfits_eight_patches(system):
    side = 64
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    samples = []
    for number in range(8):
        cy, cx = rng.uniform(20, 44, 2)
        truth = (np.hypot(y - cy, x - cx) < rng.uniform(10, 20)).astype("uint8")
        values = rng.standard_normal((len(system.inputs), side, side)) * 0.5
        values[0] += truth
        samples.append(Sample(str(number), values.astype("float32"), truth))
    recipe = dataclasses.replace(
        system.recipe,
        patch=side,
        batch=8,
        symmetries=(0,),
        optimiser=functools.partial(torch.optim.Adam, lr=1e-3),
        schedule=None,
    )
    found = train.fit(dataclasses.replace(system, recipe=recipe), samples, steps=120, forget=0.0, progress=False)
    network = system.network(len(system.inputs))
    network.load_state_dict(found.state)
    mean, std = (np.reshape(numbers, (-1, 1, 1)) for numbers in (found.mean, found.std))
    batch = torch.from_numpy(np.stack([(s.features - mean) / std for s in samples]).astype("float32"))
    with torch.inference_mode():
        zones = systems.finish(system, network.eval()(batch))["zones"].argmax(dim=1).numpy()
    true = np.stack([s.truth for s in samples])
    assert ((zones == 1) & (true == 1)).sum() / ((zones == 1) | (true == 1)).sum() > 0.9
