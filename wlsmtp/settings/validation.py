"""The base of all models that users fill: frozen, without unknown names, and with errors of this package's own tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from wlsmtp.errors import ConfigError, SMTPError, Stage
from wlsmtp.settings.help import documents
from wlsmtp.settings.kinds import kinds
from wlsmtp.settings.slips import suggestion, words_about

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Validated(BaseModel):
    """A frozen model whose constructor raises ``_error`` instead of pydantic's own error, which repeats the refused
    values, secrets among them."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True, defer_build=True
    )

    _error: ClassVar[type[SMTPError]]
    _stage: ClassVar[Stage]
    _keywords: ClassVar[tuple[type, ...]] = ()
    """Set if the constructor accepts more types than the fields have: the ``TypedDict`` of its keywords. It then
    documents the fields, after those that it extends."""
    _takes_positions: ClassVar[bool] = False
    """True if the first fields may be given without their names."""

    if not TYPE_CHECKING:  # its signature is that of the constructor

        def __new__(cls, *positions, **_):
            """Say what to write instead of Python's own error about the number of arguments."""
            if positions and not cls._takes_positions:
                name = cls.__name__
                example = _EXAMPLES.get(name) or f"{name}({next(iter(cls.model_fields))}=…)"
                raise cls._error(f"{name} takes its values by name, such as {example}", stage=cls._stage)
            return super().__new__(cls)

    def __init__(self, **fields: Any) -> None:
        """Each field is a keyword. Raises ``ConfigError``, or ``MessageError`` if it is about a message, with the name
        of the invalid field."""
        if wrong := words_about(type(self), fields):
            raise self._error("; ".join(wrong), stage=self._stage)
        problem = None
        try:
            super().__init__(**fields)
        except ValidationError as error:
            problem = self._in_words(error)
        if problem is not None:  # raised here, as it would otherwise hold pydantic's error, and with it the values
            raise problem

    @classmethod
    def _in_words(cls, error: ValidationError) -> SMTPError:
        details = error.errors(include_url=False, include_input=False)
        hint = next((cause.hint for cause in map(_cause, details) if isinstance(cause, SMTPError)), None)
        return cls._error("; ".join(_sentences(details)), stage=cls._stage, hint=hint)

    @classmethod
    def _validated(cls, validate: Callable[..., Self], value: Any, options: Mapping[str, Any]) -> Self:
        problem = None
        try:
            return validate(value, **options)
        except ValidationError as error:
            problem = cls._in_words(error)
        raise problem

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Validate ``obj`` as pydantic does; errors are raised as by the constructor."""
        return cls._validated(super().model_validate, obj, options)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Validate JSON as pydantic does; errors are raised as by the constructor."""
        return cls._validated(super().model_validate_json, json_data, options)

    @classmethod
    def model_validate_strings(cls, obj: Any, **options: Any) -> Self:
        """Validate strings as pydantic does; errors are raised as by the constructor."""
        return cls._validated(super().model_validate_strings, obj, options)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; changed values are checked like those of a new one."""
        if not update:
            return super().model_copy(deep=deep)
        kept = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**{**kept, **update})

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):  # pydantic's private attributes
            super().__setattr__(name, value)
        else:
            raise self._frozen(name)

    def __delattr__(self, name: str) -> None:
        raise self._frozen(name)

    def _frozen(self, name: str) -> SMTPError:
        model = type(self)
        if name not in model.model_fields:
            return self._error(f"{name}: is not known; {suggestion(model, name)}", stage=self._stage)
        hint = f"model_copy(update={{{name!r}: …}}) makes a changed copy"
        return self._error(f"{name}: cannot be changed, as settings are frozen", stage=self._stage, hint=hint)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """A text in place of a secret, which ``model_construct`` allows, is hidden as well."""
        for name, value in super().__repr_args__():
            field = type(self).model_fields.get(name or "")
            is_secret = field is not None and SecretStr in kinds(field.annotation)
            yield name, SecretStr(value) if is_secret and isinstance(value, str) else value

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        documents(cls)(cls)


class Settings(Validated):
    """A part of the settings; invalid values are a ``ConfigError``."""

    _error = ConfigError
    _stage = Stage.SETTINGS

    if TYPE_CHECKING:  # otherwise it would have no parameters, as it has no fields

        def __init__(self, **settings: Any) -> None: ...


_PLAIN = {
    "a valid integer": "a whole number",
    "a valid boolean, unable to interpret input": "True or False",
    "a valid boolean": "True or False",
    "Input should be": "must be",
    "must be a valid": "must be a",
    "String should have": "must have",
    "Field required": "is missing",
}
"""pydantic's messages in plain words."""


_EXAMPLES = {
    "Timeouts": "Timeouts.of(30)",
    "Proxy": 'Proxy.from_url("socks5://proxy.example.com:1080")',
    "TLS": 'TLS(ca_file="ca.pem")',
}
"""Where another way than the first field is what is most often meant."""
_BRANCHES = frozenset({"str", "callable", "bool", "int", "float"})


def _sentences(details: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what is wrong with each field, by its name. A field with several types has one sentence for all of
    them."""
    found: dict[str, list[str]] = {}
    for detail in details:
        # Among the names of fields pydantic puts those of its own union branches: "str", "lax-or-strict[…]".
        places = [str(part) for part in detail["loc"] if "[" not in str(part)]
        if len(places) > 1 and places[-1] in _BRANCHES:
            places.pop()
        found.setdefault(".".join(places), []).append(_words(detail))
    sentences = []
    for name, (first, *others) in found.items():
        words = " or ".join([first, *(other.removeprefix("must be ") for other in others)])
        sentences.append(f"{name}: {words}" if name else words)
    return sentences


def _words(detail: Mapping[str, Any]) -> str:
    cause = _cause(detail)
    words = cause.message if isinstance(cause, SMTPError) else str(detail["msg"]).removeprefix("Value error, ")
    for theirs, plain in _PLAIN.items():
        words = words.replace(theirs, plain)
    return words


def _cause(detail: Mapping[str, Any]) -> object:
    """Return what a validator raised, if one of ours refused."""
    return detail.get("ctx", {}).get("error")
