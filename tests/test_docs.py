"""The page of settings names every field, with the default that it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from wlsmtp import TLS, Pipelining, PoolLimits, RetryPolicy, SessionConfig, Timeouts
from wlsmtp.validation import Validated

PAGE = (Path(__file__).parent.parent / "docs" / "settings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", [SessionConfig, Timeouts, TLS, PoolLimits, Pipelining, RetryPolicy])
def test_every_field_is_described(model: type[Validated]) -> None:
    section = PAGE.partition(f"## {model.__name__}\n")[2].partition("\n## ")[0]
    rows = {line.split("`")[1]: line for line in section.splitlines() if line.startswith("| `")}
    assert list(rows) == list(model.model_fields)
    for name, field in model.model_fields.items():
        if isinstance(field.default, int | float) and name != "port":
            assert f"| `{field.default}` |" in rows[name]
        assert rows[name].rstrip().removesuffix("|").rpartition("|")[2].strip(), f"{name} has no description"
