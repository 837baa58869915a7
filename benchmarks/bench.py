"""Systems on the same data, split, seeds, budget and score; one JSON a training, one table of all.

    python benchmarks/bench.py run fronts --folder DIR [--tier cpu|gpu] [--systems NAME ...] [--seeds 3] [--out DIR]
    python benchmarks/bench.py run fronts --folder DIR --unwatched ...
    python benchmarks/bench.py run extent [--real DIR] [--folder CACHE] ...
    python benchmarks/bench.py run everest|points --folder DIR ...
    python benchmarks/bench.py adapt fronts --folder DIR [--counts 0 3 5 10] ...    (after run)
    python benchmarks/bench.py ship fronts --folder DIR --systems NAME ...          (after run)
    python benchmarks/bench.py table fronts|extent|everest|points [--out DIR] [--json]

What each compares stands in `benches`. What learns nothing, or learns without a network, is scored beside the systems.

A fold is learnt without it and without the next, on which the training is watched. --unwatched: from the next too, and
watched on what it learns from, as `ship` does: that scores what is shipped, which learnt from all there is.

adapt: the weights of each glacier left out are taught it by a few of its scenes, and scored on all that no draw learns.

Where there are several seeds, the mean of their maps is scored too, as a row of its own.

ship: a system taught by all scenes of the bench, with a card that holds what `run` scored on scenes its like never saw;
one for each of --seeds.

A run killed at any moment goes on where it was: a finished training is not done again unless the code that decides
its numbers has changed, an unfinished one resumes from its checkpoint. What has not run is "not run" in the table; no
number is written by hand. All systems of a tier have the same minutes of training, made steps once and kept.
"""

import argparse
import functools
import json
import pathlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import benches
import numpy as np
import pandas as pd
from benches import BENCHES, SIDE, Bench
from tqdm import tqdm

from glacier_nb import cluster, comparing, fitting, plots, provenance, splits, systems, train, trials
from glacier_nb import weights as trained
from glacier_nb.labels import Sample
from glacier_nb.splits import Split
from glacier_nb.systems import System

DECIDE = ("augment", "fitting", "labelled", "landscapes", "losses", "losses_front", "networks", "patches", "recipes",
          "scores", "splits")  # fmt: skip
"""Modules that decide a training's numbers, beside the row of its system: give another --out where that changes."""
MINUTES = {"cpu": 20.0, "gpu": 60.0}
COSTS = ("epoch_s", "step_mb", "km2_s")
"""What a system costs: seconds to learn from all ground once, MB of tensors in a step, km2 mapped a second."""


def wanted(bench: Bench, tier: str, names: Sequence[str] | None) -> dict[str, str | None]:
    """Systems of a tier and why one of them cannot take part (None: it can)."""
    chosen = names or (bench.cpu if tier == "cpu" else [row.name for row in systems.SYSTEMS])
    told = {name: bench.fits(systems.find(name)) for name in chosen}
    if names or tier == "cpu":
        return told
    return {name: why for name, why in told.items() if not (why or "").startswith("maps no")}  # of another task


def jobs(parts: dict[str, Split], seeds: int) -> Iterator[tuple[str, int, int]]:
    """(split, fold, seed) in the order they run: all folds of a seed before the next."""
    for seed in range(seeds):
        for name, one in parts.items():
            for fold in range(one.folds):
                yield name, fold, seed


def run(name: str, arguments: argparse.Namespace) -> None:
    """Train and score what is not there yet, one training at a time; then what learns without a network."""
    bench, out = BENCHES[name], arguments.out
    for system_name, why in wanted(bench, arguments.tier, arguments.systems).items():
        if why is not None:
            provenance.write(out / f"{name}-{system_name}.json", {"system": system_name, "not_run": why})
            continue
        system = bench.ready(systems.find(system_name))
        samples = bench.samples(system.inputs, system.zones, arguments.folder)
        steps = 0
        if system.recipe is not None:
            steps = arguments.steps or budget(system, samples, arguments, out / f"{name}-{system_name}.json")
        facts = {"parameters": systems.card(system)["parameters"], "steps": steps, "inputs": system.inputs}
        if steps:
            facts["step_mb"] = trials.measure(system, system.recipe.patch, system.recipe.batch)["step_mb"]
        score = functools.partial(_of_network, bench, system, samples, steps, arguments)
        _each(name, system_name, samples, arguments, facts, score, arguments.seeds if steps else 1)
        if steps and arguments.seeds > 1:
            _together(name, system, samples, arguments)
    for method_name, method in {} if arguments.systems else bench.methods.items():
        samples = bench.samples(bench.inputs, bench.zones, arguments.folder)
        score = functools.partial(_of_method, bench, method, samples)
        facts = {"parameters": 0, "steps": 0, "inputs": bench.inputs}
        _each(name, method_name, samples, arguments, facts, score, 1)


def _each(
    name: str,
    system: str,
    samples: Sequence[Sample],
    arguments: argparse.Namespace,
    facts: dict,
    score: Callable[[pathlib.Path, Split, int, int], dict],
    seeds: int,
) -> None:
    """Score every fold and seed that is not there yet, a JSON each."""
    code, parts = provenance.sources(*DECIDE), _parts(name, samples, arguments)
    for split_name, fold, seed in tqdm(list(jobs(parts, seeds)), desc=system, unit="training"):
        key = {"bench": name, "system": system, "split": split_name, "fold": fold, "seed": seed}
        path = _file(arguments.out, *key.values())
        if path.exists():
            told = json.loads(path.read_text())
            if (told["code"], told["steps"]) == (code, facts["steps"]):
                continue
        found = key | {"seconds": 0.0, "tier": arguments.tier, "code": code} | facts
        found |= {"split_sha256": parts[split_name].sha256} | score(path, parts[split_name], fold, seed)
        provenance.write(path, provenance.manifest(**found))
        path.with_suffix(".checkpoint.safetensors").unlink(missing_ok=True)  # not before: a kill in between goes on


def _together(name: str, system: System, samples: Sequence[Sample], arguments: argparse.Namespace) -> None:
    """Score the mean of all seeds' maps on every fold, unless those weights have been: "SYSTEM, n together"."""
    bench, called = BENCHES[name], f"{system.name}, {arguments.seeds} together"
    for split_name, split in _parts(name, samples, arguments).items():
        for fold in range(split.folds):
            each = [_file(arguments.out, name, system.name, split_name, fold, seed) for seed in range(arguments.seeds)]
            told = [json.loads(one.read_text()) for one in each]
            path = _file(arguments.out, name, called, split_name, fold)
            found = told[0] | {"system": called, "weights_sha256": [one["weights_sha256"] for one in told]}
            if path.exists() and json.loads(path.read_text())["weights_sha256"] == found["weights_sha256"]:
                continue
            found |= {word: round(sum(one[word] for one in told), 2) for word in ("seconds", "parameters", "epoch_s")}
            test = splits.part(split, samples, fold, "test", SIDE)
            members = [one.with_suffix(".safetensors") for one in each]
            provenance.write(path, found | _scored(bench, system, members, test, arguments))


def _scored(
    bench: Bench,
    system: System,
    weights: pathlib.Path | Sequence[pathlib.Path] | None,
    test: Sequence[Sample],
    arguments: argparse.Namespace,
) -> dict:
    """Scores of weights, or of several together, on a fold and where nobody learnt."""
    start = time.perf_counter()
    scenes = bench.score(system, weights, test)
    found = {"scenes": scenes, "km2_s": speed(test, time.perf_counter() - start)}
    if bench.elsewhere and arguments.real:
        place, rate = bench.elsewhere
        found["elsewhere"] = {place: rate(system, weights, arguments.real)}
    return found


def _file(out: pathlib.Path, *key: str | int) -> pathlib.Path:
    return out / f"{'-'.join(map(str, key)).replace(' ', '_')}.json"


def _parts(name: str, samples: Sequence[Sample], arguments: argparse.Namespace) -> dict[str, Split]:
    """The splits of a bench that were asked for; ValueError: it has no such."""
    parts = BENCHES[name].parts(samples)
    if unknown := set(arguments.splits or ()) - set(parts):
        raise ValueError(f"no split {', '.join(sorted(unknown))}: {name} has {', '.join(parts)}")
    return {part: parts[part] for part in arguments.splits or parts}


def _of_network(
    bench: Bench,
    system: System,
    samples: Sequence[Sample],
    steps: int,
    arguments: argparse.Namespace,
    path: pathlib.Path,
    split: Split,
    fold: int,
    seed: int,
) -> dict:
    """Scores of a system on a fold, trained without it where it learns, and where nobody learnt."""
    learn, watch, test = (splits.part(split, samples, fold, role, SIDE) for role in splits.ROLES)
    if arguments.unwatched:
        learn, watch = [*learn, *watch], []
    facts, weights = {"train": len(learn), "watched": len(watch)}, None
    if steps:
        weights, kept = path.with_suffix(".safetensors"), path.with_suffix(".checkpoint.safetensors")
        start = time.perf_counter()
        found = fitting.fit(
            system, learn, seed, steps, watch or None, checkpoint=kept, absent=(*system.zones, "front"),
            precision=arguments.precision, threads=cluster.cores(),
        )  # fmt: skip
        facts["seconds"] = round(time.perf_counter() - start, 1)
        cuts = sum(one.truth.size for one in learn) / system.recipe.patch**2 / system.recipe.batch
        facts["epoch_s"] = round(facts["seconds"] / steps * cuts, 2)
        fitting.save(found, weights, split=split.sha256, fold=fold)
        facts["weights_sha256"] = json.loads(weights.with_suffix(".json").read_text())["sha256"]
    return facts | _scored(bench, system, weights, test, arguments)


def _of_method(
    bench: Bench,
    method: Callable[[Sequence[Sample]], benches.Map],
    samples: Sequence[Sample],
    path: pathlib.Path,
    split: Split,
    fold: int,
    seed: int,
) -> dict:
    """Scores of what learns without a network on a fold, from all others: it needs no scenes to watch."""
    learn, watch, test = (splits.part(split, samples, fold, role) for role in splits.ROLES)
    start = time.perf_counter()
    predict = method([*learn, *watch])
    seconds, start = round(time.perf_counter() - start, 1), time.perf_counter()
    scenes = [bench.rate(one, predict(one)) for one in test]
    rate = speed(test, time.perf_counter() - start)
    return {"seconds": seconds, "train": len(learn), "scenes": scenes, "km2_s": rate}


def speed(test: Sequence[Sample], seconds: float) -> float | None:
    """Square kilometres mapped a second; None where a scene does not know its pixel."""
    sizes = [one.resolution for one in test]
    return None if None in sizes else round(sum(one.truth.size * one.resolution**2 for one in test) / 1e6 / seconds, 3)


def adapt(name: str, arguments: argparse.Namespace) -> None:
    """The curve of error against labelled scenes of the place that the weights of `run` never saw, a JSON a place."""
    bench, out, most = BENCHES[name], arguments.out, max(arguments.counts)
    for system_name, why in wanted(bench, arguments.tier, arguments.systems).items():
        if why is not None:
            continue
        system = bench.ready(systems.find(system_name))
        samples = bench.samples(system.inputs, system.zones, arguments.folder)
        split_name, split = next(iter(bench.parts(samples).items()))
        if split.cells:
            raise ValueError(f"{name} is of one scene: adapt asks for several of each place, as fronts has")
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
                bench.measure, system, steps=arguments.steps or 200, rate=arguments.rate, precision=arguments.precision,
                threads=cluster.cores(),
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
    if not bench.card:
        ready = ", ".join(one for one, row in BENCHES.items() if row.card)
        raise ValueError(f"weights of {name} have no card that says what they are for: ship {ready}")
    for system_name in arguments.systems:
        mine = done[done.system == system_name] if len(done) else done
        if not len(mine):
            raise FileNotFoundError(f"no score of {system_name} in {out}: run {name} for it first")
        system = bench.ready(systems.find(system_name))
        samples = bench.samples(system.inputs, system.zones, arguments.folder)
        steps, told = arguments.steps or int(mine.steps.max()), {}
        for (scored, split), some in done[done.system.map(_own) == system_name].groupby(["system", "split"]):
            key = split + scored.removeprefix(system_name)
            told[key] = {"n": int(some[bench.column].count()), "missed": int(some.missed.sum())}
            told[key] |= {word: round(float(some[bench.column].agg(word)), 3) for word in ("mean", "median", "std")}
            told[key] |= {"trainings": len(some.groupby(["fold", "seed"]))}
        command = f"python benchmarks/bench.py ship {name} --systems {system_name} --steps {steps}"
        command += f" --precision {arguments.precision} --seeds {arguments.seeds} --folder DIR"
        for seed in range(arguments.seeds):
            path = out / f"{system_name}{f'-{seed}' * (seed > 0)}.safetensors"
            found = fitting.fit(
                system, samples, seed, steps, checkpoint=path.with_suffix(".checkpoint.safetensors"),
                absent=(*system.zones, "front"), precision=arguments.precision, threads=cluster.cores(),
            )  # fmt: skip
            card = {**bench.card, "score": {bench.column: told}, "score_steps": int(mine.steps.max()), "seeds": [seed]}
            fitting.save(found, path, **card, command=command)
            print(f"{path}: sha256 {trained.sha256(path)}", file=sys.stderr)


def _own(called: str) -> str:
    """The system that a row is of, whether of one training or of several together."""
    return called.partition(", ")[0]


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
    """Every scored scene of a bench: system, split, fold, seed, steps, seconds, parameters, `COSTS`, name, its scores.

    Scenes where nobody learnt have the place's name for their split.
    """
    rows = []
    for path in sorted(out.glob(f"{name}-*.json")):
        told = json.loads(path.read_text())
        if "scenes" in told:
            words = ("system", "split", "fold", "seed", "steps", "seconds", "parameters")
            key = {word: told[word] for word in words} | {word: told.get(word) for word in COSTS}
            rows += [key | scene for scene in told["scenes"]]
            for place, scenes in told.get("elsewhere", {}).items():
                rows += [key | {"split": place} | scene for scene in scenes]
    found = pd.DataFrame(rows)
    return found.astype(dict.fromkeys(COSTS, float)) if len(found) else found  # None: nothing learnt


def number(value: float, form: str) -> str:
    """A number, or a dash where there is none: one seed has no spread, the best no difference to itself."""
    return "–" if np.isnan(value) else format(value, form)


def lines(name: str, found: pd.DataFrame, missing: dict[str, str]) -> Iterator[str]:
    """The table as Markdown; a system that could not or did not run says so."""
    column, also = BENCHES[name].column, [word for word in (*BENCHES[name].also, *COSTS) if word in found]
    head = ["split", "system", column, "95 %", *also, "missed", "n", "to best", "p", "s a training", "parameters"]
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in found.to_dict("records"):
        spread, p = number(row["spread"], ".3f"), number(row["p"], ".2g")
        score, low, high = (number(row[word], ".3f") for word in (column, "low", "high"))
        more = (*(number(row[word], ".2f") for word in also), str(row["missed"]), str(row["n"]))
        cells = [
            row["split"], row["system"], f"{score} ± {spread}", f"{low} to {high}",
            *more, number(row["to_best"], "+.3f"), p, f"{row['seconds']:.0f}", f"{row['parameters']:,}",
        ]  # fmt: skip
        yield f"| {' | '.join(cells)} |"
    for system, why in missing.items():
        yield f"| all | {system} | not run: {why} |" + " |" * (len(head) - 3)
    for split in dict.fromkeys(found["split"]) if len(found) else ():
        if split in BENCHES[name].told:
            yield f"\n*{split}*: {BENCHES[name].told[split]}"


def page(name: str, found: pd.DataFrame, path: pathlib.Path) -> None:
    """Scores with their intervals, and accuracy against what a training costs, as one page that opens offline."""
    bench = BENCHES[name]
    sections = [
        plots.Section(plots.ranking(some, bench.column), f"{split}: {bench.told.get(split, '')}", some)
        for split, some in found.groupby("split")
    ]
    plots.page(f"Bench: {name}", sections, path, manifest=provenance.manifest(bench=name))


def main(argv: list[str] | None = None) -> int:
    """Run or tell; 2 with one line on stderr where the input does not serve."""
    parser = argparse.ArgumentParser("bench", description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("run", "adapt", "ship", "table"))
    parser.add_argument("bench", choices=tuple(BENCHES))
    parser.add_argument("--folder", type=pathlib.Path, help="of the bench's data; extent: cache of landscapes")
    parser.add_argument("--real", type=pathlib.Path, help="extent: data folder with Khumbu, where nobody learns")
    parser.add_argument("--tier", choices=tuple(MINUTES), default="cpu")
    parser.add_argument("--systems", nargs="+", help="these alone")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--splits", nargs="+", help="of the bench, as fronts has glacier and random; all unless given")
    parser.add_argument("--unwatched", action="store_true", help="run: learn from the fold that is else watched, too")
    parser.add_argument("--minutes", type=float, help="of each training, instead of the tier's")
    parser.add_argument("--steps", type=int, help="of each training, instead of minutes")
    parser.add_argument("--counts", type=int, nargs="+", default=[0, 3, 5, 10], help="adapt: labelled scenes")
    parser.add_argument("--rate", type=float, default=0.1, help="adapt: of the recipe's learning rate")
    parser.add_argument("--precision", default="float32", choices=tuple(fitting.PRECISIONS))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out/bench"))
    parser.add_argument("--page", type=pathlib.Path, help="write the table and its plots there, as HTML")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    try:
        if arguments.what != "table":
            {"run": run, "adapt": adapt, "ship": ship}[arguments.what](arguments.bench, arguments)
        scenes = read(arguments.bench, arguments.out)
        asked = wanted(BENCHES[arguments.bench], arguments.tier, arguments.systems)
        scenes = scenes[scenes.system.map(_own).isin(asked)] if arguments.systems and len(scenes) else scenes
        done = set(scenes.system) if len(scenes) else set()
        missing = {name: why or "nobody has" for name, why in asked.items() if name not in done}
        bench = BENCHES[arguments.bench]
        found = comparing.table(scenes, bench.column, (*bench.also, *COSTS)) if len(scenes) else pd.DataFrame()
        if arguments.page and len(found):
            page(arguments.bench, found, arguments.page)
    except (OSError, ValueError, LookupError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        rows = json.loads(found.to_json(orient="records"))  # NaN, which JSON has not, as null
        print(json.dumps({"rows": rows, "not_run": missing}))
    else:
        print("\n".join(lines(arguments.bench, found, missing)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
