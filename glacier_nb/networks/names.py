"""A published checkpoint's tensors under our own names, in PyTorch's memory order, each used exactly once.

A network file that has a published counterpart carries `NAMES` (its rules, `()` where our names are the reference's)
and `LAYOUT` (the framework of the reference).
"""

import re
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import nn

# What every checkpoint of a framework has in common, applied before a network's own rules; None drops what PyTorch
# counts by itself (steps seen) or does not need (the sums behind a debiased running average).
_COMMON = {
    "torch": ((r"num_batches_tracked$", None),),
    "keras": (
        (r":0$", ""),
        (r"/(depthwise_)?kernel$", ".weight"),
        (r"/gamma$", ".weight"),
        (r"/beta$", ".bias"),
        (r"/moving_mean$", ".running_mean"),
        (r"/moving_variance$", ".running_var"),
        (r"/", "."),
    ),
    "haiku": (
        (r"_ema/(counter|hidden)$", None),
        (r"~/", ""),
        (r"/w$", ".weight"),
        (r"/b$", ".bias"),
        (r"/scale$", ".weight"),
        (r"/offset$", ".bias"),
        (r"/mean_ema/average$", ".running_mean"),
        (r"/var_ema/average$", ".running_var"),
        (r"/", "."),
    ),
}
LAYOUTS = tuple(_COMMON)


def translate(reference: str, names: Iterable[tuple[str, str | None]] = (), layout: str = "torch") -> str | None:
    r"""Our name of one tensor, or None where the rules drop it.

    First the habits of `layout` (Keras `a/b/kernel`, `a/b/gamma` and Haiku `a/~/b/w`, `a/b/scale` become `a.b.weight`),
    then each rule of `names` in order: a regular expression and its replacement as in `re.sub`; a rule with None drops
    every tensor that it finds. ValueError: an unknown layout.

    >>> translate("block/conv2d_7/kernel:0", [(r"conv2d_(\d+)", r"convs.\1")], "keras")
    'block.convs.7.weight'
    >>> translate("net/~/batch_norm/~/mean_ema/average", layout="haiku")
    'net.batch_norm.running_mean'
    >>> translate("attn.relative_position_index", [("relative_position_index$", None)]) is None
    True
    """
    if layout not in _COMMON:
        raise ValueError(f"layout {layout!r} is not known: use one of {', '.join(LAYOUTS)}")
    name = reference
    for pattern, replacement in (*_COMMON[layout], *names):
        if replacement is None:
            if re.search(pattern, name):
                return None
        else:
            name = re.sub(pattern, replacement, name)
    return name


def arrange(reference: str, value: np.ndarray, layout: str = "torch") -> np.ndarray:
    """One tensor in PyTorch's memory order; `reference` is its name in the checkpoint.

    Keras and Haiku kernels: (kh, kw, in, out) to (out, in, kh, kw), the same for transposed (kh, kw, out, in) and Haiku
    depthwise (kh, kw, 1, C); Keras depthwise (kh, kw, C, 1) to (C, 1, kh, kw); (k, in, out) to (out, in, k); dense
    (in, out) to (out, in); Keras attention query, key, value (in, heads, size) to (heads * size, in), their biases to
    (heads * size), output (heads, size, out) to (out, heads * size); Haiku scale, offset and averages to (C).
    Anything else stays.

    >>> arrange("conv/depthwise_kernel", np.zeros((3, 5, 16, 1)), "keras").shape
    (16, 1, 3, 5)
    """
    name = reference.removesuffix(":0")
    if layout == "keras":
        if name.endswith("depthwise_kernel"):
            return value.transpose(2, 3, 0, 1).reshape(-1, 1, *value.shape[:2])
        if re.search(r"/(query|key|value)/", name):
            return value.reshape(len(value), -1).T if name.endswith("/kernel") else value.reshape(-1)
        if name.endswith("attention_output/kernel"):
            return value.reshape(-1, value.shape[-1]).T
        kernel = name.endswith("/kernel")
    elif layout == "haiku":
        if name.endswith(("/scale", "/offset", "/average")):
            return value.reshape(-1)
        kernel = name.endswith("/w")
    else:
        kernel = False
    if not kernel:
        return value
    # The two last axes come first, swapped: (..., in, out) to (out, in, ...).
    return value.transpose(value.ndim - 1, value.ndim - 2, *range(value.ndim - 2))


def convert(
    tensors: Mapping[str, np.ndarray], names: Iterable[tuple[str, str | None]] = (), layout: str = "torch"
) -> dict[str, torch.Tensor]:
    """State dict under our names from a checkpoint's `{reference name: array}`.

    Rules as in `translate`, memory order as in `arrange`, dtype kept. Raises ValueError where two tensors get one name.

    >>> sorted(convert({"d/kernel": np.zeros((2, 3)), "d/bias": np.zeros(3)}, [("^d", "head")], "keras"))
    ['head.bias', 'head.weight']
    """
    rules = tuple(names)
    state, origin = {}, {}
    for reference, value in tensors.items():
        name = translate(reference, rules, layout)
        if name is None:
            continue
        if name in state:
            raise ValueError(f"{origin[name]} and {reference} both become {name}: make the rules tell them apart")
        state[name] = torch.from_numpy(np.array(arrange(reference, np.asarray(value), layout), order="C"))
        origin[name] = reference
    return state


def fill(
    network: nn.Module,
    tensors: Mapping[str, np.ndarray],
    names: Iterable[tuple[str, str | None]] = (),
    layout: str = "torch",
) -> nn.Module:
    """`network` with a checkpoint's weights in it, in place; every tensor of both sides is used exactly once.

    Only BatchNorm step counters may be missing from the checkpoint. Raises ValueError naming the tensors left over on
    either side, or those whose shapes differ; the network is then unchanged.
    """
    given = convert(tensors, names, layout)
    wanted = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    faults = []
    for label, left in (("checkpoint", given.keys() - wanted.keys()), ("network", wanted.keys() - given.keys())):
        if left:
            shown = ", ".join(sorted(left)[:8]) + (", ..." if len(left) > 8 else "")
            faults.append(f"{len(left)} of the {label} without a partner ({shown})")
    for name in sorted(given.keys() & wanted.keys()):
        if given[name].shape != wanted[name].shape:
            faults.append(f"{name} is {tuple(given[name].shape)}, the network has {tuple(wanted[name].shape)}")
    if faults:
        raise ValueError(
            f"the checkpoint does not fit {type(network).__name__}: {'; '.join(faults)}: "
            "check the rules, the layout and the network's channels"
        )
    network.load_state_dict(given, strict=False)
    return network
