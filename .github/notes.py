"""What is new in the version of `glacier_nb/__init__.py`, as CHANGELOG.md tells it: the notes of its release.

    python .github/notes.py [TAG]

Refuses, in one line, a section that is still "(unreleased)" or of another version, and a tag that is not the version.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def notes(init: str, changelog: str, tag: str = "") -> str:
    """The text under the changelog's first heading. SystemExit, with what to do, where nothing may be released."""
    version = re.search(r'^__version__ = "(.+)"', init, re.M)[1]
    heading, _, text = re.split(r"^## ", changelog, maxsplit=2, flags=re.M)[1].partition("\n")
    if tag and tag != f"v{version}":
        raise SystemExit(f"tag {tag} is not v{version}, the version of glacier_nb/__init__.py: remove it, make release")
    if not re.fullmatch(rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", heading):
        raise SystemExit(
            f'CHANGELOG.md begins with "{heading}": write "## {version} (YYYY-MM-DD)", the day, and commit'
        )
    return text.strip() + "\n"


if __name__ == "__main__":
    print(notes(*((ROOT / name).read_text() for name in ("glacier_nb/__init__.py", "CHANGELOG.md")), *sys.argv[1:]))
