"""Public functions are told: what they do, the errors they raise, dims, columns or units of what they take and give."""

import ast
import calendar
import functools
import pathlib
import re
import tomllib
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement

PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "glacier_nb"
FILES = sorted(p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py" or p.parent.name == "networks")
GEOGRAPHIC = re.compile(r"\b(?:DataArray|Dataset|GeoDataFrame|GeoSeries)\b")
TOLD = re.compile(
    r"\((?:[a-z_]+, )*y, x\b|\bdims?\b|time, y, x|\by, x\b|\brows?\b|\bcolumns?\b|\brgi_id\b|\bgeometr|\bpixels?\b"
    r"|\bband"
    r"|\bunits?\b|\bmetres?\b|\bm2\b|\bkm2?\b|\bm a-1\b|\bdegrees?\b|\blon/lat\b|\bpercent\b|\(m\b|\bm\)|\bK\b|0-1|0 to"
    r"|\bprobabilit|\breflectance\b|\bbool\b|\bu?int\d+\b|\bfloat\d+\b|\bCRS\b|\bpolygon|\bline|\boutline|\bfront|\bbox"
    r"|\blayer|\bfeature|\bvariable|\bcoordinate|\bshare of\b|\bstandard deviation|\bscene\b|\bcube\b|\bzones?\b"
    r"|\bgrid\b"
)
"""What tells a reader how an array or a table is laid out, or in what it is measured."""
_NO_NAMES = "|".join((*calendar.month_name[1:], "Since", "From", "Until", "In", "Of"))
SOURCE = re.compile(
    r"\bdoi:10\.\d{4,}/\S|\barXiv:\d{4}\.\d{5}|\b[A-Z][\w'-]+ et al\. (?:19|20)\d\d\b"
    rf"|\b(?!(?:{_NO_NAMES})\b)[A-Z][\w'-]*[a-zà-ÿ] \(?(?:19|20)\d\d\b"
    r"|\bGLIMS\b|\bRGI \d|\bLSDS-\d|\bJCGM \d|\bSTAC's \w+ extension|\bProducts? (?:Specification|Handbook)\b"
)
"""A paper (DOI, arXiv number, or authors and year), or the specification that a product or an inventory goes by."""
OWN = re.compile(r"Without a source, plain or ours: ([^.]*)\.")
"""How a module's docstring names those of its functions that no paper stands behind."""
NO_METHODS = {
    "__main__", "answers", "article", "assembly", "batch", "blocks", "campaign", "charts", "checkpoints", "cluster",
    "columns", "comparing", "coverages", "crs", "datasets", "demo", "dials", "doubt", "edits", "estimates", "exports",
    "faults", "features", "figures", "files", "fitting", "forward", "fronts", "furniture", "gazetteer", "guards",
    "hand", "imaging", "inventories", "jobs", "kept", "kernels", "labelled", "labels", "landscapes", "lapse", "layers",
    "ledger", "load", "maps", "mount", "namings", "nothing", "outcomes", "overpass", "overview", "pages", "panning",
    "papers", "patches", "plans", "plots", "predict", "products", "provenance", "providers", "published", "ranges",
    "readers", "reads", "records", "regions", "remote", "resources", "rgi", "runs", "samples", "search", "selection",
    "sensors", "serve", "sets", "share", "sheets", "sinks", "sketches", "slabs", "stacks", "stored", "summers", "swipe",
    "synthetic", "systems", "systems_caffe", "systems_change", "systems_extent", "systems_front", "systems_own",
    "systems_rock", "systems_sensors", "tables", "tensors", "tour", "train", "trials", "truth", "vectors",
    "verification", "walks", "weights", "windows", "workers",
}  # fmt: skip
"""Modules that find, read, keep, draw or run, and rows that cite by a field of their own: no method stands in them."""
METHODS = [path for path in FILES if path.parent == PACKAGE and path.stem not in NO_METHODS]
PRIVATE = {"StopIteration"}
"""Exceptions that a caller never sees."""
UNIT = re.compile(
    r"_(?:m[23]?|km2?|gt|we|a|deg|percent|px|d|day|days|fraction|share|ratio|at|by|lat|lon)$|^(?:cen|term)l"
)
"""How a column's name says its unit; where it does not, the docstring does."""
PLAIN = {
    "author", "class_name", "end", "events", "file", "geometry", "glac_name", "glacier_id", "image", "kind", "label",
    "left_out", "method", "model_geometry", "n", "name", "note", "o1region", "o2region", "path_row", "quality",
    "rgi_id", "scene", "sensor", "since", "site", "start", "system", "term_type", "time",
}  # fmt: skip
"""Columns of names, words, dates, shapes and numbers of rows: without a unit."""
INNER = {
    "adapting.adaptation": {"path", "seed"}, "areas.happened": {"rank"}, "attributes.thinned": {"region"},
    "change.area": {"change_half", "change_off", "half", "off", "then", "years"}, "charts.area_rows": {"first"},
    "corrections.noted": {"day", "id"}, "delineation.score": {"hd95", "mean", "season"}, "edits.apply": {"day"},
    "elevation.change": {"area_sd", "edge", "first", "off", "sd", "second", "without"},
    "vectors.read": {"bbox", "layer"},
    "migration.rates": {"swept", "years"}, "terminus.positions": {"wide"}, "train.ablations": {"nothing"},
}  # fmt: skip
"""Columns that a function makes on its way and does not give back."""
NO_PAPER = {"__init__", "names", "smp", "threshold"}
"""Files in `networks` that are no paper's."""


@functools.cache
def public(path: pathlib.Path) -> list[tuple[str, ast.FunctionDef]]:
    """Public functions of a module, and public methods of its public classes, by name."""
    found = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name[0] != "_":
            found.append((node.name, node))
        if isinstance(node, ast.ClassDef) and node.name[0] != "_":
            within = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name[0] != "_"]
            found += [(f"{node.name}.{one.name}", one) for one in within]
    return found


def raised(node: ast.AST) -> Iterator[str]:
    """Names of the exceptions that a function raises itself; those of functions inside it are their own."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(child, ast.Raise) and isinstance(child.exc, ast.Call):
            function = child.exc.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name[:1].isupper():
                yield name
        yield from raised(child)


def caught(node: ast.AST) -> set[str]:
    """Names of the exceptions that do not leave a `try` or a `with suppress(...)`, as far as they are told there."""
    found = []
    if isinstance(node, ast.Try):
        found = [one.type for one in node.handlers if one.type and not any(isinstance(n, ast.Raise) for n in one.body)]
    if isinstance(node, ast.With):
        calls = [one.context_expr for one in node.items if isinstance(one.context_expr, ast.Call)]
        found = [arg for call in calls if ast.unparse(call.func).endswith("suppress") for arg in call.args]
    return {name.rpartition(".")[2] for one in found for name in re.findall(r"[\w.]+", ast.unparse(one))}


def passed_on(node: ast.AST, helpers: dict[str, ast.FunctionDef], seen: frozenset = frozenset()) -> set[str]:
    """Names of the exceptions that the private functions of its module, which a function calls, raise through it."""
    found = set()
    for child in ast.iter_child_nodes(node):
        inner = passed_on(child, helpers, seen)
        name = child.func.id if isinstance(child, ast.Call) and isinstance(child.func, ast.Name) else ""
        if name in helpers and name not in seen:
            inner |= set(raised(helpers[name])) | passed_on(helpers[name], helpers, seen | {name})
        found |= inner - PRIVATE
    return found - caught(node)


def id_of(path: pathlib.Path) -> str:
    """What a test is called."""
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", FILES, ids=id_of)
def test_every_public_function_is_told(path):
    bare = [name for name, node in public(path) if not ast.get_docstring(node) and not inherited(path, name)]
    assert not bare, f"no docstring on {bare}"


def inherited(path: pathlib.Path, name: str) -> bool:
    """Whether a method overrides one of a library's class, which tells what it is for."""
    owner = name.partition(".")[0]
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef) and node.name == owner and "." in name:
            return any("Handler" in ast.unparse(base) or "Module" in ast.unparse(base) for base in node.bases)
    return False


@pytest.mark.parametrize("path", FILES, ids=id_of)
def test_errors_are_named(path):
    """Those of its own body, and those of the module's private functions that it calls."""
    tree = ast.parse(path.read_text())
    helpers = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name[0] == "_"}
    missing = [
        f"{name}: {error}"
        for name, node in public(path)
        for error in sorted(set(raised(node)) | passed_on(node, helpers))
        if not re.search(rf"\b{error}\b|\berrors as in `\w+`", ast.get_docstring(node) or "")
    ]
    assert not missing, f"say in the docstring when it is raised: {missing}"


@pytest.mark.parametrize("path", FILES, ids=id_of)
def test_arrays_and_tables_are_told(path):
    bare = []
    for name, node in public(path):
        signature = ast.unparse(node.args) + (ast.unparse(node.returns) if node.returns else "")
        if "." not in name and GEOGRAPHIC.search(signature) and not TOLD.search(ast.get_docstring(node) or ""):
            bare.append(name)
    assert not bare, f"say dims in order, columns or units: {bare}"


def test_where_there_are_several_arrays_or_tables_each_is_named():
    """In the docstring of the function that takes them, of its module, or of the one that it says they are as in."""
    bare = []
    for path in FILES:
        for name, node in ((name, node) for name, node in public(path) if "." not in name):
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            names = [one.arg for one in given if one.annotation and GEOGRAPHIC.search(ast.unparse(one.annotation))]
            text = told(node) + told(ast.parse(path.read_text()))
            named = all(re.search(rf"\b{one.removesuffix('s')}s?\b", text) for one in names)
            if len(names) > 1 and not named and not re.search(r"\b[Aa]s (in |by |that of )?`\w+`", text):
                bare.append(f"{path.stem}.{name}")
    assert not bare, f"say which is which: {bare}"


@pytest.mark.parametrize("path", FILES, ids=id_of)
def test_types_stand_in_the_signature_alone(path):
    typed = [name for name, node in public(path) if re.search(r":param|:type|:return", ast.get_docstring(node) or "")]
    assert not typed, f"a docstring says what a signature cannot: {typed}"


def told(node: ast.AST) -> str:
    """A docstring on one line."""
    return " ".join((ast.get_docstring(node) or "").split())


def tables(path: pathlib.Path) -> list[tuple[str, ast.FunctionDef]]:
    """The public functions of a module that give tables back."""
    return [(name, node) for name, node in public(path) if node.returns and "DataFrame" in ast.unparse(node.returns)]


@functools.cache
def defined() -> dict[str, str]:
    """Docstrings of all public functions that give tables and of all classes, by name; ALL_CAPS list columns."""
    found = {}
    for path in FILES:
        tree = ast.parse(path.read_text())
        nodes = [*tables(path), *((one.name, one) for one in tree.body if isinstance(one, ast.ClassDef))]
        for name, node in nodes:
            found[name.rpartition(".")[2]] = f"{found.get(name.rpartition('.')[2], '')} {told(node)}"
        for node in (one for one in tree.body if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name)):
            found |= {node.targets[0].id: " ".join(texts(node.value))} if node.targets[0].id.isupper() else {}
    return found


def texts(node: ast.AST) -> set[str]:
    """The literal texts in a piece of code."""
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def written(node: ast.FunctionDef, helpers: dict[str, ast.FunctionDef], seen: frozenset = frozenset()) -> set[str]:
    """Columns that a function and its module's private ones write by name, less those that they drop or rename."""
    found, gone = set(), set()
    for one in ast.walk(node):
        if isinstance(one, ast.Assign):
            cells = [to for to in one.targets if isinstance(to, ast.Subscript) and isinstance(to.value, ast.Name)]
            found |= {cell.slice.value for cell in cells if isinstance(cell.slice, ast.Constant)}
        if not isinstance(one, ast.Call):
            continue
        called = one.func.attr if isinstance(one.func, ast.Attribute) else getattr(one.func, "id", "")
        if called in ("DataFrame", "GeoDataFrame", "append"):
            dicts = [piece for given in one.args for piece in ast.walk(given) if isinstance(piece, ast.Dict)]
            found |= {key.value for piece in dicts for key in piece.keys if isinstance(key, ast.Constant)}
            found |= {name for key in one.keywords if key.arg == "columns" for name in texts(key.value)}
        if called == "assign":
            found |= {key.arg for key in one.keywords if key.arg}
        if called in ("drop", "pop", "rename"):
            gone |= texts(one)
        if called in helpers and called not in seen:
            found |= written(helpers[called], helpers, seen | {called})
    return {name for name in found - gone if isinstance(name, str)}


def columns(path: pathlib.Path, name: str, node: ast.FunctionDef) -> str:
    """What is amiss with what a docstring says of the columns of a table that comes back; empty if nothing."""
    text, module = told(node), told(ast.parse(path.read_text()))
    frames = {one.arg for one in node.args.args if one.annotation and "DataFrame" in ast.unparse(one.annotation)}
    meant = set(re.findall(r"`(?:\w+\.)?(\w+)[`(]", text + module.partition("returns")[2]))
    if not meant & (set(defined()) | frames) and not re.search(
        r"\b(?:rgi_id|geometry|[Cc]olumns?:? (?!of)\w+|[a-z]\w*_(?:m2?|km2|px|a|d|deg|percent))\b", text
    ):
        return "say its columns, or whose they are"
    said = " ".join([text, *(defined().get(one, "") for one in meant)])
    helpers = {one.name: one for one in ast.parse(path.read_text()).body if isinstance(one, ast.FunctionDef)}
    made = written(node, {name: one for name, one in helpers.items() if name[0] == "_"})
    made -= INNER.get(f"{path.stem}.{name}", set())
    if missing := sorted(one for one in made if not re.search(rf"\b{one}\b", said)):
        return f"say what {', '.join(missing)} is"
    bare = (one for one in made - PLAIN if not UNIT.search(one) and not re.search(rf"\b{one}\b[\w ,-]*[(:]", said))
    return "".join(f"say in what {one} is measured, or what it holds: {one} (...) " for one in sorted(bare))


@pytest.mark.parametrize("path", FILES, ids=id_of)
def test_the_columns_of_a_table_are_named_with_their_units(path):
    """By it, or by the function, class or list of columns that it says they are as in; a unit in the name will do."""
    wrong = {name: said for name, node in tables(path) if (said := columns(path, name, node))}
    assert not wrong


@pytest.mark.parametrize("path", METHODS, ids=id_of)
def test_methods_name_their_source(path):
    """Each in its own docstring; "Source: ..." in the module's where all of it is one paper's."""
    module = told(ast.parse(path.read_text()))
    own = set(re.findall(r"`(\w+)`", " ".join(OWN.findall(module))))
    functions = {name: told(node) for name, node in public(path) if "." not in name}
    bare = {name for name, text in functions.items() if not SOURCE.search(text)}
    assert own <= bare, f"named as without a source, but they have one or are gone: {sorted(own - bare)}"
    if not SOURCE.search(module.partition("Source: ")[2]):
        assert not bare - own, (
            f"say from where {sorted(bare - own)} come (doi:..., Name et al. 2020), or, where no paper stands behind "
            "them, name them in the module's docstring after 'Without a source, plain or ours:'"
        )


def test_networks_name_their_paper():
    files = {path.stem: path for path in FILES if path.parent.name == "networks"}
    bare = {name for name, path in files.items() if not SOURCE.search(told(ast.parse(path.read_text())))}
    assert bare == NO_PAPER, f"say in the file's docstring whose network it is: {sorted(bare ^ NO_PAPER)}"


def test_what_a_source_is():
    for text in ("Chaikin 1974", "Nuth and Kääb 2011", "Xie et al. 2020", "arXiv:1612.01474", "RGI 7.0", "Lei (2018)"):
        assert SOURCE.search(text), text
    for text in ("since July 2020", "Since 1970", "Diaconu et al.", "the CAFFE 2000", "year 2021", "baseline 04.00"):
        assert not SOURCE.search(text), text
    assert not NO_METHODS - {path.stem for path in FILES}, "a module in the list is gone"


def test_what_only_the_pages_need_is_locked_apart(root):
    wanted = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]["docs"]
    locks = [(root / name).read_text().lower().split() for name in ("requirements-docs.lock", "requirements.lock")]
    pages, users = ({line.partition("==")[0]: line.partition("==")[2] for line in lock} for lock in locks)
    assert not set(pages) & set(users), "what users have too belongs into requirements.lock alone"
    for requirement in map(Requirement, wanted):
        assert requirement.name not in users, f"{requirement.name} is for the pages: users need not have it"
        assert requirement.specifier.contains(pages[requirement.name]), f"{requirement}: make lock-docs"
