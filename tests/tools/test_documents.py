"""The documents: what they point at is there."""

import re
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(chain(ROOT.glob("*.md"), ROOT.glob("docs/**/*.md")))
LARGEST_PICTURE = 120_000


def heading_anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", document.read_text()):
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
            assert anchor in map(heading_anchor, headings), target


def test_every_picture_is_small_and_shown() -> None:
    texts = "".join(document.read_text() for document in DOCUMENTS)
    for picture in ROOT.glob("docs/images/*"):
        assert picture.stat().st_size <= LARGEST_PICTURE, picture.name
        assert f"images/{picture.name}" in texts, picture.name
