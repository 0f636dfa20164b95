"""The pages of docs name what there is: every field with its default, every mechanism in its order, every feature with
the test that shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wlsmtp import DKIM, TLS, Network, Pipelining, PoolLimits, RetryPolicy, SessionConfig, Timeouts
from wlsmtp.sasl import MECHANISMS
from wlsmtp.settings.validation import Validated

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"
PAGE = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", [SessionConfig, Timeouts, TLS, DKIM, Network, PoolLimits, Pipelining, RetryPolicy])
def test_every_field_is_described(model: type[Validated]) -> None:
    section = PAGE.partition(f"## {model.__name__}\n")[2].partition("\n## ")[0]
    rows = {line.split("`")[1]: line for line in section.splitlines() if line.startswith("| `")}
    assert list(rows) == list(model.model_fields)
    for name, field in model.model_fields.items():
        if isinstance(field.default, int | float) and name != "port":
            assert f"| `{field.default}` |" in rows[name]
        assert rows[name].rstrip().removesuffix("|").rpartition("|")[2].strip(), f"{name} has no description"


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
    assert len(rows) == 108 and {len(row) for row in rows} == {21}
    for name, ours, *_, shown_by in rows:
        assert ours in ("yes", "part", "no"), name
        test = shown_by.strip("`")
        assert (TESTS / test).is_file() if ours != "no" else not test, name
