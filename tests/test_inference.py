"""A network made ready to predict says what it said before: batch norms folded, convolutions packed."""

import pytest
import torch

from glacier_nb import inference, systems


def test_folding_leaves_what_a_network_says_as_it_was():
    torch.manual_seed(0)
    network = systems.find("diaconu2023").network(6)
    x = torch.randn(4, 6, 64, 64)
    for _ in range(3):
        network.train()(x)
    before = network.eval()(x)["zones"].detach()
    norms = sum(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    inference.folded(network, x[:1])
    left = sum(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    assert norms and not left
    torch.testing.assert_close(network(x)["zones"], before, rtol=1e-4, atol=1e-4 * before.abs().max().item())


def test_what_something_else_reads_is_not_folded():
    class Both(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)
            self.norm.running_mean += 3

        def forward(self, x):
            made = self.conv(x)
            return {"sum": made + self.norm(made)}

    network, x = Both().eval(), torch.randn(1, 1, 8, 8)
    before = network(x)["sum"]
    assert torch.equal(inference.folded(network, x)(x)["sum"], before)
    assert isinstance(network.norm, torch.nn.BatchNorm2d)


@pytest.mark.parametrize("half", [None, torch.bfloat16])
def test_packing_leaves_what_a_network_says_as_it_was(half):
    """Float32 sums in another order; in bfloat16 it errs as autocast does, not more."""
    torch.manual_seed(0)
    network = systems.find("diaconu2023").network(6).eval()
    convolutions = sum(type(one) is torch.nn.Conv2d and one.kernel_size != (1, 1) for one in network.modules())
    x = torch.randn(2, 6, 96, 64)
    with torch.inference_mode():
        exact = network(x)["zones"]
        with torch.autocast("cpu", half, enabled=half is not None):
            cast = network(x)["zones"].float()
            inference.packed(network, x[:1, :, :64], half)
            found = network(x)["zones"].float()  # of another size than what it was packed for
    done = sum(isinstance(module, inference.Packed) for module in network.modules())
    assert convolutions > 30
    assert done in ({convolutions} if half is None and torch.backends.mkldnn.is_available() else {0, convolutions})
    size, off = exact.abs().max(), (found - exact).square().mean().sqrt()
    assert off <= max(1e-5 * size, 1.5 * (cast - exact).square().mean().sqrt())


@pytest.mark.parametrize("how", [{"padding": "same"}, {"padding": 1, "padding_mode": "reflect"}, {"kernel_size": 1}])
def test_what_cannot_be_packed_or_would_be_slower_stays(how):
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, **{"kernel_size": 3, **how}))
    inference.packed(network, torch.randn(1, 1, 8, 8))
    assert type(network[0]) is torch.nn.Conv2d


def test_a_module_that_reads_the_weights_itself_is_left_alone():
    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x):
            return {"zones": torch.nn.functional.conv2d(self.conv(x), self.conv.weight.flip(-1), padding=1)}

    network, x = Twice(), torch.randn(1, 1, 8, 8)
    before = network(x)["zones"]
    assert torch.equal(inference.packed(network, x)(x)["zones"], before)
    assert type(network.conv) is torch.nn.Conv2d
