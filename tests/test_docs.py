"""The pages of docs name what there is: every mechanism in its order, every feature with
the test that shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wlsmtp.sasl import MECHANISMS

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"


def test_the_mechanisms_are_described_in_their_order() -> None:
    page = (DOCS / "guides" / "authentication.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip(" `") for cell in row.split("|")] for row in re.findall(r"^\| (`[A-Z].*) \|$", page, re.MULTILINE)
    ]
    assert [name for name, *_ in rows] == list(MECHANISMS)
    for name, _, extra, notes in rows:
        mechanism = MECHANISMS[name]
        assert (mechanism.extra or "") == extra and ("Only when named" in notes) is mechanism.by_name_only


def feature_rows() -> list[list[str]]:
    lines = (DOCS / "reference" / "features.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [row for row in rows if row[0] != "Feature"]


def test_a_feature_is_claimed_only_where_a_test_shows_it() -> None:
    rows = feature_rows()
    assert len(rows) == 111 and {len(row) for row in rows} == {21}
    for name, ours, *_, shown_by in rows:
        assert ours in ("yes", "part", "no"), name
        test = shown_by.strip("`")
        assert (TESTS / test).is_file() if ours != "no" else not test, name


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/explanation/architecture.md"])
def test_the_files_that_contributors_are_sent_to_exist(page: str) -> None:
    root = TESTS.parent
    text = (root / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.(?:py|json|yml))?)`", text)
    assert len(named) > 10
    assert [path for path in named if not any((start / path).exists() for start in (root, root / "wlsmtp"))] in (
        [],
        ["dist/"],
    )
