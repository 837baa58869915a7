"""The shared networks: reference numbers for reference weights, stated strides and receptive radii, guarded imports."""

import subprocess
import sys

import golden
import numpy as np
import pytest
import torch

from glacier_nb import networks
from glacier_nb.networks.smp import Smp
from glacier_nb.networks.threshold import BandRatio, Threshold
from glacier_nb.networks.unet import UNet


@pytest.fixture(scope="module")
def folder(data):
    """The golden files, beside the real data."""
    return data.parent / "golden"


def keras_numbers(levels: int) -> list[tuple[str, str]]:
    """Keras counts convolutions in order of definition: down, up, neck, head."""
    layers = [f"{side}.{n}.{which}" for side, count in (("down", levels), ("up", levels - 1))
              for n in range(count) for which in ("first", "second")]  # fmt: skip
    layers += ["neck.0", "heads.background"]
    return [(rf"^conv2d{f'_{n}' if n else ''}\.", f"{layer}.") for n, layer in enumerate(layers)]


def test_mohajerani2019_released_definition(folder):
    network = UNet(1, {"background": 1}, widths=(32, 64, 128, 256), dropout=0.2, neck=3)
    file = folder / "mohajerani2019_unet4.json"
    golden.check(file, network, keras_numbers(4), "keras", lambda found: {"probability": found["background"].sigmoid()})


def test_concatenation_order_matters(folder):
    network = UNet(1, {"background": 1}, (32, 64, 128, 256), dropout=0.2, neck=3, upsampled_first=False)
    with pytest.raises(AssertionError):
        golden.check(
            folder / "mohajerani2019_unet4.json",
            network,
            keras_numbers(4),
            "keras",
            lambda found: {"probability": found["background"].sigmoid()},
        )


def test_diaconu2023(folder):
    golden.check(
        folder / "diaconu2023_unet_resnet34_in6.json",
        Smp(6, {"zones": 1}, decoder_use_norm=False),
        ((r"^", "network."),),
        "torch",
        lambda found: {"logits": found["zones"]},
    )


@pytest.mark.parametrize(
    ("channels", "options", "count"),
    [
        (1, {"widths": (32, 64, 128, 256), "neck": 3}, 1_947_143),  # Mohajerani 2019
        (1, {"norm": True, "up": "transposed"}, 31_042_369),  # the plain choice for Zhang 2019
        (4, {"norm": True, "up": "transposed"}, 31_044_097),  # the plain choice for Rajat 2022
        (4, {"widths": (32, 64, 128, 256, 512), "up": "transposed", "dropout": 0.5}, 7_760_385),  # for Baumhoer 2019
    ],
)
def test_one_unet_has_the_counts_of_several_papers(channels, options, count):
    assert networks.parameters(UNet(channels, {"zones": 1}, **options)) == count


@pytest.mark.parametrize("up", ["nearest", "transposed"])
def test_unet_gives_each_named_term_at_full_size(up):
    network = UNet(3, {"zones": 4, "front": 1}, widths=(4, 8, 16), norm=True, up=up)
    found = network(torch.rand(2, 3, 16, 24))
    assert {name: tuple(scores.shape) for name, scores in found.items()} == {
        "zones": (2, 4, 16, 24),
        "front": (2, 1, 16, 24),
    }


def test_its_own_norm_predicts_without_contrast_light_or_the_rest_of_the_batch():
    torch.manual_seed(0)
    network = UNet(1, {"zones": 1}, widths=(4, 8), norm="own").double()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 1e-12  # what it adds to a spread is all that contrast could be told by
    x = torch.rand(2, 1, 16, 16, dtype=torch.float64)
    learning = network(x)["zones"]  # as a batch
    network.eval()
    found = network(x)["zones"]
    assert torch.allclose(network(x[:1])["zones"], found[:1]) and torch.allclose(network(5 * x)["zones"], found)
    assert not torch.allclose(learning, found, atol=1e-3)
    single = network(x[:1])["zones"]
    assert torch.allclose(network.train()(x[:1])["zones"], single)  # of a batch of one the two are the same
    network.float().eval()
    assert network(torch.ones(1, 1, 2, 2))["zones"].isfinite().all()  # one pixel on the second level
    assert networks.receptive_radius(network, 1, limit=64) is None  # it feels all of the window


def test_smp_splits_its_channels_into_terms_in_order():
    network = Smp(2, {"zones": 3, "front": 1}, encoder="resnet18").eval()
    x = torch.rand(1, 2, 32, 32)
    with torch.inference_mode():
        found, whole = network(x), network.network(x)
    assert torch.equal(torch.cat([found["zones"], found["front"]], dim=1), whole)


def test_radius_is_where_an_edge_stops_being_felt():
    torch.manual_seed(0)
    network = UNet(1, {"zones": 1}, widths=(8, 8, 8)).eval()
    radius = networks.receptive_radius(network, 1, limit=64)
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.random((1, 1, 64, 64), dtype="float32"))
    other = x.clone()
    other[..., 32:] = 1 - other[..., 32:]
    with torch.inference_mode():
        change = (network(x)["zones"] - network(other)["zones"]).abs()[0, 0].amax(dim=0)
    assert change[: 32 - radius].max() == 0
    assert change[32 - radius : 32].max() > 0
    # two 3x3 at 1, 2 and 4 pixels, down and up, and each pooling's reach within its cell
    assert 2 * (1 + 2 + 4 + 2 + 1) <= radius <= 2 * (1 + 2 + 4 + 2 + 1) + 3


def test_radius_beyond_the_limit_and_of_global_context():
    assert networks.receptive_radius(UNet(1, {"zones": 1}, (2, 2, 2, 2)), 1, limit=20) is None
    everywhere = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.GroupNorm(1, 2))
    assert networks.receptive_radius(everywhere, 1, limit=64) is None
    assert networks.receptive_radius(Threshold(1, 0.4), 1) == 0


def test_thresholds_cross_zero_at_their_value_and_rise():
    index = torch.linspace(-1, 1, 21).reshape(1, 1, 1, -1)
    scores = Threshold(1, 0.4)(index)["zones"]
    assert torch.equal(scores > 0, index > 0.4 + 1e-6)
    red, swir = torch.tensor([0.56, 0.57, 0.2]), torch.tensor([0.2, 0.2, 0.0])
    scores = BandRatio(2, 2.8)(torch.stack([red, swir]).reshape(1, 2, 1, 3))["zones"].flatten()
    assert abs(scores[0]) < 1e-5 < scores[1] < scores[2]
    assert networks.parameters(Threshold(1, 0.4)) == networks.parameters(BandRatio(2, 2.8)) == 0
    with pytest.raises(ValueError, match="takes 2 inputs, not 3"):
        BandRatio(3, 2.8)


def test_symmetries_are_eight_and_undo_each_other():
    x = torch.arange(9).reshape(3, 3)
    assert len({tuple(networks.symmetry(x, n).flatten().tolist()) for n in range(8)}) == 8
    for n in range(4):
        assert torch.equal(networks.symmetry(networks.symmetry(x, n), (4 - n) % 4), x)
        assert torch.equal(networks.symmetry(networks.symmetry(x, 4 + n), 4 + n), x)  # a mirror undoes itself


@pytest.mark.parametrize("broken", [True, False])
def test_torchvision_is_cured_only_where_its_import_fails(broken):
    fault = "raise RuntimeError('operator torchvision::nms does not exist')" if broken else "pass"
    code = f"""
import sys, types
from importlib import abc, machinery
import torch
from glacier_nb import networks, systems

class Finder(abc.MetaPathFinder, abc.Loader):
    tries = 0
    def find_spec(self, name, path=None, target=None):
        return machinery.ModuleSpec(name, self) if name == "torchvision" else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        Finder.tries += 1
        if Finder.tries == 1:
            {fault}

sys.meta_path.insert(0, Finder())
assert networks.torchvision().__name__ == "torchvision"
assert Finder.tries == {2 if broken else 1}, Finder.tries
assert len(networks._kept) == {int(broken)}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_another_fault_of_torchvision_is_not_hidden(monkeypatch):
    def fail(name):
        raise RuntimeError("disk full")

    monkeypatch.setattr(networks.importlib, "import_module", fail)
    with pytest.raises(RuntimeError, match="disk full"):
        networks.torchvision()
