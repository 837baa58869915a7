"""Rows of calving fronts: published counts, losses with known values, contours, and each row through predict."""

import json

import numpy as np
import odc.geo.xr
import pytest
import safetensors.torch
import torch
import xarray as xr
from odc.geo.geobox import GeoBox
from torch.nn import functional

from glacier_nb import (
    contours,
    losses,
    losses_front,
    networks,
    predict,
    recipes,
    systems,
    systems_caffe,
    systems_front,
    tracing,
)

ROWS = (*systems_front.ROWS, *systems_caffe.ROWS)
EACH = pytest.mark.parametrize("system", ROWS, ids=lambda row: row.name)
SMALL = 20_000_000  # parameters; larger networks are written, read and run in the slow tests


def halves(side: int, at: int, count: int = 2) -> dict[str, torch.Tensor]:
    """What is known of patches with ice in the columns before `at`: truth, front, seen."""
    truth = (torch.arange(side) >= at).long().expand(count, side, side).clone()
    front = (torch.arange(side) == at - 1).expand(count, side, side).clone()
    return {"truth": truth, "front": front, "seen": torch.ones(count, side, side, dtype=torch.bool)}


def sure(truth: torch.Tensor, size: float = 30.0) -> torch.Tensor:
    """Scores (batch, 1, y, x) of a network that knows what is true."""
    return size * (2 * truth[:, None].float() - 1)


@EACH
def test_counts_are_the_reference_s(data, system):
    wanted = json.loads((data.parent / "systems-parameters.json").read_text()).get(system.name)
    with torch.device("meta"):
        count = networks.parameters(system.network(len(system.inputs)))
    assert wanted is None or count == system.reference_parameters == wanted["trainable_parameters"]
    assert system.reference_parameters in (None, count)
    assert wanted is None or wanted["in_channels"] == len(system.inputs)


@EACH
def test_recipe_runs_to_its_end(system):
    recipe = system.recipe
    factors = [recipe.schedule(done, []) if recipe.schedule else 1.0 for done in np.linspace(0, 1, 400, endpoint=False)]
    assert min(factors) >= 0 and 0.9 < max(factors) < 1.01
    with torch.device("meta"):
        network = system.network(len(system.inputs))
    assert recipe.patch % network.stride == 0
    assert system.window in (None, recipe.patch)
    optimiser = recipe.optimiser(network.parameters())
    assert sum(p.numel() for group in optimiser.param_groups for p in group["params"]) == networks.parameters(network)


@pytest.mark.parametrize("system", [row for row in ROWS if row.trace], ids=lambda row: row.name)
def test_tracer_takes_what_the_row_gives(system):
    """A made-up front through the row's tracer: one line beside the ice, as long as the map is wide."""
    trace, options = system.trace
    grid = GeoBox.from_bbox((0, 0, 3000, 3000), "EPSG:3413", resolution=30)
    ice = np.broadcast_to(np.arange(100)[:, None] < 40, (100, 100))
    if trace in (tracing.minimum_cost, tracing.spanning_tree, tracing.ridge, tracing.vertices):
        front = odc.geo.xr.wrap_xr((0.9 * (np.arange(100) == 40)[:, None] * np.ones(100)).astype("float32"), grid)
        lines = trace(front, **options)
    else:
        zones = np.stack([ice if zone == "glacier" else ~ice & (zone == "ocean") for zone in system.zones])
        layers = odc.geo.xr.wrap_xr(zones.astype("float32"), grid, axis=1, dims=("zone", "y", "x"))
        lines = trace(layers.assign_coords(zone=list(system.zones)), **options)
    (line,) = lines.geometry
    assert line.length == pytest.approx(3000, abs=100)
    assert abs(line.bounds[1] - 1800) <= 45 and abs(line.bounds[3] - 1800) <= 45


@EACH
def test_learning_reaches_every_parameter(system):
    """Layers that start at zero let nothing through at first, and stochastic depth skips blocks: in six steps."""
    torch.manual_seed(0)
    network = system.network(len(system.inputs)).train()
    side = 2 * max(network.stride, 16)
    known = halves(side, side // 3)
    known["seen"][:, :2] = False
    optimiser, left = torch.optim.SGD(network.parameters(), 1e-3), dict(network.named_parameters())
    for _ in range(6):
        loss = losses.total(system.loss, {**network(torch.randn(2, len(system.inputs), side, side)), **known})
        optimiser.zero_grad()
        loss.backward()
        assert torch.isfinite(loss)
        left = {name: p for name, p in left.items() if p.grad is None or not p.grad.abs().sum() > 0}
        if not left:
            break
        optimiser.step()
    assert not left, sorted(left)[:5]


def scene(system: systems.System, side: int) -> xr.DataArray:
    """A row's inputs over made-up ground, seen but for a corner."""
    rng = np.random.default_rng(0)
    grid = GeoBox((side, side + 16), odc.geo.geobox.Affine(30, 0, 5e5, 0, -30, 8e6), "EPSG:3413")
    values = rng.random((len(system.inputs), side, side + 16), dtype="float32")
    values[:, :10, :10] = np.nan
    layers = odc.geo.xr.wrap_xr(values, grid, axis=1, dims=("feature", "y", "x"))
    return layers.assign_coords(feature=list(system.inputs))


@pytest.mark.parametrize(
    "system",
    [
        pytest.param(row, id=row.name, marks=() if (row.reference_parameters or 0) < SMALL else pytest.mark.slow)
        for row in ROWS
    ],
)
def test_row_runs_through_predict(system, tmp_path):
    """Random weights through predict: probabilities, NaN where unseen, zones that sum to one."""
    torch.manual_seed(0)
    network = system.network(len(system.inputs))
    path = tmp_path / "random.safetensors"
    safetensors.torch.save_file(network.state_dict(), path)
    card = {"system": system.name, "mean": [0.5] * len(system.inputs), "std": [0.3] * len(system.inputs)}
    path.with_suffix(".json").write_text(json.dumps(card))
    window = system.window or max(64, 2 * network.stride)
    layers = scene(system, window)  # two windows side by side
    front = predict.front(layers, system, path, window=window, progress=False).values
    assert np.isnan(front[:10, :10]).all() and np.isnan(front).sum() == 100
    assert np.nanmin(front) >= 0 and np.nanmax(front) <= 1
    if system.zones and networks.parameters(network) < SMALL:  # a large one's front is derived from its zones
        zones = predict.zones(layers, system, path, window=window, progress=False, clean=False)
        assert zones.zone.values.tolist() == list(system.zones)
        np.testing.assert_allclose(zones.sum("zone", skipna=False).values[~np.isnan(front)], 1, atol=1e-5)
    path.unlink()


class Stand(torch.nn.Module):
    """Knows the input in the middle half of a window, and has a stand-in around it."""

    stride, margin = 4, 0.25

    def forward(self, x):
        rim = torch.full_like(x, -9.0)
        quarter = x.shape[-1] // 4
        inside = (..., slice(quarter, -quarter), slice(quarter, -quarter))
        rim[inside] = x[inside]
        return {"zones": rim}


def test_stand_in_margins_are_cut_off():
    system = systems.System(
        name="stand", citation="", task="front", inputs=("grey",), network=lambda channels: Stand(), window=32,
        finish=recipes.two_zones, zones=("glacier", "ocean"), mean=(0.0,), std=(1.0,),
    )  # fmt: skip
    layers = scene(system, 100)
    found = predict.zones(layers, system, progress=False, clean=False).sel(zone="ocean").values
    inside = (slice(8, -8), slice(8, -8))  # the scene's own edge has but the stand-in
    wanted = 1 / (1 + np.exp(-layers.values[0]))
    np.testing.assert_allclose(found[inside], np.where(np.isnan(wanted), np.nan, wanted)[inside], atol=1e-6)


def warped(cost: np.ndarray) -> np.ndarray:
    """Sum of a cost (n, m) along every way of walking both lines forwards."""
    sums = []

    def walk(i, j, so_far):
        so_far += cost[i, j]
        if (i + 1, j + 1) == cost.shape:
            sums.append(so_far)
        for di, dj in ((1, 0), (0, 1), (1, 1)):
            if i + di < cost.shape[0] and j + dj < cost.shape[1]:
                walk(i + di, j + dj, so_far)

    walk(0, 0, 0.0)
    return np.array(sums)


@pytest.mark.parametrize("gamma", [1.0, 0.1, 0.001])
def test_soft_dtw_is_the_soft_minimum_over_all_ways(gamma):
    rng = np.random.default_rng(0)
    a, b = rng.random((3, 5, 2)), rng.random((3, 4, 2))
    found = contours.soft_dtw(torch.from_numpy(a), torch.from_numpy(b), gamma).numpy()
    for one, other, value in zip(a, b, found, strict=True):
        sums = warped(((one[:, None] - other) ** 2).sum(axis=-1))
        least = sums.min()
        assert value == pytest.approx(least - gamma * np.log(np.exp((least - sums) / gamma).sum()), rel=1e-12)
        assert least - gamma * np.log(len(sums)) <= value <= least
    turned = contours.soft_dtw(torch.from_numpy(b), torch.from_numpy(a), gamma).numpy()
    np.testing.assert_allclose(turned, found, rtol=1e-12)


def test_soft_dtw_has_the_gradient_of_its_value():
    torch.manual_seed(0)
    a, b = torch.rand(2, 4, 2, dtype=torch.float64, requires_grad=True), torch.rand(2, 6, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda line: contours.soft_dtw(line, b, 0.05), a)
    long = torch.rand(1, 64, 2, requires_grad=True)
    contours.soft_dtw(long, torch.rand(1, 64, 2), 0.001).sum().backward()
    assert torch.isfinite(long.grad).all() and long.grad.abs().sum() > 0


@pytest.mark.parametrize("number", range(8))
def test_a_line_drawn_about_ice_has_the_ice_on_its_left(number):
    x, y = np.meshgrid(np.arange(60), np.arange(40))
    shapes = [x < 25 + 8 * np.sin(y / 6), (y - 20) ** 2 + (x - 30) ** 2 < 144]
    for shape in shapes:
        ice = networks.symmetry(torch.from_numpy(shape), number).numpy()
        line = contours.outline(ice, 200)
        away, side = contours.distances(torch.from_numpy(line)[None], ice.shape)
        clear = away[0].numpy() > 0.75  # 200 vertices cut corners by less
        assert np.array_equal((side[0].numpy() > 0)[clear], ice[clear])
        assert clear.mean() > 0.8


def test_an_outline_keeps_off_what_was_not_seen():
    ice = np.zeros((20, 20), bool)
    ice[:, :10] = True
    seen = np.ones((20, 20), bool)
    seen[:8] = False
    line = (contours.outline(ice, 10, seen) + 1) * 19 / 2
    assert line[:, 0].min() >= 8 and np.allclose(line[:, 1], 9.5)
    assert contours.outline(np.ones((5, 5), bool), 10) is None


def test_a_contour_s_loss_is_least_on_the_outline_and_blind_to_empty_patches():
    known = halves(32, 12)
    known["truth"][1] = 0  # no outline there
    true = torch.from_numpy(contours.outline(known["truth"][0].numpy() == 0, 64)).float()
    right = true.expand(2, 64, 2)
    on, off = (losses_front.line([step], known["truth"], known["seen"]) for step in (right, right + 0.1))
    assert on <= 0 < off
    other = right.clone()
    other[1] += 5
    assert losses_front.line([other], known["truth"], known["seen"]) == on
    assert losses_front.line([right] * 3, known["truth"], known["seen"]) == pytest.approx(3 * on.item())
    empty = torch.zeros(2, 32, 32, dtype=torch.long)
    assert losses_front.line([right], empty, known["seen"]) == 0


def test_a_contour_set_free_moves_onto_the_front():
    """Vertices alone, by COBRA's loss and from its start, end where its maps show the ice and the front."""
    known, cobra = halves(32, 12), systems.find("cobra")
    vertices = torch.zeros(2, 64, 2, requires_grad=True)
    optimiser = torch.optim.Adam([vertices], 0.05)
    for _ in range(60):
        loss = losses.total(cobra.loss, {"steps": [vertices], **known})
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    found = systems.finish(cobra, {"vertices": vertices.detach(), "size": torch.tensor([32, 32])})
    assert ((found["zones"][:, 0] > 0.5) == (known["truth"] == 0)).float().mean() > 0.98
    near = found["front"][:, 0].argmax(dim=2).float()
    assert (near - 11.5).abs().max() <= 1  # between the columns of ice and water


def test_a_drawn_contour_is_traced_where_it_lies():
    cobra = systems.find("cobra")
    line = torch.tensor([[[1.0, 0.2], [0.0, -0.1], [-1.0, 0.3]]])
    found = systems.finish(cobra, {"vertices": line, "size": torch.tensor([81, 101]), "steps": [line]})
    front = found["front"][0, 0]
    middle = front.argmax(dim=1)[[80, 40, 0]]
    assert middle.tolist() == [60, 45, 65]  # (v + 1) * 50
    ice = found["zones"][0, 0] > 0.5
    assert ice[40, :44].all() and not ice[40, 47:].any()
    assert ((front > 0.5).sum(dim=1) <= 3).all()  # a pixel to either side
    missing = systems.finish(cobra, {"vertices": line * torch.nan, "size": torch.tensor([4, 4])})
    assert missing["front"].isnan().all()


def test_one_line_of_ice_is_scored_alike_by_calfin_and_by_every_scale():
    known = halves(64, 24)
    ice, width = known["truth"] == 0, torch.arange(64)
    edge3 = ((width >= 22) & (width <= 24)).expand_as(ice)  # one pixel of the ice's rim, and one to either side
    near = losses_front.edge_and_ice(sure(edge3), sure(ice), known["truth"], known["seen"])
    assert near == pytest.approx(0, abs=1e-5)
    blank = losses_front.edge_and_ice(sure(edge3) * 0, sure(ice), known["truth"], known["seen"])
    share = 3 / 64
    assert blank.item() == pytest.approx(25 / 26 * (np.log(2) - np.log(0.5 * share / (0.5 + 0.5 * share))), rel=1e-4)
    sobel = ((width == 23) | (width == 24)).expand_as(ice)  # a 3 x 3 filter sees the step from both sides
    deep = []
    for step in (1, 2, 4, 8):
        at, cells = 24 // step, torch.arange(64 // step)
        rim = ((cells == at - 1) | (cells == at)).expand(2, 64 // step, 64 // step)
        deep.append(torch.cat([sure(cells.expand_as(rim) < at), sure(rim)], dim=1))
    args = {"truth": known["truth"], "seen": known["seen"], "deep": deep}
    assert losses_front.ice_and_edge_at_every_scale(sure(ice), sure(sobel), **args) == pytest.approx(0, abs=1e-5)
    flat = losses_front.ice_and_edge_at_every_scale(sure(ice) * 0, sure(sobel), **(args | {"deep": []}))
    # 2 share (1 - share) ln 2 for the ice, half of the two outputs
    assert flat.item() == pytest.approx(24 / 64 * 40 / 64 * np.log(2), rel=1e-4)


@pytest.mark.parametrize(
    ("loss", "terms"),
    [
        (losses_front.edge_and_ice, ("edge", "zones")),
        (losses_front.ice_and_edge_at_every_scale, ("zones", "edge")),
        (losses_front.near_front, ("edge",)),
    ],
)
def test_what_is_not_seen_teaches_nothing(loss, terms):
    torch.manual_seed(0)
    known = halves(32, 12)
    known["seen"][:, :, 20:] = False
    scores = {name: torch.randn(2, 1, 32, 32, requires_grad=True) for name in terms}
    losses.total(((loss, 1.0, {}),), {**scores, "deep": [], **known}).backward()
    for score in scores.values():
        assert not score.grad[..., 20:].any() and score.grad[..., :20].any()


def test_a_false_front_far_off_weighs_a_tenth():
    known = halves(64, 32, 1)
    wide = functional.max_pool2d(known["front"][:, None].float(), 5, 1, 2)
    assert losses_front.near_front(sure(wide[:, 0] > 0), known["front"], known["seen"]) < 0.5

    def found(column):
        scores = sure(torch.zeros(1, 64, 64, dtype=torch.bool))
        scores[..., 31] = 30.0
        true = scores.clone()
        scores[..., column] = 30.0
        return [1 - losses_front.near_front(s, known["front"], known["seen"]).item() for s in (true, scores)]

    # Dice of the middle column alone: 2 / (1 + 5); a false one adds 0.1 below.
    assert found(60) == pytest.approx([2 / 6, 2 / 6.1])
    assert found(50) == pytest.approx([2 / 6, 2 / 6.1])
    # Columns 27..35 are within the front widened once more: at its rim the weight is the smallest that rises.
    inside = 1 / (1 + np.exp(-np.arange(1, 6.0))) - 0.5
    assert found(27) == pytest.approx([2 / 6, 2 / (6 + inside[0] / inside[4])])


def test_deep_labels_are_zones_that_exist():
    """Rock beside ocean: an average of their numbers would be ice."""
    truth = torch.zeros(1, 64, 64, dtype=torch.long)
    truth[:, :, 33:] = 2
    seen = torch.ones(1, 64, 64, dtype=torch.bool)

    def scores(labels):
        return 30.0 * functional.one_hot(labels + 1, 4).movedim(-1, 1).float()

    middle = truth[:, 16:48, 16:48]
    terms = {"target": scores(middle), "context": scores(truth[:, ::2, ::2]), "truth": truth, "seen": seen}
    deep = [scores(middle[:, ::step, ::step]) for step in (8, 4)]
    assert losses_front.hooked(**terms, deep=deep).item() == pytest.approx(0, abs=1e-4)
    wrong = [scores(middle[:, ::8, ::8] * 0 + 1)]
    assert losses_front.hooked(**terms, deep=wrong, deeper=0.5) > 10
    hidden = {**terms, "seen": ~seen}  # then all of it is "not available", the first score
    assert losses_front.hooked(**hidden) > 10
    none = scores(torch.full_like(truth, -1))
    assert losses_front.with_unavailable(none, truth, ~seen).item() == pytest.approx(0, abs=1e-4)


def test_contrast_of_two_zones_at_right_angles():
    truth = (torch.arange(64) >= 32).long().expand(1, 64, 64)
    maps = functional.one_hot(truth[:, 16:48:4, 16:48:4], 2).movedim(-1, 1).float()  # (1, 2, 8, 8), of unit length
    target = torch.zeros(1, 4, 32, 32)
    seen = torch.ones(1, 64, 64, dtype=torch.bool)
    found = losses_front.contrast([maps, maps], target, truth, seen)
    # A point's own zone scores 1, the 8 drawn of the other 0: -log(1 / (1 + 8 / e)), over the base of 6, for two maps.
    assert found.item() == pytest.approx(2 / 6 * np.log(1 + 8 / np.e), rel=1e-5)
    alike = losses_front.contrast([maps * 0 + 0.5**0.5], target, truth, seen).item()
    assert alike == pytest.approx(1 / 6 * np.log(1 + 8), rel=1e-5) and alike > found / 2


def test_scores_of_what_is_not_available_are_left_out():
    scores = torch.tensor([5.0, 1.0, 2.0, 3.0]).reshape(1, 4, 1, 1)
    zones = systems_caffe.available_zones(scores)["zones"].flatten()
    assert torch.allclose(zones, torch.tensor([1.0, 2.0, 3.0]).softmax(dim=0))


def test_schedules_follow_their_papers():
    cobra, amd, plus = (systems.find(name).recipe.schedule for name in ("cobra", "amd_hooknet", "amd_hooknet_pp"))
    assert [1e-3 * cobra(epoch / 500, []) for epoch in (0, 10, 500)] == pytest.approx([1e-7, 1e-3, 4e-5])
    assert [amd(epoch / 300, []) for epoch in (0, 1.5, 100.5)] == pytest.approx([1, 0.99, 0.99**100])
    assert plus(0.5, []) == pytest.approx((1 - 65 / 150) ** 0.9)
    for name, patience in {"caffe_zones": 30, "caffe_fronts": 30, "zhang2021": 4, "autoterm": 4}.items():
        recipe = systems.find(name).recipe  # a patience of so many epochs, each validated once
        assert (recipe.patience, recipe.validations) == (patience, recipe.epochs)
    caffe = systems.find("caffe_zones").recipe
    rates = [2e-4 * caffe.schedule(done, []) for done in (0, 0.5, 0.999999)]
    assert rates == pytest.approx([4e-5, 2e-4, 4e-5], rel=1e-3)


def test_radius_is_of_full_size_maps_alone():
    class Several(torch.nn.Module):
        stride = 2

        def __init__(self, full: bool):
            super().__init__()
            self.full, self.layer = full, torch.nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x):
            beside = {"deep": [x[..., ::2, ::2]], "half": x[..., ::2, ::2], "size": torch.tensor(x.shape[-2:])}
            return beside | ({"zones": self.layer(x)} if self.full else {})

    assert networks.receptive_radius(Several(True), 1, 16) == 1
    assert networks.receptive_radius(Several(False), 1, 16) is None
