"""The base of all models that users fill: frozen, no unknown names, and errors of this package's own tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wlsmtp.errors import ConfigError, SMTPError, Stage
from wlsmtp.settings.help import documents

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Validated(BaseModel):
    """A frozen model whose constructor raises ``_error`` instead of pydantic's own error, which repeats the values
    that it refuses, secrets among them."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True)

    _error: ClassVar[type[SMTPError]]
    _stage: ClassVar[Stage]
    _keywords: ClassVar[tuple[type, ...]] = ()
    """Where the constructor takes more types than the fields have: the ``TypedDict`` of its keywords, which documents
    the fields then, after those that it extends."""

    def __init__(self, **fields: Any) -> None:
        """Each field as a keyword. Raises ``ConfigError``, or ``MessageError`` where it is about a message, with the
        name of what is wrong."""
        try:
            super().__init__(**fields)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
            words = "; ".join(_sentence(detail, type(self).model_fields) for detail in details)
            hint = next((cause.hint for cause in map(_cause, details) if isinstance(cause, SMTPError)), None)
            raise self._error(words, stage=self._stage, hint=hint) from None

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        documents(cls)(cls)


class Settings(Validated):
    """A part of the settings; what is wrong with it is a ``ConfigError``."""

    _error = ConfigError
    _stage = Stage.SETTINGS

    if TYPE_CHECKING:  # else it would have no parameters, as it has no fields

        def __init__(self, **settings: Any) -> None: ...


def _sentence(detail: Mapping[str, Any], fields: Iterable[str]) -> str:
    """What is wrong with one field, by its name."""
    if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
        return _unknown(str(detail["loc"][0]), list(fields))
    cause = _cause(detail)
    words = cause.message if isinstance(cause, SMTPError) else str(detail["msg"]).removeprefix("Value error, ")
    # Among the names of fields pydantic puts those of its own union branches: "lax-or-strict[…]".
    name = ".".join(str(part) for part in detail["loc"] if "[" not in str(part))
    return f"{name}: {words}" if name else words


def _unknown(name: str, fields: list[str]) -> str:
    from difflib import get_close_matches

    nearest = get_close_matches(name, fields, 1)
    return f"{name}: is not known; " + (f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(fields)}")


def _cause(detail: Mapping[str, Any]) -> object:
    """What a validator raised, if it was one of ours that refused."""
    return detail.get("ctx", {}).get("error")
