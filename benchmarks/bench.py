"""Front and extent systems on the same data, split, seeds, budget and score; one JSON a training, one table of all.

    python benchmarks/bench.py run fronts --folder DIR [--tier cpu|gpu] [--systems NAME ...] [--seeds 3] [--out DIR]
    python benchmarks/bench.py run extent [--tier cpu|gpu] ...
    python benchmarks/bench.py adapt fronts --folder DIR [--counts 0 3 5 10] ...    (after run)
    python benchmarks/bench.py ship fronts --folder DIR --systems NAME ...          (after run)
    python benchmarks/bench.py table fronts|extent [--out DIR] [--json]

fronts: 123 labelled Landsat scenes (--folder holds images and labels, see glacier_nb.labelled.frontscenes), each
glacier left out in turn, and at random. A system of one channel is given the grey image; where it tells ice from
ocean, the columns of the label teach it: flow is upwards, so ice lies below the front. Score: pixels between label and
cheapest path, both ways. extent: synthetic landscapes with exact truth, three learnt, one watched, one scored.

adapt: the weights of each glacier left out are taught it by a few of its scenes, and scored on all that no draw learns.

ship: a system taught by all scenes of the bench, with a card that holds what `run` scored on scenes its like never saw.

A run killed at any moment goes on where it was: a finished training is not done again unless the code that decides
its numbers has changed, an unfinished one resumes from its checkpoint. What has not run is "not run" in the table; no
number is written by hand. All systems of a tier have the same minutes of training, made steps once and kept.
"""

import argparse
import dataclasses
import json
import pathlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from tqdm import tqdm

from glacier_nb import (
    cluster,
    comparing,
    features,
    fitting,
    labelled,
    labels,
    landscapes,
    provenance,
    scores,
    splits,
    systems,
    train,
)
from glacier_nb import weights as trained
from glacier_nb.labels import Sample
from glacier_nb.splits import Split
from glacier_nb.systems import System

LAYERS = {"blue", "green", "red", "nir", "swir16", "swir22", "elevation", "dh_dt", "vv", "vh"}
"""What the synthetic landscapes have."""
DECIDE = ("augment", "fitting", "labelled", "landscapes", "losses", "losses_front", "networks", "patches", "recipes",
          "scores", "splits")  # fmt: skip
"""Modules that decide a training's numbers, beside the row of its system: give another --out where that changes."""
MINUTES = {"cpu": 20.0, "gpu": 60.0}
SIDE, BATCH = 128, 10
"""Of a patch, for every system: the scenes are 300 x 200 pixels."""


@dataclasses.dataclass(frozen=True)
class Bench:
    """One comparison. samples: of (system, folder). fits: None, or why a system cannot take part. column: the score
    that ranks systems, less is better. cpu: systems of the small tier. card: of what is shipped."""

    samples: Callable[[System, pathlib.Path | None], list[Sample]]
    parts: Callable[[Sequence[Sample]], dict[str, Split]]
    ready: Callable[[System], System]
    fits: Callable[[System], str | None]
    score: Callable[[System, pathlib.Path, Sequence[Sample]], list[dict]]
    column: str
    cpu: tuple[str, ...]
    card: Mapping = dataclasses.field(default_factory=dict)


def sided(sample: Sample, zones: Sequence[str]) -> Sample:
    """A scene whose front tells ice (below) from ocean (above) in its columns; the rest is unknown."""
    if not zones:
        return sample
    front = np.asarray(sample.front)
    truth = np.full(front.shape, labels.UNSEEN, "uint8")
    rows = np.arange(len(front))[:, None]
    there = front.any(axis=0)
    first, last = front.argmax(axis=0), len(front) - 1 - front[::-1].argmax(axis=0)
    truth[there & (rows < first)] = zones.index("ocean")
    truth[there & (rows >= (first + last) // 2)] = zones.index("glacier")
    return dataclasses.replace(sample, truth=truth)


def _front_samples(system: System, folder: pathlib.Path | None) -> list[Sample]:
    if folder is None:
        raise ValueError("fronts need --folder DIR: the one with images and labels")
    found = labelled.frontscenes(folder)
    read = [dataclasses.replace(s, features=np.asarray(s.features), front=np.asarray(s.front)) for s in found]
    return [sided(sample, system.zones) for sample in read]


def _front_parts(samples: Sequence[Sample]) -> dict[str, Split]:
    names = sorted(sample.name for sample in samples)
    fold = np.random.default_rng(0).permutation(np.arange(len(names)) % 3).tolist()
    return {"glacier": splits.by_group(samples), "random": Split("name", 3, dict(zip(names, fold, strict=True)))}


def _front_ready(system: System) -> System:
    """One grey channel; normalised by the training scenes where the system's own numbers are of another stretch."""
    own = system.inputs == ("grey",)
    return dataclasses.replace(
        system, inputs=("grey",), mean=system.mean if own else (), std=system.std if own else (), recipe=_same(system)
    )


def _same(system: System) -> systems.Recipe:
    """The system's recipe with patch and batch as all have them."""
    return dataclasses.replace(system.recipe, patch=SIDE, batch=BATCH, accumulate=1)


def _front_fits(system: System) -> str | None:
    if system.task != "front" or system.recipe is None:
        return "maps no front, or learns nothing"
    if len(system.inputs) != 1:
        return f"takes {len(system.inputs)} channels, the scenes have one"
    if system.zones and not {"glacier", "ocean"} <= set(system.zones):
        return "its zones are not those of a front"
    if system.window is not None:
        return f"takes windows of {system.window} pixels, the scenes are 200 wide"
    return None


def _front_score(system: System, path: pathlib.Path, samples: Sequence[Sample]) -> list[dict]:
    return scores.fronts(system, path, samples).to_dict("records")


def _extent_samples(system: System, folder: pathlib.Path | None) -> list[Sample]:
    cache = folder or pathlib.Path(".cache/train")
    return [
        dataclasses.replace(sample, group=str(seed))
        for seed in tqdm(landscapes.DEMO_SEEDS[:5], desc="landscapes", unit="landscape", delay=2)
        for sample in landscapes.landscape(seed, cache, system)
    ]


def _extent_fits(system: System) -> str | None:
    if system.task not in ("extent", "change") or system.recipe is None:
        return "maps no extent, or learns nothing"
    if lacking := sorted(set(features.needs(system.inputs)) - LAYERS):
        return f"takes {', '.join(lacking)}, which the landscapes have not"
    if not {"rock", "glacier"} <= set(system.zones):
        return "its zones are not those of the landscapes"
    return f"takes windows of {system.window} pixels" if system.window is not None else None


def _extent_score(system: System, path: pathlib.Path, samples: Sequence[Sample]) -> list[dict]:
    return scores.ice(system, path, samples).to_dict("records")


BENCHES = {
    "fronts": Bench(
        _front_samples, _front_parts, _front_ready, _front_fits, _front_score, "mean_px",
        ("mohajerani2019", "fronts-landsat", "caffe_fronts"),
        {
            "for": "calving fronts in grey Landsat images of Greenland's outlet glaciers at 49 m, flow upwards, as in"
            " Mohajerani et al. 2019 (equalised, stretched, smoothed, edges enhanced)",
            "not_for": "radar, other pixel sizes, floating tongues without a cliff, or numbers that nobody looks at: it"
            " learnt from three glaciers, and where it meets a fourth it can follow another edge for the front",
            "data": "123 Landsat scenes (USGS, public domain) with fronts traced by Mohajerani et al. 2019, CC BY 4.0",
            "licence": "Apache-2.0", "citation": "this project", "resolution": 48.9,
        },
    ),
    "extent": Bench(
        _extent_samples, lambda samples: {"landscape": splits.by_group(samples)},
        lambda system: dataclasses.replace(system, recipe=_same(system)), _extent_fits, _extent_score,
        "one_less_iou", ("extent-demo", "chu2022", "diaconu2023"),
    ),
}  # fmt: skip


def wanted(bench: Bench, tier: str, names: Sequence[str] | None) -> dict[str, str | None]:
    """Systems of a tier and why one of them cannot take part (None: it can)."""
    chosen = names or (bench.cpu if tier == "cpu" else [row.name for row in systems.SYSTEMS])
    told = {name: bench.fits(systems.find(name)) for name in chosen}
    return told if names or tier == "cpu" else {name: why for name, why in told.items() if "learns" not in (why or "")}


def jobs(split: dict[str, Split], seeds: int) -> Iterator[tuple[str, int, int]]:
    """(split, fold, seed) in the order they run: all folds of a seed before the next."""
    for seed in range(seeds):
        for name, one in split.items():
            for fold in range(one.folds):
                yield name, fold, seed


def run(name: str, arguments: argparse.Namespace) -> None:
    """Train and score what is not there yet, one training at a time."""
    bench, out = BENCHES[name], arguments.out
    code = provenance.sources(*DECIDE)
    for system_name, why in wanted(bench, arguments.tier, arguments.systems).items():
        if why is not None:
            provenance.write(out / f"{name}-{system_name}.json", {"system": system_name, "not_run": why})
            continue
        system = bench.ready(systems.find(system_name))
        samples = bench.samples(system, arguments.folder)
        parts = bench.parts(samples)
        if unknown := set(arguments.splits or ()) - set(parts):
            raise ValueError(f"no split {', '.join(sorted(unknown))}: {name} has {', '.join(parts)}")
        parts = {part: parts[part] for part in arguments.splits or parts}
        steps = arguments.steps or budget(system, samples, arguments, out / f"{name}-{system_name}.json")
        for split_name, fold, seed in tqdm(list(jobs(parts, arguments.seeds)), desc=system_name, unit="training"):
            key = {"bench": name, "system": system_name, "split": split_name, "fold": fold, "seed": seed}
            path = out / f"{'-'.join(map(str, key.values()))}.json"
            if path.exists() and (told := json.loads(path.read_text()))["code"] == code and told["steps"] == steps:
                continue
            split = parts[split_name]
            learn, watch, test = (splits.part(split, samples, fold, role, SIDE) for role in splits.ROLES)
            weights, kept = path.with_suffix(".safetensors"), path.with_suffix(".checkpoint.safetensors")
            start = time.perf_counter()
            found = fitting.fit(
                system, learn, seed, steps, watch or None, checkpoint=kept, absent=(*system.zones, "front"),
                precision=arguments.precision, threads=cluster.cores(),
            )  # fmt: skip
            seconds = time.perf_counter() - start
            fitting.save(found, weights, split=split.sha256, fold=fold)
            facts = key | {"steps": steps, "tier": arguments.tier, "code": code, "split_sha256": split.sha256}
            facts |= {"seconds": round(seconds, 1), "parameters": systems.card(system)["parameters"]}
            facts |= {"weights_sha256": json.loads(weights.with_suffix(".json").read_text())["sha256"]}
            facts |= {"train": len(learn), "scenes": bench.score(system, weights, test)}
            provenance.write(path, provenance.manifest(**facts))
            kept.unlink(missing_ok=True)


def adapt(name: str, arguments: argparse.Namespace) -> None:
    """The curve of error against labelled scenes of the place that the weights of `run` never saw, a JSON a place."""
    bench, out, most = BENCHES[name], arguments.out, max(arguments.counts)
    for system_name, why in wanted(bench, arguments.tier, arguments.systems).items():
        if why is not None:
            continue
        system = bench.ready(systems.find(system_name))
        samples = bench.samples(system, arguments.folder)
        split_name, split = next(iter(bench.parts(samples).items()))
        for member, fold in split.members.items():
            weights = out / f"{name}-{system_name}-{split_name}-{fold}-0.safetensors"
            if not weights.exists():
                raise FileNotFoundError(f"no {weights}: run {name} for {system_name} first")
            path = out / f"adapt-{name}-{system_name}-{member}.json"
            if path.exists():
                continue
            place = splits.part(split, samples, fold, "test", SIDE)
            order = np.random.default_rng(0).permutation(len(place))
            learn, test = ([place[k] for k in some] for some in (order[:most], order[most:]))
            found = train.adaptation(
                weights, learn, test, out / "adapted" / f"{system_name}-{member}", arguments.counts, arguments.seeds,
                system=system, steps=arguments.steps or 200, rate=arguments.rate, threads=cluster.cores(),
            )  # fmt: skip
            facts = {"bench": name, "system": system_name, "place": member, "test": len(test), "steps": arguments.steps}
            provenance.write(path, provenance.manifest(**facts, rate=arguments.rate, rows=found.to_dict("records")))


def ship(name: str, arguments: argparse.Namespace) -> None:
    """Weights that learnt from every sample, and their card; the scores are of `run`, on samples its weights never saw.

    The steps are those of `run` unless asked for: the last state that was best on what it learns from is kept.
    """
    bench, out, done = BENCHES[name], arguments.out, read(name, arguments.out)
    if not arguments.systems:
        raise ValueError("ship asks which: --systems NAME ...")
    for system_name in arguments.systems:
        mine = done[done.system == system_name] if len(done) else done
        if not len(mine):
            raise FileNotFoundError(f"no score of {system_name} in {out}: run {name} for it first")
        system = bench.ready(systems.find(system_name))
        samples, steps = bench.samples(system, arguments.folder), arguments.steps or int(mine.steps.max())
        found = fitting.fit(
            system, samples, 0, steps, checkpoint=out / f"{system_name}.checkpoint.safetensors",
            absent=(*system.zones, "front"), precision=arguments.precision, threads=cluster.cores(),
        )  # fmt: skip
        told = {}
        for split, some in mine.groupby("split"):
            told[split] = {"n": int(some[bench.column].count()), "missed": int(some.missed.sum())}
            told[split] |= {word: round(float(some[bench.column].agg(word)), 3) for word in ("mean", "median")}
            told[split] |= {"trainings": len(some.groupby(["fold", "seed"]))}
        command = f"python benchmarks/bench.py ship {name} --systems {system_name} --steps {steps}"
        command += f" --precision {arguments.precision} --folder DIR"
        card = {**bench.card, "score": {bench.column: told}, "score_steps": int(mine.steps.max()), "seeds": [0]}
        path = fitting.save(found, out / f"{system_name}.safetensors", **card, command=command)
        print(f"{path}: sha256 {trained.sha256(path)}", file=sys.stderr)


def budget(system: System, samples: Sequence[Sample], arguments: argparse.Namespace, path: pathlib.Path) -> int:
    """Steps that this machine does in the asked minutes, by twelve tried out; kept: a later call has as many."""
    asked = {"minutes": arguments.minutes or MINUTES[arguments.tier], "precision": arguments.precision}
    if path.exists() and asked.items() <= (told := json.loads(path.read_text())).items():
        return told["steps"]
    seconds = []
    for steps in (2, 2, 12):  # the first warms up
        start = time.perf_counter()
        fitting.fit(
            system, samples, 0, steps, absent=(*system.zones, "front"), precision=arguments.precision, validations=1,
            threads=cluster.cores(), progress=False,
        )  # fmt: skip
        seconds.append(time.perf_counter() - start)
    one = max((seconds[2] - seconds[1]) / 10, 1e-3)
    steps = max(10, int(asked["minutes"] * 60 / one) // 10 * 10)
    provenance.write(path, {"system": system.name, "step_s": round(one, 3), "steps": steps} | asked)
    return steps


def read(name: str, out: pathlib.Path) -> pd.DataFrame:
    """Every scored scene of a bench: system, split, fold, seed, steps, seconds, parameters, name, missed, scores."""
    rows = []
    for path in sorted(out.glob(f"{name}-*.json")):
        told = json.loads(path.read_text())
        if "scenes" in told:
            key = {word: told[word] for word in ("system", "split", "fold", "seed", "steps", "seconds", "parameters")}
            rows += [key | scene for scene in told["scenes"]]
    return pd.DataFrame(rows)


def number(value: float, form: str) -> str:
    """A number, or a dash where there is none: one seed has no spread, the best no difference to itself."""
    return "–" if np.isnan(value) else format(value, form)


def lines(name: str, found: pd.DataFrame, missing: dict[str, str]) -> Iterator[str]:
    """The table as Markdown; a system that could not or did not run says so."""
    yield f"| split | system | {BENCHES[name].column} | 95 % | missed | n | to best | p | s a training | parameters |"
    yield "|" + "---|" * 10
    for row in found.itertuples():
        score, spread, p = getattr(row, BENCHES[name].column), number(row.spread, ".3f"), number(row.p, ".2g")
        yield (
            f"| {row.split} | {row.system} | {score:.3f} ± {spread} | {row.low:.3f} to {row.high:.3f}"
            f" | {row.missed} | {row.n} | {row.to_best:+.3f} | {p} | {row.seconds:.0f} | {row.parameters:,} |"
        )
    for system, why in missing.items():
        yield f"| all | {system} | not run: {why} |" + " |" * 7


def main(argv: list[str] | None = None) -> int:
    """Run or tell; 2 with one line on stderr where the input does not serve."""
    parser = argparse.ArgumentParser("bench", description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("run", "adapt", "ship", "table"))
    parser.add_argument("bench", choices=tuple(BENCHES))
    parser.add_argument("--folder", type=pathlib.Path, help="fronts: the labelled scenes; extent: cache of landscapes")
    parser.add_argument("--tier", choices=tuple(MINUTES), default="cpu")
    parser.add_argument("--systems", nargs="+", help="these alone")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--splits", nargs="+", help="fronts: glacier, random; extent: landscape; all unless given")
    parser.add_argument("--minutes", type=float, help="of each training, instead of the tier's")
    parser.add_argument("--steps", type=int, help="of each training, instead of minutes")
    parser.add_argument("--counts", type=int, nargs="+", default=[0, 3, 5, 10], help="adapt: labelled scenes")
    parser.add_argument("--rate", type=float, default=0.1, help="adapt: of the recipe's learning rate")
    parser.add_argument("--precision", default="float32", choices=tuple(fitting.PRECISIONS))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out/bench"))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    try:
        if arguments.what != "table":
            {"run": run, "adapt": adapt, "ship": ship}[arguments.what](arguments.bench, arguments)
        scenes = read(arguments.bench, arguments.out)
        asked = wanted(BENCHES[arguments.bench], arguments.tier, arguments.systems)
        done = set(scenes.system) if len(scenes) else set()
        missing = {name: why or "nobody has" for name, why in asked.items() if name not in done}
        found = comparing.table(scenes, BENCHES[arguments.bench].column) if len(scenes) else pd.DataFrame()
    except (OSError, ValueError, LookupError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps({"rows": found.to_dict("records"), "not_run": missing}))
    else:
        print("\n".join(lines(arguments.bench, found, missing)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
