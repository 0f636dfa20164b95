"""What the pages of the documentation have from the code: settings, commands, names, figures."""

from __future__ import annotations

import html
import inspect
import re
import xml.etree.ElementTree as ET
import zlib
from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest

import wlsmtp
from tests.site import promises
from wlsmtp import DKIM, TLS, Network, Pipelining, PoolLimits, RetryPolicy, SessionConfig, Timeouts
from wlsmtp.events import Event
from wlsmtp.io.order import Rank
from wlsmtp.presets import PRESETS
from wlsmtp.settings.validation import Validated
from wlsmtp.smtp.quirks import BEHAVIOURS

pytestmark = pytest.mark.timeout(300)  # the first test builds the site, ten seconds on a quiet core

PUBLIC = ["wlsmtp", "wlsmtp.transports", "wlsmtp.testing", "wlsmtp.inbox", "wlsmtp.outbox.base"]


def text_of(page: Path) -> str:
    """What a reader sees of a page, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8"))).split())


@pytest.fixture(scope="session")
def documented(site: Path) -> set[str]:
    """The names with an entry of their own in the API reference."""
    inventory = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    names = {line.split()[0] for line in zlib.decompress(inventory).decode().splitlines()}
    spans = (site / "reference" / "api" / "testing.html").read_text(encoding="utf-8")
    return names | set(re.findall(r'<span id="([\w.]+)">', spans))


@pytest.mark.parametrize("module", PUBLIC)
def test_the_api_reference_has_every_public_name(module: str, documented: set[str]) -> None:
    found = import_module(module)
    names = getattr(found, "__all__", None) or [
        name
        for name, value in vars(found).items()
        if inspect.isclass(value) and value.__module__ == module and not name.startswith("_")
    ]
    missing = [name for name in names if {f"{module}.{name}", f"wlsmtp.{name}"}.isdisjoint(documented)]
    assert set(missing) <= {"__version__"}


def test_the_api_reference_has_every_event(documented: set[str]) -> None:
    assert {f"wlsmtp.events.{kind.__name__}" for kind in get_args(Event)} <= documented


@pytest.mark.parametrize("model", [SessionConfig, Timeouts, TLS, DKIM, Network, PoolLimits, Pipelining, RetryPolicy])
def test_each_setting_is_described(site: Path, model: type[Validated]) -> None:
    page = (site / "reference" / "settings.html").read_text(encoding="utf-8")
    for name, field in model.model_fields.items():
        anchor = page.index(f'<span id="{model.__name__}.{name}">')
        row = page[anchor : page.index("</tr>", anchor)]
        _, kind, default, meaning = (re.sub(r"<[^>]+>", "", cell).strip() for cell in row.split("</td>")[:4])
        assert kind and len(meaning) > 10, name
        if isinstance(field.default, int | float) and name != "port":
            assert default == repr(field.default)


def test_the_pages_have_the_tables_of_the_code(site: Path) -> None:
    behaviours = text_of(site / "explanation" / "speed.html")
    assert all(one.title in behaviours and one.fallback in behaviours for one in BEHAVIOURS)
    locks = text_of(site / "explanation" / "architecture.html")
    assert [name for name in re.findall(r"\b([A-Z_]{4,}) ?:", locks) if name in Rank.__members__] == list(
        Rank.__members__
    )
    providers = text_of(site / "reference" / "providers.html")
    assert all(one["title"] in providers and str(one["server"]) in providers for one in PRESETS.values())


def test_the_tables_in_the_markdown_are_those_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python scripts/site_pages.py` writes them."""
    monkeypatch.syspath_prepend(str(promises.ROOT / "scripts"))
    site_pages = import_module("site_pages")
    pages = [path for path in (promises.ROOT / "docs").rglob("*.md") if "<!-- table ends -->" in path.read_text()]
    assert len(pages) == 4
    assert [path.name for path in pages if site_pages.written(path.read_text()) != path.read_text()] == []


def test_no_table_was_forgotten(site: Path) -> None:
    assert [page for page in site.rglob("*.html") if "<!-- table:" in page.read_text(encoding="utf-8")] == []


def test_each_command_is_on_the_page_of_commands(site: Path) -> None:
    page = text_of(site / "reference" / "cli.html")
    commands = [
        "demo",
        "send",
        "check",
        "presets",
        "completion",
        *(f"outbox {name}" for name in ("run", "list", "show")),
    ]
    assert all(f"Usage: wlsmtp {command} " in page for command in commands)


def test_the_pictures_are_drawn(site: Path) -> None:
    trips = (site / "explanation" / "round-trips.svg").read_text(encoding="utf-8")
    ET.fromstring(trips)
    waits = [int(found) for found in re.findall(r"(\d+) round trips? for 3 messages", trips)]
    assert len(waits) == 3 and waits[0] == 12 and waits[0] > waits[1] > waits[2] >= 1
    for name, states in {"worker": "NEW", "connection": "IDLE", "stream": "PARKED"}.items():
        assert states in (site / "explanation" / f"states-{name}.svg").read_text(encoding="utf-8")


def test_the_promises_of_the_readme_are_the_figures_that_were_measured() -> None:
    """But for the features, which may be more by now."""

    def figures(page: str) -> list[str]:
        table = page.partition(promises.BEGIN)[2].partition(promises.END)[0]
        return [line for line in table.splitlines() if "features, of" not in line]

    page = promises.README.read_text(encoding="utf-8")
    assert figures(page) == figures(promises.replaced(page))


def test_the_charts_are_those_of_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make bench` writes both."""
    benchmarks = Path(__file__).parents[2] / "benchmarks"
    monkeypatch.syspath_prepend(str(benchmarks))
    charts = import_module("charts")
    charts.draw(tmp_path)
    drawn = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert drawn == {path.name: path.read_text(encoding="utf-8") for path in (benchmarks / "charts").iterdir()}
    assert wlsmtp.__version__
