"""The tables of ``docs/guides/testing.md`` out of the code; to write them there: ``python -m tests.testing.page``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wlsmtp.testing import QUIRKS, Profile, profiles
from wlsmtp.testing.strict import RULES

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "testing.md"


def rules() -> Iterable[str]:
    """What a strict server refuses."""
    yield "| rule | what is refused | reply |"
    yield "|---|---|---|"
    yield from (f"| `{name}` | {rule.description} | {rule.reply[:9]} |" for name, rule in RULES.items())


def quirks() -> Iterable[str]:
    """What a server can do otherwise."""
    yield "| quirk | what the server does | which servers do it |"
    yield "|---|---|---|"
    for quirk in QUIRKS.values():
        yield f"| `{quirk.form}` | {quirk.description.replace('``', '`')} | {quirk.seen_at} |"


def providers() -> Iterable[str]:
    """Whose profiles there are."""
    yield "| profile | whose | groups, chunks | situations |"
    yield "|---|---|---|---|"
    for name, profile in profiles().items():
        yield f"| `{name}` | {profile.title} | {_flow(profile)} | {_situations(profile)} |"


def _situations(profile: Profile) -> str:
    return ", ".join(f"`{name}`" for name in profile.situations) or "none"


def _flow(profile: Profile) -> str:
    offered = profile.keywords(secured=False, offers_tls=False)
    if not profile.clear and not profile.tls:
        return "not known"
    names = {"PIPELINING": "groups", "CHUNKING": "chunks"}
    return ", ".join(word for keyword, word in names.items() if keyword in offered) or "neither"


TABLES = {"rules": rules, "quirks": quirks, "profiles": providers}


def replaced(page: str) -> str:
    """The page with the tables of now."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name} begin -->\n", f"<!-- {name} end -->"
        before, found, rest = page.partition(begin)
        if found:
            page = before + begin + "\n".join(table()) + "\n" + end + rest.partition(end)[2]
    return page


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
