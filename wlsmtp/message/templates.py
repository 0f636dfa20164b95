"""Messages from Jinja2 templates: one file with a block each for the subject, the text and the HTML."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack, cast, overload

from wlsmtp.errors import MessageError, Stage
from wlsmtp.message.jinja import BLOCKS, environment_of, loader_of, refusal, render
from wlsmtp.message.merge import AsyncMerge, Merge, MergeRow, merged, values_of
from wlsmtp.message.model import ALL_FIELDS, Changes, Message
from wlsmtp.message.more import AUTO
from wlsmtp.message.woven import with_pieces

if TYPE_CHECKING:
    from jinja2 import BaseLoader
else:
    BaseLoader = Any  # from an optional package

_FIELDS = frozenset(ALL_FIELDS) - {*BLOCKS, "date", "message_id"}
"""The keywords that are fields of the message; all others are values of the template only."""
_LOCALE = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*")


class Templates:
    """Templates in a directory, each a file with the blocks ``subject``, ``text`` and ``html``.

    >>> templates = Templates("mails/", sender="shop@example.com", inline_css=True)
    >>> session.send(templates.message("welcome", to="bob@example.org", locale="de", name="Bob"))

    Without a block ``text`` the text is made from the HTML. Values are escaped in the HTML, and written as they are in
    the text and in the subject, which becomes one line. A value that the template names and nobody gives is an error.
    Only files are templates: a value never is.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | BaseLoader,
        *,
        filters: Mapping[str, Callable[..., Any]] | None = None,
        values: Mapping[str, Any] | None = None,
        **fields: Unpack[Changes],
    ) -> None:
        """``source`` is a directory, or any loader of Jinja2. ``filters`` and ``values`` are for all templates, and
        ``fields``, those of ``Message``, for all messages. Needs ``wlsmtp[templates]``. Raises ``ConfigError``."""
        loader = loader_of(source)
        self._escaping = environment_of(loader, filters, values, autoescape=True)
        self._plain = environment_of(loader, filters, values, autoescape=False)
        self._fields = fields

    def message(
        self, name: str, values: Mapping[str, Any] | None = None, /, *, locale: str | None = None, **more: Any
    ) -> Message:
        """Make the message of a template.

        ``welcome`` is the file ``welcome.html``; with ``locale="de-AT"`` the first that is there of
        ``welcome.de-AT.html``, ``welcome.de.html`` and ``welcome.html``. Keywords that are fields of ``Message``, but
        its subject, text, html, date and message_id, go there; all keywords, and ``values``, go to the template. Raises
        ``MessageError`` that names the file, the line and what is wrong there.
        """
        given = {**(values or {}), **more, "locale": locale}
        written: dict[str, list[str]] = {}
        found = _names(name, locale)
        for environment, blocks in ((self._plain, ("subject", "text")), (self._escaping, ("html",))):
            try:
                render(environment.select_template(found), given, blocks, written)
            except Exception as error:  # templates call functions of the program
                raise refusal(found[-1], error) from error
        if "subject" not in written or len(written) < 2:
            missing = "subject" if "subject" not in written else "text or html"
            words = f"The template {found[-1]!r} has no block {missing}"
            raise MessageError(words, stage=Stage.MESSAGE, hint="Write {% block subject %}…{% endblock %}")
        fields: dict[str, Any] = {**self._fields, **{field: more[field] for field in _FIELDS.intersection(more)}}
        fields["subject"] = " ".join("".join(written["subject"]).split())
        fields["text"] = "".join(written["text"]).strip("\n") + "\n" if "text" in written else AUTO
        pieces = written.get("html")
        return Message(**fields) if pieces is None else with_pieces(fields, pieces)

    @overload
    def merge(self, name: str, rows: Iterable[Mapping[str, Any]], /, **common: Any) -> Merge: ...
    @overload
    def merge(self, name: str, rows: AsyncIterable[Mapping[str, Any]], /, **common: Any) -> AsyncMerge: ...
    def merge(
        self, name: str, rows: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]], /, **common: Any
    ) -> Merge | AsyncMerge:
        """One message for each row, for ``send_many`` or ``send_all``: a row has the keywords of ``message``.

        >>> rows = ({"to": customer.address, "name": customer.name} for customer in customers)
        >>> receipts = session.send_many(templates.merge("news", rows, list_id="news.example.com"))

        A row that makes no message has a receipt with the error, and the others are sent; see ``Message.merge``.
        """
        make = cast("Message", lambda row: self.message(name, **{**common, **row}))
        return merged(make, rows, _TemplateRow)


class _TemplateRow(MergeRow):
    __slots__ = ()

    def _made(self, row: Any) -> Message:
        make = cast("Callable[[Mapping[str, Any]], Message]", self._letter)
        return make(values_of(row))


def _names(name: str, locale: str | None) -> list[str]:
    """The files to look for, the best first."""
    if not isinstance(name, str):
        raise MessageError(f"The name of a template is a str, not {type(name).__name__}", stage=Stage.MESSAGE)
    if locale is not None and not _LOCALE.fullmatch(str(locale)):
        raise MessageError(f"locale: {str(locale)[:80]!r} is not like 'de' or 'de-AT'", stage=Stage.MESSAGE)
    folder, slash, last = name.rpartition("/")
    stem, dot, ending = last.partition(".")
    ending = ending if dot else "html"
    tags = re.split(r"[-_]", str(locale)) if locale is not None else []
    wanted = [str(locale), *("-".join(tags[:length]) for length in range(len(tags), 0, -1))] if tags else []
    return [f"{folder}{slash}{stem}.{tag}.{ending}" for tag in dict.fromkeys(wanted)] + [
        f"{folder}{slash}{stem}.{ending}"
    ]
