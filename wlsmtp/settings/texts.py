"""Settings as texts, in the query of a URL and in environment variables: ``tls.ca_file=…`` and ``WLSMTP_TLS_CA_FILE``.

The possible names follow from the fields of the models, at any depth; a new setting requires nothing here.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, get_origin

from pydantic import SecretStr

from wlsmtp.errors import ConfigError
from wlsmtp.settings.kinds import is_list, is_textual, kinds, may_be_none, parts
from wlsmtp.settings.limits import Timeouts
from wlsmtp.settings.network import Proxy
from wlsmtp.settings.slips import bare, written_for_name, written_for_value
from wlsmtp.settings.urls import wrong

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

Spell = Callable[[str, str], str]
"""Writes a path and a value in the form of a URL, or of the environment."""

_SWITCH: dict[str, bool] = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def _timeouts(text: str) -> dict[str, Any]:
    seconds = _number(text)
    if seconds is None:
        raise wrong("timeout: must be a number of seconds")
    return _fields_of(Timeouts.of(seconds))


def _pipelining(text: str) -> dict[str, Any]:
    if text.strip().lower() not in _SWITCH:
        raise wrong("pipelining: must be true or false")
    return {"enabled": _SWITCH[text.strip().lower()]}


def _proxy(text: str) -> dict[str, Any]:
    try:
        return _fields_of(Proxy.from_url(text))
    except ConfigError as error:
        raise wrong(f"proxy: {error.message}", error.hint) from None


_WHOLE: dict[str, Callable[[str], dict[str, Any]]] = {"timeout": _timeouts, "pipelining": _pipelining, "proxy": _proxy}
"""The parts that one text can give as a whole."""
_ALSO = frozenset({"outbox", "pace"})
"""Settings that a text can represent although their type does not show it."""


def _fields_of(model: BaseModel) -> dict[str, Any]:
    return {name: getattr(model, name) for name in model.model_fields_set}


@cache
def paths(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the settings that a text can give, each by its path, such as ``tls.ca_file``."""
    found: dict[str, FieldInfo] = {}
    inner = parts(model)
    for name, field in model.model_fields.items():
        if name in _WHOLE or name in _ALSO or (name not in inner and is_textual(field)):
            found[name] = field
        if name in inner:
            found |= {f"{name}.{path}": below for path, below in paths(inner[name]).items()}
    return found


def variable(path: str, prefix: str) -> str:
    """Return the name of the environment variable for a setting."""
    return prefix + path.upper().replace(".", "_")


def fields(texts: Mapping[str, str], model: type[BaseModel]) -> dict[str, Any]:
    """Convert texts by path to fields of a model; those of a part follow the text that gives it as a whole."""
    found: dict[str, Any] = {}
    for path in sorted(texts, key=lambda path: path.count(".")):
        place = found
        *above, name = path.split(".")
        for part in above:
            place = place.setdefault(part, {})
        place[name] = _WHOLE[path](texts[path]) if path in _WHOLE else _value(texts[path], paths(model)[path])
    return found


def _value(text: str, field: FieldInfo) -> Any:
    """Convert a text for its field; pydantic does the rest."""
    found = list(kinds(field.annotation))
    if may_be_none(field) and not {str, SecretStr} & set(found) and text.strip().lower() == "none":
        return None
    if timedelta in found and (seconds := _number(text)) is not None:
        return seconds
    if not is_list(field):
        return text
    has_other = any(get_origin(kind) is None and kind is not type(None) for kind in found)
    if has_other and "," not in text:  # one file, or several separated by a comma
        return text
    if has_other:
        return tuple(part.strip() for part in text.split(","))
    return tuple(text.replace(",", " ").split())


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        pass
    return None


def answer(name: str, value: str, model: type[BaseModel], spell: Spell) -> str | None:
    """Return what to write instead of an unknown name; None if it resembles nothing."""
    if words := _of_part(name, value, model, spell):
        return words
    if (row := written_for_name(model, name)) is not None:
        if without := row.without(value):
            return without
        pairs = _pairs(row.write, model)
        if pairs is not None:
            return f"use {_spelled_out(pairs, spell)}"
        return f"in Python: {row.write}" + (f" ({row.note})" if row.note else "")
    inner = parts(model)
    for part, below in inner.items():
        rest = bare(name).removeprefix(bare(part))
        row = written_for_name(below, rest) if rest != bare(name) else None
        if row is not None and (without := row.without(value)):
            return without
        if row is not None and (pairs := _pairs(row.write, below)):
            return f"use {_spelled_out([(f'{part}.{path}', text) for path, text in pairs], spell)}"
    if bare(name) == "transport":
        return f"use {spell('url', 'maildir:///path')}"
    if any(bare(field) == bare(name) for field in model.model_fields):
        near = next((path for path in paths(model) if bare(path) == bare(name)), None)
        return f"did you mean {spell(near, '')}?" if near else f"{name.lower()} can be given in Python only"
    near = _nearest(name, model)
    return f"did you mean {spell(near, '')}?" if near else None


def _spelled_out(pairs: list[tuple[str, str]], spell: Spell) -> str:
    """Return pairs for a name with the caller's value: whether a switch is on or off is left open."""
    return " and ".join(spell(path, "" if text in ("true", "false") else text) for path, text in pairs)


def _of_part(name: str, value: str, model: type[BaseModel], spell: Spell) -> str | None:
    """Describe a part that no single text can give: the meaning of its value elsewhere, and its settings."""
    part = next((part for part in parts(model) if part not in _WHOLE and bare(part) == bare(name)), None)
    if part is None:
        return None
    row = written_for_value(model, part, _SWITCH.get(value.strip().lower(), value))
    pairs = _pairs(row, model) if row else None
    if pairs:
        return f"use {' and '.join(spell(path, text) for path, text in pairs)}"
    first = [path for path in paths(model) if path.startswith(f"{part}.")][:3]
    return f"it has parts: {', '.join(spell(path, '') for path in first)}, …"


def _nearest(name: str, model: type[BaseModel]) -> str | None:
    known: dict[str, str] = {}
    for path in sorted(paths(model), key=lambda path: -path.count(".")):  # the outer one wins
        known[bare(path.rpartition(".")[2])] = path
    known |= {bare(path.replace(".", "")): path for path in paths(model)}
    wanted = bare(name.replace(".", ""))
    for start in ("", "smtp", "email", "mail"):
        if wanted.startswith(start) and (found := known.get(wanted.removeprefix(start))):
            return found
    near = difflib.get_close_matches(wanted, known, 1, cutoff=0.8)
    return known[near[0]] if near else None


def _pairs(write: str, model: type[BaseModel]) -> list[tuple[str, str]] | None:
    """Convert Python such as ``tls=TLS(verify=False)`` to paths and texts; None if that is impossible."""
    call = ast.parse(f"f({write})", mode="eval").body
    assert isinstance(call, ast.Call)
    if call.args:
        return [("url", "")] if "from_url" in write else None
    found = list(_spelled(call, ""))
    return found if all(path in paths(model) for path, _ in found) else None


def _spelled(call: ast.Call, above: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for word in call.keywords:
        path = f"{above}{word.arg}"
        if isinstance(word.value, ast.Call):
            found += _spelled(word.value, f"{path}.")
            continue
        try:
            value = ast.literal_eval(word.value)
        except ValueError:
            return [("", "")]
        text = ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
        found.append((path, "" if text == "…" else text.lower() if isinstance(value, bool) else text))
    return found
