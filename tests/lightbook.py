"""A notebook that runs in a second, finds a number, and goes wrong in each way that a real one does."""

import pathlib
import re

import nbformat

from glacier_nb import campaign, kernels, outcomes, runs

PARAMETERS = """region: str = "Aletsch"  # where
years: list = [2017, 2024]  # late summers
system: str = "ndsi"  # what maps the ice
fault: str = ""  # what goes wrong
inventory: str = ""  # a file
seed: int = 7  # of the number
out: str = "out"  # folder for what this notebook makes"""

CODE = """import json, os, pathlib, sys, time, urllib.error, urllib.request, zlib

with open(os.path.join(os.path.dirname(out), os.pardir, "started.txt"), "a") as file:
    file.write(os.path.basename(out) + "\\n")
if fault == "unreachable":
    address = "http://127.0.0.1:9/stac?sig=" + "secret"  # no such text in this notebook's code
    print("asking", address, file=sys.stderr)
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=5)
    except OSError as error:
        raise urllib.error.URLError(f"{address} {error.reason}")
if fault == "empty":
    raise LookupError(f"no scene over {region} in {years}: widen dates or bbox\\n(asked once)")
if fault == "corrupt":
    zlib.decompress(b"II*" + bytes(64))
if fault == "memory":
    held = [bytearray(b"x" * 2**20) for _ in range(4000)]
if fault == "killed":
    os.kill(os.getpid(), 9)
if fault == "slow":
    time.sleep(60)
answer = {"change_percent": -1.5 * seed, "change_lower_percent": -2.0 * seed, "change_upper_percent": -1.0 * seed}
pathlib.Path(out, "manifest.json").write_text(json.dumps({"answer": answer}))
print(region, answer)"""

FAULTS = {
    "unreachable": "URLError: .*refused",
    "empty": "LookupError: no scene over .*: widen dates or bbox$",
    "corrupt": "error: Error -3 while decompressing",
    "memory": r"out of memory: it took .* MiB, 250 were allowed",
    "killed": "killed: the kernel was ended by SIGKILL",
}
"""What goes wrong, and how it is named."""

LIMIT = 250.0
"""MiB: an empty kernel takes about 60."""


SECRET = "sig=secret"
"""A token, as an address has it, that an unreachable provider's error holds."""


def write(folder: pathlib.Path, code: str = CODE, name: str = "light", parameters: str = PARAMETERS) -> pathlib.Path:
    """Write the notebook to `folder`; returns its path."""
    cells = [
        nbformat.v4.new_markdown_cell("# Light\n\n**How much?**"),
        nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(code),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})
    nbformat.write(book, folder / f"{name}.ipynb")
    return folder / f"{name}.ipynb"


def listed(folder: pathlib.Path, faults: list[str]) -> pathlib.Path:
    """Write a list of regions side by side, with these faults ("" for none); returns its path."""
    rows = [
        f"- {{region: '{7 + n / 100:.2f},46.00,{7.01 + n / 100:.2f},46.01', name: r{n:03d}, "
        f"fault: '{fault}', seed: {n}}}"
        for n, fault in enumerate(faults)
    ]
    path = folder / "regions.yml"
    path.write_text("regions:\n" + "\n".join(rows) + "\n")
    return path


def named(error: str, fault: str) -> bool:
    """Whether an error names a fault, in one line."""
    return re.match(FAULTS[fault], error) is not None and "\n" not in error


def batch(folder: pathlib.Path, faults: list[str], jobs: int = 3, limits=None, **options) -> list[outcomes.Outcome]:
    """Run the notebook over `listed`'s regions in `folder/out`, with LIMIT unless told; returns what became of them."""
    book = folder / "light.ipynb"
    asked = runs.read(listed(folder, faults), str(book if book.exists() else write(folder)))
    return campaign.run(asked, folder / "out", jobs, limits=limits or kernels.Limits(memory=LIMIT), **options)


def started(folder: pathlib.Path) -> list[str]:
    """The runs that were started in `folder/out` since this was asked last, by name."""
    path = folder / "out" / "started.txt"
    names = sorted(path.read_text().split()) if path.exists() else []
    path.unlink(missing_ok=True)
    return names
