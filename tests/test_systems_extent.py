"""Rows of extent, change and rock glaciers: losses and schedules, what only some of them have, a row of one's own."""

import dataclasses
import functools
import re

import golden
import numpy as np
import pytest
import safetensors.torch
import torch
import xarray as xr
from drawing import draw
from drawing import layers as draw_layers
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_zeros

from glacier_nb import (
    __main__,
    clean,
    features,
    landscapes,
    location,
    losses,
    networks,
    objects,
    predict,
    recipes,
    scores,
    systems,
    systems_extent,
    systems_sensors,
    train,
    trials,
    weights,
)
from glacier_nb.networks import glavitu_peers, joined, late_fusion, peng2023, placed, segnet, smp, tian2022
from glacier_nb.networks.unet import UNet
from glacier_nb.patches import Sample

GRID = GeoBox.from_bbox((0, 0, 640, 640), "EPSG:32632", resolution=10)


def scene(names, side: int = 64, seed: int = 0) -> xr.DataArray:
    """Features of the given names, drawn at random between 0 and 1."""
    rng = np.random.default_rng(seed)
    grid = xr_zeros(GRID, dtype="float32")
    layers = [grid + rng.random((side, side), dtype="float32") for _ in names]
    return xr.concat(layers, "feature").assign_coords(feature=list(names)).transpose("feature", "y", "x")


def zones_of(system, seed: int = 1) -> xr.DataArray:
    """Probabilities of a system's zones: blobs a few pixels wide."""
    rng = np.random.default_rng(seed)
    raw = np.kron(rng.random((len(system.zones), 8, 8)), np.ones((8, 8))).astype("float32")
    grid = xr_zeros(GRID, dtype="float32")
    values = xr.concat([grid + layer for layer in raw / raw.sum(axis=0)], "zone")
    return values.assign_coords(zone=list(system.zones)).transpose("zone", "y", "x")


# losses


def test_focal_without_focus_is_cross_entropy():
    torch.manual_seed(0)
    one, several, truth = torch.randn(2, 1, 4, 4), torch.randn(2, 3, 4, 4), torch.randint(0, 2, (2, 4, 4))
    seen = torch.rand(2, 4, 4) > 0.3
    torch.testing.assert_close(
        losses.focal(one, truth, seen, gamma=0.0), losses.binary_cross_entropy(one, truth, seen), rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(
        losses.focal(several, truth, seen, gamma=0.0), losses.cross_entropy(several, truth, seen)
    )


def test_focal_weighs_by_doubt_and_by_side():
    scores, seen = torch.full((1, 1, 1, 2), 2.0), torch.ones(1, 1, 2, dtype=torch.bool)
    truth = torch.tensor([[[1, 0]]])
    right = torch.tensor(2.0).sigmoid()
    by_hand = 0.25 * (1 - right) ** 2 * -right.log() + 0.75 * right**2 * -(1 - right).log()
    torch.testing.assert_close(losses.focal(scores, truth, seen, alpha=0.25), by_hand / 2)


def test_balanced_cross_entropy_weighs_zones_alike():
    """With nothing known each zone costs ln 3, however rare; errors of a rare zone weigh as much as a common one's."""
    truth = torch.zeros(1, 10, 10, dtype=torch.long)
    truth[0, 0, 0] = 1
    seen = torch.ones(1, 10, 10, dtype=torch.bool)
    assert losses.cross_entropy(torch.zeros(1, 3, 10, 10), truth, seen, balanced=True).item() == pytest.approx(
        np.log(3)
    )
    scores = torch.zeros(1, 3, 10, 10, requires_grad=True)
    losses.cross_entropy(scores, truth, seen, balanced=True).backward()
    assert scores.grad[0, 1, 0, 0].item() == pytest.approx(scores.grad[0, 0][truth[0] == 0].sum().item(), rel=1e-5)


def test_foreground_dice_is_nothing_where_all_is_right_and_has_a_gradient():
    truth = torch.tensor([[[0, 1], [1, 1]]])
    seen = torch.ones_like(truth, dtype=torch.bool)
    sure = torch.where(truth[:, None] == 1, 50.0, -50.0)
    assert losses.foreground_dice(sure, truth, seen).item() == pytest.approx(0, abs=1e-6)
    assert losses.foreground_dice(-sure, truth, seen).item() == pytest.approx(1 - 1 / 5)  # (0 + 1) / (3 + 1 + 1)
    scores = torch.zeros(1, 1, 2, 2, requires_grad=True)
    losses.foreground_dice(scores, truth, seen).backward()
    assert torch.equal(scores.grad[0, 0] < 0, truth[0] == 1)
    hidden = losses.foreground_dice(sure, torch.where(seen, 1 - truth, 0), torch.zeros_like(seen))
    assert hidden.item() == 0


# schedules


def test_schedules_follow_their_papers():
    recipe = systems.find("chu2022").recipe  # warm restarts after 2, 4, 8, 16, 32 epochs, from 1e-4 down to 1e-6
    at = [recipe.schedule(epoch / recipe.epochs, []) for epoch in (0, 1, 2, 4, 6, 10, 14, 30)]
    assert at == pytest.approx([1, 0.505, 1, 0.505, 1, 0.505, 1, 1])
    assert recipe.schedule(1.0, []) == pytest.approx(0.01)
    schedule = systems.find("glavitu_2024").recipe.schedule
    assert [schedule(epoch / 150, []) for epoch in (0, 10, 30, 70)] == pytest.approx([1, 1, 1, 1])
    assert [schedule(epoch / 150, []) for epoch in (5, 20, 50, 110, 150)] == pytest.approx([0.5, 0.5, 0.5, 0.5, 0])
    schedule = systems.find("glavitu_2023").recipe.schedule  # warm for one epoch of a thousand
    assert [schedule(done, []) for done in (0, 0.0005, 0.001, 0.5)] == pytest.approx([0, 0.5, 1, 1])
    assert schedule(0.5, [1.0] * 11) == pytest.approx(0.1)
    schedule = systems.find("hu2023").recipe.schedule
    assert schedule(0, []) == 1 and schedule(0.5, []) == pytest.approx(0.5**0.9) and schedule(1, []) == 0


def test_gradients_are_clipped_and_gathered_as_the_recipe_says():
    """Plain descent at rate 1 moves all weights by the clipped gradient, once where two batches make a step."""
    small = functools.partial(UNet, terms={"zones": 1}, widths=(4, 8))
    recipe = recipes.Recipe(patch=32, batch=2, optimiser=functools.partial(torch.optim.SGD, lr=1.0), clip=1e-3)
    truth = (np.arange(64) > 30)[:, None].astype("uint8") * np.ones((1, 64), "uint8")
    for steps, gathered in ((1, 1), (2, 2)):
        own = dataclasses.replace(recipe, accumulate=gathered)
        system = dataclasses.replace(systems.find("hu2023"), network=small, recipe=own)
        torch.manual_seed(0)
        before = small(3).state_dict()
        sample = Sample("one", scene(system.inputs).values, truth)
        found = train.fit(system, [sample], seed=0, steps=steps, validations=1, threads=1, progress=False)
        moved = sum((found.state[name] - before[name]).square().sum() for name in before).sqrt().item()
        assert moved == pytest.approx(1e-3, rel=1e-3)  # float32 rounds some 500 weights by 1e-8 each


# networks


def test_segnet_puts_values_back_where_the_maxima_were():
    """A network of one pixel wide layers that pass everything on: only the maximum of each 2 x 2 survives, in place."""
    network = segnet.SegNet(1, widths=(1,), depths=(1,)).eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.weight.data.zero_()[..., 1, 1] = 1
            layer.bias.data.zero_()
    x = torch.tensor([[1.0, 2, 0, 5], [3, 0, 0, 0]])[None, None]
    found = network(x)["zones"][0, 0]
    torch.testing.assert_close(found, torch.tensor([[0.0, 0, 0, 5], [3, 0, 0, 0]]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [12, 17])
def test_glaciernet_has_its_reduced_version(channels):
    with torch.device("meta"):
        assert networks.parameters(segnet.SegNet(channels)) == {12: 29_448_769, 17: 29_451_649}[channels]


def test_a_gate_scales_whole_channels():
    torch.manual_seed(0)
    gate, x = tian2022.ChannelGate(4), torch.randn(2, 4, 5, 6)
    factor = gate(x) / x
    assert ((factor > 0) & (factor < 1)).all()
    torch.testing.assert_close(factor, factor[..., :1, :1].expand_as(x))


def test_a_fusion_s_loss_does_not_reach_its_members():
    plain = functools.partial(UNet, terms={"zones": 1}, widths=(4, 8))
    network, x = joined.Fusion(2, (plain, plain)), torch.randn(1, 2, 8, 8)
    terms = network(x)
    torch.testing.assert_close(terms["zones"], (terms["deep"][0] + terms["deep"][1]) / 2)  # as it begins
    terms["zones"].sum().backward()
    assert all(p.grad is None for p in network.members.parameters())
    assert all(p.grad.abs().sum() > 0 for p in network.fuse.parameters())


def test_glaciernet2_is_its_members_and_three_numbers():
    both = sum(
        systems.card(systems.find(name))["parameters"] for name in ("glaciernet", "xie2021_deeplabv3plus_xception65")
    )
    assert systems.card(systems.find("glaciernet2"))["parameters"] == both + 3


def test_a_stretched_network_does_not_feel_gain_and_offset():
    torch.manual_seed(0)
    system = systems.find("chu2022")
    network, x = system.network(4).eval(), torch.rand(1, 4, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(network(x)["zones"], network(3 * x + 7)["zones"], rtol=1e-3, atol=1e-4)


def test_swin_twins_takes_other_sizes_than_its_own():
    with torch.device("meta"):
        network = peng2023.SwinTwins(11).eval()
        assert network(torch.zeros(1, 11, 64, 96))["zones"].shape == (1, 2, 64, 96)
        assert network(torch.zeros(1, 11, 224, 224))["zones"].shape == (1, 2, 224, 224)


def test_the_small_transunet_keeps_its_table_at_its_own_size():
    torch.manual_seed(0)
    tokens = glavitu_peers._Tokens(4, 8, 1, 2, 16).eval()
    tokens.blocks = torch.nn.Identity()
    x = torch.zeros(1, 4, 24, 24)
    bias = tokens.embed.bias[:, None, None]
    torch.testing.assert_close(tokens(x)[0], tokens.positions + bias)
    assert tokens(torch.zeros(1, 4, 8, 40)).shape == (1, 8, 8, 40)


def test_glavitu_s_peers_refuse_channels_that_do_not_add_up():
    with pytest.raises(ValueError, match=r"channels=9 but parts \(6, 2\)"):
        glavitu_peers.resunet_2024(9)


@pytest.fixture
def late():
    torch.manual_seed(0)
    return late_fusion.LateFusion(4, {"zones": 2}, parts=(2, 1, 1), widths=(4, 8)).eval()


def test_late_fusion_of_one_sensor_is_that_sensor_s_encoding(late):
    """A missing sensor changes nothing: neither its place in the mean nor its encoder's biases are felt."""
    x = torch.rand(1, 4, 8, 8) + 0.1
    x[:, 2:] = 0
    with torch.inference_mode():
        one = late(x)["zones"]
        for encoder in late.encoders[1:]:
            for parameter in encoder.parameters():
                parameter.data.add_(5.0)
        torch.testing.assert_close(late(x)["zones"], one)
        x[:, 2] = 1
        assert not torch.allclose(late(x)["zones"], one)


def test_late_fusion_does_not_ask_in_which_order_sensors_are_counted():
    torch.manual_seed(0)
    network = late_fusion.LateFusion(3, {"zones": 1}, parts=(1, 1, 1), widths=(4, 8)).eval()
    x = torch.rand(1, 3, 8, 8) + 0.1
    with torch.inference_mode():
        first = network(x)["zones"]
        network.encoders = torch.nn.ModuleList(network.encoders[k] for k in (2, 0, 1))
        torch.testing.assert_close(network(x[:, [2, 0, 1]])["zones"], first)


def test_late_fusion_always_keeps_a_sensor():
    torch.manual_seed(0)
    network = late_fusion.LateFusion(3, {"zones": 1}, parts=(1, 1, 1), widths=(4,), forget=1.0)
    assert (network._kept(50, torch.device("cpu")).sum(dim=1) == 1).all()
    assert not network(torch.rand(2, 3, 4, 4))["zones"].isnan().any()


def test_no_sensor_at_all_is_finite(late):
    with torch.inference_mode():
        assert torch.isfinite(late(torch.zeros(1, 4, 8, 8))["zones"]).all()


def test_where_all_images_are_optional_terrain_alone_is_no_view():
    system = systems.find("any-sensors")
    shown = dict(zip(system.inputs, systems.shows_ground(system), strict=True))
    assert shown["red"] and shown["vv_db"] and not shown["slope"] and not shown["dh_dt"]


def test_the_shipped_weights_lose_little_with_any_one_sensor():
    """On the landscape that was watched while they learnt; another that nobody saw is in the slow test."""
    told = weights.default("any-sensors").card["score"]["ice_iou_without"]
    assert set(told) == {"", *landscapes.DEMOS["any-sensors"].sensors}
    assert told[""] > 0.9 and all(told[""] - iou <= 0.05 for iou in told.values())


@pytest.mark.slow
def test_any_one_sensor_may_be_missing_where_nobody_learnt(tmp_path):
    """Five points of IoU at most, on a landscape of another seed."""
    path, sensors = weights.local(weights.default("any-sensors")), landscapes.DEMOS["any-sensors"].sensors
    told = scores.without("any-sensors", path, landscapes.landscape(9013, tmp_path, "any-sensors"), sensors)
    assert told[""] > 0.9 and all(told[""] - iou <= 0.05 for iou in told.values()), told


# places


def test_a_row_told_its_region_has_the_reference_s_count():
    system = systems.find("glavitu_2024_region")
    assert systems.card(system)["parameters"] == system.reference_parameters == 10_029_764
    assert len(system.mean) == len(system.std) == len(system.inputs) == 20
    assert system.inputs[-12:] == features.REGIONS and not any(systems.shows_ground(system)[-14:])


def test_codes_are_what_the_paper_says():
    assert location.region(3)[3] == 1 and sum(location.region(3)) == 1 and location.region(None)[11] == 1
    with pytest.raises(ValueError, match="region 11: regions are numbered 0 to 10"):
        location.region(11)


def test_a_row_reads_where_it_looks_from_its_scene():
    system = systems.find("glavitu_2024_coordinates")
    heights = xr_zeros(GRID, dtype="float32") + 2000
    heights[3, 4] = np.nan
    code = features.stack(xr.Dataset({"elevation": heights}), system.inputs[-4:])
    ((longitude, latitude),) = GRID.extent.centroid.to_crs("EPSG:4326").points
    y, x = np.radians((latitude, longitude))
    np.testing.assert_allclose(code[:, 0, 0], [np.sin(y), np.cos(y), np.sin(x), np.cos(x)], rtol=1e-6)
    assert code[:, 3, 4].isnull().all() and (code.isnull().sum() == 4)
    np.testing.assert_allclose((code[:2] ** 2).sum("feature").values[0, 0], 1, rtol=1e-6)
    assert not any(systems.shows_ground(system)[-4:]), "a place is always there, seen or not"


def test_a_place_is_in_no_region_until_it_is_said():
    heights = xr_zeros(GRID, dtype="float32") + 2000
    heights[3, 4] = np.nan
    code = features.stack(xr.Dataset({"elevation": heights}), features.REGIONS)
    assert code[:, 3, 4].isnull().all() and code.isnull().sum() == 12
    assert code[:, 0, 0].values.tolist() == list(location.region(None))


def test_layers_of_a_place_are_unseen_where_images_are():
    drawn = scene(["red", "nir", "elevation", *features.REGIONS])
    drawn[:2, 5, 5] = np.nan
    drawn[0, 6, 6] = np.nan
    there = location.layers(drawn, location.region(2))
    assert there.feature.values.tolist() == drawn.feature.values.tolist()
    assert there.sel(feature="region_2").isnull().sum() == 1 and there.dims == ("feature", "y", "x")
    assert set(np.unique(there[3:].values[:, 0, 0])) == {0, 1} and there.attrs["region_code"][2] == 1
    assert there.dtype == np.float32 and there.odc.geobox == GRID
    assert there.equals(location.layers(drawn[:3], location.region(2)))


class Offset(torch.nn.Module):
    """Ice where red is half a unit above what rock has in the region: 0 in the first, 1 in the second, else 0.5."""

    stride = 1

    def __init__(self, channels, location):
        super().__init__()
        self.rock = torch.nn.Parameter(torch.tensor([0.0, 1.0, *[0.5] * 10]))

    def forward(self, x):
        over = 10 * (x[:, 2:3] - 0.5 - (x[:, -12:] * self.rock[:, None, None]).sum(1, keepdim=True))
        return {"zones": torch.cat([torch.zeros_like(over), over], dim=1)}


def test_a_shifted_place_finds_its_code_and_nothing_else_changes(tmp_path):
    """Ground 0.1 darker than the second region's, in no training region: without a code its rock is half ice.

    The bias optimisation by the row's name is surer of what it sees, and the map is right.
    """
    system = systems.find("glavitu_2024_region")
    build = functools.partial(placed.region, network=Offset)
    network = build(20)
    safetensors.torch.save_file(network.state_dict(), path := tmp_path / "drawn.safetensors")
    drawn = weights.Weights("drawn", system.name, str(path), weights.sha256(path), inputs=system.inputs, network=build)
    features = scene(system.inputs)
    truth = np.hypot(*(np.mgrid[:64, :64] - 32)) < 20
    noise = np.random.default_rng(0).normal(0, 0.1, (64, 64))
    red = 0.9 + truth + noise
    features.loc[{"feature": "red"}] = red * systems_sensors._SPAN[2] + systems_sensors._LOW[2]
    features.values[:, :8, :8] = np.nan
    seen = features[0].notnull().values

    def mapped(layers):
        found = predict.zones(layers, "glavitu_2024_region", drawn, window=64, progress=False, clean=False)
        chance = found.values[:, seen].clip(1e-7, 1)
        ice = (found.sel(zone="glacier").values > 0.5)[seen]
        both, either = (ice & truth[seen]).sum(), (ice | truth[seen]).sum()
        return both / either, float(-(chance * np.log(chance)).sum(axis=0).mean())

    untold = location.layers(features, location.region(None))
    iou, entropy = mapped(untold)
    assert iou < 0.8
    settled = location.settled(features, weights=drawn, window=32, rate=0.05)
    code = np.array(settled.attrs["region_code"])
    assert code.sum() == pytest.approx(1) and code.argmax() == 1 and code[1] > 0.5
    better, surer = mapped(settled)
    assert better > 0.97 and surer < entropy / 2
    little, less = mapped(location.settled(features, weights=drawn, window=32))  # at the paper's own rate
    assert little >= iou and less < entropy
    rest = list(system.inputs[:8])
    assert settled.sel(feature=rest).equals(features.sel(feature=rest))
    assert weights.sha256(path) == drawn.sha256  # the network is what it was
    with pytest.raises(ValueError, match="no window of 32 pixels saw the ground"):
        location.settled(features * np.nan, weights=drawn, window=32)


class Read(torch.nn.Module):
    """Gives the code it is given, as scores."""

    stride = 1

    def __init__(self, channels, location):
        super().__init__()
        self.location = location

    def forward(self, x):
        return {"zones": x[:, -self.location :]}


def test_a_code_is_read_from_seen_pixels_and_forgotten_in_training():
    network = placed.Placed(5, location=4, network=Read, unknown=1.0).eval()
    x = torch.zeros(2, 5, 2, 2)
    x[:, 2, 0] = 1.0  # one row was seen
    torch.testing.assert_close(network(x)["zones"][0, :, 0, 0], torch.tensor([0.0, 1, 0, 0]))
    torch.testing.assert_close(network.train()(x)["zones"][1, :, 1, 1], torch.tensor([0.0, 0, 0, 1]))


# predicting and cleaning


@pytest.mark.parametrize("system", [row for row in systems.SYSTEMS if row.clean], ids=lambda row: row.name)
def test_cleaning_asks_for_no_more_than_inputs_and_what_the_row_reads(system):
    found = clean.apply(zones_of(system), system.clean, scene([*system.inputs, *system.reads, *system.opinions]))
    total = found.sum("zone", skipna=False)
    assert found.zone.values.tolist() == list(system.zones)
    np.testing.assert_allclose(total, 1, atol=1e-4)


@pytest.mark.parametrize("name", ["robson2020", "thomas2023", "xie2021_fcdensenet57", "any-sensors"])
def test_a_row_goes_the_road_of_prediction_and_cleaning(name, tmp_path):
    """From weights in a file to a cleaned map whose probabilities sum to one; unseen ground stays unknown."""
    system = systems.find(name)
    torch.manual_seed(0)
    state = system.network(len(system.inputs)).state_dict()
    count = len(system.inputs)
    made = train.Fit(system, state, (0.5,) * count, (0.3,) * count, (), 0, 0)
    path = train.save(made, tmp_path / "drawn.safetensors")
    features = scene([*system.inputs, *system.reads])
    features[:, :4, :4] = np.nan
    found = predict.zones(features, system, str(path), window=64, progress=False)
    assert found.zone.values.tolist() == list(system.zones)
    assert found[:, :4, :4].isnull().all() and found[:, 8:, 8:].notnull().all()
    np.testing.assert_allclose(found.sum("zone", skipna=False).values[8:], 1, atol=1e-4)
    assert all(step.__name__ in found.attrs["clean"] for step, _ in system.clean)


class Reads(torch.nn.Module):
    """Ice where one channel is above a half."""

    stride = 1

    def __init__(self, channels, channel):
        super().__init__()
        self.layer = torch.nn.Conv2d(channels, 1, 1)
        torch.nn.init.zeros_(self.layer.weight)
        with torch.no_grad():
            self.layer.weight[0, channel], self.layer.bias[:] = 20.0, -10.0

    def forward(self, x):
        return {"zones": self.layer(x)}


def test_glaciernet2_votes_at_the_termini_by_its_name(tmp_path):
    """GlacierNet ends too early, the fusion too late: between them what looks like ice is ice, then snow joins above.

    A gap in GlacierNet's map is filled before it is asked, as the paper does: the shadow there looks like rock.
    """
    system = systems.find("glaciernet2")
    build = functools.partial(joined.Fusion, members=[functools.partial(Reads, channel=one) for one in (0, 1)])
    network = build(17)
    with torch.no_grad():
        network.fuse.weight[:] = torch.tensor([0.0, 1.0])[None, :, None, None]  # the second member's map
    safetensors.torch.save_file(network.state_dict(), path := tmp_path / "drawn.safetensors")
    drawn = weights.Weights("drawn", system.name, str(path), weights.sha256(path), mean=(0.0,) * 17, std=(1.0,) * 17)
    drawn = dataclasses.replace(drawn, inputs=system.inputs, network=build)

    row, column = np.mgrid[:64, :64]
    shade = (row == 30) & (column == 32)
    layers = scene([*system.inputs, *system.reads])
    looks = np.where(shade, 0.0, (row < 48) * 1.0)  # what the ground is, in all inputs but those that the members read
    layers.values[:17] = looks
    layers.loc[{"feature": "elevation"}] = 1000.0 - row
    layers.values[0] = (row >= 8) & (row < 40) & ~shade  # GlacierNet's map
    layers.values[1] = (row >= 8) & (row < 56)  # the fusion's
    layers.loc[{"feature": "ndsi"}] = (row < 8) * 1.0

    found = predict.zones(layers, "glaciernet2", drawn, window=64, progress=False)
    assert found.zone.values.tolist() == ["rock", "glacier"]
    np.testing.assert_array_equal(found.sel(zone="glacier") >= 0.5, row < 48)
    np.testing.assert_allclose(found.sum("zone"), 1, atol=1e-5)
    done = re.findall(r"(\w+)\(", found.attrs["clean"])
    assert done == ["specks", "holes", "second_opinion", "accumulation"]
    assert "neighbours=5" in found.attrs["clean"] and "first=specks min_area=10000.0+holes" in found.attrs["clean"]
    bare = predict.zones(layers, "glaciernet2", drawn, window=64, progress=False, clean=False)
    assert bare.zone.values.tolist() == ["rock", "glacier"]
    np.testing.assert_array_equal(bare.sel(zone="glacier") >= 0.5, layers[1] == 1)
    how = {"window": 64, "progress": False, "dtype": "float32", "opinions": True}
    disk = predict.zones(layers, "glaciernet2", drawn, out=tmp_path / "a.zarr", **how)
    assert disk.zone.values.tolist() == ["rock", "glacier", "glaciernet"]
    np.testing.assert_array_equal(clean.apply(disk.compute(), system.clean, layers, system.opinions), found)
    with pytest.raises(ValueError, match="keeps no spread and no opinions"):
        predict.zones(layers, "glaciernet2", drawn, out=tmp_path / "b.zarr", **how | {"dtype": "zone"})
    both = predict.zones(layers, "glaciernet2", [drawn, drawn], window=64, progress=False)
    np.testing.assert_array_equal(both.sel(zone="glacier") >= 0.5, row < 48)
    assert both.spread.dims == ("zone", "y", "x") and float(both.spread.max()) == 0


def test_without_its_own_steps_the_other_map_is_asked_as_it_is():
    """The same gap, not filled first: its shadow is voted rock."""
    zones = draw("\n".join(["g" * 12] * 12 + ["r" * 12] * 12), sure=1.0)
    ice = np.arange(24)[:, None] < 12
    gap = np.zeros((24, 12), bool)
    gap[6, 6] = True
    given = {"looks": ice & ~gap, "elevation": -np.arange(24.0)[:, None], "second": ice & ~gap}
    given = draw_layers(zones, **given)
    how = {"other": "second", "reach": 1e3, "inputs": ["looks"]}
    plain = objects.second_opinion(zones, given, **how)
    filled = objects.second_opinion(zones, given, **how, first=((clean.holes, {"max_area": 200.0}),))
    assert float(plain.sel(zone="glacier")[6, 6]) == 0 and float(filled.sel(zone="glacier")[6, 6]) == 1
    xr.testing.assert_equal(filled, zones)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda f: xr.DataArray(np.zeros((13, 64, 64), "float32"), dims=("feature", "y", "x")),
            ValueError,
            "13 .*takes 6",
        ),
        (lambda f: f.assign_attrs(feature_units={"elevation": "ft"}), ValueError, "elevation is in ft"),
        (lambda f: f.sel(feature=["red", "green", "blue", "nir", "swir22"]), LookupError, "needs elevation"),
    ],
)
def test_wrong_features_are_refused_by_name(change, error, message, tmp_path):
    system = systems.find("diaconu2023")
    with pytest.raises(error, match=message):
        predict.zones(change(scene(system.inputs)), system)


# rows


def test_dl4gam_gives_the_reference_s_numbers(data):
    network = systems.find("dl4gam").network(16)
    file = data.parent / "golden" / "dl4gam_unet_resnet34_in16.json"
    golden.check(file, network, smp.NAMES, smp.LAYOUT, lambda found: {"logits": found["zones"]})


def test_an_encoder_s_weights_are_asked_for_by_name(monkeypatch):
    asked = []
    monkeypatch.setattr("segmentation_models_pytorch.Unet", lambda encoder, **told: asked.append((encoder, told)))
    systems.pretrained("diaconu2023", "imagenet").network(6)
    systems.find("diaconu2023").network(6)
    assert [(encoder, told["encoder_weights"]) for encoder, told in asked] == [
        ("resnet34", "imagenet"),
        ("resnet34", None),
    ]
    with pytest.raises(
        ValueError, match="glaciernet has no encoder with weights to download; there are: xie2021_mobile"
    ):
        systems.pretrained("glaciernet")


def test_constants_of_glavitu_bring_inputs_to_nothing_and_one():
    system = systems.find("glavitu_2024")
    low, high = np.array(systems_sensors._LOW), np.array(systems_sensors._HIGH)
    mean, std = np.array(system.mean), np.array(system.std)
    np.testing.assert_allclose((low - mean) / std, 0, atol=1e-12)
    np.testing.assert_allclose((high - mean) / std, 1, rtol=1e-6)


def test_the_seventeen_inputs_of_xie_are_landsat_and_terrain():
    assert len(systems_extent.XIE) == len(set(systems_extent.XIE)) == 17
    rows = [row for row in systems.SYSTEMS if row.name.startswith(("glaciernet", "xie2021"))]
    assert len(rows) == 8 and all(row.inputs == systems_extent.XIE for row in rows)


def test_mndwi_and_ndsi_are_never_counted_twice():
    assert not [row.name for row in systems.SYSTEMS if {"mndwi", "ndsi"} <= set(row.inputs)]


def test_views_are_symmetries_and_each_once():
    for row in systems.SYSTEMS:
        assert row.views[0] == 0 and len(set(row.views)) == len(row.views) and set(row.views) <= set(range(8))
    turned = {
        tuple(networks.symmetry(torch.arange(4).reshape(2, 2), n).flatten().tolist())
        for n in systems.find("chu2022").views
    }
    assert turned == {(0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1), (3, 2, 1, 0), (1, 3, 0, 2), (2, 0, 3, 1)}


def test_readme_s_system_of_one_s_own_is_learnt_and_predicts(root, tmp_path):
    """The README's ten lines, run: a row of one's own goes the road of all others."""
    text = (root / "README.md").read_text()
    block = next(code for code in re.findall(r"```python\n(.*?)```", text, re.S) if "System(" in code)
    assert sum(bool(line.strip()) for line in block.splitlines()) <= 10
    names: dict = {}
    exec(block, names)
    system = names["mine"]
    sample = Sample(
        "one", scene(system.inputs).values, (np.arange(64) > 30)[:, None].astype("uint8") * np.ones((1, 64), "uint8")
    )
    small = dataclasses.replace(system, recipe=dataclasses.replace(system.recipe, patch=32, batch=2))
    found = train.fit(small, [sample], steps=2, threads=1, progress=False)
    path = train.save(found, tmp_path / "mine.safetensors")
    zones = predict.zones(scene(system.inputs), system, str(path), window=64, progress=False)
    assert zones.zone.values.tolist() == list(system.zones) and zones.sizes["y"] == 64
    with pytest.raises(ValueError, match="a window of 2 is too small for mine, which needs 4"):
        predict.zones(scene(system.inputs), system, str(path), window=2, progress=False)
    assert systems.card(system)["parameters"] == networks.parameters(system.network(len(system.inputs)))


# cards


def test_a_card_tells_size_memory_and_speed(capsys):
    assert __main__.main(["systems", "robson2020"]) == 0
    told = capsys.readouterr().out
    for word in ("task", "citation", "inputs", "size  1.0 MB", "memory", "speed", "scores", "departs", "producer's"):
        assert word in told


def test_a_table_tells_pass_or_why_not():
    row = systems.find("ndsi")
    (facts,) = trials.table([row], side=64)
    assert facts["result"] == "pass" and facts["parameters"] == 0 and facts["forward_mb"] > 0
    broken = dataclasses.replace(systems.find("robson2020"), reference_parameters=1)
    (facts,) = trials.table([broken], side=32, learn=False)
    assert facts["result"] == "another number of parameters than the reference"
    (walked,) = trials.table([row], side=32, road=lambda _: {"demo": "KeyError: 'y'", "drawn": "-", "real": "ok"})
    assert walked["result"] == "does not run on the demo region" and walked["real"] == "ok"
    (line,) = [line for line in trials.lines([walked]) if line.startswith("ndsi")]
    assert line.split("  ")[-1].strip().endswith("ok") and "KeyError" in line
    head, line = trials.lines([facts])
    assert head.split()[:3] == ["system", "parameters", "reference"] and line.startswith("robson2020")
    assert "243,969" in line


def test_thresholds_need_no_training():
    assert {row.name for row in systems.SYSTEMS if not row.recipe} == {"band-ratio", "ndsi"}
    with pytest.raises(ValueError, match="nothing to learn"):
        train.fit("ndsi", [])


def test_a_zone_of_no_map_of_ours_is_named_in_order():
    system = systems.find("thomas2023")
    assert set(system.zones) - set(recipes.ZONES[:7]) == {"snow", "vegetation", "shadow"}
    assert len(system.zones) == 7
