"""Our calving-front networks compute what the published ones compute, and have as many parameters."""

import functools
import json

import golden
import numpy as np
import pytest
import torch

from glacier_nb.networks import caffe, calfin, cobra, drn, hed_unet, hooknet, loebel, names


def as_probability(terms: dict) -> dict[str, torch.Tensor]:
    """What the reference calls `probability`: channels in its order, edge before mask."""
    scores = [terms[name] for name in ("edge", "zones") if name in terms]
    return {"probability": torch.cat(scores, dim=1).sigmoid()}


def as_logits(terms: dict) -> dict[str, torch.Tensor]:
    (scores,) = terms.values()
    return {"logits": scores}


def as_levels(terms: dict) -> dict[str, torch.Tensor]:
    deep = {f"level_{n}_logits": scores for n, scores in enumerate(terms["deep"])}
    return {"combined_logits": torch.cat([terms["zones"], terms["edge"]], dim=1), **deep}


def as_hooks(terms: dict) -> dict[str, torch.Tensor]:
    deep = {f"deep_{n}_logits": scores for n, scores in enumerate(terms["deep"], 1)}
    return {"context_logits": terms["context"], "target_logits": terms["target"], **deep}


@pytest.mark.parametrize(
    ("file", "module", "build", "terms"),
    [
        ("calfin", calfin, functools.partial(calfin.Calfin, 3), as_probability),
        ("hed_unet_in2", hed_unet, functools.partial(hed_unet.HedUNet, 2), as_levels),
        ("hed_unet_in3", hed_unet, functools.partial(hed_unet.HedUNet, 3), as_levels),
        ("loebel2022_unet_in9", loebel, functools.partial(loebel.Loebel, 9), as_probability),
        ("caffe_zones", caffe, functools.partial(caffe.zones, 1), as_logits),
        ("caffe_fronts", caffe, functools.partial(caffe.fronts, 1), as_logits),
        ("frontdl3_drn54", drn, functools.partial(drn.zhang2021, 1), as_probability),
        ("autoterm_drn54", drn, functools.partial(drn.autoterm, 1), as_probability),
        ("amd_hooknet", hooknet, functools.partial(hooknet.AmdHookNet, 1), as_hooks),
    ],
)
def test_outputs_equal_the_reference(data, file, module, build, terms):
    golden.check(data.parent / "golden" / f"{file}.json", build(), module.NAMES, module.LAYOUT, terms)


def test_cobra_equals_the_reference(data):
    network, seen = cobra.Cobra(1), {}
    network.backbone.register_forward_hook(
        lambda module, inputs, maps: seen.update(zip(("feature_skip", "feature_deep"), maps, strict=True))
    )

    def terms(found):
        steps = {f"snake_step_{n}": step for n, step in enumerate(found["steps"]) if n}
        return {**seen, **steps}

    golden.check(data.parent / "golden" / "cobra.json", network, cobra.NAMES, cobra.LAYOUT, terms)


@pytest.mark.parametrize(
    ("row", "build"),
    [
        ("calfin", calfin.Calfin),
        ("hed_unet_hh_hv", hed_unet.HedUNet),
        ("loebel2022", loebel.Loebel),
        ("caffe_zones", caffe.zones),
        ("caffe_fronts", caffe.fronts),
        ("zhang2021", drn.zhang2021),
        ("autoterm", drn.autoterm),
        ("amd_hooknet", hooknet.AmdHookNet),
        ("cobra", cobra.Cobra),
    ],
)
def test_parameters_as_counted(data, row, build):
    wanted = json.loads((data.parent / "systems-parameters.json").read_text())[row]
    with torch.device("meta"):  # shapes without memory
        network = build(wanted["in_channels"])
    assert golden.trainable(network) == wanted["trainable_parameters"]


def test_one_window_gives_the_hooks_both_views():
    """A wide window is the published pair of windows: its middle half, and all of it at half the resolution."""
    torch.manual_seed(0)
    network = hooknet.AmdHookNet(1).eval()
    window = torch.nn.functional.interpolate(torch.rand(1, 1, 16, 16), size=(128, 192), mode="bicubic")
    small = torch.nn.functional.interpolate(window, size=(64, 96), mode="bicubic")
    middle = (..., slice(32, 96), slice(48, 144))
    with torch.inference_mode():
        found, wanted = network(window), network(small, window[middle])
    for term in ("target", "context"):
        torch.testing.assert_close(found[term], wanted[term])
    assert found["zones"].shape == (1, 4, 128, 192)
    torch.testing.assert_close(found["zones"][middle], found["target"])


def test_monte_carlo_passes_differ_and_leave_the_norms_alone():
    torch.manual_seed(0)
    network = drn.keep_dropping(drn.autoterm(1))
    mean = network.backbone.layer0[1].running_mean.clone()
    x = torch.rand(1, 1, 32, 32)
    with torch.inference_mode():
        first, second = network(x)["zones"], network(x)["zones"]
    assert not torch.equal(first, second)
    assert torch.equal(network.backbone.layer0[1].running_mean, mean)


def test_a_fresh_contour_stays_where_it_starts():
    with torch.inference_mode():
        found = cobra.Cobra(1).eval()(torch.rand(2, 1, 64, 64))
    assert found["vertices"].shape == (2, 64, 2)
    assert not found["vertices"].any()
    assert len(found["steps"]) == 5


def test_leftovers_are_named_and_nothing_is_filled():
    layer = torch.nn.Conv2d(2, 3, 1)
    before = layer.weight.detach().clone()
    kernel, bias = np.ones((1, 1, 2, 3), "float32"), np.ones(3, "float32")
    with pytest.raises(ValueError, match=r"1 of the checkpoint .*\(offset\).*1 of the network .*\(bias\)"):
        names.fill(layer, {"c/kernel": kernel, "c/offset": bias}, [(r"^c[./]", "")], "keras")
    with pytest.raises(ValueError, match=r"weight is \(2, 3, 1, 1\), the network has \(3, 2, 1, 1\)"):
        names.fill(layer, {"c/kernel": kernel.swapaxes(2, 3), "c/bias": bias}, [(r"^c\.", "")], "keras")
    with pytest.raises(ValueError, match=r"both become c\.weight"):
        names.convert({"c/kernel": kernel, "d/kernel": kernel}, [("^d", "c")], "keras")
    with pytest.raises(ValueError, match="layout 'caffe2' is not known"):
        names.convert({"c/kernel": kernel}, (), "caffe2")
    assert torch.equal(layer.weight, before)
    names.fill(layer, {"c/kernel": kernel, "c/bias": bias}, [(r"^c\.", "")], "keras")
    assert torch.equal(layer.weight, torch.ones(3, 2, 1, 1))
