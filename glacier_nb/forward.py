"""One block of windows through a network: what a worker does, and all it has to know for it."""

import collections
import contextlib
import dataclasses
import functools
import itertools
import threading
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from glacier_nb import ensembles, inference, networks, systems
from glacier_nb import weights as trained
from glacier_nb.jobs import PRECISIONS, Job
from glacier_nb.windows import Block

_models: collections.OrderedDict[str, list[nn.Module]] = collections.OrderedDict()
_batches: dict[str, int] = {}
_lock = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Done:
    """A block's work: weighted sums (score, y, x) over its support, NaN where unseen; with several members the means
    are followed by the variances. sums: see `guards.Domain.add`. seam: sum and count of the differences between
    neighbouring windows. windows: how many went through the network."""

    number: int
    values: np.ndarray
    sums: np.ndarray
    seam: tuple[float, int]
    windows: int


def device() -> torch.device:
    """The device of this process: its GPU, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def cast(job: Job) -> torch.autocast:
    """The precision in which the job's networks compute on this process's device."""
    half = PRECISIONS[job.precision]
    return torch.autocast(device().type, half, enabled=half is not None)


def models(job: Job) -> list[nn.Module]:
    """The job's networks with their weights on this process's device, ready to predict: loaded once, kept until
    `forget`."""
    with _lock:
        if job.key not in _models:
            _models[job.key] = [_built(job, number) for number in range(max(1, len(job.weights)))]
        return _models[job.key]


def _built(job: Job, number: int) -> nn.Module:
    row = job.weights[number] if job.weights else None
    build = row.network if row is not None and row.network is not None else job.system.network
    drawn = networks.Undrawn() if row is not None else contextlib.nullcontext()  # replaced by what is loaded
    with torch.random.fork_rng([]), drawn:
        network = build(len(job.system.inputs))
    network = trained.load(network, row) if row is not None else network
    network = network.eval().to(device(), memory_format=torch.channels_last)
    if row is not None and not job.members.passes:
        side = job.system.window or 2 * max(32, getattr(network, "stride", 1))
        with torch.random.fork_rng([]):
            x = torch.randn(1, len(job.system.inputs), side, side, device=device())
            network = inference.folded(network, x)
            network = network if job.compile else inference.packed(network, x, PRECISIONS[job.precision])
    ensembles.allow_dropout(network, job.members.passes > 0)
    if job.compile:
        network = torch.compile(network)
    return network if job.alike else _Renormalised(network, job, number)


class _Renormalised(nn.Module):
    """A network of an ensemble whose members were trained with their own statistics: what is missing is its mean."""

    def __init__(self, network: nn.Module, job: Job, number: int):
        super().__init__()
        mean, std = (torch.tensor(numbers, device=device())[:, :, None, None] for numbers in (job.mean, job.std))
        self.network = network
        scale, shift = std[0] / std[number], (mean[0] - mean[number]) / std[number]
        self.scale, self.shift = (each.repeat(job.dates, 1, 1) for each in (scale, shift))

    def forward(self, x: Tensor, *days: Tensor) -> Mapping[str, Tensor]:
        """Terms of an input normalised for the first network."""
        return self.network((x * self.scale + self.shift).nan_to_num_(0.0, 0.0, 0.0), *days)


def plain(model: nn.Module) -> nn.Module:
    """The network itself of one of `models`."""
    model = model.network if isinstance(model, _Renormalised) else model
    return getattr(model, "_orig_mod", model)  # what torch compiled


def ready(job: Job) -> tuple[nn.Module, int]:
    """The job's first network, and the step in which its windows grow.

    LookupError: it has something to learn and no weights. ValueError: its inputs cannot be normalised.
    """
    network = plain(models(job)[0])
    if not job.weights and (count := networks.parameters(network)):
        raise LookupError(
            f"{job.system.name} has {count:,} parameters and no weights here:"
            " give weights= a path, or train it (python -m glacier_nb train --help)"
        )
    if any(len(mean) != len(job.system.inputs) for mean in job.mean):
        raise ValueError(
            f"no mean and std for the inputs of {job.system.name}: keep the card (.json) beside its weights"
        )
    return network, getattr(network, "stride", 1)


def reach(network: nn.Module, job: Job, most: int) -> int | None:
    """How far the network feels, in pixels; None where that is further than `most`, or a window counts as a whole."""
    if job.system.window is not None or getattr(network, "context", False):
        return None
    with cast(job):
        found = networks.receptive_radius(network, len(job.system.inputs), limit=max(most, 1))
    ensembles.allow_dropout(network, job.members.passes > 0)  # measuring turned it off
    return None if found is None else found + (job.term == "front")  # a derived front looks at its neighbours


def forget(key: str | None = None) -> None:
    """Free the networks of a job (None: of all), and the device's memory that they took."""
    with _lock:
        for one in [key] if key is not None else list(_models):
            _models.pop(one, None)
            _batches.pop(one, None)
    _give_back()


@torch.inference_mode()
def block(slab: np.ndarray, piece: Block, job: Job, threads: int) -> Done:
    """Predict the wanted windows of a block that see any ground.

    slab: the inputs (channel, y, x) of the block's extent, less what lies beyond the scene. threads: torch's.
    MemoryError: not even one window fits the device.
    """
    torch.set_num_threads(threads)
    if job.deterministic != torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(job.deterministic)
    x, seen, sums = _prepared(slab, piece, job)
    several = job.members.several
    out = torch.zeros((job.scores * (1 + several), *seen.shape))
    spots = []
    for i, j in itertools.product(range(len(piece.y)), range(len(piece.x))):
        down, across = piece.y_weights[i], piece.x_weights[j]
        y, x0 = piece.y[i] - piece.y[0], piece.x[j] - piece.x[0]
        cut = (slice(y, y + len(down)), slice(x0, x0 + len(across)))
        if piece.wanted[i, j] and seen[cut].any():
            spots.append((i, j, cut, torch.from_numpy(np.outer(down, across).astype("float32"))))
    kept: dict[tuple[int, int], Tensor] = {}
    first = 0
    while first < len(spots):
        most = min(job.batch, _batches.get(job.key, job.batch))
        left = len(spots) - first
        some = spots[first : first + -(-left // -(-left // most))]  # even batches
        try:
            found = _batch(x, [cut for _, _, cut, _ in some], job, seed=(piece.number << 16) + first)
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            if len(some) == 1:
                raise MemoryError(
                    f"one window of {some[0][2][0].stop - some[0][2][0].start} pixels does not fit the memory of"
                    f" {device()} with {job.system.name}: take a smaller window"
                ) from None
            found = None
        if found is None:  # outside of the handler, which holds on to the tensors
            _batches[job.key] = len(some) // 2
            _give_back()
            continue
        for (i, j, cut, weight), values in zip(some, found, strict=True):
            out[:, *cut] += values * weight
            if job.seam:
                kept[i, j] = values[: job.scores]
        first += len(some)
    out[:, ~seen] = torch.nan
    inside = [
        slice(side.start - start, side.stop - start)
        for side, start in zip(piece.support, (piece.y[0], piece.x[0]), strict=True)
    ]
    return Done(piece.number, out[:, *inside].numpy(), sums, _seams(piece, kept), len(spots))


def _give_back() -> None:
    """Give the device's unused memory back."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _prepared(slab: np.ndarray, piece: Block, job: Job) -> tuple[Tensor, Tensor, np.ndarray]:
    """The padded, normalised inputs (1, channel, y, x), where ground was seen (y, x), and sums for the domain."""
    shape = [side.stop - side.start for side in piece.extent]
    x = torch.full((1, len(slab), *shape), torch.nan).contiguous(memory_format=torch.channels_last)
    given = np.asarray(slab, dtype="float32")
    x[0, :, : slab.shape[1], : slab.shape[2]] = torch.from_numpy(given if given.flags.writeable else given.copy())
    seen = ~x[0, systems.shows_ground(job.system) * job.dates].isnan().all(dim=0)
    mean, std = (torch.tensor(numbers[0] * job.dates)[:, None, None] for numbers in (job.mean, job.std))
    x.sub_(mean).div_(std)
    own = [
        slice(max(0, side.start - start), side.stop - start, 4)  # one pixel in 16 tells enough
        for side, start in zip(piece.owned, (piece.y[0], piece.x[0]), strict=True)
    ]
    some = x[0, :, *own].masked_fill(~seen[*own], torch.nan).double().flatten(1).numpy()
    there = np.isfinite(some)
    some = np.where(there, some, 0)
    if job.alike:
        x.nan_to_num_(0.0, 0.0, 0.0)
    sums = np.array([there.sum(1), some.sum(1), (some**2).sum(1)])
    return x, seen, sums.reshape(3, job.dates, -1).sum(axis=1)


def _batch(x: Tensor, cuts: list[tuple[slice, slice]], job: Job, seed: int) -> Tensor:
    """Probabilities (window, score, y, x) of windows, float32 on the CPU; with several members their variance too."""
    where = device()
    size = (len(cuts), x.shape[1], *(side.stop - side.start for side in cuts[0]))
    batch = torch.empty(size, memory_format=torch.channels_last, pin_memory=where.type == "cuda")
    for number, cut in enumerate(cuts):
        batch[number] = x[0, :, *cut]
    batch = batch.to(where, non_blocking=True)
    days = [torch.tensor([job.days], device=where).expand(len(cuts), -1)] if job.days else []

    def probabilities(model: nn.Module, temperature: float, inputs: Tensor) -> Tensor:
        with cast(job):
            terms = model(inputs, *days)
        terms = {name: scores.float() for name, scores in terms.items() if isinstance(scores, Tensor)}
        found = systems.finish(job.system, terms, job.term)
        if job.term not in found:
            raise LookupError(f"{job.system.name} gives {', '.join(found)}, not {job.term}")
        scores = ensembles.temper(found[job.term], systems.mapped(job.system), temperature)
        if job.opinions:
            scores = torch.cat([scores, *(found[name] for name in job.opinions)], dim=1)
        return scores.unflatten(0, (len(cuts), -1)).flatten(1, 2)  # the scores of a series date by date

    each = [functools.partial(probabilities, *one) for one in zip(models(job), job.temperatures, strict=True)]
    if not job.members.several:
        return each[0](batch).cpu()
    return torch.cat(ensembles.mean_and_variance(each, batch, job.members, seed), dim=1).cpu()


def _out_of_memory(error: RuntimeError) -> bool:
    """Whether torch says that the GPU's or the machine's memory is used up."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator: can't allocate" in str(error)


def _seams(piece: Block, kept: Mapping[tuple[int, int], Tensor]) -> tuple[float, int]:
    """Sum and count of the absolute differences between neighbouring windows where both weigh something."""
    total, count = 0.0, 0
    for (i, j), values in kept.items():
        for side, starts, lines, other in (
            (1, piece.y, piece.y_weights, (i + 1, j)),
            (2, piece.x, piece.x_weights, (i, j + 1)),
        ):
            if other not in kept:
                continue
            here = other[side - 1] - 1
            off = starts[here + 1] - starts[here]
            both = np.flatnonzero((lines[here, off:] > 0) & (lines[here + 1, : lines.shape[1] - off] > 0))
            if len(both):
                a = values.narrow(side, off + int(both[0]), len(both))
                b = kept[other].narrow(side, int(both[0]), len(both))
                total, count = total + float((a - b).abs().sum()), count + a.numel()
    return total, count
