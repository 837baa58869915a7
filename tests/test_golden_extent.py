"""Networks of the extent systems and the hook transformers give the published networks' numbers, and can be trained."""

import functools
import json

import golden
import pytest
import torch

from glacier_nb import networks, systems
from glacier_nb.networks import (
    chu2022,
    fcdensenet,
    glavitu,
    hookformer,
    hooknet_pp,
    r2unet,
    swin,
    swin_unet,
    unetformer,
)


@pytest.fixture(scope="module")
def folder(data):
    """The golden files, beside the real data."""
    return data.parent / "golden"


@pytest.fixture(scope="module")
def counts(data):
    """Trainable parameters of the reference networks by system."""
    records = json.loads((data.parent / "systems-parameters.json").read_text())
    return {name: record["trainable_parameters"] for name, record in records.items()}


def check(folder, file, module, network, terms):
    golden.check(folder / file, network, module.NAMES, module.LAYOUT, terms)


def logits(found):
    return {"logits": found["zones"]}


def test_fcdensenet57(folder):
    check(
        folder,
        "fcdensenet57_in17.json",
        fcdensenet,
        fcdensenet.FCDenseNet(17),
        lambda found: {"log_softmax": found["zones"].log_softmax(1)},
    )


def test_r2unet(folder):
    check(folder, "r2u_net_in17.json", r2unet, r2unet.R2UNet(17), logits)


def test_chu2022(folder):
    check(folder, "chu2022_attention_deeplab.json", chu2022, chu2022.AttentionDeepLab(4), logits)


def test_swin_unet(folder):
    check(folder, "swin_unet_in11.json", swin_unet, swin_unet.SwinUnet(11), logits)


def test_unetformer(folder):
    check(folder, "unetformer_resnet18.json", unetformer, unetformer.UNetFormer(3, 6), logits)


def test_hookformer(folder):
    check(
        folder,
        "hookformer.json",
        hookformer,
        hookformer.HookFormer(3),
        lambda found: {
            "target_logits": found["target"],
            "context_logits": found["context"],
            "deep_logits": found["deep"][0],
        },
    )


def test_amd_hooknet_pp(folder):
    check(
        folder,
        "amd_hooknet_pp.json",
        hooknet_pp,
        hooknet_pp.HookNetPlus(3),
        lambda found: {
            "target_logits": found["target"],
            "context_logits": found["context"],
            "hook_feature_1": found["features"][0],
            "hook_feature_2": found["features"][1],
        },
    )


@pytest.mark.parametrize("year", ["2023", "2024"])
def test_glavitu(folder, year):
    check(
        folder,
        f"glavitu_{year}.json",
        glavitu,
        {"2023": lambda: glavitu.glavitu_2023(10), "2024": lambda: glavitu.glavitu_2024(8)}[year](),
        lambda found: {
            "output_probability": found["zones"].softmax(1),
            "deepsupervision_probability": found["deep"][0].softmax(1),
        },
    )


DENSE103 = functools.partial(fcdensenet.FCDenseNet, growth=16, layers=(4, 5, 7, 10, 12), neck=15)


@pytest.mark.parametrize(
    ("system", "build"),
    [
        ("xie2021_fcdensenet57", lambda: fcdensenet.FCDenseNet(17)),
        ("xie2021_fcdensenet103", lambda: DENSE103(17)),
        ("xie2021_r2unet", lambda: r2unet.R2UNet(17)),
        ("chu2022", lambda: chu2022.AttentionDeepLab(4)),
        ("glavitu_2023", lambda: glavitu.glavitu_2023(10)),
        ("glavitu_2024", lambda: glavitu.glavitu_2024(8)),
        ("hookformer", lambda: hookformer.HookFormer(1)),
        ("amd_hooknet_pp", lambda: hooknet_pp.HookNetPlus(1)),
    ],
)
def test_counts(counts, system, build):
    with torch.device("meta"):
        assert networks.parameters(build()) == counts[system]


def test_glavitu_counts_of_other_inputs():
    """Variants whose counts the reference networks gave: no SAR, all sensors, a region code, a coordinate code."""
    with torch.device("meta"):
        assert networks.parameters(glavitu.glavitu_2023(8, parts=(6, 2))) == 10_007_876
        radar = systems.find("glavitu_2024_radar")
        assert networks.parameters(radar.network(14)) == radar.reference_parameters == 10_164_676
        assert networks.parameters(glavitu.glavitu_2024(20, location=12)) == 10_029_764
        assert networks.parameters(glavitu.glavitu_2024(12, location=4)) == 10_029_252


def test_glavitu_refuses_channels_that_do_not_add_up():
    with pytest.raises(ValueError, match="channels=13"):
        glavitu.glavitu_2024(13)


SMALL = {
    "fcdensenet": (lambda: fcdensenet.FCDenseNet(3), 3, 32),
    "r2unet": (lambda: r2unet.R2UNet(3, widths=(8, 16, 32)), 3, 16),
    "chu2022": (lambda: chu2022.AttentionDeepLab(3), 3, 32),
    "glavitu_2023": (lambda: glavitu.glavitu_2023(10, size=32), 10, 32),
    "glavitu_2024": (lambda: glavitu.glavitu_2024(12, location=4), 12, 32),
    "swin_unet": (lambda: swin_unet.SwinUnet(3), 3, 64),
    "unetformer": (lambda: unetformer.UNetFormer(3), 3, 64),
    "hookformer": (lambda: hookformer.HookFormer(1), 1, 128),
    "hooknet_pp": (lambda: hooknet_pp.HookNetPlus(1), 1, 128),
}


def tensors(terms):
    """Every score of a network's terms."""
    return [x for value in terms.values() for x in (value if isinstance(value, list) else [value])]


@pytest.mark.parametrize("name", SMALL)
def test_one_step_reaches_every_parameter(name):
    """On patches smaller than the published ones: scores of the patch's size, a finite gradient for every parameter."""
    build, channels, size = SMALL[name]
    torch.manual_seed(0)
    network, x = build().train(), torch.randn(2, channels, size, size)
    assert size % network.stride == 0
    terms = network(x)
    assert terms["zones"].shape[2:] == x.shape[2:]
    sum(scores.square().mean() for scores in tensors(terms)).backward()
    missed = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not missed


@pytest.mark.parametrize("build", [hookformer.HookFormer, hooknet_pp.HookNetPlus])
def test_one_window_is_target_inside_context(build):
    torch.manual_seed(0)
    network, window = build(2).eval(), torch.randn(1, 2, 128, 128)
    with torch.inference_mode():
        terms = network(window)
    torch.testing.assert_close(terms["zones"][:, :, 32:96, 32:96], terms["target"])
    target, context = swin.windows(window)
    torch.testing.assert_close(target, window[:, :, 32:96, 32:96])
    assert terms["context"].shape == (1, 4, *context.shape[2:])
    assert terms["zones"][:, :, :32].isfinite().all()


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("size", [(8, 8), (6, 5)])
def test_a_map_crossed_with_itself_is_self_attention(shift, size):
    """timm's block, its query, key and value taken apart, is the cross block whose two maps are one."""
    torch.manual_seed(0)
    theirs = swin.SwinTransformerBlock(8, size, 2, window_size=4, shift_size=shift, dynamic_mask=True).eval()
    state = dict(theirs.state_dict())
    for kind in ("weight", "bias"):
        parts = state.pop(f"attn.qkv.{kind}").chunk(3)
        state |= {f"attn.{name}.{kind}": part for name, part in zip("qkv", parts, strict=True)}
    ours = swin.CrossBlock(8, 2, 4, shift).eval()
    ours.load_state_dict(state)
    x = torch.randn(2, *size, 8)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x, x), theirs(x))
        assert not torch.allclose(ours(x, x.flip(1)), theirs(x))
