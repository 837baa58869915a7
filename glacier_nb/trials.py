"""A system tried out on this machine: time and memory of its network, and whether it can learn eight drawn patches."""

import dataclasses
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import scipy.ndimage
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from tqdm import tqdm

from glacier_nb import clean, losses, networks, systems
from glacier_nb.systems import System

GOOD_IOU, GOOD_FRONT = 0.9, 2.0
"""What a network that has learnt its patches by heart gives: mean IoU of its zones, mean distance of fronts, pixels."""

MINUTE = 60.0
"""Seconds that a system should learn its patches in."""


@dataclasses.dataclass(frozen=True)
class Learnt:
    """What `overfit` found: mean IoU over the zones (None: there are none), mean distance between drawn and found front
    in pixels (None: there is none, inf: none found), steps and seconds (see `measure`) taken by all starts, and how
    many there were.
    """

    iou: float | None
    front: float | None
    steps: int
    seconds: float
    starts: int = 1

    @property
    def passed(self) -> bool:
        """Whether the zones, or else the front, are as good as learnt by heart."""
        return self.iou > GOOD_IOU if self.iou is not None else self.front is not None and self.front < GOOD_FRONT


def smallest(system: System) -> int:
    """Side in pixels of the smallest patch whose deepest map is 2 x 2, 32 at least."""
    return max(32, 2 * getattr(systems.outline(system), "stride", 1))


def drawn(system: System, side: int, count: int = 8, seed: int = 0) -> dict[str, torch.Tensor]:
    """A batch in which every zone has its own level in every input, under noise: x, truth, front, seen as in `losses`.

    Where a system tells ice from water (or traces fronts alone) ice is left and water right of a wavy front; its other
    zones are discs. x: (count, input, side, side), about zero.
    """
    rng = np.random.default_rng(seed)
    zones = system.zones or ("glacier", "ocean")
    ice = next((k for k, zone in enumerate(zones) if zone in clean.ICE), None)
    water = next((k for k, zone in enumerate(zones) if zone in systems.WATER), None)
    fjord = ice is not None and water is not None
    others = [k for k in range(len(zones)) if k not in ((ice, water) if fjord else (0,))]
    y, x = np.mgrid[:side, :side]
    truth = np.zeros((count, side, side), int)
    for patch in truth:
        if fjord:
            line = side * (rng.uniform(0.4, 0.6) + 0.08 * np.sin(6 * y / side + rng.uniform(0, 6)))
            patch[:] = np.where(x < line, ice, water)
        for zone in others:
            radius = side * rng.uniform(0.28, 0.34) / len(others) ** 0.5
            at = rng.uniform(0.15 * side, 0.85 * side, 2)
            patch[np.hypot(y - at[0], x - at[1]) < radius] = zone
    levels = rng.permuted(np.tile(np.linspace(-1.5, 1.5, len(zones)), (len(system.inputs), 1)), axis=1)
    values = levels[:, truth].swapaxes(0, 1) + 0.2 * rng.standard_normal((count, len(system.inputs), side, side))
    truth = torch.from_numpy(truth)
    front = torch.zeros(truth.shape, dtype=torch.bool)
    if fjord:
        near = torch.nn.functional.max_pool2d((truth == water).float()[:, None], 3, 1, 1)[:, 0] > 0
        front = (truth == ice) & near
    return {
        "x": torch.from_numpy(values.astype("float32")),
        "truth": truth,
        "front": front,
        "seen": torch.ones(truth.shape, dtype=torch.bool),
    }


def overfit(
    system: str | System,
    steps: int = 300,
    side: int | None = None,
    rate: float = 1e-3,
    batch: int = 4,
    seed: int = 0,
    starts: int = 4,
) -> Learnt:
    """Train a row's network by its own loss on eight drawn patches until it has them by heart, `steps` steps at most.

    side: of a patch in pixels (None: `smallest`). rate: of Adam, as the recipe's own would take hours. batch: patches a
    step. starts: how often a network that learns nothing begins again from other numbers: one whose neck has three
    channels may die within a few steps, and is left at the first that reaches no weight (`networks.reached`). One seed
    gives one result on one machine and thread count.
    """
    system = systems.find(system)
    patches, clock, taken = drawn(system, side or smallest(system), seed=seed), _clock(), 0
    for start in range(starts):
        iou, front, some = _overfit(system, patches, steps, rate, batch, seed + start)
        taken += some
        found = Learnt(iou, front, taken, clock(), start + 1)
        if found.passed:
            break
    return found


def _overfit(
    system: System, patches: dict, steps: int, rate: float, batch: int, seed: int
) -> tuple[float | None, float | None, int]:
    """IoU and front as in `Learnt`, and steps taken, from one start."""
    torch.manual_seed(seed)
    network = system.network(len(system.inputs))
    optimiser = torch.optim.Adam(network.parameters(), rate, fused=True)
    order = np.random.default_rng(seed)
    for step in range(1, steps + 1):
        some = torch.from_numpy(order.permutation(8)[:batch])
        terms = {name: part[some] for name, part in patches.items()}
        network.train()
        loss = losses.total(system.loss, {**network(terms.pop("x")), **terms})
        optimiser.zero_grad()
        loss.backward()
        dead = not networks.reached(network)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        if step % 5 == 0 or step == steps or dead:
            iou, front = _score(system, network.eval(), patches)
            if dead or Learnt(iou, front, step, 0.0).passed:
                break
    return iou, front, step


@torch.inference_mode()
def _score(system: System, network: torch.nn.Module, patches: dict) -> tuple[float | None, float | None]:
    """Mean IoU of the zones and mean distance of the fronts."""
    found = systems.finish(system, network(patches["x"]))
    iou = front = None
    if system.zones:
        guess, truth = found["zones"].argmax(dim=1), patches["truth"]
        shares = [
            ((guess == k) & (truth == k)).sum() / ((guess == k) | (truth == k)).sum() for k in truth.unique().tolist()
        ]
        iou = float(torch.stack(shares).mean())
    if "front" in found and patches["front"].any():
        pairs = zip(found["front"][:, 0].numpy() >= 0.5, patches["front"].numpy(), strict=True)
        front = float(np.mean([_apart(one, other) for one, other in pairs]))
    return iou, front


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """Mean distance in pixels from each to the nearest of the other, both ways; inf where one is empty."""
    if not one.any() or not other.any():
        return float("inf")
    far = [scipy.ndimage.distance_transform_edt(~there)[here] for here, there in ((one, other), (other, one))]
    return float(np.concatenate(far).mean())


def measure(system: str | System, side: int | None = None, batch: int = 1, learn: bool = True) -> dict:
    """Seconds and memory of a row's network: one forward pass, and one step of learning if asked.

    side: pixels (None: the recipe's patch, 256 without). forward_s, forward_mb: of a prediction; step_s, step_mb: of a
    step with its backward pass, at two patches or more. mb: most bytes of tensors at a time, without weights, / 1e6. s:
    on the clock, or of the processor where that is less: what others do on the machine meanwhile does not count.
    """
    system = systems.find(system)
    side = side or system.window or (system.recipe.patch if system.recipe else 256)
    torch.manual_seed(0)
    network = system.network(len(system.inputs))
    side = -(-side // network.stride) * network.stride
    facts = {"side": side, "weights_mb": round(4e-6 * networks.parameters(network), 1)}
    patches = drawn(system, side, max(batch, 2 if learn else 1))

    def forward():
        with torch.inference_mode():
            systems.finish(system, network.eval()(patches["x"][:batch]))

    def step():
        terms = {name: part for name, part in patches.items() if name != "x"}
        losses.total(system.loss, {**network.train()(patches["x"]), **terms}).backward()

    for name, call in (("forward", forward), ("step", step)) if learn and system.loss else (("forward", forward),):
        facts[f"{name}_mb"] = round(_most(call) / 1e6, 2)
        clock = _clock()
        call()
        facts[f"{name}_s"] = round(clock(), 3)
    return facts


def _clock() -> Callable[[], float]:
    """Tells the seconds since now, as `measure` counts them."""
    clocks = time.perf_counter, time.process_time
    start = [clock() for clock in clocks]
    return lambda: min(clock() - then for clock, then in zip(clocks, start, strict=True))


class _Most(TorchDispatchMode):
    """Counts the bytes of all tensors made under it; `most` is the most that lived at a time."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0
        self.known = weakref.WeakSet()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in tree_flatten(out)[0]:
            if isinstance(tensor, torch.Tensor) and (storage := tensor.untyped_storage()) not in self.known:
                self.known.add(storage)
                self.now += storage.nbytes()
                self.most = max(self.most, self.now)
                weakref.finalize(storage, self._gone, storage.nbytes())
        return out

    def _gone(self, size: int) -> None:
        self.now -= size


def _most(call: Callable[[], None]) -> int:
    """Most bytes of tensors made in a call that live at a time."""
    with _Most() as count:
        call()
    return count.most


def table(
    rows: Iterable[System] = systems.SYSTEMS,
    side: int = 128,
    learn: bool = True,
    road: Callable[[System], Mapping[str, str]] | None = None,
) -> Iterator[dict]:
    """One dict for each system: counts, time and memory for two patches of `side` pixels, how it learnt eight patches.

    Those of `System`, `measure` and `Learnt`, and `result`: "pass", or why not, and whether learning took "over a
    minute". road: tells how the whole road went, as `walks.opened` gives it: demo, drawn and real are added.
    """
    for system in tqdm(rows, desc="systems", unit="system", delay=2):
        card = systems.card(system)
        facts = {key: card[key] for key in ("name", "task", "parameters", "reference_parameters")}
        facts |= measure(system, side, batch=2)
        why = []
        if card["reference_parameters"] not in (None, card["parameters"]):
            why.append("another number of parameters than the reference")
        if learn and system.recipe:
            found = overfit(system)
            facts |= dataclasses.asdict(found)
            why += [] if found.passed else [f"not learnt in {found.steps} steps"]
        if road is not None:
            facts |= road(system)
            why += [] if facts["demo"] == "ok" else ["does not run on the demo region"]
        why = why or ["pass"]
        yield facts | {"result": "; ".join([*why, "over a minute"] if facts.get("seconds", 0) > MINUTE else why)}


def lines(facts: Iterable[dict]) -> Iterator[str]:
    """Rows of `table` as text under a head, one line at a time; at the end what learning took of all of them."""
    columns = (
        ("system", "name", 38), ("parameters", "parameters", 12), ("reference", "reference_parameters", 12),
        ("forward s", "forward_s", 9), ("step s", "step_s", 8), ("step MB", "step_mb", 9), ("IoU", "iou", 6),
        ("front px", "front", 8), ("start", "starts", 5), ("steps", "steps", 5), ("learnt s", "seconds", 8),
        ("result", "result", 8), ("demo", "demo", 4), ("drawn there", "drawn", 47), ("real", "real", 0),
    )  # fmt: skip
    head, keys, widths = zip(*columns, strict=True)
    yield " ".join(f"{name:<{width}}" for name, width in zip(head, widths, strict=True))
    learnt = []
    for row in facts:
        cells = [row.get(key) for key in keys]
        texts = [
            "-" if c is None else f"{c:,}" if isinstance(c, int) else f"{c:.2f}" if isinstance(c, float) else c
            for c in cells
        ]
        learnt += [row["seconds"]] if "seconds" in row else []
        yield " ".join(f"{text:<{width}}" for text, width in zip(texts, widths, strict=True))
    if learnt:
        yield f"learning took {sum(learnt) / MINUTE:.1f} minutes for {len(learnt)} systems, {max(learnt):.0f} s at most"
