"""Notebooks are stripped, thin, typed in their parameters, and tell their answer. tests/test_tour.py runs them."""

import ast
import re
import tokenize

import nbformat
import papermill
import pytest

from glacier_nb import batch

PATHS = sorted(batch.NOTEBOOKS.glob("*.ipynb"))
LITERAL = re.compile(r"^[a-z_]+: (str|int|float|bool|list) = .+  # .+$")


@pytest.fixture(params=PATHS, ids=lambda p: p.stem)
def path(request):
    """One notebook's file."""
    return request.param


@pytest.fixture
def book(path):
    """One notebook."""
    return nbformat.read(path, as_version=4)


def code(book):
    """The code cells."""
    return [cell for cell in book.cells if cell.cell_type == "code"]


def test_the_tour_is_there():
    assert {p.stem for p in PATHS} >= set(batch.TOUR)


def test_stripped(book):
    for number, cell in enumerate(code(book)):
        assert not cell.outputs and cell.execution_count is None, f"cell {number} carries output: nbstripout it"
    assert book.metadata.kernelspec.name == "python3" and book.metadata.kernelspec.language == "python"
    assert set(book.metadata) <= {"kernelspec", "language_info"}, "editor's metadata: nbstripout it"


def test_thin(book):
    cells = code(book)
    assert len(cells) <= 15
    for cell in cells:
        defined = [
            n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Lambda)
        ]
        assert not defined, f"a function belongs in the package: {cell.source[:60]!r}"


def test_one_typed_parameters_cell(book, path):
    tagged = [cell for cell in code(book) if "parameters" in cell.metadata.get("tags", ())]
    assert len(tagged) == 1
    for line in tagged[0].source.splitlines():
        assert LITERAL.match(line), f"write `name: type = literal  # help`, not {line!r}"
        value = line.split(" = ", 1)[1].rsplit("  # ", 1)[0]
        ast.literal_eval(value)
    known = papermill.inspect_notebook(str(path))
    assert len(known) == len(tagged[0].source.splitlines())
    assert all(one["help"] for one in known.values())


def test_opens_with_a_question_and_ends_with_words(book):
    first, last = book.cells[0], book.cells[-1]
    assert first.cell_type == "markdown" and first.source.startswith("# ") and "?" in first.source
    assert last.cell_type in {"markdown", "code"}
    closing = "\n".join(cell.source for cell in book.cells[-3:]).lower()
    assert "wrong" in closing, "say what could make the number wrong"


def test_no_path_of_a_person_and_no_token(path):
    text = path.read_text()
    assert not re.search(r"/(home|Users|root)/|[?&](sig|se|X-Amz-Signature)=", text)


def test_readable_python(book):
    for cell in code(book):
        tokens = list(tokenize.generate_tokens(iter(cell.source.splitlines(keepends=True)).__next__))
        assert not [t for t in tokens if t.type == tokenize.ERRORTOKEN]
