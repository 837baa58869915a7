"""The front benchmark: the published network behaves on real scenes; drawn scenes give known deviations."""

import importlib.util
import json

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from glacier_nb import predict, weights


@pytest.fixture(scope="module")
def bench(root):
    """The script, imported."""
    spec = importlib.util.spec_from_file_location("frontlearning", root / "benchmarks" / "frontlearning.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(data):
    """The real training scenes."""
    return data / "frontlearning" / "train"


@pytest.fixture(scope="module")
def keras(data):
    """The published weights for labels of three pixels."""
    return data / "frontlearning" / "published_keras_weights" / weights.default("mohajerani2019").file


def test_preparation_matches_the_authors_images_within_about_two_grey_levels(bench, folder):
    """Two levels on average in each image (2.1 over all, 2.2 in the worst); no pixel is further off than six."""
    theirs = sorted((folder / "images_equalize_autocontrast_smooth_edgeEnhance").glob("*.png"))
    assert len(theirs) == 12
    away = [
        np.abs(bench.grey(folder / "images" / path.name) * 255 - np.asarray(Image.open(path), float)) for path in theirs
    ]
    assert [round(one.mean()) for one in away] == [2] * 12, [round(one.mean(), 2) for one in away]
    assert max(one.max() for one in away) < 6.5  # whole levels


def test_every_scene_finds_its_label(bench, folder):
    pairs = bench.pairs(folder / "images", folder / "labels")
    assert len(pairs) == 123
    assert all(image.stem.removesuffix("_Subset") == label.stem.removesuffix("_Front") for image, label in pairs)


@pytest.fixture(scope="module")
def few(folder, tmp_path_factory):
    """Every twentieth scene, with both kinds of labels."""
    some = tmp_path_factory.mktemp("scenes")
    for image in sorted((folder / "images").glob("*.png"))[::20]:
        name = image.name.replace("_Subset", "_Front")
        for kind, file in (
            ("images", image),
            ("labels", folder / "labels" / name),
            ("labels_1px", folder / "labels_1px" / name),
        ):
            (some / kind).mkdir(exist_ok=True)
            (some / kind / file.name).symlink_to(file)
    return some


def test_published_network_lies_near_the_labels(bench, few, keras, capsys):
    found = {}
    for kind in ("labels", "labels_1px"):
        arguments = ["--images", str(few / "images"), "--labels", str(few / kind), "--weights", str(keras), "--json"]
        assert bench.main(arguments) == 0
        found[kind] = json.loads(capsys.readouterr().out)
    assert list(found["labels"]) == [
        "n", "missed", "mean_px", "median_px", "mean_px_label_to_front", "mean_px_front_to_label",
    ]  # fmt: skip
    assert found["labels"]["n"] + found["labels"]["missed"] == 7
    assert found["labels"]["median_px"] < 2  # the paper has 1.97 on scenes it never saw
    assert found["labels"]["median_px"] == pytest.approx(found["labels_1px"]["median_px"], abs=0.5)


def test_shipped_network_lies_near_the_labels_and_misses_none(bench, few, capsys):
    arguments = ["--images", str(few / "images"), "--labels", str(few / "labels"), "--weights", "fronts-landsat"]
    assert bench.main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n"], found["missed"]) == (7, 0) and found["mean_px"] < 3  # it learnt from these
    score = weights.find("fronts-landsat").card["score"]["mean_px"]["glacier, 3 together"]  # and not from these
    assert score["n"] + score["missed"] == 123 and score["median"] > found["median_px"]


def test_shipped_members_map_together():
    """The mean of their probabilities, and how far they lie apart."""
    names = ("fronts-landsat", "fronts-landsat-1", "fronts-landsat-2")
    noise = np.random.default_rng(0).random((1, 96, 96), "float32")
    layers = xr.DataArray(noise, dims=("feature", "y", "x"), coords={"feature": ["grey"]})
    each = [predict.front(layers, "fronts-landsat", [name], window=96, progress=False) for name in names]
    both = predict.front(layers, "fronts-landsat", window=96, progress=False)
    assert both.attrs["weights"] == ", ".join(names) and len(set(both.attrs["weights_sha256"].split(", "))) == 3
    np.testing.assert_allclose(both, np.mean(each, axis=0), atol=1e-5)  # float32
    within, between = (
        np.mean(part, axis=0) for part in zip(*((one.spread**2, (one - both) ** 2) for one in each), strict=True)
    )
    np.testing.assert_allclose(both.spread**2, within + between, atol=1e-5)  # the law of total variance


def draw(folder, name, rows, size=(240, 160), width=3):
    """A label, `width` pixels about `rows` (one per column), and an image of the same scene."""
    for kind, ending in (("images", "Subset"), ("labels", "Front")):
        (folder / kind).mkdir(exist_ok=True)
        picture = np.full(size, 255, "uint8")
        for column, row in enumerate(rows):
            picture[row - width // 2 : row + width // 2 + 1, column] = 0
        Image.fromarray(picture).save(folder / kind / f"{name}_{ending}.png")


def sees(monkeypatch, bench, fronts):
    """Let the network see the given fronts, one per call, as probabilities."""
    calls = iter(fronts)
    monkeypatch.setattr(bench.predict, "front", lambda features, *args, **options: features[0] * 0 + next(calls))


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("size", [(240, 160), (200, 301)])
def test_a_front_beside_the_label_is_as_far_as_it_is(bench, monkeypatch, tmp_path, width, size):
    draw(tmp_path, "a_2001", [100] * size[1], size, width)
    front = np.zeros(size)
    front[104] = 1
    sees(monkeypatch, bench, [front])
    found = bench.score(tmp_path / "images", tmp_path / "labels", "mohajerani2019-3px")
    assert found["n"] == 1 and found["missed"] == 0
    # the thinned label may lose its ends: a pixel's diagonal in a row of a hundred and more
    for key in ("mean_px", "mean_px_label_to_front", "mean_px_front_to_label"):
        assert found[key] == pytest.approx(4, abs=0.05)


def test_a_front_nobody_sees_is_missed_and_not_scored(bench, monkeypatch, tmp_path):
    draw(tmp_path, "a_2001", [100] * 160)
    draw(tmp_path, "b_2002", [100] * 160)
    front = np.zeros((240, 160))
    front[100] = 0.9
    sees(monkeypatch, bench, [np.zeros((240, 160)), front])
    found = bench.score(tmp_path / "images", tmp_path / "labels", "mohajerani2019-3px")
    assert (found["n"], found["missed"]) == (1, 1)
    assert found["mean_px"] == pytest.approx(0, abs=0.05)
    sees(monkeypatch, bench, [np.zeros((240, 160))] * 2)
    found = bench.score(tmp_path / "images", tmp_path / "labels", "mohajerani2019-3px")
    assert (found["n"], found["missed"], found["mean_px"]) == (0, 2, None)


def test_misuse_is_one_line(bench, tmp_path, capsys):
    def run(weights="mohajerani2019-3px"):
        (tmp_path / "images").mkdir(exist_ok=True)
        code = bench.main(
            ["--images", str(tmp_path / "images"), "--labels", str(tmp_path / "labels"), "--weights", weights]
        )
        return code, capsys.readouterr().err

    code, told = run()
    assert code == 2 and "no PNG images in" in told
    draw(tmp_path, "a_2001", [100] * 160)
    (tmp_path / "labels" / "a_2001_Front.png").unlink()
    code, told = run()
    assert code == 2 and "has no label for a_2001" in told
    draw(tmp_path, "a_2001", [10] * 160)
    code, told = run()
    assert code == 2 and "no front inside the margin" in told
    code, told = run("nothing.h5")
    assert code == 2 and "no such file" in told and told.count("\n") == 1
