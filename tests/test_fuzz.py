"""The fuzzer's targets with their seeds, with what was found once, and with whatever hypothesis makes up."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import fuzz
from fuzz.__main__ import main

CORPUS = Path(fuzz.__file__).parent / "corpus"
SEEDS = sorted(CORPUS.glob("*/*"))


def check_of(target: str) -> Callable[[bytes], None]:
    return importlib.import_module(f"fuzz.{target}").check  # type: ignore[no-any-return]


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"{seed.parent.name}-{seed.name}")
def test_every_seed_keeps_the_promises(seed: Path) -> None:
    check_of(seed.parent.name)(seed.read_bytes())


def test_every_target_has_seeds() -> None:
    assert {seed.parent.name for seed in SEEDS} == set(fuzz.TARGETS)


@pytest.mark.parametrize("target", fuzz.TARGETS)
@given(data=st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace")))
@example(data=b"")
def test_any_octets_keep_the_promises(target: str, data: bytes) -> None:
    check_of(target)(data)


def test_an_unknown_target_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nothing"]) == 2
    assert "No target nothing" in capsys.readouterr().err
