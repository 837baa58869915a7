"""Training learns; a seed gives one set of weights; unseen pixels and forgotten inputs do no harm; cards are whole."""

import dataclasses
import functools
import json

import geopandas as gpd
import numpy as np
import pytest
import torch
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from glacier_nb import fitting, losses, predict, recipes, scores, splits, systems, train, uncertainty, weights
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
    assert found.history[-1]["iou"] > 0.8 > found.history[0]["iou"] - 0.2


def test_it_can_do_without_an_optional_input(found):
    assert accuracy(found, SCENES[3], hide=(2,)) > 0.95


def test_the_best_by_validation_is_kept(found, monkeypatch):
    losses = iter([3.0, 1.0, 2.0])
    states = []

    def scripted(system, network, watched):
        states.append({name: value.clone() for name, value in network.state_dict().items()})
        return {"validation": next(losses), "iou": None}

    monkeypatch.setattr(fitting, "_watched", scripted)
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
    with pytest.raises(ValueError, match=r"no pixel of rock, glacier, ocean in 1 samples .scene 0"):
        train.fit(SYSTEM, [dataclasses.replace(SCENES[0], truth=np.full((96, 96), UNSEEN, "uint8"))], steps=1)
    with pytest.raises(ValueError, match="two or more"):
        train.demo(seeds=[1])


SHORT = {"steps": 6, "validations": 1, "threads": 1, "progress": False}


def test_seeds_tell_mean_spread_and_an_ensemble(tmp_path):
    table = train.seeds(SYSTEM, SCENES[:2], SCENES[2:3], SCENES[3:], tmp_path, n=2, **SHORT)
    assert table.seed.tolist() == [0, 1, "ensemble"] and table.mean_iou.between(0, 1).all()
    found = train.summary(table).loc["mean_iou"]
    single = table.mean_iou[:2]
    assert (found["mean"], found["n"]) == (pytest.approx(single.mean()), 2)
    assert found["spread"] == pytest.approx(abs(single[0] - single[1]) / 2**0.5)
    both = scores.one(SYSTEM, table.path[:2].tolist(), SCENES[3:])
    assert both["mean_iou"] == table.mean_iou[2]


def test_ablations_leave_out_each_group_and_say_what_it_was_worth(tmp_path):
    table = train.ablations(SYSTEM, SCENES[:2], SCENES[2:3], SCENES[3:], tmp_path, n=1, **SHORT | {"steps": 40})
    assert table.left_out.unique().tolist() == ["nothing", "optical", "change"] and (table.n == 1).all()
    iou = table[table.score == "mean_iou"].set_index("left_out")["mean"]
    assert iou["optical"] < iou["nothing"] - 0.1  # without the image water cannot be told from rock
    cleaned = dataclasses.replace(SYSTEM, clean=((flooded, {}),))
    steps = train.ablations(cleaned, SCENES[:2], SCENES[2:3], SCENES[3:], tmp_path, "clean", n=1, **SHORT)
    area = steps[steps.score == "area_error_percent"].set_index("left_out")["mean"]
    assert area["nothing"] == 100 and area["flooded"] != 100  # the step leaves no ice
    with pytest.raises(ValueError, match="small has no clean to leave out"):
        train.ablations(SYSTEM, SCENES, SCENES, SCENES, tmp_path, "clean")


def flooded(zones):
    """A cleaning step that makes everything ocean."""
    return xr.zeros_like(zones) + (zones.zone == "ocean")


def strips(count: int = 6, side: int = 96, pixel: float = 10.0) -> tuple[Sample, gpd.GeoDataFrame]:
    """A wide scene on a grid, a glacier in each of `count` strips, and their outlines."""
    parts = [scene(number, side) for number in range(count)]
    values = np.concatenate([part.features for part in parts], axis=2)
    truth = np.concatenate([part.truth for part in parts], axis=1)
    box = GeoBox(truth.shape, Affine(pixel, 0, 5e5, 0, -pixel, 3.1e6), "EPSG:32645")
    y, x = 3.1e6 - side * pixel / 2, 5e5 + (np.arange(count) + 0.45) * side * pixel
    shapes = gpd.GeoSeries(gpd.points_from_xy(x, [y] * count), crs=box.crs).buffer(300)
    outlines = gpd.GeoDataFrame({"rgi_id": [f"g{k}" for k in range(count)]}, geometry=shapes)
    return Sample("wide", values, truth, geobox=box), outlines


def test_each_place_is_mapped_by_the_model_that_never_saw_it(tmp_path):
    wide, outlines = strips()
    split = splits.regional(outlines, folds=3)
    paths = train.folds(SYSTEM, [wide], split, tmp_path, absent=SYSTEM.zones, **SHORT)
    layers = scores.layers(SYSTEM, wide)
    found = train.out_of_fold(layers, SYSTEM, split, paths, window=64, progress=False)
    proof = json.loads(found.attrs["folds"])
    assert found.attrs["split"] == split.sha256 == splits.read(tmp_path / "split.json").sha256
    for fold, facts in proof.items():
        assert int(fold) not in facts["learnt_from"] and facts["sha256"] == weights.sha256(paths[int(fold)])
        alone = predict.zones(layers, SYSTEM, str(paths[int(fold)]), window=64, progress=False)
        cell = splits.within(split, wide.geobox, [int(fold)])
        np.testing.assert_array_equal(found.values[:, cell], alone.values[:, cell])
    with pytest.raises(ValueError, match="not of fold 0"):
        train.out_of_fold(layers, SYSTEM, split, paths[::-1])
    with pytest.raises(ValueError, match="not of fold 0"):
        train.out_of_fold(layers, SYSTEM, splits.regional(outlines, folds=2), paths[:2])


def test_temperature_is_found_on_validation_alone_and_kept(found, tmp_path):
    path = train.save(found, tmp_path / "small.safetensors")
    with pytest.raises(ValueError, match="scene 0 was learnt from"):
        train.calibrate(path, [SCENES[0], SCENES[3]], SYSTEM)
    raw = scores.chances(SYSTEM, path, SCENES[3])
    warmth = train.calibrate(path, SCENES[3:], SYSTEM)
    row = weights.find(path)
    assert row.card["temperature"] == warmth and row.card["temperature_from"] == ["scene 3"]
    ice, true = raw[1], SCENES[3].truth == 1
    loss = [likelihood(uncertainty.temper(ice, factor * warmth), true) for factor in (0.8, 1, 1.25)]
    assert loss[1] == min(loss)
    assert (
        train.calibrate(path, SCENES[3:], SYSTEM) == warmth
    )  # found on what the network says, not on what it was told


def test_maps_are_tempered_by_their_cards_and_outlines_stay(found, tmp_path):
    """Each member by its own temperature before they are averaged, the zones on either side in their proportions."""
    warm = {"a": 2.0, "b": 0.5}
    paths = {name: train.save(found, tmp_path / f"{name}.safetensors") for name in ("raw", *warm)}
    for name, temperature in warm.items():
        card = paths[name].with_suffix(".json")
        card.write_text(json.dumps(json.loads(card.read_text()) | {"temperature": temperature}))
    layers = scores.layers(SYSTEM, SCENES[3])
    maps = {name: predict.zones(layers, SYSTEM, str(path), clean=False, progress=False) for name, path in paths.items()}
    raw = maps["raw"].values
    assert "temperature" not in maps["raw"].attrs and maps["a"].attrs["temperature"] == [2.0]
    for name, temperature in warm.items():
        values = maps[name].values
        np.testing.assert_allclose(values[1], uncertainty.temper(raw[1], temperature), atol=1e-5)
        np.testing.assert_allclose(values.sum(axis=0), 1, atol=1e-5)
        np.testing.assert_array_equal(values[1] > 0.5, raw[1] > 0.5)
        others = raw[[0, 2]].min(axis=0) > 1e-3
        np.testing.assert_allclose((values[0] / values[2])[others], (raw[0] / raw[2])[others], rtol=1e-3)
    both = predict.zones(layers, SYSTEM, [str(paths[name]) for name in warm], clean=False, progress=False)
    assert both.attrs["temperature"] == [2.0, 0.5]
    np.testing.assert_allclose(both.values, (maps["a"].values + maps["b"].values) / 2, atol=1e-5)
    np.testing.assert_allclose(both.spread.values, abs(maps["a"].values - maps["b"].values) / 2, atol=1e-5)
    plain = predict.zones(layers, SYSTEM, str(paths["a"]), clean=False, progress=False, tempered=False)
    np.testing.assert_allclose(plain.values, raw, atol=1e-6)


@pytest.mark.parametrize("sure", [1.0, 2.5])
def test_the_card_says_how_well_calibrated_it_was_and_is(sure, found, tmp_path, monkeypatch):
    """Drawn probabilities that hold as often as they say, then stretched by `sure` in their logit."""
    rng = np.random.default_rng(3)
    chance = rng.beta(0.7, 0.7, (300, 300))
    truth = (rng.random(chance.shape) < chance).astype("uint8")
    truth[:9] = UNSEEN
    drawn = Sample("drawn", SCENES[3].features, truth)
    told = uncertainty.temper(chance, 1 / sure)
    monkeypatch.setattr(scores, "chances", lambda *_: np.stack([1 - told, told, np.zeros_like(told)]))
    path = train.save(found, tmp_path / "small.safetensors")
    assert train.calibrate(path, [drawn], SYSTEM) == pytest.approx(sure, rel=0.03)
    card = json.loads(path.with_suffix(".json").read_text())
    # 15 bins of n / 15 pixels: a calibrated map has an ECE of about sqrt(2 / pi) sqrt(15 p (1 - p) / n), 0.005 here
    assert card["ece_after"] < 0.01 and card["ece_after"] <= card["ece_before"] + 0.002
    assert (card["ece_before"] > 5 * card["ece_after"]) == (sure > 1)
    for side in ("before", "after"):
        table = card[f"reliability_{side}"]
        n, confidence, frequency = (np.array(table[name], float) for name in ("n", "confidence", "frequency"))
        assert len(n) == 15 and n.sum() == 291 * 300
        off = np.abs(confidence - frequency)
        assert np.nansum(n * off) / n.sum() == pytest.approx(card[f"ece_{side}"], abs=1e-5)  # rounded to 1e-6


def likelihood(chance: np.ndarray, true: np.ndarray) -> float:
    """Mean negative log likelihood."""
    return float(-np.log(np.where(true, chance, 1 - chance).clip(1e-6)).mean())


@pytest.mark.slow
def test_the_demo_command_end_to_end(tmp_path):
    path = train.demo(seeds=[901, 902], folder=tmp_path / "cache", steps=30, out=tmp_path / "out")
    card = json.loads(path.with_suffix(".json").read_text())
    assert path.stat().st_size <= 4e6 and card["validation_seeds"] == [902]
    assert len(card["score"]["ice_area_error_percent"]) == 5
    assert len(train.landscape(901, tmp_path / "cache")) == 5
