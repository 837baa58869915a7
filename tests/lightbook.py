"""A notebook that runs in a second, finds a number, and goes wrong in each way that a real one does."""

import pathlib

import nbformat

PARAMETERS = """region: str = "Aletsch"  # where
years: list = [2017, 2024]  # late summers
system: str = "ndsi"  # what maps the ice
fault: str = ""  # what goes wrong
inventory: str = ""  # a file
seed: int = 7  # of the number
out: str = "out"  # folder for what this notebook makes"""

CODE = """import json, os, pathlib, time, urllib.request, zlib

if fault == "unreachable":
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    direct.open("http://127.0.0.1:9/stac?sig=secret", timeout=5)
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
with open(os.path.join(os.path.dirname(out), os.pardir, "started.txt"), "a") as file:
    file.write(os.path.basename(out) + "\\n")
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


def write(folder: pathlib.Path, code: str = CODE, name: str = "light") -> pathlib.Path:
    """Write the notebook to `folder`; returns its path."""
    cells = [
        nbformat.v4.new_markdown_cell("# Light\n\n**How much?**"),
        nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
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
