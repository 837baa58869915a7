"""Golden vectors: published networks' outputs for parameters that anybody can generate from a tensor's name.

The files lie beside the real data in `golden/`; their README defines the generator and the tolerance.
"""

import json
import math
import pathlib
import zlib
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn

from glacier_nb.networks import names as naming

RTOL, ATOL = 1e-3, 1e-4


def tensor(name: str, shape: Iterable[int], kind: str, scale: float = 1.0, layout: str = "torch") -> np.ndarray:
    """The reference tensor called `name`, float32, in the reference's shape.

    >>> print(tensor("conv.weight", (4, 3, 3, 3), "weight").ravel()[:4])
    [ 0.38110086  0.19846116 -0.07466349 -0.22809568]
    >>> print(tensor("bn.running_var", (5,), "var")[:4])
    [1.625635  1.8074325 1.0540437 1.5336609]
    """
    shape = tuple(shape)
    z = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if kind in ("weight", "weight_depthwise"):
        if kind == "weight_depthwise":
            fan_in = math.prod(shape[:2])
        else:
            fan_in = math.prod(shape[1:] if layout == "torch" else shape[:-1])
        z *= math.sqrt(2 / fan_in) * scale
    elif kind in ("vector", "mean", "special"):
        z *= 0.1
    elif kind == "norm_scale":
        z = 1 + 0.1 * z
    elif kind == "var":
        z = 1 + 0.5 * np.abs(z)
    else:
        raise ValueError(f"kind {kind!r} has no rule")
    return np.asarray(z, dtype="float32")


def tensors(record: dict, layout: str) -> dict[str, np.ndarray]:
    """Every tensor of a golden record that carries a value."""
    scale = record["scale_factor"]
    return {n: tensor(n, s, k, scale, layout) for n, s, k in record["parameters"] if k != "untouched"}


def inputs(record: dict) -> list[torch.Tensor]:
    """The inputs of a golden record, NCHW."""
    gain = np.float32(record.get("input_gain", 1))
    return [
        torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype("float32") * gain)
        for shape, seed in record["inputs"]
    ]


def trainable(network: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def check(
    file: pathlib.Path,
    network: nn.Module,
    names: Iterable[tuple[str, str | None]] = (),
    layout: str = "torch",
    terms: Callable[[dict], dict[str, torch.Tensor]] = dict,
) -> None:
    """Assert that `network`, filled from `file` through `names` and `layout`, gives the reference's outputs.

    `terms` takes what the network returns and gives it back under the file's term names; without it they are the same.
    Tensors that `names` drops must be listed by the file as playing no part in the outputs.
    """
    record = json.loads(file.read_text())
    rules = tuple(names)
    given = tensors(record, layout)
    running = {n for n, _, kind in record["parameters"] if kind in ("mean", "var")}  # statistics are no parameters
    dropped = {n: v for n, v in given.items() if n not in running and naming.translate(n, rules, layout) is None}
    assert dropped.keys() <= set(record["parameters_without_gradient"]), sorted(dropped)[:8]
    count = trainable(network) + sum(v.size for v in dropped.values())
    assert count == record["trainable_parameters"], f"{count} parameters, reference {record['trainable_parameters']}"
    naming.fill(network, given, rules, layout)
    with torch.inference_mode():
        found = terms(network.eval()(*inputs(record)))
    assert record["outputs"]
    for wanted in record["outputs"]:
        compare(found[wanted["term"]].numpy(), wanted)


def compare(found: np.ndarray, wanted: dict) -> None:
    """Assert that an output has a record's shape, sampled values, mean, standard deviation, minimum and maximum."""
    term = wanted["term"]
    assert list(found.shape) == wanted["shape"], f"{term}: shape {found.shape}, reference {wanted['shape']}"
    flat = found.ravel()
    at = np.linspace(0, flat.size - 1, 64).astype(int)
    close = {"rtol": RTOL, "atol": ATOL}
    np.testing.assert_allclose(flat[at], wanted["values"], err_msg=term, **close)
    exact = flat.astype("float64")
    for statistic in ("mean", "std", "min", "max"):
        np.testing.assert_allclose(
            getattr(exact, statistic)(), wanted[statistic], err_msg=f"{term} {statistic}", **close
        )
