"""The bench: same data, split, seeds and budget for all; it goes on where it was; its table says what has not run."""

import argparse
import contextlib
import dataclasses
import importlib
import io
import json
import sys

import numpy as np
import pandas as pd
import pytest
from odc.geo.geobox import GeoBox
from PIL import Image

from glacier_nb import labels, provenance, splits, weights
from glacier_nb.labels import Sample

SCENES = (
    "LC08_L1TP_009011_2015{}_x_01_T1_B8",
    "LE07_L1TP_022006_2001{}_x_01_T1_B8",
    "LT05_L1TP_230012_1990{}_x_01_T1_B2",
)


@pytest.fixture(scope="module")
def bench(root):
    """The script, imported, with patches of a size for tests."""
    sys.path.insert(0, str(root / "benchmarks"))
    try:
        module, asked = importlib.import_module("bench"), importlib.import_module("benches")
    finally:
        sys.path.pop(0)
    module.SIDE, asked.SIDE, asked.BATCH = 32, 32, 2
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two scenes of each glacier: dark water above bright ice, the front a row."""
    made = tmp_path_factory.mktemp("scenes")
    for kind in ("images", "labels"):
        (made / kind).mkdir()
    rng = np.random.default_rng(0)
    for name in SCENES:
        for month in ("0701", "0801"):
            row = int(rng.integers(45, 55))
            image = np.where(np.arange(100)[:, None] < row, 60, 200) + rng.integers(0, 30, (100, 80))
            label = np.full((100, 80), 255)
            label[row - 1 : row + 2, 20:60] = 0
            scene = name.format(month)
            Image.fromarray(image.astype("uint8")).save(made / "images" / f"{scene}_Subset.png")
            Image.fromarray(label.astype("uint8")).save(made / "labels" / f"{scene}_Front.png")
    return made


def test_a_run_is_whole_resumes_and_is_told(bench, folder, tmp_path, capsys):
    command = ["run", "fronts", "--folder", str(folder), "--systems", "mohajerani2019", "cobra", "--seeds", "1",
               "--steps", "2", "--out", str(tmp_path), "--json"]  # fmt: skip
    assert bench.main(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["not_run"] == {"cobra": "takes windows of 256 pixels, the scenes are 200 wide"}
    assert sorted((row["split"], row["system"], row["n"], row["scenes"]) for row in told["rows"]) == [
        ("glacier", "mohajerani2019", 1, 6), ("random", "mohajerani2019", 1, 6)]  # fmt: skip
    assert all(row["epoch_s"] > 0 and row["km2_s"] > 0 for row in told["rows"])
    # Two patches of 32 pixels through 32 filters in the first layer, and its derivative, are 1 MB of a step at least.
    assert all(1 < row["step_mb"] < 1000 for row in told["rows"])
    files = sorted(tmp_path.glob("fronts-mohajerani2019-*-0.json"))
    facts = [json.loads(path.read_text()) for path in files]
    done = [one for one in facts if "scenes" in one]
    assert len(done) == 6 and not list(tmp_path.glob("*checkpoint*"))
    left_out = [{scene["name"][10:16] for scene in one["scenes"]} for one in done if one["split"] == "glacier"]
    assert sorted(map(sorted, left_out)) == [["009011"], ["022006"], ["230012"]]
    assert all(one["created"] and one["versions"] and one["code"] and one["split_sha256"] for one in done)
    assert bench.main(["adapt", *command[1:], "--counts", "0", "1"]) == 0
    (curve,) = [json.loads(path.read_text()) for path in tmp_path.glob("adapt-fronts-mohajerani2019-Sverdrup.json")]
    assert curve["test"] == 1 and [(row["scenes"], row["n"]) for row in curve["rows"] if row["score"] == "missed"] == [
        (0, 1), (1, 1)]  # fmt: skip
    assert bench.main(["ship", "fronts", *command[2:6], *command[9:], "--seeds", "2"]) == 0
    first, second = (weights.find(tmp_path / f"mohajerani2019{end}.safetensors") for end in ("", "-1"))
    assert (first.card["seeds"], second.card["seeds"]) == ([0], [1]) and first.sha256 != second.sha256
    card = first.card
    assert card["score"]["mean_px"]["glacier"]["n"] == 6 and len(card["samples"]) == 6 and card["score_steps"] == 2
    assert bench.main(["ship", "fronts", "--systems", "caffe_fronts", "--out", str(tmp_path)]) == 2  # nobody scored it
    unwatched = [*command[:-3], "--splits", "glacier", "--unwatched", "--out", str(tmp_path / "all")]
    assert bench.main(unwatched) == 0
    both = [json.loads((where / done.name).read_text()) for where in (tmp_path, tmp_path / "all")
            for done in files if "glacier-0" in done.name]  # fmt: skip
    assert [(one["train"], one["watched"], len(one["scenes"])) for one in both] == [(2, 2, 2), (4, 0, 2)]
    one = next(path for path in files if "scenes" in json.loads(path.read_text()))
    one.unlink()
    before = {path: path.stat().st_mtime_ns for path in files if path.exists() and path != one}
    assert bench.main(command) == 0
    assert one.exists() and all(path.stat().st_mtime_ns == then for path, then in before.items())


def test_seeds_are_scored_together_too(bench, folder, tmp_path, capsys):
    command = ["run", "fronts", "--folder", str(folder), "--systems", "mohajerani2019", "--seeds", "2", "--splits",
               "glacier", "--steps", "2", "--out", str(tmp_path), "--json"]  # fmt: skip
    assert bench.main(command) == 0
    one, both = sorted(json.loads(capsys.readouterr().out)["rows"], key=lambda row: row["system"])
    assert (one["system"], one["n"], both["system"], both["n"]) == (
        "mohajerani2019",
        2,
        "mohajerani2019, 2 together",
        1,
    )
    assert both["parameters"] == 2 * one["parameters"] and both["scenes"] + both["missed"] == 6
    path = tmp_path / "fronts-mohajerani2019,_2_together-glacier-1.json"
    told = [json.loads((tmp_path / f"fronts-mohajerani2019-glacier-1-{k}.json").read_text()) for k in (0, 1)]
    found = json.loads(path.read_text())
    assert found["weights_sha256"] == [one["weights_sha256"] for one in told] and len(set(found["weights_sha256"])) == 2
    then = path.stat().st_mtime_ns
    assert bench.main(command) == 0 and path.stat().st_mtime_ns == then  # nothing has changed


def test_the_front_parts_ice_from_ocean_in_its_columns(bench):
    front = np.zeros((9, 6), bool)
    front[3:6, 1:4] = True  # three pixels wide: the middle row is the front
    sample = Sample("s", np.zeros((1, 9, 6)), np.zeros((9, 6), "uint8"), front)
    truth = bench.benches.sided(sample, ("glacier", "ocean")).truth
    assert (truth[:3, 1:4] == 1).all() and (truth[4:, 1:4] == 0).all() and (truth[3, 1:4] == labels.UNSEEN).all()
    assert (truth[:, [0, 4, 5]] == labels.UNSEEN).all()
    assert bench.benches.sided(sample, ()) is sample


def test_the_table_knows_intervals_and_paired_differences(bench):
    rng = np.random.default_rng(1)
    rows = []
    for system, worse in (("good", 0.0), ("bad", 0.5)):
        for seed in range(3):
            for number in range(30):
                error = 2 + np.sin(number) + worse + 0.05 * rng.standard_normal()
                rows.append({"system": system, "split": "random", "fold": 0, "seed": seed, "steps": 1, "seconds": 1.0,
                             "parameters": 5, "name": f"s{number}", "missed": False, "mean_px": error})  # fmt: skip
    scenes = pd.DataFrame(rows)
    scenes.loc[3, ["missed", "mean_px"]] = True, np.nan
    found = bench.comparing.table(scenes, "mean_px").set_index("system")
    assert found.index.tolist() == ["good", "bad"] and found.missed.tolist() == [1, 0]
    assert (found.n == 3).all() and found.to_best["good"] == 0 and np.isnan(found.p["good"])
    assert found.to_best["bad"] == pytest.approx(0.5, abs=0.05) and found.p["bad"] < 1e-6
    assert found.low["bad"] < found.mean_px["bad"] < found.high["bad"]
    apart = found.to_best_high["bad"] - found.to_best_low["bad"]
    assert apart < 0.2 * (found.high["bad"] - found.low["bad"])  # pairs take the scenes' own difficulty out
    text = list(bench.lines("fronts", bench.comparing.table(scenes, "mean_px"), {"ugly": "nobody has"}))
    assert text[4].startswith("| all | ugly | not run: nobody has |") and f"{found.to_best['bad']:+.3f}" in text[3]
    assert text[5].startswith("\n*random*: Scenes of the same three glaciers")
    blind = scenes.assign(missed=scenes.system == "bad", mean_px=scenes.mean_px.where(scenes.system != "bad"))
    found = bench.comparing.table(blind, "mean_px").set_index("system")
    assert found.missed.tolist() == [0, 90] and np.isnan(found.mean_px["bad"]) and np.isnan(found.to_best["bad"])
    found = bench.comparing.table(blind[blind.system == "bad"], "mean_px")
    assert found.missed.tolist() == [90] and "| – ± – | – to – |" in list(bench.lines("fronts", found, {}))[2]


def test_the_budget_is_made_once(bench, folder, tmp_path):
    system = bench.benches.front_ready(bench.systems.find("mohajerani2019"))
    samples = bench.benches.front_samples(system.inputs, system.zones, folder)
    asked = argparse.Namespace(minutes=0.05, tier="cpu", precision="float32")
    steps = bench.budget(system, samples, asked, tmp_path / "a.json")
    told = json.loads((tmp_path / "a.json").read_text())
    assert steps == told["steps"] == pytest.approx(3 / told["step_s"], abs=10 + 3 * 0.0005 / told["step_s"] ** 2)
    provenance.write(tmp_path / "a.json", told | {"steps": 77})
    assert bench.budget(system, samples, asked, tmp_path / "a.json") == 77
    asked.precision = "bfloat16"  # another speed, another budget
    assert bench.budget(system, samples, asked, tmp_path / "a.json") != 77


def test_every_system_of_the_small_tier_can_take_part(bench):
    for one in bench.BENCHES.values():
        assert not any(bench.wanted(one, "cpu", None).values())
    split = bench.benches.front_parts([Sample(f"s{k}", None, np.zeros((1, 1)), group="ab"[k % 2]) for k in range(9)])
    assert [part.folds for part in split.values()] == [2, 3]
    assert sorted(split["random"].members.values()) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert isinstance(split["random"], splits.Split)
    assert bench.main(["run", "fronts"]) == 2
    for what, name, words in (("ship", "everest", "ship fronts"), ("adapt", "everest", "of one scene")):
        assert words in _refused(bench, what, name)


def _refused(bench, what, name):
    """What a call that cannot be served says."""
    told = io.StringIO()
    with contextlib.redirect_stderr(told), pytest.MonkeyPatch.context() as patch:
        box = GeoBox.from_bbox((0, 0, 960, 960), "EPSG:32645", resolution=30)
        scene = Sample("everest", np.zeros((4, 32, 32)), np.zeros((32, 32), "uint8"), geobox=box)
        row = dataclasses.replace(bench.BENCHES[name], samples=lambda *_: [scene])
        patch.setitem(bench.BENCHES, name, row)
        assert bench.main([what, name, "--systems", "chu2022"]) == 2
    return told.getvalue()
