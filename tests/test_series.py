"""A series in, a series out: order does not matter, an unseen date borrows, and the whole beats its parts."""

import dataclasses
import functools
import itertools

import numpy as np
import pytest
import small
import torch
from torch.nn import functional

from glacier_nb import cluster, fitting, labels, losses, networks, patches, predict, recipes, systems
from glacier_nb import weights as read
from glacier_nb.networks.series import Dates, Series


@pytest.fixture(autouse=True)
def one_thread():
    """Small maps gain nothing from threads, and lose where cores are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def network():
    """A small one with running statistics that are not the identity."""
    torch.manual_seed(0)
    made = Series(3, {"zones": 2}, widths=(8, 16))
    made.train()(torch.randn(4, 9, 16, 16))
    return made.eval()


@torch.inference_mode()
def zones(network: Series, x: torch.Tensor, days: torch.Tensor | None = None) -> torch.Tensor:
    """Scores (batch, time, score, y, x) of x (batch, time, channel, y, x)."""
    return network(x.flatten(1, 2), days)["zones"].unflatten(0, x.shape[:2])


def test_dates_may_come_in_any_order(network):
    x, days, order = torch.randn(2, 4, 3, 16, 16), torch.rand(2, 4) * 500, [2, 0, 3, 1]
    torch.testing.assert_close(zones(network, x[:, order], days[:, order]), zones(network, x, days)[:, order])
    torch.testing.assert_close(zones(network, x, days + 1000), zones(network, x, days))


def test_one_date_is_a_series_of_one(network):
    x = torch.randn(3, 3, 16, 16)
    torch.testing.assert_close(network(x)["zones"], zones(network, x[:, None])[:, 0])


def test_series_of_a_batch_do_not_see_each_other(network):
    x = torch.randn(2, 3, 3, 16, 16)
    torch.testing.assert_close(zones(network, x)[1:], zones(network, x[1:]))


def test_an_unseen_date_borrows_and_lends_nothing(network):
    x = torch.randn(1, 3, 3, 16, 16)
    x[:, 1] = 0
    other = x.clone()
    other[:, 0] *= -3
    assert (zones(network, other) - zones(network, x))[:, 1].abs().max() > 1e-4  # rounding is a thousandth of that
    looks = network.dates(torch.randn(1, 3, 16, 4, 4), torch.zeros(1, 3), torch.tensor([1.0, 0, 1]).reshape(1, 3, 1, 1))
    assert looks[:, :, :, 1].max() < 0.01 and looks.sum(dim=3).max() <= 1


def test_looks_fade_with_time():
    dates = Dates(8, 2)
    seen = torch.ones(1, 3, 1, 1)
    with torch.no_grad():
        looks = dates(torch.ones(1, 3, 8, 1, 1), torch.tensor([[0.0, 20.0, 400.0]]), seen)[0, :, 0, :, 0, 0]
    assert (looks[:, 0] > looks[:, 1]).all() and (looks[:, 1] > looks[:, 2]).all()
    near, far = looks[:, 1] / looks[:, 0]
    assert near < far and near.item() == pytest.approx(torch.tensor(-2.0).exp().item())  # 20 days at 10 days a fold


def landscape(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """A jagged front that moves a pixel a date over four dates; each date but one is half hidden by cloud."""
    front = torch.randint(3, 10, (count, 1, 16, 1), generator=generator) + torch.arange(4)[:, None, None]
    truth = (torch.arange(16) >= front).long()
    x = truth[:, :, None] * 2.0 - 1 + 0.3 * torch.randn(count, 4, 1, 16, 16, generator=generator)
    for image, clear in zip(x, torch.randint(4, (count,), generator=generator), strict=True):
        for date in range(4):
            top = int(torch.randint(8, (1,), generator=generator))
            if date != clear:
                image[date, :, top : top + 8] = 0
    return x, truth


def test_a_series_maps_under_cloud_what_its_single_dates_cannot():
    """The same network, steps and patches, given whole series or date by date; both tested on new landscapes."""
    generator = torch.Generator().manual_seed(0)
    x, truth = landscape(48, generator)
    fresh, answer = landscape(32, generator)
    hidden = (fresh == 0).all(dim=2)
    errors = []
    for together in (True, False):
        torch.manual_seed(0)
        network = Series(1, {"zones": 2}, widths=(8, 16))
        optimiser = torch.optim.Adam(network.parameters(), 1e-2)
        for step in range(60):
            some = [(8 * step + k) % 48 for k in range(8)]
            part = x[some] if together else x[some].flatten(0, 1)
            scores = network(part.flatten(1, -3))["zones"]
            loss = functional.cross_entropy(scores, truth[some].flatten(0, 1))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.inference_mode():
            guess = network.eval()((fresh if together else fresh.flatten(0, 1)).flatten(1, -3))["zones"].argmax(dim=1)
        errors.append((guess.unflatten(0, (32, 4)) != answer)[hidden].float().mean().item())
    assert errors[0] < 0.8 * errors[1], errors


def test_row_takes_one_date_as_well():
    row = systems.find("front-series")
    network = row.network(len(row.inputs)).eval()
    assert networks.receptive_radius(network, len(row.inputs)) <= 64
    with torch.inference_mode():
        found = systems.finish(row, network(torch.randn(2, 18, 32, 32)))
    assert found["zones"].shape == (6, 6, 32, 32) and found["front"].shape == (6, 1, 32, 32)


SMALL = dataclasses.replace(
    small.SYSTEM, name="small-series", series=True, network=functools.partial(Series, terms={"zones": 3}, widths=(8, 8))
)


@pytest.fixture
def weights(tmp_path):
    """Random ones of a small system that takes series."""
    return small.write(tmp_path, system=SMALL)


@pytest.fixture
def dates() -> list:
    """Three dates of one ground; the second saw only its upper half, none the first four rows."""
    made = [small.scene(96, 80, seed).assign_attrs(time=f"20{20 + seed}-08-15") for seed in range(3)]
    made[1][:, 48:] = np.nan
    for one in made:
        one[:, :4] = np.nan
    return made


def test_a_series_in_is_a_series_out_in_any_order(dates, weights):
    found = predict.series(dates, SMALL, weights, progress=False)
    assert [one.attrs["time"] for one in found] == ["2020-08-15", "2021-08-15", "2022-08-15"]
    assert all(one.dims == ("zone", "y", "x") and one.odc.geobox == dates[0].odc.geobox for one in found)
    for one in found:  # what one date saw all have a map of, and what none saw nobody
        assert not one[:, 4:].isnull().any() and one[:, :4].isnull().all()
        np.testing.assert_allclose(one[:, 4:].sum("zone"), 1, atol=small.EXACT)
    turned = predict.series([dates[2], dates[0], dates[1]], SMALL, weights, progress=False)
    for one, other in zip(turned, (found[2], found[0], found[1]), strict=True):
        np.testing.assert_allclose(one, other, atol=small.EXACT)
    alone = predict.series(dates[:1], SMALL, weights, progress=False)[0]
    np.testing.assert_allclose(alone, predict.zones(dates[0], SMALL, weights, progress=False), atol=0)
    assert abs(alone - found[0]).max() > 100 * small.EXACT  # the others were looked at


def test_a_series_is_the_network_over_all_of_it(dates, weights):
    row = read.find(weights)
    network = read.load(SMALL.network(4), row).eval()
    x = np.stack([one.sel(feature=list(small.INPUTS)).values for one in dates])
    x = (x - np.reshape(row.mean, (4, 1, 1))) / np.reshape(row.std, (4, 1, 1))
    days = np.array([one.attrs["time"] for one in dates], "datetime64[D]").astype("float32")
    with torch.inference_mode():
        x = torch.from_numpy(np.nan_to_num(x).astype("float32")).flatten(0, 1)[None]
        expected = network(x, torch.from_numpy(days)[None])["zones"].softmax(dim=1)[:, :, 4:]
    found = predict.series(dates, SMALL, weights, progress=False, window=96)
    np.testing.assert_allclose(np.stack([one[:, 4:] for one in found]), expected, atol=small.EXACT)


def test_workers_and_members_take_series_too(dates, weights):
    here = predict.series(dates, SMALL, weights, progress=False, symmetries=4)
    assert all((one.spread[:, 4:] > 0).any() and one.spread.shape == one.shape for one in here)
    lazy = [one.chunk(y=40, x=40) for one in dates]
    with cluster.client(workers=1, threads=1) as session:
        there = predict.series(lazy, SMALL, weights, session, progress=False, symmetries=4)
    for one, other in zip(here, there, strict=True):
        np.testing.assert_allclose(one, other, atol=small.EXACT)
        np.testing.assert_allclose(one.spread, other.spread, atol=10 * small.EXACT**0.5)
    assert predict.series(dates, SMALL, weights, plan=True).passes > 0


def test_what_is_no_series_is_refused(dates, weights, tmp_path):
    with pytest.raises(ValueError, match="no date for small-series"):
        predict.series([], SMALL, weights)
    with pytest.raises(ValueError, match="small takes one date: predict each by itself"):
        predict.series(dates, small.SYSTEM, small.write(tmp_path, 1))
    with pytest.raises(ValueError, match=r"tells no time: set attrs\['time'\]"):
        predict.series([dates[0], dates[1].drop_attrs()], SMALL, weights)
    with pytest.raises(ValueError, match="lie on different grids"):
        predict.series([dates[0], dates[1][:, 1:]], SMALL, weights)
    with pytest.raises(ValueError, match="a series is predicted in memory"):
        predict.series(dates, SMALL, weights, out=tmp_path / "a.zarr")


LEARNS = dataclasses.replace(
    SMALL,
    loss=((losses.cross_entropy, 1.0, {}),),
    recipe=recipes.Recipe(patch=16, batch=2, optimiser=functools.partial(torch.optim.Adam, lr=1e-2)),
)


def sample(count: int, seed: int = 0) -> labels.Sample:
    """A series whose dates show their own truth, but for a hidden half of each."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, (count, 4, 4)).astype("uint8").repeat(12, axis=1).repeat(12, axis=2)
    values = np.repeat(truth[:, None], 4, axis=1) + rng.normal(0, 0.1, (count, 4, 48, 48))
    values[:, :, :, 24:] = np.nan
    return labels.Sample(f"s{seed}", values.reshape(-1, 48, 48).astype("float32"), truth, days=tuple(range(count)))


def test_cuts_of_a_series_know_what_a_date_did_not_see():
    one = sample(3)
    mean, std = patches.statistics([one])
    shown = one.features.reshape(3, 4, 48, 48)[:, :, ::7, ::7]
    np.testing.assert_allclose(mean, np.nanmean(shown, axis=(0, 2, 3)), atol=1e-6)
    batch = next(patches.batches(LEARNS, [one], np.random.default_rng(0), mean, std, 0.0, augmented=False))
    assert batch["x"].shape == (2, 12, 16, 16) and batch["truth"].shape == batch["seen"].shape == (6, 16, 16)
    assert batch["days"].tolist() == [[0, 1, 2]] * 2 and batch["seen"].all()
    x = batch["x"].unflatten(1, (3, 4)).flatten(0, 1)[:, 0] * std[0] + mean[0]
    seen = batch["x"].unflatten(1, (3, 4)).flatten(0, 1).ne(0).any(dim=1)
    assert not seen.all() and torch.equal(x.round()[seen].long(), batch["truth"][seen])
    with pytest.raises(ValueError, match="different numbers of dates"):
        next(patches.batches(LEARNS, [one, sample(2)], np.random.default_rng(0), mean, std, 0.0))
    with pytest.raises(ValueError, match="s0 has 12 channels, small-series takes 4 at each of 2 dates"):
        patches.check(LEARNS, dataclasses.replace(one, days=(0.0, 1.0)))
    assert labels.without(one, [1, 3]).features.shape[0] == 6


def test_each_date_of_a_series_has_a_front_of_its_own():
    one = sample(3)
    front = one.truth == 2
    drawn = dataclasses.replace(one, front=front)
    plain = ((0.0,) * 4, (1.0,) * 4, 0.0)
    batch = next(patches.batches(LEARNS, [drawn], np.random.default_rng(0), *plain))
    assert torch.equal(batch["front"], batch["truth"] == 2) and batch["front"].any()
    with pytest.raises(ValueError, match=r"s0: front \(48, 48\) is off the grid of \(3, 48, 48\)"):
        patches.check(LEARNS, dataclasses.replace(one, front=front[0]))


def test_some_dates_at_a_time_are_learnt_and_a_zone_that_one_date_has_as_often_as_others():
    """Zone 2 fills a corner of the second date alone; cuts of one date that lie there show it more often than not."""
    truth = np.zeros((4, 48, 48), "uint8")
    truth[:, 24:] = 1
    truth[1, :8, :8] = 2
    values = np.repeat(np.arange(4.0), 4)[:, None, None] * np.ones((16, 48, 48))  # tells its date
    one = labels.Sample("s", values.astype("float32") + 1, truth, days=(0.0, 10.0, 20.0, 30.0))
    cuts, numbers, shown, held = patches.batches(LEARNS, [one], (3,), (0.0,) * 4, (1.0,) * 4, 0.0), set(), 0, 0
    for batch in itertools.islice(cuts, 200):
        count, time = batch["days"].shape
        assert count == 2 * 4 // time and batch["x"].shape[:2] == (count, 4 * time)
        assert len(batch["truth"]) == len(batch["seen"]) == count * time
        assert torch.equal(batch["x"][:, ::4, 0, 0] * 10 - 10, batch["days"])  # each with its day, in order
        assert (batch["days"].diff(dim=1) > 0).all()
        numbers.add(time)
        shown += int((batch["truth"] == 2).flatten(1).any(dim=1).sum())
        held += count * time
    assert numbers == {1, 2, 3, 4}
    # A sixth of the cuts lie about it: (8 + 4 + 2 + 2) / 6 of 30 in four batches of 1 to 4 dates, 9 % of all, and more
    # by chance; were the dates drawn without it, less than half of these.
    assert shown / held > 0.09


def test_a_series_is_learnt_and_its_weights_predict(tmp_path):
    found = fitting.fit(LEARNS, [sample(3), sample(3, 1)], 0, 120, progress=False, threads=1)
    assert found.history[-1]["loss"] < 0.7 * found.history[0]["loss"]
    path = fitting.save(found, tmp_path / "s.safetensors")
    layers = sample(3, 2)
    dates = [
        small.scene(48, 48).assign_coords(feature=[*small.INPUTS, "blue"]).copy(data=np.vstack([part, part[:1]]))
        for part in layers.features.reshape(3, 4, 48, 48)
    ]
    dates = [one.assign_attrs(time=f"1970-01-0{k + 1}") for k, one in enumerate(dates)]
    maps = predict.series(dates, LEARNS, path, progress=False)
    right = [(one.values.argmax(axis=0) == truth)[:, :24].mean() for one, truth in zip(maps, layers.truth, strict=True)]
    assert min(right) > 0.9, right
