"""Every snippet of README and docs runs, every command parses, every link leads somewhere.

A Python block runs on this machine, the blocks of a page one after another in one namespace and folder. A comment
before a block says where that is not so: `<!-- a real place -->` lets the demo region stand for place and provider;
`<!-- needs ... -->` (a GPU, SLURM, a gateway) is run by the slow suite on what `NEEDED` has of it here, its names and
keywords are looked up in any case; `<!-- with chromium -->` is passed by where there is none; `<!-- after: page -->`
begins where another page ended; `<!-- slow -->` has the page wait for the slow suite.
"""

import ast
import functools
import importlib
import inspect
import math
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tomllib
import types
from dataclasses import dataclass

import dask
import distributed
import numpy as np
import odc.geo.xr
import pytest
import yaml

from glacier_nb import __main__, batch, demo, pages, regions, runs, search, weights

ROOT = pathlib.Path(__file__).resolve().parents[1]
MADE = ("reference", "notebooks")  # by docs/conf.py, from what is tested elsewhere
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]
PAGES += sorted(p for p in (ROOT / "docs").rglob("*.md") if p.parent.name not in MADE)
FENCE = re.compile(r"(?:^<!-- (?P<mark>[^>]+) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S)
OTHERS = {"cd", "conda", "for", "git", "jupyter", "pip", "source"}
"""First words of commands that are not ours to check."""


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: pathlib.Path
    line: int
    mark: str
    language: str
    code: str


@functools.cache
def blocks(page: pathlib.Path) -> list[Block]:
    """The fenced blocks of a page."""
    text = page.read_text()
    found = FENCE.finditer(text)
    return [Block(page, text[: m.start("code")].count("\n"), m["mark"] or "", m["language"], m["code"]) for m in found]


def python(page: pathlib.Path) -> list[Block]:
    """Its Python blocks."""
    return [block for block in blocks(page) if block.language == "python"]


def title(page: pathlib.Path) -> str:
    """What a test is called."""
    return str(page.relative_to(ROOT))


RUN = [page for page in PAGES if any(not b.mark.startswith("needs") for b in python(page))]
SLOW = [page for page in RUN if any(b.mark == "slow" for b in python(page))]
NEEDS = [block for page in PAGES for block in python(page) if block.mark.startswith("needs")]
SHELL = [block for page in PAGES for block in blocks(page) if block.language == "sh"]


@pytest.fixture
def elsewhere(region, monkeypatch):
    """The demo region stands for every place and provider, once it is asked for."""
    place, scenes = regions.place, search.scenes

    def stands_in():
        address = demo.provider("demo")
        monkeypatch.setattr(regions, "place", lambda *_: place(region / "region.json"))
        monkeypatch.setattr(
            search,
            "scenes",
            lambda bbox, *args, provider="", **more: scenes(bbox, *args, provider=address, **more),
        )
        return lambda: (monkeypatch.setattr(regions, "place", place), monkeypatch.setattr(search, "scenes", scenes))

    return stands_in


def follow(page: pathlib.Path, elsewhere, known: dict) -> int:
    """Run the blocks of a page as a reader does who types them in; how many ran."""
    ran = 0
    for block in python(page):
        kind, _, rest = block.mark.partition(" ")
        if kind == "after:":
            ran += follow(page.parent / f"{rest}.md", elsewhere, known)
        if kind == "needs" or (block.mark == "with chromium" and pages.chromium() is None):
            continue
        back = elsewhere() if block.mark == "a real place" else None
        code = "\n" * block.line + block.code
        exec(compile(code, str(block.page), "exec"), known)
        ran += 1
        if back:
            back()
    return ran


@pytest.mark.parametrize("page", [page for page in RUN if page not in SLOW], ids=title)
def test_snippets_run(page, elsewhere, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert follow(page, elsewhere, {"__name__": "page"}) > 0


@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW, ids=title)
def test_slow_snippets_run(page, elsewhere, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert follow(page, elsewhere, {"__name__": "page"}) > 0


@pytest.mark.parametrize("block", NEEDS, ids=lambda b: f"{title(b.page)}:{b.line}")
def test_what_cannot_run_here_names_what_is_there(block):
    tree = ast.parse(block.code)
    ours = {}
    for node in (n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module.startswith("glacier_nb")):
        for alias in node.names:
            ours[alias.asname or alias.name] = importlib.import_module(f"{node.module}.{alias.name}")
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    checked = 0
    for call in calls:
        if isinstance(call.func.value, ast.Name) and call.func.value.id in ours:
            function = getattr(ours[call.func.value.id], call.func.attr)
            inspect.signature(function).bind_partial(*call.args, **{one.arg: one for one in call.keywords if one.arg})
            checked += 1
    assert checked, "a block that is not run should at least call something of ours"


QUEUE = {
    "sbatch": """#!/bin/sh
[ -e {folder}/running ] && echo "Submitted batch job $$" && exit
setsid bash "$1" >{folder}/log 2>&1 &
touch {folder}/running
echo "Submitted batch job $!"
""",
    "scancel": "#!/bin/sh\nkill -- -$1 2>{folder}/cancelled || true\n",
}
"""SLURM's two commands, on a machine that runs the first job at once and keeps all others waiting."""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A queue of jobs that are processes here, as SLURM would run them on its nodes."""
    pytest.importorskip("dask_jobqueue")
    for name, text in QUEUE.items():
        (tmp_path / name).write_text(text.format(folder=tmp_path))
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    host = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with dask.config.set({"jobqueue.slurm.scheduler-options": host}):
        yield
    assert "Start worker at" in (tmp_path / "log").read_text()


@pytest.fixture
def cuda(monkeypatch):
    """No GPU, but dask-cuda's one class as a worker on the CPU: what the page says of a machine without one."""
    options = {"n_workers": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    library = types.SimpleNamespace(LocalCUDACluster=functools.partial(distributed.LocalCluster, **options))
    monkeypatch.setitem(sys.modules, "dask_cuda", library)


@pytest.fixture
def hub(gateway):
    """A real gateway, set up as on a hub."""
    known = {"username": "reader", "password": gateway["auth"].password}
    found = {"gateway.address": gateway["address"], "gateway.auth.type": "basic", "gateway.auth.kwargs": known}
    with dask.config.set(found):
        yield


NEEDED = {"a GPU": "cuda", "SLURM": "slurm", "a gateway": "hub"}
"""What a page needs, and the fixture that has as much of it as this machine can."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what these libraries have to say to each other
@pytest.mark.parametrize("block", NEEDS, ids=lambda b: f"{title(b.page)}:{b.line}")
def test_what_needs_more_than_this_machine_runs_on_what_there_is_of_it(block, request, tmp_path):
    request.getfixturevalue(NEEDED[block.mark.removeprefix("needs ")])
    row = weights.find("extent-demo")
    mean, std = (np.reshape(one, (-1, 1, 1)) for one in (row.mean, row.std))
    values = mean + std * np.random.default_rng(7).normal(size=(len(row.inputs), 96, 80))
    box = odc.geo.geobox.GeoBox((96, 80), odc.geo.geobox.Affine(10, 0, 5e5, 0, -10, 5.1e6), "EPSG:32632")
    layers = odc.geo.xr.wrap_xr(values.astype("float32"), box, axis=1, dims=("feature", "y", "x"))
    layers = layers.assign_coords(feature=list(row.inputs)).chunk(y=64, x=64)
    known = {"features": layers.assign_attrs(time="2024-08-15", sensor="sentinel-2-l2a")}
    exec(compile(block.code, str(block.page), "exec"), known)
    if "zones" in known:
        total = known["zones"].sum("zone").to_numpy()
        np.testing.assert_allclose(total, 1, atol=1e-3)


def commands(code: str) -> list[list[str]]:
    """The words of each command of a shell block, without comments and variables set before it."""
    found = []
    for line in code.replace("\\\n", " ").splitlines():
        for command in re.split(r"\s(?:&&|\|)\s|;\s", line):
            words = shlex.split(command, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words:
                found.append(words)
    return found


def check(words: list[str], makefile: str) -> str:
    """What is wrong with a command of ours; empty where nothing is."""
    first, *rest = words
    if first == "make":
        targets = [word for word in rest if "=" not in word]
        wrong = [t for t in targets if not re.search(rf"^{t}:", makefile, re.M)]
        wrong += [w for w in rest if "=" in w and f"$({w.partition('=')[0]})" not in makefile]
        return f"make knows no {wrong[0]}" if wrong else ""
    if pathlib.Path(first).name in ("python", "python3"):
        if rest[:2] == ["-m", "glacier_nb"]:
            try:
                __main__.parser().parse_args(rest[2:])
            except SystemExit:
                return f"glacier_nb does not take {rest[2:]}"
        elif rest[:1] != ["-m"] and rest[0] != "rerun.py" and not (ROOT / rest[0]).exists():
            return f"no {rest[0]}"
        elif "-r" in rest and not (ROOT / rest[rest.index("-r") + 1]).exists():
            return f"no {rest[rest.index('-r') + 1]}"
        return ""
    if first == "papermill":
        paths = [word for word in rest if word.endswith(".ipynb")]
        given = {}
        for k, word in enumerate(rest):
            if word == "-p":
                given[rest[k + 1]] = rest[k + 2]
            if word == "-y":
                given |= yaml.safe_load(rest[k + 1])
        batch.check(ROOT / paths[0], given)
        return ""
    return "" if first in OTHERS or "/pip" in first else f"nobody checks {first!r}"


@pytest.mark.parametrize("block", SHELL, ids=lambda b: f"{title(b.page)}:{b.line}")
def test_commands_are_taken(block):
    makefile = (ROOT / "Makefile").read_text()
    found = commands(block.code)
    assert found
    wrong = [said for said in (check(words, makefile) for words in found) if said]
    assert not wrong, wrong


def test_other_blocks_are_of_known_kinds_and_parse():
    for block in (block for page in PAGES for block in blocks(page)):
        assert block.language in {"python", "sh", "yaml", "dockerfile", "text"}, f"{title(block.page)}:{block.line}"
        if block.language == "yaml":
            assert yaml.safe_load(block.code), f"{title(block.page)}:{block.line}"
        for line in (
            re.findall(r"python -m glacier_nb (.+)$", block.code, re.M) if block.language == "dockerfile" else ()
        ):
            __main__.parser().parse_args(shlex.split(line))


def test_lists_of_regions_are_taken(tmp_path):
    found = 0
    for block in (block for page in PAGES for block in blocks(page) if block.language == "yaml"):
        known = yaml.safe_load(block.code)
        if "regions" in known:
            (tmp_path / "regions.yml").write_text(block.code)
            asked = runs.read(tmp_path / "regions.yml", "03_area_change")
            assert len(asked) == len(known["regions"]) * math.prod(map(len, known.get("each", {}).values()))
            found += 1
    assert found


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target and target.split("/")[0] not in MADE:
            assert (page.parent / target).exists(), f"{title(page)}: {target}"


def test_every_term_of_the_glossary_names_its_source():
    text = (ROOT / "docs" / "glossary.md").read_text().partition("```{glossary}\n")[2].removesuffix("```\n")
    terms = re.split(r"\n\n(?=\S)", text.strip())
    assert len(terms) > 20 and not [one for one in terms if "\n    " not in one]
    source = re.compile(r"[A-Z]\w+,?\s(et\sal\.\s|and\s[A-Z]\w+\s|Consortium\s)?(19|20)\d\d\b|STAC specification")
    assert not [one.partition("\n")[0] for one in terms if not source.search(re.sub(r"\s+", " ", one))]


def test_every_notebook_opens_on_binder():
    repository = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    place = repository.removeprefix("https://github.com/")
    links = set(re.findall(r"https://mybinder\.org[^)\s]+", (ROOT / "README.md").read_text()))
    live = f"https://mybinder.org/v2/gh/{place}/HEAD?urlpath=lab/tree/notebooks"
    assert links == {f"{live}/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}


def test_the_first_screen_of_the_readme():
    """One picture, two commands, and how to run the same on a real place, before anything else."""
    top = "\n".join((ROOT / "README.md").read_text().splitlines()[:25])
    assert top.count("![") == 1 and "make demo" in top and "make test" in top and "make run REGION=" in top


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_without_a_network(tmp_path):
    pytest.importorskip("myst_nb")
    blocked = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", ROOT / "docs", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | blocked)
    assert done.returncode == 0, done.stderr[-3000:]
    assert {"index.html", "glossary.html", "reference"} <= {p.name for p in tmp_path.iterdir()}
    for book in sorted((ROOT / "notebooks").glob("*.ipynb")):  # its picture and its link, before any of its code
        top = (tmp_path / "notebooks" / f"{book.stem}.html").read_text().partition('class="cell ')[0]
        (picture,) = re.findall(rf'<img [^>]*src="(\.\./_images/{book.stem}\.webp)"', top)
        assert (tmp_path / "notebooks" / picture).exists() and f"urlpath=lab/tree/notebooks/{book.name}" in top
        ran = re.findall(r'href="\.\./(demo/[^"]*)"', top)  # where make demo left it
        assert bool(ran) == (ROOT / "out" / "demo" / f"{book.stem}.html").exists()
        assert all((tmp_path / one).exists() for one in ran)
