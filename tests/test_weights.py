"""Weights: the published six load and are pinned; a wrong hash, a pickle and a misfit are refused in one line."""

import argparse
import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
import pickle
import shutil

import golden
import h5py
import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
import xarray as xr

from glacier_nb import jobs, predict, published, systems, tensors, weights
from glacier_nb.networks.unet import UNet

DIMS = ("feature", "y", "x")
PUBLISHED = [row for row in weights.WEIGHTS if row.system == "mohajerani2019"]


def network_of(system: str) -> torch.nn.Module:
    """A row's network, as predict builds it."""
    row = systems.find(system)
    return row.network(len(row.inputs))


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
    network = network_of(found.system)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    after = weights.load(network, found).state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before)


def test_kernels_arrive_turned_and_in_order(keras):
    row = weights.find(keras / PUBLISHED[0].file)
    network = weights.load(network_of(row.system), row)
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
            assert path.stat().st_size <= (4e6 if row.name == "extent-demo" else 16e6)
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


@pytest.mark.parametrize("length", [128, 640, 2 * 65536 + 640])
def test_weights_whose_header_is_as_long_as_a_pickle_begins_are_weights(tmp_path, length):
    """The first bytes are the header's length: 80 00 and 80 02, as pickles begin, among them."""
    path, wanted = tmp_path / "a.safetensors", np.arange(3, dtype="float32")
    header = json.dumps({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}).encode().ljust(length)
    path.write_bytes(length.to_bytes(8, "little") + header + wanted.tobytes())
    assert path.read_bytes()[0] == 0x80
    np.testing.assert_array_equal(tensors.read(path)["a"], wanted)


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


class Writer:
    """Writes a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_runs_none_and_is_told_what_it_asks_for(tmp_path, zipped):
    there, path = tmp_path / "written", tmp_path / "model.pth"
    state = {"a": torch.zeros(2), "state": Writer(there)}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"asks for '(posix|nt)\.system', no part of weights: never run") as caught:
        tensors.read(path)
    assert "\n" not in str(caught.value) and not there.exists()
    torch.load(path, weights_only=False)
    assert there.exists()  # so it would have


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64])
def test_old_and_new_checkpoints_hold_the_same_tensors(tmp_path, zipped, dtype):
    torch.manual_seed(0)
    wanted = {"a": (100 * torch.rand(3, 2)).to(dtype), "b.c": torch.arange(12).to(dtype).reshape(3, 4)[:, 1:].T}
    torch.save(wanted, tmp_path / "model.pth", _use_new_zipfile_serialization=zipped)
    found = tensors.read(tmp_path / "model.pth")
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        assert found[name].dtype == value.numpy().dtype
        np.testing.assert_array_equal(found[name], value.numpy())


@pytest.mark.parametrize("zipped", [True, False])
def test_settings_beside_weights_are_dropped(tmp_path, zipped):
    """As Lightning writes a checkpoint whose module kept the command line's arguments."""
    torch.manual_seed(0)
    network, other = UNet(1, {"zones": 1}, (4, 8)), UNet(1, {"zones": 1}, (4, 8))
    state = {f"model.{name}": value for name, value in network.state_dict().items()}
    held = {"epoch": 3, "pytorch-lightning_version": "2.4.0", "state_dict": state, "hparams_name": "args"}
    held["hyper_parameters"] = argparse.Namespace(lr=1e-3, widths=[4, 8], more=argparse.Namespace(seed=1))
    path = tmp_path / "model.ckpt"
    torch.save(held, path, _use_new_zipfile_serialization=zipped)
    weights.load(other, weights.find(path))
    for ours, theirs in zip(network.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert "Namespace" not in str(torch.serialization.get_safe_globals())  # nobody else's reading changed


def test_settings_call_nothing_of_a_file(tmp_path):
    """A namespace that is given a `__setstate__` and then a state, by which its loader would call any value."""
    path = tmp_path / "model.pth"
    made, given = b"cargparse\nNamespace\n)\x81", b"}X\x0c\x00\x00\x00__setstate__ctorch\ndevice\nsb"
    told = b"X\x08\x00\x00\x00nonsenseb"
    *head, storages = (pickle.dumps(one, 2) for one in (torch.serialization.MAGIC_NUMBER, 1001, {}, []))
    path.write_bytes(b"".join([*head, b"\x80\x02", made, given, told, b".", storages]))  # the form before 1.6
    with torch.serialization.safe_globals([argparse.Namespace]), pytest.raises(RuntimeError, match="nonsense"):
        torch.load(path, weights_only=True)  # the class itself makes the call
    with pytest.raises(ValueError, match="holds no state dict"):
        tensors.read(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_cut_short_is_refused(tmp_path, zipped):
    path = tmp_path / "model.pth"
    torch.save({"a": torch.zeros(1000)}, path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match=r"is not whole or not as torch\.save writes it") as caught:
        tensors.read(path)
    assert "\n" not in str(caught.value)


def test_other_content_is_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_text("<html>404</html>")
    with pytest.raises(ValueError, match="neither safetensors nor Keras HDF5 nor a PyTorch checkpoint"):
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
    network = weights.load(network_of(row.system), row)
    assert asked == [(row.url, f"sha256:{row.sha256}")]
    weights.load(network_of(row.system), weights.find(keras / row.file))
    assert len(asked) == 1
    assert np.isfinite(network.heads["background"].weight.detach().numpy()).all()


def test_default_is_the_first_row_of_a_system():
    assert weights.default("mohajerani2019").name == "mohajerani2019-3px"
    assert weights.default("ndsi") is None


GOLDEN = {
    "calfin": "calfin",
    "loebel2022": "loebel2022_unet_in9",
    "zhang2021": "frontdl3_drn54",
    "autoterm": "autoterm_drn54",
    "hed_unet_hh_hv": "hed_unet_in2",
    "caffe_zones": "caffe_zones",
    "caffe_fronts": "caffe_fronts",
    "cobra": "cobra",
    "amd_hooknet": "amd_hooknet",
    "hookformer": "hookformer",
    "amd_hooknet_pp": "amd_hooknet_pp",
    "diaconu2023": "diaconu2023_unet_resnet34_in6",
    "dl4gam": "dl4gam_unet_resnet34_in16",
}
"""System to the golden file that holds the names and shapes of its published network."""


def as_published(record: dict, folder) -> tuple[dict, object]:
    """Tensors of the published names and shapes, each full of one number of its own, in the publication's format."""
    layout = {"PyTorch": "torch", "JAX/Haiku": "haiku"}.get(record["framework"], "keras")
    named = [(name, shape) for name, shape, kind in record["parameters"] if kind != "untouched"]
    given = {name: np.full(shape, number, "float32") for number, (name, shape) in enumerate(named, 1)}
    if layout == "keras":
        path = folder / "model.h5"
        with h5py.File(path, "w") as file:
            for name, value in given.items():
                file[f"model_weights/{name.split('/')[0]}/{name}:0"] = value
    elif layout == "torch":
        path = folder / "model.ckpt"
        state = {f"module.{name}": torch.from_numpy(value) for name, value in given.items()}
        torch.save({"epoch": 3, "state_dict": state, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}}, path)
    else:
        path = folder / "model.safetensors"
        safetensors.numpy.save_file(given, path)
    return given, path


@pytest.mark.parametrize("system", GOLDEN)
def test_a_published_checkpoint_finds_its_place(data, tmp_path, system):
    record = json.loads((data.parent / "golden" / f"{GOLDEN[system]}.json").read_text())
    given, path = as_published(record, tmp_path)
    network = weights.load(network_of(system), weights.find(path))
    path.unlink()  # up to half a gigabyte
    state = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    numbers = [value.flatten()[0].item() for value in state.values()]
    assert sorted(numbers) == list(range(1, len(given) + 1))  # each tensor once
    assert all((value == value.flatten()[0]).all() for value in state.values())
    assert golden.trainable(network) == systems.find(system).reference_parameters


def test_every_publication_is_a_row_and_has_a_test():
    assert [row.system for row in published.PUBLISHED if row.system not in GOLDEN] == []
    assert all(systems.find(row.system).name == row.system for row in published.PUBLISHED)
    with pytest.raises(LookupError, match=r"no weights called .calfin.: .*at github\.com/daniel-cheng/CALFIN"):
        weights.find("calfin")


UNKNOWN = pytest.mark.filterwarnings("ignore:.*no sha256 of it is known here")


@UNKNOWN
def test_a_published_file_has_the_licence_of_its_publication(ours, tmp_path):
    path = tmp_path / "FrontDL3.pth"
    torch.save({"a": torch.zeros(1)}, path)
    (row,) = jobs.weights(systems.find("zhang2021"), path)
    assert (row.system, row.licence) == ("zhang2021", "none told: ask the authors before you share what it maps")
    assert row.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert jobs.weights(systems.find("calfin"), [path])[0].licence == "MIT (code; weights not told)"
    assert jobs.weights(systems.find("glaciernet"), path)[0].licence == ""  # nobody publishes any
    assert weights.find(path).licence == ""
    _, own = ours
    assert weights.find(own, "calfin").licence == "" and weights.find(own, "calfin").system == "extent-demo"
    path.with_suffix(".json").write_text(json.dumps({"sha256": row.sha256, "licence": "CC0-1.0"}))
    assert weights.find(path, "zhang2021").licence == "CC0-1.0"  # whoever asked the authors


def test_a_map_carries_hash_and_licence_of_its_weights(keras):
    row = PUBLISHED[0]
    grey = xr.DataArray(np.random.default_rng(0).random((1, 48, 48), "float32"), {"feature": ["grey"]}, DIMS)
    front = predict.front(grey, row.system, keras / row.file, window=48, progress=False)
    assert (front.attrs["weights_sha256"], front.attrs["weights_licence"]) == (row.sha256, "CC BY 4.0")


def test_a_file_whose_hash_is_not_known_says_so_in_one_line_and_its_map_carries_the_hash(tmp_path):
    system = systems.find("robson2020")
    torch.save(system.network(11).state_dict(), path := tmp_path / "heat.pth")
    features = xr.DataArray(
        np.random.default_rng(0).random((11, 32, 32), "float32"), {"feature": list(system.inputs)}, DIMS
    )
    known = dataclasses.replace(system, mean=(0.0,) * 11, std=(1.0,) * 11, clean=())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.warns(UserWarning, match=rf"^heat\.pth: no sha256 of it is known here.*{digest}.*heat\.json") as caught:
        found = predict.zones(features, known, path, window=32, progress=False)
    assert len(caught) == 1 and "\n" not in str(caught[0].message) and found.attrs["weights_sha256"] == digest
    path.with_suffix(".json").write_text(json.dumps({"sha256": digest}))
    predict.zones(features, known, path, window=32, progress=False)  # pinned: nothing to say


def test_a_tree_of_jax_is_converted_in_the_lines_that_the_refusal_names(tmp_path):
    """A pickle of Haiku's two trees: refused with where the lines are; what they write is read under Haiku's names."""
    tree = {"net/~/conv2_d": {"w": np.ones((3, 3, 1, 2), "float32"), "b": np.zeros(2, "float32")}}
    state = {"net/~/norm/~/mean_ema": {"average": np.arange(4.0)[::2]}}
    (tmp_path / "checkpoint.pk").write_bytes(pickle.dumps((tree, state)))
    with pytest.raises(
        ValueError, match=r"never run here; .*convert it in three lines .*help\(glacier_nb\.tensors\.flat\)"
    ):
        tensors.read(tmp_path / "checkpoint.pk")
    lines = [line.strip() for line in tensors.flat.__doc__.splitlines() if " = " in line or "save_file(" in line]
    assert len(lines) == 3
    names = {"pathlib": pathlib, "pickle": pickle, "tensors": tensors, "safetensors": safetensors}
    with contextlib.chdir(tmp_path):
        exec("\n".join(lines), names)
    found = tensors.read(tmp_path / "checkpoint.safetensors")
    assert sorted(found) == ["net/~/conv2_d/b", "net/~/conv2_d/w", "net/~/norm/~/mean_ema/average"]
    assert np.array_equal(found["net/~/norm/~/mean_ema/average"], [0.0, 2.0])


@UNKNOWN
def test_a_hash_beside_a_file_pins_it(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({"a": torch.zeros(1)}, path)
    row = weights.find(path, "zhang2021")
    path.with_suffix(".json").write_text(json.dumps({"sha256": row.sha256}))
    assert weights.local(weights.find(path, "zhang2021")) == path
    torch.save({"a": torch.ones(1)}, path)
    for one in (row, weights.find(path, "zhang2021")):  # found before the change, or pinned by the card
        with pytest.raises(ValueError, match="not the file it is said to be"):
            weights.local(one)


@pytest.mark.parametrize("wrap", [(), ("state_dict",), ("model_state_dict",), ("model", "state_dict")])
def test_a_state_dict_is_found_however_deep(tmp_path, wrap):
    torch.manual_seed(0)
    network, other = UNet(1, {"zones": 1}, (4, 8), norm=True), UNet(1, {"zones": 1}, (4, 8), norm=True)
    held = {f"net.{name}": value.half() if "running" in name else value for name, value in network.state_dict().items()}
    for key in reversed(wrap):
        held = {key: held, "epoch": 7}
    torch.save(held, tmp_path / "model.pth")
    weights.load(other, weights.find(tmp_path / "model.pth"))
    for ours, theirs in itertools.zip_longest(network.state_dict().values(), other.state_dict().values()):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_a_checkpoint_without_weights_is_refused(tmp_path):
    torch.save({"epoch": 3, "history": [0.1]}, tmp_path / "model.pth")
    with pytest.raises(ValueError, match=r"model\.pth holds no state dict: save"):
        weights.load(UNet(1, {"zones": 1}, (4, 8)), weights.find(tmp_path / "model.pth"))


def test_tensors_of_a_model_in_a_model_keep_their_names(tmp_path):
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file["model_weights/encoder/encoder/query/kernel:0"] = np.zeros(2)
        file["model_weights/decoder/decoder/query/kernel:0"] = np.ones(2)
    assert sorted(tensors.read(tmp_path / "model.h5")) == ["decoder/query/kernel:0", "encoder/query/kernel:0"]
