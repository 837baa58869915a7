"""Weights: the published six load and are pinned; a wrong hash, a pickle and a misfit are refused in one line."""

import hashlib
import json
import pickle
import shutil

import numpy as np
import pytest
import safetensors.torch
import torch

from glacier_nb import weights
from glacier_nb.networks.unet import UNet

PUBLISHED = [row for row in weights.WEIGHTS if row.system == "mohajerani2019"]


@pytest.fixture(scope="module")
def keras(data):
    """Folder of the six published Keras files."""
    return data / "frontlearning" / "published_keras_weights"


@pytest.fixture
def ours(tmp_path):
    """A small network, its safetensors file and its card."""
    torch.manual_seed(0)
    network = UNet(2, {"zones": 2}, widths=(4, 8), norm=True)
    path = tmp_path / "small.safetensors"
    safetensors.torch.save_file(network.state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    card = {"system": "extent-demo", "sha256": digest, "mean": [0.1, 0.2], "std": [1.0, 2.0], "not_for": "anything"}
    path.with_suffix(".json").write_text(json.dumps(card))
    return network, path


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row.name)
def test_published_file_is_recognised_and_fills_our_network(keras, row):
    found = weights.find(keras / row.file)
    assert (found.name, found.system, found.licence) == (row.name, "mohajerani2019", "CC BY 4.0")
    torch.manual_seed(1)
    network = found.network(1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    after = weights.load(network, found).state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before)


def test_kernels_arrive_turned_and_in_order(keras):
    import h5py

    row = weights.find(keras / PUBLISHED[0].file)
    network = weights.load(row.network(1), row)
    with h5py.File(keras / row.file) as file:
        kernel = file["model_weights/conv2d_13/conv2d_13/kernel:0"][()]  # (y, x, in, out), first layer upwards
        last = file["model_weights/conv2d_16/conv2d_16/bias:0"][()]
    ours = network.up[0].first.weight.detach().numpy()  # (out, in, y, x)
    assert ours[5, 70, 0, 2] == kernel[0, 2, 70, 5]
    assert network.heads["background"].bias.item() == last[0]


def test_ours_comes_back_with_its_card(ours):
    network, path = ours
    row = weights.find(path)
    assert (row.system, row.mean, row.std, row.card["not_for"]) == ("extent-demo", (0.1, 0.2), (1.0, 2.0), "anything")
    again = weights.load(UNet(2, {"zones": 2}, widths=(4, 8), norm=True), row)
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_every_shipped_file_is_whole_small_and_told():
    for row in weights.WEIGHTS:
        assert len(row.sha256) == 64
        if not row.url:
            path = weights.local(row)
            assert path.stat().st_size <= 4e6
            card = weights.find(row.name).card
            assert card["sha256"] == row.sha256
            assert {"for", "not_for", "seeds", "score", "command", "mean", "std"} <= card.keys()


def test_wrong_hash_is_refused(ours):
    _, path = ours
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    with pytest.raises(ValueError, match=r"small.safetensors: sha256 \w+..., expected \w+...: not the file") as caught:
        weights.load(UNet(2, {"zones": 2}, widths=(4, 8), norm=True), weights.find(path))
    assert "\n" not in str(caught.value)


class Bomb:
    """Runs when unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


@pytest.mark.parametrize("name", ["weights.pt", "weights.pkl", "weights.safetensors", "weights.h5"])
@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_pickle_is_refused_whatever_its_name(tmp_path, name, how):
    path = tmp_path / name
    if how == "torch":
        torch.save({"a": Bomb()}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="is a pickle, which can run code") as caught:
        weights.load(UNet(1, {"zones": 1}, widths=(4, 8)), weights.find(path))
    assert "\n" not in str(caught.value)


def test_other_content_is_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_text("<html>404</html>")
    with pytest.raises(ValueError, match="neither safetensors nor Keras HDF5"):
        weights.load(UNet(1, {"zones": 1}, widths=(4, 8)), weights.find(path))


def test_a_misfit_is_named_and_changes_nothing(ours):
    _, path = ours
    for other in (UNet(3, {"zones": 2}, widths=(4, 8), norm=True), UNet(2, {"zones": 2}, widths=(4, 8))):
        before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
        with pytest.raises(ValueError, match="weights small: the checkpoint does not fit"):
            weights.load(other, weights.find(path))
        assert all(torch.equal(before[name], tensor) for name, tensor in other.state_dict().items())


def test_names_and_paths_that_do_not_exist(tmp_path):
    with pytest.raises(LookupError, match="no weights called 'mohajerani': one of "):
        weights.find("mohajerani")
    with pytest.raises(FileNotFoundError, match=r"nothing.h5: no such file"):
        weights.find(tmp_path / "nothing.h5")


def test_a_published_file_is_fetched_only_where_it_is_not_at_hand(keras, tmp_path, monkeypatch):
    asked = []

    def retrieve(url, known_hash, path):
        asked.append((url, known_hash))
        return shutil.copy(keras / url.rpartition("/")[2], tmp_path / "fetched.h5")

    monkeypatch.setattr(weights.pooch, "retrieve", retrieve)
    row = weights.find(PUBLISHED[0].name)
    network = weights.load(row.network(1), row)
    assert asked == [(row.url, f"sha256:{row.sha256}")]
    weights.load(row.network(1), weights.find(keras / row.file))
    assert len(asked) == 1
    assert np.isfinite(network.heads["background"].weight.detach().numpy()).all()


def test_default_is_the_first_row_of_a_system():
    assert weights.default("mohajerani2019").name == "mohajerani2019-3px"
    assert weights.default("ndsi") is None
