"""One file per paper or family. A network takes (batch, channel, y, x) and returns named terms.

Every network here is a torch module with these habits:

- `forward` returns a dict: term name to raw scores (batch, score, y, x), before any sigmoid or softmax; beside these
  may stand what only a loss reads, as lists or at another size;
- `stride` is the step, in pixels, by which heights and widths must grow (1 where any size will do);
  `margin`, where there is one, is the share of a window's side in which, at each edge, scores are a stand-in;
- it is built from the channel count alone, by the function or partial that stands in a row of `systems`.
"""

import importlib
import types

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_kept = []  # torch forgets operator schemas when their library object is collected


def torchvision() -> types.ModuleType:
    """torchvision, also where its compiled operators do not match torch.

    A torchvision built for CUDA beside a torch built for CPU stops on import with "operator torchvision::nms
    does not exist", and smp and timm import it. Declaring the two operators first lets the import pass; they
    still cannot be called, which no network here does. Where the plain import works nothing is touched.

    >>> torchvision().__name__
    'torchvision'
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept.append(library)
    return importlib.import_module("torchvision")


class later:
    """A network whose file is imported when the network is built, because timm, which it imports, takes 150 MB.

    >>> later("threshold.Threshold")(1, value=0.4).stride
    1
    """

    def __init__(self, place: str) -> None:
        self.place = place

    def __call__(self, *arguments, **options) -> torch.nn.Module:
        file, name = self.place.split(".")
        return getattr(importlib.import_module(f"glacier_nb.networks.{file}"), name)(*arguments, **options)

    def __repr__(self) -> str:
        return f"later({self.place!r})"


class Undrawn(TorchDispatchMode):
    """Zeros instead of random numbers for tensors under it: for networks whose weights are then loaded, all of them.

    What lay in memory before would do but for torch's own draws of a truncated normal, which go on until all are
    within its bounds.

    >>> with Undrawn():
    ...     torch.nn.init.trunc_normal_(torch.full((2,), 9.0))
    tensor([0., 0.])
    """

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """The call itself, but for those that draw."""
        if function in (torch.ops.aten.uniform_.default, torch.ops.aten.normal_.default):
            return args[0].zero_()
        return function(*args, **(kwargs or {}))


def parameters(network: torch.nn.Module) -> int:
    """Number of trainable parameters.

    >>> parameters(torch.nn.Conv2d(3, 4, 3))
    112
    """
    return sum(tensor.numel() for tensor in network.parameters() if tensor.requires_grad)


def reached(network: torch.nn.Module) -> bool:
    """Whether the last backward pass reached any weight; biases and scales alone make no network learn.

    It reaches none where all units of a layer are off for every input: Lu et al. 2020, arXiv:1903.06733.

    >>> one = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.ReLU(), torch.nn.Conv2d(1, 1, 1))
    >>> _ = torch.nn.init.ones_(one[0].weight), torch.nn.init.zeros_(one[0].bias)
    >>> for sign in (1, -1):
    ...     one.zero_grad()
    ...     one(sign * torch.ones(1, 1, 2, 2)).sum().backward()
    ...     print(reached(one))
    True
    False
    """
    return any(p.ndim > 1 and p.grad is not None and bool(p.grad.any()) for p in network.parameters())


def symmetry(x: torch.Tensor, number: int) -> torch.Tensor:
    """One of the eight symmetries of the square, of (..., y, x): 0-3 quarter turns, 4-7 the same after a mirror.

    >>> [symmetry(torch.tensor([[1, 2], [3, 4]]), n).flatten().tolist() for n in (0, 1, 4)]
    [[1, 2, 3, 4], [2, 4, 1, 3], [2, 1, 4, 3]]
    """
    return torch.rot90(x.flip(-1) if number >= 4 else x, number % 4, (-2, -1))


def receptive_radius(network: torch.nn.Module, channels: int, limit: int = 64) -> int | None:
    """Pixels to which an edge that lies on a multiple of `network.stride` is felt; None where that is beyond `limit`.

    None too where no term is a map of the input's size: a contour moves as a whole. Found by what it does: a NaN passes
    through every convolution, pooling and upsampling, so one side of a strip is set to NaN and its reach into the other
    side is measured, along both axes and in both directions.

    >>> receptive_radius(torch.nn.Sequential(torch.nn.Conv2d(1, 1, 5, padding=2)), 1)
    2
    """
    stride = getattr(network, "stride", 1)
    half = (limit // stride + 1) * stride
    was_training = network.training
    network.eval()
    reach = max(_reach(network, channels, stride, half, axis, side) for axis in (2, 3) for side in (0, 1))
    network.train(was_training)
    return reach if reach <= limit else None


@torch.inference_mode()
def _reach(network: torch.nn.Module, channels: int, stride: int, half: int, axis: int, side: int) -> int:
    """Lines of the seen half of a strip that turn NaN when the other half, along `axis`, is NaN."""
    shape = [1, channels, 2 * stride, 2 * stride]
    shape[axis] = 2 * half
    device = next((tensor.device for tensor in network.parameters()), None)
    strip = torch.full(shape, torch.nan, device=device)
    strip.narrow(axis, side * half, half).fill_(0.5)
    terms = network(strip)
    terms = terms.values() if isinstance(terms, dict) else (terms,)
    maps = [term for term in terms if isinstance(term, torch.Tensor) and term.shape[2:] == strip.shape[2:]]
    reach = 0 if maps else half
    for scores in maps:
        nan = scores.narrow(axis, side * half, half).isnan()
        reach = max(reach, int(nan.any(dim=tuple(dim for dim in range(nan.ndim) if dim != axis)).sum()))
    return reach
