"""One loop for every trainable system, and the command that makes the demo network again."""

import dataclasses
import functools
import json
import os
import pathlib
import tempfile
from collections.abc import Sequence

import numpy as np
import rasterio
import safetensors.torch
import torch
import xarray as xr
from odc.geo.geobox import GeoBox
from tqdm import tqdm

from glacier_nb import (
    clean,
    cluster,
    composite,
    features,
    load,
    losses,
    patches,
    predict,
    provenance,
    search,
    systems,
    vectorize,
)
from glacier_nb import weights as trained
from glacier_nb.patches import Sample
from glacier_nb.systems import System

DEMO_SEEDS = (9001, 9002, 9003, 9004, 9005, 9006, 9010, 9011, 9012)
"""Landscapes the demo network learns from, the last of them for validation; the demo never shows these."""


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


def fit(
    system: str | System,
    samples: Sequence[Sample],
    seed: int = 0,
    steps: int | None = None,
    validation: Sequence[Sample] | None = None,
    forget: float = 0.15,
    validations: int = 20,
    threads: int | None = None,
    bfloat16: bool = False,
    progress: bool = True,
) -> Fit:
    """Train a system by its recipe; the state with the least validation loss is kept.

    Patches are cut on the fly, half of them about a pixel of a zone drawn evenly, so that rare zones are seen. Each
    optional input is left out with probability `forget`, and all of them together as often, so that the network
    can do without. steps: optimiser steps, or as many as the recipe's epochs ask for. validation: other scenes, or
    None to watch the same ones. bfloat16: halves the time where the CPU has it (AVX-512 BF16, AMX). The same seed,
    samples and thread count give the same weights on one machine.

    ValueError: the system learns nothing, a sample's shape is not the system's, or no pixel can be learnt from.
    """
    system = systems.find(system)
    recipe, channels = system.recipe, len(system.inputs)
    if recipe is None or not system.loss:
        raise ValueError(f"{system.name} has nothing to learn: it has no recipe")
    for sample in (*samples, *(validation or ())):
        patches.check(system, sample)
    torch.manual_seed(seed)
    before = torch.get_num_threads()
    torch.set_num_threads(threads or cluster.cores())
    rng = np.random.default_rng(seed)
    mean, std = (system.mean, system.std) if system.mean else patches.statistics(samples)
    area = sum(sample.truth.size for sample in samples)
    steps = steps or max(1, round(recipe.epochs * area / recipe.patch**2 / recipe.batch))
    network = system.network(channels).to(memory_format=torch.channels_last)
    optimiser = recipe.optimiser(network.parameters())
    rates = [group["lr"] for group in optimiser.param_groups]
    cuts = functools.partial(patches.batches, system, mean=mean, std=std)
    draw = cuts(samples, rng=rng, forget=forget)
    watch = cuts(validation or samples, rng=np.random.default_rng(seed + 1), forget=0.0)
    watched = [next(watch) for _ in range(max(1, 64 // recipe.batch))]
    every = max(1, steps // validations)
    best, history, running = None, [], []
    with tqdm(total=steps, desc=f"train {system.name}", unit="step", disable=not progress, delay=2) as bar:
        for step in range(steps):
            if recipe.schedule is not None:
                factor = recipe.schedule(step / steps, [row["validation"] for row in history])
                for group, rate in zip(optimiser.param_groups, rates, strict=True):
                    group["lr"] = rate * factor
            network.train()
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                loss = _loss(system, network, next(draw))
            (loss / recipe.accumulate).backward()
            if (step + 1) % recipe.accumulate == 0 or step + 1 == steps:
                if recipe.clip is not None:
                    torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
                optimiser.step()
                optimiser.zero_grad()
            running.append(loss.item())
            bar.update()
            if (step + 1) % every == 0 or step + 1 == steps:
                network.eval()
                with torch.inference_mode():
                    found = float(np.mean([_loss(system, network, batch).item() for batch in watched]))
                history.append({"step": step + 1, "loss": float(np.mean(running)), "validation": found})
                running = []
                bar.set_postfix(loss=f"{history[-1]['loss']:.3f}", validation=f"{found:.3f}")
                if best is None or found < best[0]:
                    best = (found, {name: value.clone().contiguous() for name, value in network.state_dict().items()})
    torch.set_num_threads(before)
    return Fit(system, best[1], mean, std, tuple(history), seed, steps)


def _loss(system: System, network: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The system's loss on one batch."""
    terms = network(batch["x"].contiguous(memory_format=torch.channels_last))
    terms = {
        name: [part.float() for part in scores] if isinstance(scores, list) else scores.float()
        for name, scores in terms.items()
    }
    return losses.total(system.loss, {**terms, **{name: batch[name] for name in ("truth", "seen", "front")}})


def save(found: Fit, path: str | os.PathLike, **card) -> pathlib.Path:
    """Write `path` (.safetensors) and, beside it, its card (.json); returns the path.

    The card holds what `weights` needs (system, inputs, mean, std, sha256) and what a reader needs: the history, seed
    and steps, and everything in `card` (for, not_for, seeds, score, command, licence, resolution ...).
    """
    path = pathlib.Path(path)
    with provenance.whole(path) as temporary:
        safetensors.torch.save_file(found.state, temporary)
    facts = {"system": found.system.name, "inputs": found.system.inputs, "zones": found.system.zones}
    facts |= {"mean": found.mean, "std": found.std, "seed": found.seed, "steps": found.steps, "history": found.history}
    provenance.write(path.with_suffix(".json"), provenance.manifest(**facts, **card, sha256=trained.sha256(path)))
    return path


def landscape(seed: int, cache: str | os.PathLike, system: str | System = "extent-demo") -> list[Sample]:
    """One synthetic landscape as a sample per date, each mapped memory in `cache`; made there if it is not.

    The scenes come by the road that users take: items searched in the region's folder, a late-summer composite,
    radar averaged over the year, elevation and its change. float16, about 22 MB a date; a minute a landscape.
    """
    system = systems.find(system)
    made_by = provenance.sources("imaging", "load", "composite", "features")
    folder = pathlib.Path(cache) / f"landscape-{seed}-{made_by}-{len(system.inputs)}"
    if not folder.exists():
        from glacier_nb import imaging  # numba compiles on import: only where a region is made

        with tempfile.TemporaryDirectory() as temporary, provenance.whole(folder) as made:
            made.mkdir()
            region = imaging.write(pathlib.Path(temporary) / "region", seed, progress=False)
            facts = json.loads((region / "region.json").read_text())
            with rasterio.open(region / "truth" / "zones.tif") as file:
                truth, geobox = file.read(), GeoBox.from_rio(file)
            number = [system.zones.index(zone if zone in system.zones else "rock") for zone in vectorize.ZONES]
            for date, zones in zip(facts["dates"], truth, strict=True):
                values = _scene(region, facts["bbox"], geobox, date, system.inputs)
                np.save(made / f"{date}.features.npy", values.astype("float16"))
                np.save(made / f"{date}.truth.npy", np.array(number, "uint8")[zones])
    return [
        Sample(
            f"{seed} {path.name[:10]}", np.load(path, mmap_mode="r"), np.load(folder / f"{path.name[:10]}.truth.npy")
        )
        for path in sorted(folder.glob("*.features.npy"))
    ]


def _scene(region: pathlib.Path, bbox: Sequence[float], geobox: GeoBox, date: str, inputs: Sequence[str]) -> np.ndarray:
    """Inputs (feature, y, x) of one date of a region's folder."""
    year = int(date[:4])
    optical, radar = (
        load.cube(search.scenes(bbox, year, sensor, region), geobox, provider=region)
        for sensor in ("sentinel-2-l2a", "sentinel-1-rtc")
    )
    heights = search.scenes(bbox, None, "cop-dem-glo-30", region)
    mean = composite.average(radar, year)
    scene = composite.late_summer(optical, year).assign(
        elevation=load.elevation(heights, geobox, date, region),
        dh_dt=load.elevation_rate(heights, geobox, region),
        vv=mean.vv,
        vh=mean.vh,
    )
    return features.stack(scene, inputs).values


def demo(
    seeds: Sequence[int] | None = None,
    folder: str | os.PathLike = ".cache/train",
    steps: int | None = None,
    out: str | os.PathLike = "out/extent-demo",
    seed: int = 0,
) -> pathlib.Path:
    """Train the demo network on synthetic landscapes, the last of `seeds` for validation; path of the weights in `out`.

    About a minute a landscape to make (kept in `folder`), then 20 minutes on two cores. The card beside the weights
    says how well the validation landscape is mapped; to ship them, copy both files to glacier_nb/weights_files and
    put the hash that this prints into `weights.WEIGHTS`.
    """
    seeds = tuple(seeds or DEMO_SEEDS)
    if len(seeds) < 2:
        raise ValueError(f"seeds {seeds}: give two or more, the last one is for validation")
    *training, validation = [landscape(one, folder) for one in tqdm(seeds, desc="landscapes", unit="landscape")]
    fast = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()  # torch has no public word for it
    scenes = [sample for scenes in training for sample in scenes]
    found = fit("extent-demo", scenes, seed, steps, validation, bfloat16=fast)
    card = {
        "for": "showing the whole road on the synthetic landscape of this project, and tests",
        "not_for": "measuring real glaciers: it has seen spectra of a few glaciers' surfaces on invented terrain and no"
        " real image; its outlines of a real place are an illustration",
        "seeds": seeds[:-1],
        "validation_seeds": seeds[-1:],
        "command": f"python -m glacier_nb train --seeds {' '.join(map(str, seeds))} --steps {found.steps}",
        "resolution": 10.0,
        "licence": "Apache-2.0",
        "citation": "this project",
    }
    path = save(found, pathlib.Path(out) / "extent-demo.safetensors", **card)
    save(found, path, **card, score=score(found.system, path, validation))
    print(f"{path}: sha256 {trained.sha256(path)}")
    return path


def score(system: System, path: str | os.PathLike, samples: Sequence[Sample]) -> dict:
    """How weights map whole scenes: IoU of each zone over all of them, and percent error of the ice area in each."""
    both, either, errors = np.zeros(len(system.zones)), np.zeros(len(system.zones)), {}
    ice = [number for number, zone in enumerate(system.zones) if zone in clean.ICE]
    for sample in samples:
        layers = xr.DataArray(
            np.asarray(sample.features, "float32"), {"feature": list(system.inputs)}, ("feature", "y", "x")
        )
        chances = predict.zones(layers, system, str(path), progress=False, clean=False).values
        seen = (sample.truth != patches.UNSEEN) & ~np.isnan(chances[0])
        found, true = chances.argmax(axis=0)[seen], sample.truth[seen]
        for zone in range(len(system.zones)):
            both[zone] += ((found == zone) & (true == zone)).sum()
            either[zone] += ((found == zone) | (true == zone)).sum()
        share = np.isin(found, ice).sum() / max(1, np.isin(true, ice).sum())
        errors[sample.name] = round(100 * float(share - 1), 3)
    iou = np.where(either > 0, both / np.maximum(either, 1), np.nan).round(4).tolist()
    return {"iou": dict(zip(system.zones, iou, strict=True)), "ice_area_error_percent": errors}
