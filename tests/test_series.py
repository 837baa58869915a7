"""A series in, a series out: order does not matter, an unseen date borrows, and the whole beats its parts."""

import pytest
import torch
from torch.nn import functional

from glacier_nb import networks, systems
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
    made.train()(torch.randn(4, 3, 3, 16, 16))
    return made.eval()


@torch.inference_mode()
def zones(network: Series, x: torch.Tensor, days: torch.Tensor | None = None) -> torch.Tensor:
    """Scores (batch, time, score, y, x)."""
    return network(x, days)["zones"].unflatten(0, x.shape[:2])


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
            loss = functional.cross_entropy(network(part)["zones"], truth[some].flatten(0, 1))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.inference_mode():
            guess = network.eval()(fresh if together else fresh.flatten(0, 1))["zones"].argmax(dim=1)
        errors.append((guess.unflatten(0, (32, 4)) != answer)[hidden].float().mean().item())
    assert errors[0] < 0.8 * errors[1], errors


def test_row_takes_one_date_as_well():
    row = systems.find("front-series")
    network = row.network(len(row.inputs)).eval()
    assert networks.receptive_radius(network, len(row.inputs)) <= 64
    with torch.inference_mode():
        found = systems.finish(row, network(torch.randn(2, 3, 6, 32, 32)))
    assert found["zones"].shape == (6, 6, 32, 32) and found["front"].shape == (6, 1, 32, 32)
