"""Pages are whole, small, alone and readable without their plots."""

import re

import pytest
from scenery import drawn, views

from glacier_nb import figures, pages, plots, provenance


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page of all views."""
    sections = [figures.Section(view, f"This is the {name} view.", table) for name, (view, table, _) in drawn().items()]
    path = tmp_path_factory.mktemp("page") / "all.html"
    facts = provenance.manifest(provider="demo", seed=7, items=["S2A_1", "S2A_2"])
    return plots.page("All <views>", sections, path, "What there is.", facts)


def test_a_page_is_whole_small_and_alone(page):
    text = page.read_text()
    assert page.stat().st_size < pages.LARGEST
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", text), "the page loads something from outside"
    assert not re.search(r"https?://(cdn|maps)\.", text)
    assert [p.name for p in page.parent.iterdir()] == [page.name]


def test_a_page_reads_without_its_plots(page):
    text = page.read_text()
    assert "<h1>All &lt;views&gt;</h1>" in text and "<html lang=en>" in text
    assert text.count("<figure") == text.count('aria-label="This is the') == len(views())
    assert text.count("<figcaption>") == len(views())
    assert "How this was made: provider demo · seed 7" in text and "S2A_2" in text
    assert "<th scope=row>demo-1" in text and "Area (km²)" in text


def test_a_page_too_large_is_not_written(monkeypatch, tmp_path):
    monkeypatch.setattr(pages, "LARGEST", 10_000)
    with pytest.raises(ValueError, match="MB"):
        plots.save(drawn()["timeline"][0], tmp_path / "big.html", "big")
    assert not list(tmp_path.iterdir())


def test_a_view_can_be_saved_twice(tmp_path):
    first, second = (plots.save(drawn()["fronts"][0], tmp_path / f"{i}.html", "twice") for i in range(2))
    assert first.stat().st_size == pytest.approx(second.stat().st_size, rel=0.01)


def test_index_holds_cards_in_their_groups(tmp_path):
    (tmp_path / "one.png").write_bytes(b"drawn")
    entries = [
        plots.Entry("One & all", "one.html", "Where?", tmp_path / "one.png", {"Area": "2 km²"}, "Notebooks"),
        plots.Entry("Two", "two.html", group="Figures"),
    ]
    text = plots.index(entries, tmp_path / "index.html", "Demo", numbers={"Change": "−9 %"}).read_text()
    assert text.index("Notebooks") < text.index("One &amp; all") < text.index("Figures") < text.index("two.html")
    assert "2 km²" in text and "−9 %" in text and "<script" not in text
    assert re.findall("<img[^>]*src=", text) == ["<img alt='' role=presentation src="]  # its words are the card's
