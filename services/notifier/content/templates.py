"""Templates: built-in ones, compiled when first used, and overrides from a folder, checked at the start."""

import traceback
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import structlog
from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import SandboxedEnvironment

from services.notifier.content.message_view import MessageView
from services.notifier.content.sample_messages import sample_views
from shared.schema.faults import Fault, InvalidError, did_you_mean

log = structlog.get_logger()

SUBJECT, TEXT, HTML = NAMES = ("subject.txt", "text.txt", "mail.html")
TEMPLATE_VARIABLES = frozenset(("message", "alert"))
"""Variables of a template: the message, and the first of its alerts."""
BUILT_IN = Path(__file__).parent / "templates"


class EmptyTemplateError(ValueError):
    """A template produced no output."""


class Templates:
    """A template for each of `NAMES`; if the user's fails, the built-in one is used."""

    def __init__(self, own: Mapping[str, Template] | None = None) -> None:
        self._own = own or {}
        self._built_in = cache(lambda name: _compile(name, _read(BUILT_IN / name)))

    @classmethod
    def load(cls, folder: Path) -> "Templates":
        """Load the templates of `folder`, which may be missing, and check them with sample messages.

        Raises InvalidError with every unknown file, and the line of each error.
        """
        own: dict[str, Template] = {}
        faults: list[Fault] = []
        # Names that begin with a dot belong to editors or Kubernetes.
        found = sorted(folder.glob("[!.]*")) if folder.is_dir() else []
        for path in found:
            try:
                own[path.name] = _load_template(path)
            except InvalidError as error:
                faults += error.faults
        if faults:
            raise InvalidError(faults)
        return cls(own)

    def render(self, name: str, message: MessageView) -> str:
        """Return `message` rendered with the template `name`."""
        if own := self._own.get(name):
            try:
                return _render(own, message)
            except Exception as error:  # noqa: BLE001 - a template raises whatever Python does
                # Without the text of the error: it may quote the notification, and the links in it.
                what, line = type(error).__name__, _line_of(error)
                log.error("template failed; using the built-in one", template=name, line=line, error=what)
        return _render(self._built_in(name), message)


def _load_template(path: Path) -> Template:
    """Load a template and check it. Raises InvalidError."""
    if path.name not in NAMES:
        expected = f"unknown template, expected one of {', '.join(NAMES)}{did_you_mean(path.name, NAMES)}"
        raise InvalidError([Fault(str(path), expected)])
    try:
        source = _read(path)
        template = _compile(path.name, source)
        _check_names(template, source)
        for message in sample_views():
            _render(template, message)
    except OSError as error:
        raise InvalidError([Fault(str(path), f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise InvalidError([Fault(str(path), "expected UTF-8 text")]) from error
    except Exception as error:
        line, words = _line_of(error), error.message if isinstance(error, TemplateError) else str(error)
        raise InvalidError([Fault(str(path), f"line {line}: {words}" if line else f"{words}")]) from error
    return template


def _check_names(template: Template, source: str) -> None:
    """Reject unknown variables, including those in branches that no sample reaches."""
    tree = template.environment.parse(source)
    unknown = meta.find_undeclared_variables(tree) - TEMPLATE_VARIABLES - template.environment.globals.keys()
    for node in tree.find_all(nodes.Name):
        if node.name in unknown:
            words = f"unknown variable {node.name!r}, expected one of {', '.join(sorted(TEMPLATE_VARIABLES))}"
            raise TemplateSyntaxError(words + did_you_mean(node.name, TEMPLATE_VARIABLES), node.lineno)


def _compile(name: str, source: str) -> Template:
    environment = SandboxedEnvironment(
        autoescape=name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(source)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _render(template: Template, message: MessageView) -> str:
    text = template.render(message=message, alert=message.alerts[0])
    if not text.strip():
        raise EmptyTemplateError("template produces no output")
    return text


def _line_of(error: Exception) -> int | None:
    """Return the line of the template in which the error occurred."""
    if isinstance(error, TemplateSyntaxError):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in frames if frame.filename == "<template>"), None)
