"""Pictures of every notebook's main plot for these pages: `make gallery`, from what `make demo` left.

A notebook that the demo does not run is run first. The main plot is the largest page that the notebook made.
"""

import io
import pathlib
import re
import sys

import nbformat
from PIL import Image

from glacier_nb import batch, pages, provenance

DOCS = pathlib.Path(__file__).resolve().parent
LARGEST = 150_000
"""Bytes of a picture, so that the repository stays small."""

SIZE = (1200, 800)
FIRST = (1200, 690)
"""Of the picture that README and the first page begin with."""


def small(picture: pathlib.Path, path: pathlib.Path) -> None:
    """Write `picture` as WebP in at most `LARGEST` bytes. ValueError where no quality gets there."""
    image = Image.open(picture).convert("RGB")
    for quality in range(85, 20, -10):
        body = io.BytesIO()
        image.save(body, "webp", quality=quality, method=6)
        if body.tell() <= LARGEST:
            with provenance.whole(path) as temporary:
                temporary.write_bytes(body.getvalue())
            return
    raise ValueError(f"{path.name} is over {LARGEST / 1000:.0f} kB whatever its quality: show fewer figures")


def entry(name: str) -> str:
    """A notebook's title, question and picture in the gallery."""
    opening = nbformat.read(batch.find(name), as_version=4).cells[0].source
    heading = opening.splitlines()[0].lstrip("# ")
    question = re.search(r"\*\*(.+?)\*\*", opening, re.S)[1].replace("\n", " ")
    return f"## {heading}\n\n{question}\n\n[![{heading}](gallery/{name}.webp)](notebooks/{name}.ipynb)\n"


def main(demo: pathlib.Path) -> None:
    """Take the pictures from the folder of `make demo` and write gallery.md."""
    if not demo.exists():
        raise SystemExit(f"no {demo}: make demo first")
    names = sorted(path.stem for path in batch.NOTEBOOKS.glob("*.ipynb"))
    for name in names:
        if not list((demo / name).glob("*.html")):
            batch.notebook(name, {"out": str(demo / name)}, demo)
        page = max((demo / name).glob("*.html"), key=lambda path: path.stat().st_size)
        small(pages.picture(page, demo / name / "gallery.png", SIZE, trim=True), DOCS / "gallery" / f"{name}.webp")
        print(name, page.name)
    change = demo / "03_area_change" / "change.html"
    small(pages.picture(change, change.with_name("first.png"), FIRST), DOCS / "change.webp")
    opening = (DOCS / "gallery.md").read_text().split("\n## ")[0].rstrip()
    (DOCS / "gallery.md").write_text("\n\n".join([opening, *map(entry, names)]))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
