"""One loop for every trainable system: on any device, in any precision, gone on with where it was killed."""

import contextlib
import dataclasses
import functools
import logging
import os
import pathlib
import warnings
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import safetensors.torch
import torch
from tqdm import tqdm

from glacier_nb import checkpoints, cluster, labels, losses, networks, patches, provenance, systems
from glacier_nb import weights as trained
from glacier_nb.labels import Sample
from glacier_nb.systems import System

PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}
"""How a network may compute while it learns, and lightning's word for it."""


@dataclasses.dataclass(frozen=True)
class Fit:
    """What `fit` found: the best state, normalisation, history (a dict per validation), and how it was made."""

    system: System
    state: dict[str, torch.Tensor]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    history: tuple[dict, ...]
    seed: int
    steps: int
    samples: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Options:
    """What `fit` takes besides.

    precision: "float32", or "bfloat16" or "float16" where the device has them. devices, strategy: how many of the
    machine's accelerators and by which of lightning's strategies ("ddp", in a notebook "ddp_notebook"); the recipe's
    batch is that of each. deterministic: the same bits on every run on one device, slower. patience: instead of the
    recipe's. checkpoint: a file (.safetensors), kept every `keep` steps, that the same call goes on from after a kill
    to the same weights. start: weights to begin from, with the normalisation in their card. rate: factor on the
    recipe's learning rate. absent: zones that no sample need have.
    """

    precision: str = "float32"
    devices: int = 1
    strategy: str = "auto"
    deterministic: bool = False
    patience: int | None = None
    checkpoint: str | os.PathLike | None = None
    keep: int = 50
    start: "str | os.PathLike | trained.Weights | Fit | None" = None
    rate: float = 1.0
    absent: Sequence[str] = ()


def fit(
    system: str | System,
    samples: Sequence[Sample],
    seed: int = 0,
    steps: int | None = None,
    validation: Sequence[Sample] | None = None,
    forget: float = 0.15,
    validations: int | None = None,
    threads: int | None = None,
    progress: bool = True,
    **options,
) -> Fit:
    """Train a system by its recipe; the state with the least validation loss is kept.

    Patches are cut on the fly, as `patches.batches` says: no patch is ever written. Each optional input is left out
    with probability `forget`, and all of them together as often, so that the network can do without. steps: batches,
    or as many as the recipe's epochs ask for. validation: other scenes, or None to watch the same ones, `validations`
    times (or as often as the recipe says). The same seed,
    samples and thread count give the same weights on one machine. options: see `Options`.

    ValueError: the system learns nothing, its patch is no multiple of the network's stride, a sample is not what it
    takes, a zone is in none of them (name it in `absent` where that is meant), no pixel can be learnt from, the loss is
    no number: the patch is named, or the network died: between two validations no step reached any of its weights.
    """
    system, asked = systems.find(system), Options(**options)
    recipe = system.recipe
    if recipe is None or not system.loss:
        raise ValueError(f"{system.name} has nothing to learn: it has no recipe")
    if asked.precision not in PRECISIONS:
        raise ValueError(f"precision {asked.precision!r}: one of {', '.join(PRECISIONS)}")
    if recipe.patch % (stride := getattr(systems.outline(system), "stride", 1)):
        whole = -(-recipe.patch // stride) * stride
        raise ValueError(f"{system.name}: a patch of {recipe.patch} pixels is no multiple of {stride}: take {whole}")
    for sample in (*samples, *(validation or ())):
        patches.check(system, sample)
    if missing := [zone for zone in patches.absent(system, samples) if zone not in asked.absent]:
        names = ", ".join(sample.name for sample in samples[:3])
        raise ValueError(
            f"no pixel of {', '.join(missing)} in {len(samples)} samples ({names} ...): {system.name} cannot learn it;"
            " add a scene that has it, or name it in absent="
        )
    mean, std = _normalisation(system, samples, asked.start)
    area = sum(int(np.prod(sample.truth.shape)) for sample in samples)
    steps = steps or max(1, round(recipe.epochs * area / recipe.patch**2 / recipe.batch / asked.devices))
    told = {"system": system.name, "inputs": system.inputs, "seed": seed, "steps": steps, "forget": forget}
    told |= {"validations": validations or recipe.validations, "mean": mean, "std": std}
    told |= {"samples": [sample.name for sample in samples], "validation": [s.name for s in validation or ()]}
    told |= {"rate": asked.rate, "precision": asked.precision}
    with _machine(threads, asked) as fabric:
        run = functools.partial(_run, system, samples, validation, told, asked, progress)
        best, history = fabric.launch(run)
    state = {name: torch.from_numpy(value) for name, value in best.items()}
    names = (tuple(told["samples"]), tuple(told["validation"]))
    return Fit(system, state, mean, std, tuple(history), seed, steps, *names)


def _normalisation(system: System, samples: Sequence[Sample], start) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The system's own, or that of the weights to begin from, or the samples'."""
    if system.mean:
        return system.mean, system.std
    if isinstance(start, Fit):
        return start.mean, start.std
    if start is not None and (row := trained.find(start)).mean:
        return row.mean, row.std
    return patches.statistics(samples)


@contextlib.contextmanager
def _machine(threads: int | None, asked: Options) -> Iterator:
    """Lightning's hold of the device; torch's settings as they were when it is over."""
    networks.torchvision()  # lightning imports it
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what CUDA wants for the same bits
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lightning_fabric import Fabric  # 74 MB, for those who train

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads or cluster.cores())
    torch.use_deterministic_algorithms(asked.deterministic)
    try:
        yield Fabric(devices=asked.devices, strategy=asked.strategy, precision=PRECISIONS[asked.precision])
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(strict)


def _run(
    system: System,
    samples: Sequence[Sample],
    validation: Sequence[Sample] | None,
    told: dict,
    asked: Options,
    progress: bool,
    fabric,
) -> tuple[dict[str, np.ndarray], list[dict]]:
    """Best state and history of a training, on this process's device."""
    recipe, steps, seeds = system.recipe, told["steps"], (told["seed"], fabric.global_rank)
    patience = recipe.patience if asked.patience is None else asked.patience
    torch.manual_seed(told["seed"])
    network = _started(system, asked.start).to(memory_format=torch.channels_last)
    optimiser = recipe.optimiser(network.parameters())
    rates = [group["lr"] * asked.rate for group in optimiser.param_groups]
    network, optimiser = fabric.setup(network, optimiser)
    cuts = functools.partial(patches.batches, system, mean=told["mean"], std=told["std"])
    watch = cuts(validation or samples, rng=np.random.default_rng(told["seed"] + 1), forget=0.0, augmented=False)
    watched = [fabric.to_device(next(watch)) for _ in range(max(1, 64 // recipe.batch))]
    every = max(1, steps // told["validations"])
    memory = checkpoints.read(asked.checkpoint, told, network, optimiser, fabric)
    draw = cuts(samples, rng=seeds, forget=told["forget"], start=memory.step)
    alive, quiet = False, not progress or fabric.global_rank > 0
    how = {"desc": f"train {system.name}", "unit": "step", "disable": quiet, "delay": 2}
    with tqdm(total=steps, initial=memory.step, **how) as bar:
        for step in range(memory.step, steps):
            if recipe.schedule is not None or asked.rate != 1:
                past = [row["validation"] for row in memory.history]
                factor = 1 if recipe.schedule is None else recipe.schedule(step / steps, past)
                for group, rate in zip(optimiser.param_groups, rates, strict=True):
                    group["lr"] = rate * factor
            torch.manual_seed(int(np.random.SeedSequence((*seeds, step)).generate_state(1)[0]))  # for dropout
            network.train()
            batch = fabric.to_device(next(draw))
            whole = (step + 1) % recipe.accumulate == 0 or step + 1 == steps
            with fabric.no_backward_sync(network) if not whole and fabric.world_size > 1 else contextlib.nullcontext():
                loss = _loss(system, _terms(network, batch), batch)
                _number(loss, step, system, network, batch, samples)
                fabric.backward(loss / recipe.accumulate)
            alive = alive or networks.reached(network)
            if whole:
                if recipe.clip is not None:
                    fabric.clip_gradients(network, optimiser, max_norm=recipe.clip, error_if_nonfinite=False)
                optimiser.step()
                optimiser.zero_grad()
            memory.running.append(loss.item())
            bar.update()
            if (step + 1) % every == 0 or step + 1 == steps:
                if not alive:
                    dead = f"{system.name} gives a constant: no step since the last validation reached a weight"
                    raise ValueError(f"{dead}; seed {told['seed']} is dead at step {step + 1}: take another seed=")
                alive = False
                row = fabric.broadcast(_watched(system, network, watched))
                memory.add({"step": step + 1, "loss": float(np.mean(memory.running)), **row}, network)
                bar.set_postfix(loss=f"{memory.history[-1]['loss']:.3f}", validation=f"{row['validation']:.3f}")
            memory.step = step + 1
            if asked.checkpoint is not None and whole and (memory.step % asked.keep < recipe.accumulate):
                checkpoints.write(asked.checkpoint, told, memory, network, optimiser, fabric)
            if patience is not None and memory.since > patience:
                break
    best = {name: value.numpy() for name, value in memory.best.items()}  # a tensor dies with its process
    return best, memory.history


def _started(system: System, start) -> torch.nn.Module:
    network = system.network(len(system.inputs))
    if isinstance(start, Fit):
        network.load_state_dict(start.state)
    elif start is not None:
        trained.load(network, trained.find(start))
    return network


def _terms(network: torch.nn.Module, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What the network says of a batch, in single precision."""
    days = [batch["days"]] if "days" in batch else []
    terms = network(batch["x"].contiguous(memory_format=torch.channels_last), *days)
    return {
        name: [part.float() for part in scores] if isinstance(scores, list) else scores.float()
        for name, scores in terms.items()
    }


def _loss(system: System, terms: Mapping[str, torch.Tensor], batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The system's loss on one batch."""
    return losses.total(system.loss, {**terms, **{name: batch[name] for name in ("truth", "seen", "front")}})


@torch.no_grad()
def _watched(system: System, network: torch.nn.Module, watched: Sequence[Mapping[str, torch.Tensor]]) -> dict:
    """Mean loss, and mean IoU over the zones that are there (None: the system has none), of the watched batches."""
    from torchmetrics.classification import MulticlassJaccardIndex  # comes with lightning

    network.eval()
    found, score = [], None
    if system.zones:
        score = MulticlassJaccardIndex(len(system.zones), average="none", ignore_index=labels.UNSEEN)
        held = torch.zeros(len(system.zones), dtype=torch.bool)
    for batch in watched:
        terms = _terms(network, batch)
        found.append(_loss(system, terms, batch).item())
        if score is not None:
            truth = torch.where(batch["seen"], batch["truth"], labels.UNSEEN).cpu()
            score.update(systems.finish(system, terms)["zones"].argmax(dim=1).cpu(), truth)
            held[truth[truth != labels.UNSEEN].unique()] = True
    iou = None if score is None or not held.any() else float(score.compute()[held].mean())
    return {"validation": float(np.mean(found)), "iou": iou}


def _number(loss: torch.Tensor, step: int, system: System, network, batch: Mapping, samples: Sequence[Sample]) -> None:
    """ValueError naming the patches where the loss is no number."""
    if torch.isfinite(loss):
        return
    network.eval()
    bad = []
    with torch.no_grad():
        for number in range(count := len(batch["x"])):  # parts of a series have a row a date
            one = {name: part.unflatten(0, (count, -1))[number] for name, part in batch.items()}
            if not torch.isfinite(_loss(system, _terms(network, one), one)):
                bad.append(number)
    cuts = batch["cuts"][bad or slice(None)].tolist()
    names = [labels.named(samples[which], top, left, system.recipe.patch) for which, top, left in cuts[:3]]
    raise ValueError(
        f"{system.name}: loss {loss.item()} at step {step + 1}: {'; '.join(names)}{' ...' if len(cuts) > 3 else ''}:"
        " look at its inputs and labels there, or take a lower rate= or a recipe with clip"
    )


def save(found: Fit, path: str | os.PathLike, **card) -> pathlib.Path:
    """Write `path` (.safetensors) and, beside it, its card (.json); returns the path.

    The card holds what `weights` needs (system, inputs, mean, std, sha256) and what a reader needs: the history, seed,
    steps and samples, and everything in `card` (for, not_for, seeds, score, command, licence, resolution ...).
    """
    path = pathlib.Path(path)
    with provenance.whole(path) as temporary:
        safetensors.torch.save_file(found.state, temporary)
    facts = {"system": found.system.name, "inputs": found.system.inputs, "zones": found.system.zones}
    facts |= {"mean": found.mean, "std": found.std, "seed": found.seed, "steps": found.steps, "history": found.history}
    facts |= {"samples": found.samples, "validation_samples": found.validation}
    provenance.write(path.with_suffix(".json"), provenance.manifest(**facts, **card, sha256=trained.sha256(path)))
    return path
