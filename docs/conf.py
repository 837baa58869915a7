"""How the pages are built: `make docs`. Docstrings are data sheets, notebooks are shown as they are."""

import importlib
import json
import pathlib
import re
import shutil
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REPOSITORY = PROJECT["urls"]["Repository"]

project, author = "glacier_nb", "The glacier_nb developers"
copyright = f"{author}, Apache-2.0"
version = release = importlib.import_module("glacier_nb").__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
html_theme = "pydata_sphinx_theme"
html_title = "glacier_nb"
html_static_path = []
html_show_sourcelink = False
html_theme_options = {
    "github_url": REPOSITORY,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
nb_execution_mode = "off"  # tests run the notebooks; pages show what they ask and how
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 2
suppress_warnings = ["misc.highlighting_failure"]
autodoc_default_options = {"members": True, "member-order": "bysource", "ignore-module-all": True, "no-value": True}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True

TASKS = (
    ("Find and read scenes", ("regions", "search", "load", "ranking", "composite", "features", "elevation")),
    ("Map", ("systems", "predict", "weights", "vectorize", "clean", "ensembles", "location")),
    ("Measure", ("change", "terminus", "attributes", "rockglaciers", "uncertainty", "calibration", "metrics")),
    ("Show", ("plots", "pages", "charts", "maps", "sheets", "thinning", "tables")),
    ("Learn", ("train", "patches", "losses", "losses_front", "recipes", "trials", "walks")),
    ("Run and share", ("batch", "share", "cluster", "provenance", "demo", "tour", "__main__")),
    ("Data of others", ("datasets", "inventories", "readers", "sensors", "providers", "files")),
    ("Known truth", ("synthetic", "slopes", "imaging", "serve", "faults")),
)
"""What is looked for, and the modules that do it."""


def escaped(paragraph: str) -> str:
    """Text of a docstring as reStructuredText: what stands between backticks is code, all else has no markup."""
    found = []
    for k, part in enumerate(re.split(r"`+([^`]+)`+", paragraph)):
        found.append(rf"\ ``{part}``\ " if k % 2 else re.sub(r"([*|_\\])", r"\\\1", part))
    return "".join(found)


def marked_up(lines: list[str]) -> list[str]:
    """A docstring as reStructuredText, its doctests as they are."""
    blocks = re.split(r"\n\s*\n", "\n".join(lines).strip())
    return [*"\n\n".join(one if ">>>" in one else escaped(one) for one in blocks).split("\n"), ""]


def docstring(app, what, name, obj, options, lines) -> None:
    """Hand a docstring to Sphinx in its own markup."""
    lines[:] = marked_up(lines)


RAN = ROOT / "out" / "demo"
"""Where `make demo` leaves the notebooks that it ran; where it was not, these pages are without them."""


def notebooks(app, config) -> None:
    """The suite's notebooks beside these pages, each with what it gives and what opens it live, and their index."""
    folder = ROOT / "docs" / "notebooks"
    folder.mkdir(exist_ok=True)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        book = json.loads(path.read_text())
        live = f"https://mybinder.org/v2/gh/{REPOSITORY.removeprefix('https://github.com/')}/HEAD"
        text = f"[Open it live on Binder]({live}?urlpath=lab/tree/notebooks/{path.name})"
        if (ran := RAN / f"{path.stem}.html").exists():
            size = f"{ran.stat().st_size / 1e6:.1f} MB"
            text += f' · <a href="../demo/{ran.name}">See it run on the demo region</a> (its maps move; {size})'
        opening = book["cells"][0]
        opening["source"] = "".join(opening["source"]).replace("](../docs/gallery/", "](../gallery/")
        book["cells"].insert(1, {"cell_type": "markdown", "id": "live", "metadata": {}, "source": text})
        (folder / path.name).write_text(json.dumps(book))
    names = "\n".join(sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")))
    text = "The suite in reading order: each asks one question and answers it with a number and its interval."
    (folder / "index.md").write_text(f"# Notebooks\n\n{text}\n\n```{{toctree}}\n:maxdepth: 1\n\n{names}\n```\n")


def reference(app, config) -> None:
    """A page for each module, and one that lists them by task; what no task names stands under the last."""
    folder = ROOT / "docs" / "reference"
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.md"):
        path.unlink()
    there = {path.stem for path in (ROOT / "glacier_nb").glob("*.py") if path.stem != "__init__"}
    named = {name for _, names in TASKS for name in names}
    tasks = [*TASKS, ("Inside", tuple(sorted(there - named))), ("Networks", ("networks",))]
    text = "# Reference\n\nEvery public module with what it holds, from its docstrings.\n"
    for task, names in tasks:
        text += f"\n## {task}\n\n```{{toctree}}\n:maxdepth: 1\n\n" + "\n".join(names) + "\n```\n"
        for name in names:
            modules = [f"glacier_nb.{name}"]
            if name == "networks":
                files = sorted(path.stem for path in (ROOT / "glacier_nb" / "networks").glob("*.py"))
                modules += [f"glacier_nb.networks.{one}" for one in files if one != "__init__"]
            body = "\n".join(f"## {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n```\n" for module in modules)
            (folder / f"{name}.md").write_text(f"# {name}\n\n{body}")
    (folder / "index.md").write_text(text)


def demo(app, error) -> None:
    """The run notebooks beside the pages that name them."""
    if error is None:
        (pathlib.Path(app.outdir) / "demo").mkdir(exist_ok=True)
        for path in (ROOT / "notebooks").glob("*.ipynb"):
            if (ran := RAN / f"{path.stem}.html").exists():
                shutil.copy2(ran, pathlib.Path(app.outdir) / "demo")


def setup(app) -> None:
    """Called by Sphinx."""
    app.connect("build-finished", demo)
    app.connect("config-inited", notebooks)
    app.connect("config-inited", reference)
    app.connect("autodoc-process-docstring", docstring)
