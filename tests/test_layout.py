"""The house: every module stands on a floor and imports only from lower ones."""

import ast
import pathlib
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "glacier_nb"
FLOORS = (
    {"answers", "columns", "corrections", "crs", "furniture", "gates", "gazetteer", "nothing", "rims", "vectors"},
    {"basins"},
    {"augment", "blocks", "clean", "cluster", "contours", "coverages", "crossings", "events", "iceflow", "inference",
     "ledger", "losses", "maps", "margins", "metrics", "mount", "namings", "networks", "overpass", "paths",
     "provenance", "providers", "ranges", "ranks", "readers", "relief", "sensors", "serve", "sides", "slabs",
     "snowline", "spectra", "tables", "tasseled", "truth", "uncertainty", "variograms", "vectorize", "windows"},
    {"assembly", "change", "charts", "checkpoints", "comparability", "contrast", "crf", "dems", "drainage", "edits",
     "ensembles", "faults", "files", "labels", "layers", "losses_front", "objects", "optical", "pages", "piecewise",
     "published", "radar", "recipes", "records", "scaling", "screening", "selection", "shadows", "sinks", "spreads",
     "stored", "synthetic", "tensors", "terminus", "terrain", "textures", "tracing", "voids"},
    {"areas", "article", "composite", "delineation", "dials", "doubt", "figures", "fluctuations", "formulas", "hand",
     "imaging", "kept", "labelled", "lapse", "migration", "outliers", "panning", "samples", "search", "sheets",
     "slopes", "splits", "swipe", "systems_caffe", "systems_change", "systems_extent", "systems_front", "systems_own",
     "systems_rock", "systems_sensors", "weights"},
    {"calibration", "papers", "sets"},
    {"plots"},
    {"datasets", "elevation", "features", "remote", "thinning"},
    {"attributes", "guards", "inventories", "reads", "systems"},
    {"jobs", "regions", "resources", "rgi", "rockglaciers", "sanity", "stacks"},
    {"exports", "forward", "load"},
    {"plans", "products", "ranking", "summers", "workers"},
    {"location", "patches", "predict", "trials"},
    {"fitting", "scores"},
    {"adapting", "comparing", "landscapes"},
    {"batch", "demo", "fronts", "kernels", "sketches", "train"},
    {"runs", "share", "verification", "walks"},
    {"outcomes", "tour"},
    {"estimates", "overview"},
    {"campaign"},
    {"__main__"},
)  # fmt: skip
USE_TORCH = {"augment", "checkpoints", "contours", "ensembles", "fitting", "forward", "inference", "jobs",
             "landscapes", "losses", "losses_front", "networks", "patches", "plans", "predict", "recipes", "systems",
             "systems_caffe", "systems_change", "systems_extent", "systems_front", "systems_own", "systems_rock",
             "systems_sensors", "tensors", "train", "trials", "walks", "weights", "workers"}  # fmt: skip
FORBIDDEN = {"utils", "core", "base", "common", "config", "pipeline", "manager"}
FILES = sorted(p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py" or p.parent.name == "networks")


def room(path: pathlib.Path) -> str:
    """The module that a file belongs to: its own name, or `networks` for all files in that folder."""
    return "networks" if path.parent.name == "networks" else path.stem


def imports(path: pathlib.Path) -> tuple[set[str], set[str]]:
    """Our modules, and the top names of everybody else's, that a file imports at any depth."""
    ours, others = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: write imports in full (from glacier_nb import ...), not with dots"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            head, *rest = name.split(".")
            (ours.add(rest[0]) if head == "glacier_nb" and rest else others.add(head))
    return ours, others


def floor(module: str) -> int:
    """Number of the floor a module stands on."""
    return next(number for number, modules in enumerate(FLOORS) if module in modules)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path):
    here = room(path)
    assert any(here in modules for modules in FLOORS), f"{here} has no floor: give it one in tests/test_layout.py"
    ours, others = imports(path)
    for other in ours - {here, "__version__"}:
        assert floor(other) < floor(here), f"{here} (floor {floor(here)}) imports {other} (floor {floor(other)})"
    if "torch" in others:
        assert here in USE_TORCH, f"{here} imports torch; only {sorted(USE_TORCH)} may"


def test_names_can_be_guessed():
    assert not {p.stem for p in FILES} & FORBIDDEN


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_stay_small_and_told(path):
    text, most = path.read_text(), 249 if room(path) == "networks" else 300
    assert text.count("\n") <= most, f"{path.name} has {text.count(chr(10))} lines, more than {most}: find its seam"
    tree = ast.parse(text)
    assert ast.get_docstring(tree), f"{path.name} needs a docstring"
    public = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_"]
    bare = [node.name for node in public if not ast.get_docstring(node)]
    assert not bare, f"{path.name}: no docstring on {bare}"


def test_who_runs_notebooks_reads_no_maps():
    """The demo's own process stands beside its notebooks all the time: what it imports, it takes from them."""
    code = (
        "import sys, glacier_nb.tour; sys.exit(bool({'geopandas', 'xarray', 'rasterio', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or "libraries of maps were imported"


def test_reading_and_plotting_do_without_torch():
    modules = ", ".join(
        f"glacier_nb.{m}" for m in ("search", "load", "composite", "change", "terminus", "plots", "demo")
    )
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or "torch was imported"
