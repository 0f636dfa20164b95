"""Jinja2: its environments, the blocks of a template, and where in a file something went wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import ConfigError, MessageError, Stage

if TYPE_CHECKING:
    from jinja2 import Environment, Template

BLOCKS = ("subject", "text", "html")
"""The blocks that a template may have."""


def render(
    template: Template, values: Mapping[str, Any], wanted: tuple[str, ...], written: dict[str, list[str]]
) -> None:
    """Run the template once, and keep the pieces that its blocks write: those of the template and, where they were
    escaped, of a subclass of ``str``, values. The other blocks are not run."""
    context = template.new_context(dict(values))

    def keeps(name: str) -> Callable[[Any], Iterator[str]]:
        def keep(context: Any) -> Iterator[str]:
            if name in wanted:
                written[name] = [*context.blocks[name][1](context)]
            return iter(())

        return keep

    for name in BLOCKS:  # in front of the block itself, and of those of the templates that this one extends
        context.blocks.setdefault(name, []).insert(0, keeps(name))
    for _ in template.root_render_func(context):
        pass
    for name in wanted:  # that the extended template has no place for
        if name not in written and len(context.blocks[name]) > 1:
            written[name] = [*context.blocks[name][1](context)]


def loader_of(source: object) -> Any:
    """The loader that is given, or one for a directory. Raises ``ConfigError``."""
    try:
        import jinja2
    except ModuleNotFoundError as error:
        hint = 'pip install "wlsmtp[templates]"'
        raise ConfigError("Templates: Jinja2 is not installed", stage=Stage.SETTINGS, hint=hint) from error
    if isinstance(source, jinja2.BaseLoader):
        return source
    if isinstance(source, str | os.PathLike) and os.path.isdir(source):
        return jinja2.FileSystemLoader(source)
    words = f"Templates: {str(source)[:200]!r} is neither a directory nor a loader of Jinja2"
    raise ConfigError(words, stage=Stage.SETTINGS)


def environment_of(loader: Any, filters: Any, values: Any, *, autoescape: bool) -> Environment:
    """An environment in which a value that is not given is an error."""
    import jinja2

    environment = jinja2.Environment(
        loader=loader, autoescape=autoescape, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(filters or {})
    environment.globals.update(values or {})
    return environment


def refusal(name: str, error: Exception) -> MessageError:
    """The error with the file and the line of the innermost template that was running."""
    import jinja2

    line: int | None = None
    trace = error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            name, line = template.name or name, template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    if isinstance(error, jinja2.TemplateSyntaxError):
        name, line = error.name or name, error.lineno
    kind = "" if isinstance(error, jinja2.TemplateError | MessageError) else f"{type(error).__name__}: "
    words = str(error)
    if isinstance(error, jinja2.TemplateNotFound):
        words = f"there is no template {', '.join(map(str, getattr(error, 'templates', None) or [error.name]))}"
    where = f"{name}, line {line}" if line is not None else name
    return MessageError(f"{where}: {kind}{str(words)[:500]}", stage=Stage.MESSAGE)
