"""The architecture rules that a machine can check: who may import whom, where I/O is done, how large a module may be.

Imports point one way, down the ladder; a module may import its own rung and those before it. Imports for type checkers
count like all others: where the ladder forbids what a type needs, the type is in the wrong module.
"""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import zip_longest
from pathlib import Path

import pytest

import wlsmtp

PACKAGE = Path(wlsmtp.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# The names at the top of the package stand above all rooms.
LADDER = [
    {"results", "lifecycle", "presets", "habits", "patterns"},
    {"errors", "receipt"},
    {"wire", "sasl"},
    {"events"},
    {"settings"},
    {"message", "io"},
    {"smtp", "oauth"},
    {"retry"},
    {"relay"},
    {"transports"},
    {"outbox"},
    {"items"},
    {"accounts", "intake", "reading", "reminder", "hooks"},
    {"batch", "posting"},
    {"mailer"},
    {"session"},
    {"wlanguage", "cli", "testing", "inbox", "contrib"},
]
RUNG = {room: height for height, rooms in enumerate(LADDER) for room in rooms}
OUTSIDE_WORLD = {
    "socket", "ssl", "asyncio", "threading", "subprocess", "multiprocessing", "selectors", "select", "time", "signal",
    "concurrent", "trio", "anyio",
}  # fmt: skip
MAY_TOUCH_THE_WORLD = {"io", "testing", "cli", "inbox", "contrib"}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def room_of(module: str) -> str:
    return module.split(".")[0]


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path: Path) -> list[str]:
    """All modules that a file imports: at its top, inside functions, and for type checkers."""
    found: list[str] = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "wlsmtp":
            names = [alias.name for alias in node.names]
            found += ["wlsmtp" if name == "__version__" else f"wlsmtp.{wlsmtp._HOME.get(name, name)}" for name in names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return found


def in_package(names: list[str]) -> list[str]:
    return [name.removeprefix("wlsmtp.") for name in names if name.startswith("wlsmtp.")]


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """A circle of each group that imports itself, in the order of its imports."""
    left, found = {name: set(known) for name, known in arrows.items()}, []
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            circle = error.args[1]
            found.append(circle)
            left[circle[1]].discard(circle[0])
        else:
            return found


def test_no_room_knows_one_that_knows_it() -> None:
    """Rooms are the packages and modules at the top."""
    arrows: dict[str, set[str]] = {}
    for path in MODULES:
        room = room_of(name_of(path))
        known = {room_of(name) for name in in_package(imports_of(path))}
        arrows.setdefault(room, set()).update(known - {room})
    arrows.pop("__init__")
    assert circles(arrows) == []


FILES_MAY_KNOW_EACH_OTHER = {
    "results",  # an error carries its receipt, and a receipt its error
    "message",  # a Message writes itself, and makes others
    "wlanguage",  # as the original's variables do
    "testing",  # the server, and its side of one conversation
}


def test_no_file_knows_one_that_knows_it() -> None:
    files = {f"wlsmtp.{name_of(path)}".removesuffix(".__init__"): path for path in MODULES}
    arrows: dict[str, set[str]] = {}
    for name, path in files.items():
        taken = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ImportFrom)]
        known = {(node.module or "", f"{node.module}.{alias.name}") for node in taken for alias in node.names}
        arrows[name] = {inner if inner in files else outer for outer, inner in known} & files.keys() - {name, "wlsmtp"}
    found = [circle for circle in circles(arrows) if circle[0].split(".")[1] not in FILES_MAY_KNOW_EACH_OTHER]
    assert found == []


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    assert not circles({"a": {"b", "c"}, "b": {"c"}, "d": {"a"}})


def test_an_import_is_found_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "from typing import TYPE_CHECKING\n"
        "import wlsmtp.relay.pool as pool\n"
        "if TYPE_CHECKING:\n    from wlsmtp.session import SMTPSession\n"
        "def late():\n    from wlsmtp.outbox import worker\n    from wlsmtp import MemoryOutbox\n"
    )
    assert {room_of(name) for name in in_package(imports_of(path))} == {"relay", "session", "outbox"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_import_is_relative(path: Path) -> None:
    """``imports_of`` does not follow those."""
    assert [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ImportFrom) and node.level] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_who_stands_above_all_rooms_asks_the_package_for_a_name(path: Path) -> None:
    """``import wlsmtp`` hides what is asked for."""
    above_all = LADDER[-1] | {"__init__", "__main__"}
    assert "wlsmtp" not in imports_of(path) or room_of(name_of(path)) in above_all


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down_the_ladder(path: Path) -> None:
    room = room_of(name_of(path))
    if room in {"__init__", "__main__"}:
        return
    above = [name for name in in_package(imports_of(path)) if RUNG[room_of(name)] > RUNG[room]]
    assert above == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_session_knows_the_two_worlds(path: Path) -> None:
    worlds = {"io.blocking", "io.aio", "io.trio"} & set(in_package(imports_of(path)))
    assert not worlds or name_of(path) == "session"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_sockets_threads_and_clocks_stay_in_their_rooms(path: Path) -> None:
    if room_of(name_of(path)) in MAY_TOUCH_THE_WORLD:
        return
    touched = {name.split(".")[0] for name in imports_of(path)} & OUTSIDE_WORLD
    assert touched == set()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_pure_rooms_never_wait(path: Path) -> None:
    name = name_of(path)
    if room_of(name) not in {"wire", "sasl", "message"} and name not in {"smtp.plan", "smtp.judge"}:
        return
    waiting = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.AsyncFunctionDef | ast.Await)]
    assert waiting == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_rooms_stay_small_and_say_what_they_are_for(path: Path) -> None:
    tree = tree_of(path)
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500
    assert ast.get_docstring(tree), "a module says in its docstring what belongs in it"
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    large = [node.name for node in functions if (node.end_lineno or 0) - node.lineno + 1 > 60]
    assert large == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_an_adapter_is_small_and_known_to_nobody(path: Path) -> None:
    if room_of(name_of(path)) == "contrib":
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 200
    else:
        assert not [name for name in in_package(imports_of(path)) if room_of(name) == "contrib"]


def test_each_adapter_is_one_file_but_for_django() -> None:
    """Django finds apps, models and the admin page in modules of their own."""
    adapters = {path.stem for path in (PACKAGE / "contrib").iterdir() if path.name != "__pycache__"} - {"__init__"}
    django = {"__init__", "admin", "apps", "kept", "models", "translation"}
    assert {path.stem for path in (PACKAGE / "contrib" / "django").rglob("*.py")} == django
    files = [path for path in MODULES if room_of(name_of(path)) == "contrib" and path.stem != "__init__"]
    assert {path.stem for path in files if path.parent.name == "contrib"} == adapters - {"django"}
    for path in files:
        mine = "contrib.django" if path.parent.name == "django" else name_of(path)
        others = [name for name in in_package(imports_of(path)) if room_of(name) == "contrib"]
        assert [name for name in others if not name.startswith(mine)] == [], path


def public_methods(face: type) -> dict[str, inspect.Signature]:
    names = [name for name in dir(face) if not name.startswith("_") and callable(getattr(face, name))]
    return {name: inspect.signature(getattr(face, name)) for name in names}


def test_both_faces_offer_the_same_names_and_parameters() -> None:
    blocking, asyncio_ = public_methods(wlsmtp.SMTPSession), public_methods(wlsmtp.AsyncSMTPSession)
    assert blocking.keys() == asyncio_.keys()
    for name, signature in blocking.items():
        for one, other in zip_longest(signature.parameters.values(), asyncio_[name].parameters.values()):
            # asyncio programs may bring items as an asynchronous iterable
            assert one == (other.replace(annotation=one.annotation) if one.name == "items" else other), name


def test_every_public_name_is_there_and_has_a_docstring() -> None:
    for name in wlsmtp.__all__:
        value = getattr(wlsmtp, name)
        assert name == "__version__" or value.__doc__


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(run.stdout.split())


def test_importing_the_package_is_light() -> None:
    heavy = {
        "asyncio",
        "tenacity",
        "sqlite3",
        "pydantic",
        "ssl",
        "socket",
        "typer",
        "rich",
        "trustme",
        "idna",
        "pytest",
        "jinja2",
        "icalendar",
        "css_inline",
    }
    assert loaded_by("import wlsmtp") & heavy == set()


def test_a_plain_message_loads_nothing_that_it_does_not_use() -> None:
    loaded = loaded_by("from wlsmtp import Message; Message('a@x.org', 'b@x.org', text='x').as_bytes()")
    own = "marks parts html plain tags repeated invitation ical templates jinja answer preview_html"
    assert loaded & {"jinja2", "icalendar", "css_inline", *(f"wlsmtp.message.{name}" for name in own.split())} == set()


def test_a_blocking_session_needs_no_asyncio_and_no_tenacity() -> None:
    loaded = loaded_by("from wlsmtp import SMTPSession, Message; SMTPSession('localhost')")
    assert loaded & {"asyncio", "tenacity", "sqlite3", "typer", "rich", "trustme"} == set()


def test_the_types_are_shipped() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_what_the_package_needs_is_code() -> None:
    """Data files are left behind where a program is frozen; what is there to develop with is another matter."""
    files = (path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.is_file())
    data = {file.as_posix() for file in files if file.suffix not in {".py", ".pyc"}}
    page = {f"inbox/page/{name}" for name in ("icon.svg", "inbox.css", "inbox.js", "index.html")}
    assert data == {"py.typed", "testing/profiles.json", *page}


def test_the_page_of_the_inbox_is_small() -> None:
    assert sum(path.stat().st_size for path in (PACKAGE / "inbox" / "page").iterdir()) < 60_000


def test_importing_a_session_loads_nothing_that_sends() -> None:
    loaded = loaded_by(
        "from wlsmtp import SMTPSession, AsyncSMTPSession, Message; Message('a@x.org', 'b@x.org', text='x')"
    )
    assert loaded & {"ssl", "asyncio", "email.policy", "email.generator"} == set()
    rooms = {name.split(".")[1] for name in loaded if name.startswith("wlsmtp.")}
    assert rooms & {"smtp", "relay", "transports", "outbox", "mailer", "batch", "intake"} == set()
