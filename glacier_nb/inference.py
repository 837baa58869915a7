"""A network made ready to predict, faster and saying the same: norms folded, weights in the processor's own layout.

Without a source, plain or ours: `packed`, `alike`.
"""

import collections
import contextlib

import torch
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils._pytree import tree_flatten

ROUNDING = {None: 1e-3, torch.bfloat16: 0.1}
"""Most that scores may change by, as a share of the largest, at each precision; more is no rounding."""


@torch.no_grad()
def folded(network: torch.nn.Module, x: torch.Tensor) -> torch.nn.Module:
    """The same network, in place, with its batch norms folded into the convolutions before them: a twentieth faster.

    For prediction only. Which convolution stands before a norm is seen while `x` (batch, channel, y, x) goes through.
    Where the scores then differ by more than rounding, as where something else reads a convolution too, nothing is
    folded. Jacob et al. 2018, doi:10.1109/CVPR.2018.00286, section 3.2.

    >>> two = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    >>> [type(part).__name__ for part in folded(two.eval(), torch.ones(1, 1, 4, 4))]
    ['Conv2d', 'Identity']
    """
    kinds = (torch.nn.Conv2d, torch.nn.ConvTranspose2d)
    made, pairs, calls = {}, [], collections.Counter()

    def after(module: torch.nn.Module, given: tuple, out: torch.Tensor) -> None:
        calls[module] += 1
        if type(module) in kinds:
            made[id(out)] = module, out  # holding on to it, its id stays its own
        elif id(given[0]) in made and module.track_running_stats:
            pairs.append((made[id(given[0])][0], module))

    asked = [module for module in network.modules() if type(module) in (*kinds, torch.nn.BatchNorm2d)]
    hooks = [module.register_forward_hook(after) for module in asked]
    before = network(x)
    for hook in hooks:
        hook.remove()
    names, undo = {module: name for name, module in network.named_modules()}, []
    for conv, norm in pairs:
        if calls[conv] == calls[norm] == 1 and not conv.training:
            undo.append((conv, conv.weight, conv.bias, norm))
            scale = norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
            turned = type(conv) is torch.nn.ConvTranspose2d
            conv.weight, conv.bias = fuse_conv_bn_weights(conv.weight, conv.bias, *scale, transpose=turned)
            network.set_submodule(names[norm], torch.nn.Identity())
    if not alike(before, network(x)):
        for conv, weight, bias, norm in undo:
            conv.weight, conv.bias = weight, bias
            network.set_submodule(names[norm], norm)
    return network


@torch.no_grad()
def packed(network: torch.nn.Module, x: torch.Tensor, half: torch.dtype | None = None) -> torch.nn.Module:
    """The same network, in place, with its convolutions' weights in the layout that the processor computes in.

    oneDNN otherwise rearranges them at every call: of a U-Net on windows of 256 pixels that is a sixth of the time in
    float32, a fifth in bfloat16 (benchmarks/README.md). For prediction on a CPU only; elsewhere nothing is done.
    x: (batch, channel, y, x) of about the size to come. half: what autocast will cast to, None for float32. Where
    scores then differ by more than rounding, or the processor or a module that reads the weights itself cannot do
    with them, all stays as it was.
    """
    if x.device.type != "cpu" or half not in ROUNDING or not torch.backends.mkldnn.is_available():
        return network
    sizes, undo = {}, {}

    def after(module: torch.nn.Module, given: tuple, out: torch.Tensor) -> None:
        sizes[module] = tuple(given[0].shape)

    asked = [module for module in network.modules() if type(module) is torch.nn.Conv2d and _gains(module)]
    hooks = [module.register_forward_hook(after) for module in asked]
    with torch.autocast("cpu", half, enabled=half is not None):
        before = network(x)
        for hook in hooks:
            hook.remove()
        same = False
        with contextlib.suppress(RuntimeError, AttributeError, TypeError):
            for name, module in list(network.named_modules()):
                if module in sizes:
                    network.set_submodule(name, Packed(module, sizes[module], half or torch.float32))
                    undo[name] = module
            same = alike(before, network(x), ROUNDING[half])
    for name, module in () if same else undo.items():
        network.set_submodule(name, module)
    return network


def _gains(conv: torch.nn.Conv2d) -> bool:
    """Whether a convolution is faster packed: of one pixel it is a matrix product, up to twenty times slower so."""
    return conv.padding_mode == "zeros" and not isinstance(conv.padding, str) and conv.kernel_size != (1, 1)


class Packed(torch.nn.Module):
    """A convolution whose weights were rearranged once, for inputs of about `size`; it computes in `dtype`."""

    def __init__(self, conv: torch.nn.Conv2d, size: tuple[int, ...], dtype: torch.dtype):
        super().__init__()
        self.dtype, self.how = dtype, (conv.padding, conv.stride, conv.dilation, conv.groups)
        dense = conv.weight.detach().to(dtype).to_mkldnn()
        self.weight = torch._C._nn.mkldnn_reorder_conv2d_weight(dense, *self.how, size)
        self.bias = None if conv.bias is None else conv.bias.detach().to(dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, inner, y, x) -> (batch, outer, y, x), as the convolution would have them."""
        x = x.to(self.dtype, memory_format=torch.channels_last)  # else oneDNN computes in the layout that it was given
        how = *self.how, "none", [], ""
        return torch.ops.mkldnn._convolution_pointwise(x, self.weight, self.bias, *how)  # as torch.compile does


def alike(one, other, most: float = ROUNDING[None]) -> bool:
    """Whether all scores of two passes agree to `most` times their largest.

    >>> alike({"zones": torch.ones(2)}, {"zones": torch.tensor([1.0, 1.002])})
    False
    """
    pairs = zip(tree_flatten(one)[0], tree_flatten(other)[0], strict=True)
    return all(float((a - b).abs().max()) <= most * float(a.abs().max()) for a, b in pairs if a.is_floating_point())
