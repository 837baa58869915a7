"""The demo from end to end: the notebooks run on the embedded region, what they found held against what is true."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time

import nbformat

from glacier_nb import batch, demo, pages, provenance

TOUR = (*batch.TOUR, "05_elevation_change")
"""The notebooks in reading order, from a first look to the mass balance: this region has two elevation models."""

TEXT = (
    "A synthetic landscape that the network never saw: what it retrieved, held against what is true. Areas are "
    "compared on the ground that each date saw clear. On real glaciers expect more error; the network's card says why."
)


def run(seed: int = 7, out: str | os.PathLike = "out/demo") -> pathlib.Path:
    """The whole demo: build, serve, run the notebooks on one Dask cluster, compare with the truth, write the index.

    Returns the path of `index.html`; `summary.json` stands beside it. RuntimeError: a notebook's own error.
    """
    out = pathlib.Path(out)
    seconds, start = {}, time.time()
    with batch.peak_memory() as memory:
        # in a process of its own, whose memory is given back
        subprocess.run(
            [sys.executable, "-m", "glacier_nb", "demo", "--build-only", "--seed", str(seed)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        seconds["build"] = round(time.time() - start, 2)
        parameters = {"region": "demo", "provider": demo.provider("demo", seed), "seed": seed}
        reports = batch.tour(TOUR, parameters, out)
        if nothing := [report["nothing"] for report in reports if "nothing" in report]:
            raise RuntimeError(f"the demo region has all that is looked for: {nothing[0]}")
        seconds |= {report["notebook"]: report["seconds"] for report in reports}
        from glacier_nb import verification  # only now: beside the notebooks its libraries would take memory

        lap = time.time()
        found = verification.compare(seed, out)
        entries = pictures(out)
        seconds["truth and pictures"] = round(time.time() - lap, 2)
    first = {report["notebook"]: report["first_map_seconds"] for report in reports}
    seconds["total"] = round(time.time() - start, 2)
    facts = {"seconds": seconds, "first_map_seconds": reports[0]["first_map_seconds"], "first_figure_seconds": first}
    balance = json.loads((out / TOUR[-1] / "manifest.json").read_text())["answer"]
    facts |= {"peak_memory_mb": round(memory["mb"], 1), **found, "elevation": balance, "seeds": [seed]}
    provenance.write(out / "summary.json", facts)
    return cover(out, entries, facts)


def pictures(out: pathlib.Path) -> list[pages.Entry]:
    """A card for every page that the notebooks made, figures first, with a picture where there is a browser."""
    figures, books = [], []
    for name in TOUR:
        number, title = name.split("_", 1)
        title = title.replace("_", " ").capitalize()
        opening = nbformat.read(batch.find(name), as_version=4).cells[0].source
        question = re.search(r"\*\*(.+?)\*\*", opening, re.S)[1].replace("\n", " ")
        books.append(pages.Entry(f"{number} {title}", f"{name}.html", "The notebook, run", group="Notebooks"))
        for html in sorted((out / name).glob("*.html")):
            picture = html.with_suffix(".png")
            if pages.chromium():
                try:
                    pages.picture(html, picture, (1200, 800), trim=True)
                except RuntimeError as why:  # a card without a picture; what was found is there all the same
                    print(why)
            figures.append(pages.Entry(title, f"{name}/{html.name}", question, picture, group="Figures"))
    return figures + books


def cover(out: pathlib.Path, entries: list[pages.Entry], facts: dict) -> pathlib.Path:
    """Write `out/index.html`: these cards, the key numbers above. Returns its path."""
    numbers = {
        "worst area error": f"{max(map(abs, facts['area_error_percent'].values())):.1f} %",
        "the same by NDSI": f"{max(map(abs, facts['ndsi_area_error_percent'].values())):.1f} %",
        "debris found": f"{100 * facts['debris_recall']:.0f} %",
        "debris found by NDSI": f"{100 * facts['ndsi_debris_recall']:.0f} %",
        "front error": f"{facts['front_error_px']:.2f} px",
        "mass balance (m w.e. a⁻¹)": f"{facts['elevation']['mass_balance_m_we_a']:+.2f}".replace("-", "−"),
        "the demo took": f"{facts['seconds']['total']:.0f} s",
    }
    return pages.index(entries, out / "index.html", "The demo region, mapped", TEXT, numbers, facts)
