"""The parts of the documentation that the code itself knows: settings, commands, providers, behaviours of servers.

A page asks for one with a comment, ``<!-- table: NAME ARGUMENT -->``; the hooks of MkDocs put it there. Where a comment
``<!-- table ends -->`` follows, the table is also in the file, for those who read the Markdown:

    python scripts/site_pages.py       # writes these tables
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import click
import typer

import wlsmtp
from wlsmtp.cli.app import app
from wlsmtp.events import Event
from wlsmtp.io.order import Rank
from wlsmtp.presets import PRESETS
from wlsmtp.settings.help import meanings
from wlsmtp.smtp.quirks import BEHAVIOURS

ROOT = Path(__file__).parent.parent
END = "<!-- table ends -->"
PLACE = re.compile(
    rf"^(?P<place><!-- table: (?P<name>\w+) ?(?P<argument>\w*) -->)$(?P<old>\n(?:(?!<!-- table)[^\n]*\n)*{END}$)?",
    re.MULTILINE,
)


def filled(page: str) -> str:
    """The page with its tables, for the site."""
    return PLACE.sub(_table, page)


def written(page: str) -> str:
    """The page with the tables of now where it has tables of its own."""
    return PLACE.sub(lambda place: f"{place['place']}\n{_table(place)}\n{END}" if place["old"] else place[0], page)


def _table(place: re.Match[str]) -> str:
    return "\n".join(TABLES[place["name"]](*filter(None, [place["argument"]])))


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterable[str]:
    """A table in Markdown."""
    head = list(head)
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(map(_cell, row))} |" for row in rows)


def _cell(cell: object) -> str:
    text = str(cell)
    return text if text.startswith("`") else text.replace("|", r"\|")


def settings(model: str) -> Iterable[str]:
    """The fields of a model, with the meaning that stands below each in the source."""
    cls: Any = getattr(wlsmtp, model)
    known = meanings(cls)
    rows = []
    for name, field in cls.model_fields.items():
        anchor = f'<span id="{model}.{name}">`{name}`</span>'
        default = f"`{_default(field)}`" if _default(field) else ""
        rows.append([anchor, f"`{_type(known[name].accepts)}`", default, _prose(known[name].text)])
    return table(["field", "type", "default", "meaning"], rows)


def _type(accepts: str) -> str:
    text = re.sub(r"Annotated\[(\w+), Field\([^)]*\)\]", r"\1", " ".join(accepts.split()))
    text = re.sub(r"\bSeconds\b", "float", re.sub(r"\bSecretStr \| |Like\b", "", text))
    names = r"(?:Security|Mode)"
    return re.sub(rf"{names} \| (?=Literal)", "", text)


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if default in ("", 0) and default is not False:
        return ""
    if isinstance(default, str):
        return f'"{getattr(default, "value", default)}"'
    return f"{type(default).__name__}()" if type(default).__module__.startswith("wlsmtp") else repr(default)


def _prose(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


def behaviours() -> Iterable[str]:
    """What a session does not take from the server's word."""
    rows = ((one.title, one.proof, one.disproof, one.fallback) for one in BEHAVIOURS)
    return table(["behaviour", "proven by", "broken by", "instead"], rows)


def providers() -> Iterable[str]:
    """The providers that `from_preset` knows."""
    rows = (
        (f"`{name}`", one["title"], f"{one['server']}:{one['port']}", f"`{one['security']}`", one["advice"] or "")
        for name, one in PRESETS.items()
    )
    return table(["name", "provider", "server", "security", "login"], rows)


def commands() -> Iterable[str]:
    """The help of each command, as the command itself shows it."""
    yield from _help(typer.main.get_command(app), "wlsmtp", None)


def _help(command: Any, name: str, parent: click.Context | None) -> Iterable[str]:
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent, terminal_width=100)
    context.max_content_width = 100
    yield from (f"## {name}", "", "```text", command.get_help(context).rstrip(), "```", "")
    for sub in getattr(command, "commands", {}).values():
        yield from _help(sub, f"{name} {sub.name}", context)


def locks() -> Iterable[str]:
    """The order of locks, with the meaning that stands below each in the source."""
    known = {field: below for field, below in pairwise(ast.parse(inspect.getsource(Rank)).body[0].body)}
    for field, below in known.items():
        if isinstance(field, ast.Assign) and isinstance(below, ast.Expr):
            name = field.targets[0].id
            yield f"{Rank[name]:d}. `{name}`: {_prose(below.value.value)}"


GROUPS = {
    "message": "messages", "receipt": "receipts", "results": "receipts", "settings": "settings", "oauth": "settings",
    "errors": "errors", "outbox": "outbox", "transports": "transports",
}  # fmt: skip
"""The page of the API for the names of each package; those of all others are with the sessions."""


def group_of(name: str) -> str:
    """The page of the API that has a name of `wlsmtp`."""
    return GROUPS.get(wlsmtp._HOME[name].partition(".")[0], "sessions")


def api(group: str) -> Iterable[str]:
    """The names of `wlsmtp` that belong to a page, for mkdocstrings."""
    names = [name for names in wlsmtp._ROOMS.values() for name in names]
    for name in (name for name in names if group_of(name) == group):
        # The fields of settings are on the page that explains them.
        hides = group == "settings" and hasattr(getattr(wlsmtp, name), "model_fields")
        options = ["    options:", "      members: false"] if hides and name in _with_a_table() else []
        if name in ("SMTPSession", "AsyncSMTPSession"):
            options = ["    options:", "      inherited_members: true"]  # the two share a private base
        yield from (f"::: wlsmtp.{name}", *options, "")


def _with_a_table() -> set[str]:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    return set(re.findall(r"table: settings (\w+)", page))


def module(name: str) -> Iterable[str]:
    """The names of another public module that are not among those of `wlsmtp`."""
    found = import_module(f"wlsmtp.{name}")
    others = [one for one in found.__all__ if one not in wlsmtp.__all__]
    plain = [one for one in others if not callable(getattr(found, one))]
    yield from (line for one in others if one not in plain for line in (f"::: wlsmtp.{name}.{one}", ""))
    if plain:
        yield "Constants: " + ", ".join(f'<span id="wlsmtp.{name}.{one}">`{one}`</span>' for one in plain)


def events() -> Iterable[str]:
    """The kinds of events, and what belongs to them."""
    kinds = [kind.__name__ for kind in get_args(Event)]
    yield from (
        line for name in (*kinds, "Event", "Listener", "listener") for line in (f"::: wlsmtp.events.{name}", "")
    )


def contrib() -> Iterable[str]:
    """The modules for other programs and libraries."""
    for path in sorted((ROOT / "wlsmtp" / "contrib").glob("[!_]*")):
        if path.suffix in ("", ".py"):
            yield from (f"::: wlsmtp.contrib.{path.stem}", "")


def names() -> Iterable[str]:
    """All names of `wlsmtp`, with the page that has each."""
    groups: dict[str, list[str]] = {}
    for name in wlsmtp._HOME:
        groups.setdefault(group_of(name), []).append(f"[`{name}`][wlsmtp.{name}]")
    return table(["page", "names of `wlsmtp`"], ((f"[{g}]({g}.md)", ", ".join(sorted(n))) for g, n in groups.items()))


TABLES: dict[str, Callable[..., Iterable[str]]] = {
    "settings": settings,
    "behaviours": behaviours,
    "providers": providers,
    "commands": commands,
    "locks": locks,
    "api": api,
    "module": module,
    "contrib": contrib,
    "events": events,
    "names": names,
}


if __name__ == "__main__":
    for path in (ROOT / "docs").rglob("*.md"):
        if (page := path.read_text(encoding="utf-8")) != (now := written(page)):
            path.write_text(now, encoding="utf-8")
