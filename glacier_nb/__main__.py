"""The command line: `python -m glacier_nb COMMAND --help` tells what each one takes."""

import argparse
import json
import pathlib
import sys
import textwrap

from glacier_nb import __version__

EXPECTED = (ValueError, LookupError, OSError, RuntimeError, TypeError)
"""Errors whose message is written for the person at the keyboard: one line, no traceback."""


REGIONS = """\
regions.yml:
  defaults:                       # parameters of the notebook, for every run
    provider: planetary-computer
    inventory: rgi7.parquet       # a file beside this one
    years: [2017, 2024]
  each:                           # a run for each value, crossed: regions x years x systems
    years: [[2000, 2012], [2012, 2024]]
    system: [ndsi, extent-demo]
  regions:
    - Aletsch                     # a place's name, or a glacier's id (RGI, GLIMS, SGI)
    - 7.93,46.38,8.15,46.57       # west, south, east, north in degrees
    - 8.0,46.5,5 km               # a point and the radius around it
    - valley.geojson              # a vector file
    - {region: Rhone, name: rhone-fine, resolution: 5}         # parameters of its own
    - {features: glaciers.gpkg, name: rgi_id, margin: 500}     # each feature is a region, named by a column

`defaults` and `each` may be left out. A notebook tells its key numbers as `answer` in its manifest.json.
"""


EXAMPLES = {
    "demo": ("python -m glacier_nb demo --seed 7 --out out/demo",),
    "run": (
        "python -m glacier_nb run --region Aletsch --years 2017,2024",
        "python -m glacier_nb run --region 7.93,46.38,8.15,46.57 --years 2017-2024 --notebook 03_area_change",
    ),
    "batch": ("python -m glacier_nb batch regions.yml --notebook 03_area_change --out out/alps --plan",),
    "systems": ("python -m glacier_nb systems extent-demo", "python -m glacier_nb systems --table"),
    "share": (
        "python -m glacier_nb share aletsch --region Aletsch --years 2017,2024 --provider planetary-computer",
        "python -m glacier_nb share aletsch --rerun",
    ),
    "train": ("python -m glacier_nb train --system debris-demo",),
}
"""What the help of each command shows it with."""


def years(text: str) -> list[int]:
    """`2017,2021,2025` or `2017-2025` as a list of years; ValueError where they run backwards.

    >>> years("2017,2021"), years("2017-2019")
    ([2017, 2021], [2017, 2018, 2019])
    """
    first, dash, last = text.partition("-")
    try:
        found = list(range(int(first), int(last) + 1)) if dash else [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"years {text!r}: write them as 2017,2021,2025 or 2017-2025") from None
    if not found or found != sorted(found):
        raise ValueError(f"years {text!r} run backwards: give the earliest first")
    return found


def demo_command(arguments: argparse.Namespace) -> int:
    """Build and serve the embedded region, run the notebooks on it, compare with the truth."""
    if arguments.build_only:
        from glacier_nb import demo

        print(demo.folder(arguments.seed))
    else:
        from glacier_nb import tour

        print(tour.run(arguments.seed, arguments.out))
    return 0


def run_command(arguments: argparse.Namespace) -> int:
    """Run the notebooks on a real place."""
    from glacier_nb import batch, regions

    place = regions.place(arguments.region)
    parameters = {
        "region": arguments.region,
        "years": years(arguments.years),
        "provider": arguments.provider,
        "system": arguments.system,
        "inventory": arguments.inventory,
    }
    out = arguments.out / place.name.lower().replace(" ", "_")
    for report in batch.tour(arguments.notebook or batch.TOUR, parameters, out):
        print(report.get("nothing") or f"{report['notebook']}: {report['seconds']:.0f} s, {out / report['notebook']}")
    if not arguments.notebook:
        book = batch.find("05_elevation_change").name
        print(f"on to the mass balance: {book} asks for two elevation models (papermill --help-notebook tells how)")
    return 0


def batch_command(arguments: argparse.Namespace) -> int:
    """Run one notebook over a list of regions, or tell what that would take."""
    from glacier_nb import campaign, estimates, kernels, outcomes, runs

    asked = runs.read(arguments.regions, arguments.notebook)
    jobs = campaign.here() if arguments.jobs is None else arguments.jobs
    if arguments.plan:
        plan = estimates.plan(asked, arguments.out, jobs, arguments.throughput, arguments.again)
        for line in estimates.lines(*plan):
            print(line)
        return 0
    limits = kernels.Limits(arguments.memory, arguments.timeout)
    found = campaign.run(asked, arguments.out, jobs, arguments.cluster, arguments.workers, limits, arguments.again)
    bad = sum(one.status != outcomes.GOOD for one in found)
    print(f"{len(found) - bad} good, {bad} failed: {arguments.out / 'index.html'}")
    return 1 if bad else 0


def systems_command(arguments: argparse.Namespace) -> int:
    """Print the card of one system, the list of all, or what came of trying them out."""
    from glacier_nb import systems, trials

    rows = [systems.find(arguments.name)] if arguments.name else systems.SYSTEMS
    if arguments.table:
        from glacier_nb import walks

        with walks.opened() as road:
            for line in trials.lines(trials.table(rows, road=road)):
                print(line, flush=True)
        return 0
    cards = [systems.card(row) for row in rows]
    if arguments.json:
        print(json.dumps(cards, indent=1))
    elif arguments.name:
        cost = trials.measure(rows[0], learn=False)
        facts = {**cards[0], "size": f"{cost['weights_mb']} MB"}
        facts["memory"] = f"{cost['forward_mb']} MB beside the weights, for one window of {cost['side']} pixels"
        facts["speed"] = f"{cost['forward_s']} s for one window of {cost['side']} pixels on this machine"
        for key, value in facts.items():
            text = ", ".join(value) if isinstance(value, list) else str(value)
            print(textwrap.fill(f"{key:>22}  {text}".rstrip(), 110, subsequent_indent=" " * 24, break_on_hyphens=False))
    else:
        print(
            "\n".join(
                f"{card['name']:<38} {card['task']:<12} {card['parameters']:>12,}  {card['citation']}" for card in cards
            )
        )
    return 0


def share_command(arguments: argparse.Namespace) -> int:
    """Run notebooks and leave all that it takes to run them again in one folder, or run such a folder again."""
    from glacier_nb import share

    if arguments.rerun:
        found = share.rerun(arguments.folder)
        print(found.to_string(index=False))
        return 0 if found["same"].all() else 1
    given = vars(arguments)
    chosen = {name: given[name] for name in ("region", "provider", "system", "inventory") if given[name] is not None}
    chosen |= {"years": years(arguments.years)} if arguments.years else {}
    print(share.write(arguments.notebook or ["03_area_change"], chosen, arguments.folder, arguments.light))
    return 0


def train_command(arguments: argparse.Namespace) -> int:
    """Train a demo network again from synthetic landscapes, and calibrate it on the one for validation."""
    from glacier_nb import train

    seeds = tuple(arguments.seeds or train.DEMO_SEEDS)
    path = train.demo(seeds=seeds, steps=arguments.steps, out=arguments.out, system=arguments.system)
    train.calibrate(path, train.landscape(seeds[-1], ".cache/train", arguments.system), arguments.system)
    print(path)
    return 0


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; a test reads its help."""
    top = argparse.ArgumentParser(
        "glacier_nb", description="Map glaciers and their change from cloud-optimised imagery."
    )
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    one = commands.add_parser("demo", help="map the embedded region; needs no account and no download")
    one.add_argument("--seed", type=int, default=7, help="which synthetic landscape (default 7)")
    one.add_argument(
        "--out",
        type=pathlib.Path,
        default=pathlib.Path("out/demo"),
        help="folder to write (default out/demo)",
    )
    one.add_argument("--build-only", action="store_true", help="make the region, run nothing")
    one.set_defaults(call=demo_command)

    one = commands.add_parser("run", help="run the notebooks on a real place")
    one.add_argument("--region", required=True, help="a name (Aletsch), lon,lat,lon,lat, or a vector file")
    one.add_argument("--years", required=True, help="2017,2021,2025 or 2017-2025")
    one.add_argument(
        "--provider", default="planetary-computer", help="a provider's name, a STAC API's address or a folder"
    )
    one.add_argument("--system", default="extent-demo", help="a system's name (see the command systems)")
    one.add_argument("--inventory", default="", help="outlines that give each glacier its id (RGI or your own)")
    one.add_argument(
        "--notebook", action="append", help="only this notebook (may be repeated; default: the whole tour)"
    )
    one.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out"), help="folder to write in (default out)")
    one.set_defaults(call=run_command)

    one = commands.add_parser(
        "batch",
        help="run one notebook over many regions, resumably",
        description="Run one notebook over many regions: several at a time on one Dask cluster, none stopped by "
        "another's failure. Run it again to do only what failed, is missing or has changed.",
    )
    one.add_argument("regions", type=pathlib.Path, help="a list of regions (see below), or a vector file")
    one.add_argument("--notebook", required=True, help="a notebook's name (03_area_change) or any .ipynb file")
    one.add_argument("--out", type=pathlib.Path, required=True, help="folder to write in: index.html, summary, runs")
    one.add_argument("--plan", action="store_true", help="tell scenes, bytes, minutes and memory; run nothing")
    one.add_argument("--jobs", type=int, help="notebooks at a time (default: as cores and memory allow)")
    one.add_argument("--memory", type=float, metavar="MIB", help="end a notebook that takes more (default: no bound)")
    one.add_argument("--timeout", type=float, metavar="MINUTES", help="end one that takes longer (default: no bound)")
    one.add_argument("--again", action="store_true", help="run all, also what is there already")
    one.add_argument(
        "--cluster",
        default="",
        help="local, cuda, gateway, slurm, or the address of a Dask scheduler "
        "(default: gateway where one is set up, as on a JupyterHub, else local)",
    )
    one.add_argument("--workers", type=int, default=1, help="workers of the cluster (default 1)")
    one.add_argument(
        "--throughput", type=float, default=20.0, metavar="MB/S", help="of the provider, for --plan (default 20)"
    )
    one.set_defaults(call=batch_command)

    one = commands.add_parser("systems", help="list the published systems, or print the card of one")
    one.add_argument("name", nargs="?", help="a system's name")
    one.add_argument("--json", action="store_true", help="machine-readable")
    one.add_argument("--table", action="store_true", help="try each out: size, time, memory, eight patches, the road")
    one.set_defaults(call=systems_command)

    one = commands.add_parser("share", help="make a run that another person reruns to the same numbers, in one folder")
    one.add_argument("folder", type=pathlib.Path, metavar="DIR", help="the folder to make")
    one.add_argument("--notebook", action="append", help="which notebook (may be repeated; default 03_area_change)")
    one.add_argument("--region", help="as in run; default: the notebook's own, the demo region")
    one.add_argument("--years", help="2017,2021,2025 or 2017-2025")
    one.add_argument("--provider", help="as in run")
    one.add_argument("--system", help="as in run")
    one.add_argument("--inventory", help="as in run")
    one.add_argument("--light", action="store_true", help="leave out the bytes read: a rerun asks the provider again")
    one.add_argument("--rerun", action="store_true", help="run the notebooks of DIR again and compare")
    one.set_defaults(call=share_command)

    one = commands.add_parser("train", help="train a demo network again (about 20 minutes on two cores)")
    one.add_argument("--system", default="extent-demo", help="extent-demo (default), debris-demo or rock-demo")
    one.add_argument("--seeds", type=int, nargs="+", default=None, help="synthetic landscapes to learn from")
    one.add_argument("--steps", type=int, default=None, help="optimiser steps")
    one.add_argument(
        "--out",
        type=pathlib.Path,
        help="folder for weights and card (default out/ and the system's name)",
    )
    one.set_defaults(call=train_command)

    for name, one in commands.choices.items():
        one.formatter_class = argparse.RawDescriptionHelpFormatter
        one.epilog = "\n  ".join(("for example:", *EXAMPLES[name])) + (f"\n\n{REGIONS}" if name == "batch" else "")
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 where it went well, 2 with one line on stderr where it did not."""
    arguments = parser().parse_args(argv)
    try:
        return arguments.call(arguments)
    except EXPECTED as error:
        print(f"glacier_nb {arguments.command}: {str(error).strip() or type(error).__name__}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"glacier_nb {arguments.command}: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
