"""Public functions are told: what they do, the errors they raise, dims, columns or units of what they take and give."""

import ast
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
    missing = [
        f"{name}: {error}"
        for name, node in public(path)
        if "." not in name
        for error in sorted(set(raised(node)))
        if error not in (ast.get_docstring(node) or "")
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


@pytest.mark.parametrize("path", FILES, ids=id_of)
def test_types_stand_in_the_signature_alone(path):
    typed = [name for name, node in public(path) if re.search(r":param|:type|:return", ast.get_docstring(node) or "")]
    assert not typed, f"a docstring says what a signature cannot: {typed}"


def test_what_only_the_pages_need_is_locked_apart(root):
    wanted = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]["docs"]
    locks = [(root / name).read_text().lower().split() for name in ("requirements-docs.lock", "requirements.lock")]
    pages, users = ({line.partition("==")[0]: line.partition("==")[2] for line in lock} for lock in locks)
    assert not set(pages) & set(users), "what users have too belongs into requirements.lock alone"
    for requirement in map(Requirement, wanted):
        assert requirement.name not in users, f"{requirement.name} is for the pages: users need not have it"
        assert requirement.specifier.contains(pages[requirement.name]), f"{requirement}: make lock-docs"
