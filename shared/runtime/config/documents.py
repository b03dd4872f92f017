"""The config documents: `performance_logger.json`, `health_monitor.json`, `notifications.yml`.

The seed's two documents are valid as they are; every further key is optional. Strict: an unknown key or a
wrong value is refused with the file, the path, what was expected and the nearest known key.
"""

import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

from shared.analytics.events import ContractTerms
from shared.analytics.settings import RATE_MAX_AGE_S, AnalyticsSettings, Matching
from shared.runtime.config.check_sections import (
    CheckSection,
    ExchangeSection,
    HeartbeatSection,
    Key,
    SecuritySection,
)
from shared.runtime.config.notifications import (
    SEED_CHANNELS,
    ChannelSection,
    EmailConfig,
    Name,
    Notifications,
    Port,
    check_time_zone,
)
from shared.runtime.config.yaml_limits import validate_yaml_size
from shared.runtime.settings import PartSettings, read_variable
from shared.schema.conditions import Condition, Document
from shared.schema.faults import Fault, InvalidError, fault_from_error, struct_faults
from shared.schema.patterns import glob_matches
from shared.schema.records import ContractType, Currency
from shared.schema.thresholds import Thresholds


class DatabaseSection(Document, kw_only=True):
    """Path of a database (relative to `$BOTWATCH_HOME/enterprise/monitoring/`) and its retention."""

    path: str = "../../data/monitoring/performance_metrics.db"
    retention_days: Annotated[int, Meta(ge=1)] = 365


class PrometheusSection(Document, kw_only=True):
    """The metrics endpoint. A port in the environment takes precedence."""

    enabled: bool = True
    port: Port = 9090
    endpoint: Annotated[str, Meta(pattern=r"^/[\w/-]*\Z")] = "/metrics"


class AlertingSection(Document, kw_only=True):
    """The rules for bots."""

    enabled: bool = True
    conditions: list[Condition] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        named = Counter(condition.name for condition in self.conditions if condition.enabled)
        for name, times in named.items():
            if name and times > 1:
                raise ValueError(f"`conditions`: expected different names, got {name!r} {times} times")


class BotSection(Document, kw_only=True):
    """Settings of a bot; omitted keys keep the value of an earlier pattern."""

    annualisation: Literal[365, 252] | None = None
    start_equity: Annotated[float, Meta(gt=0)] | None = None
    currency: Currency | None = None
    time_zone: str | None = None
    unit: Literal["percent", "fraction"] | None = None
    """Unit of shares in its performance records: 8.5 or 0.085 for 8.5%. Never guessed; default: percent."""
    compare: bool | None = None
    matching: Matching | None = None
    """What counts as a closed trade; default: `flat-to-flat`, `average` for bots that never go flat."""
    benchmark: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    """Symbol that beta, alpha and information ratio compare with; default: the only symbol of the bot."""

    def __post_init__(self) -> None:
        if self.time_zone is not None:
            check_time_zone(self.time_zone)


class SymbolSection(Document, kw_only=True):
    """Terms of a symbol's contract; those on a record take precedence."""

    contract_type: ContractType | None = None
    multiplier: Annotated[float, Meta(gt=0)] | None = None
    """Units of the base currency (`inverse`: of the quote currency) per contract."""
    lot_size: Annotated[float, Meta(gt=0)] | None = None
    """The smallest quantity that can be traded; smaller remainders of a position are dust."""
    base_currency: Currency | None = None
    quote_currency: Currency | None = None

    def terms(self) -> ContractTerms:
        """Return the terms for the analytics."""
        return ContractTerms(
            self.contract_type, self.multiplier, self.lot_size, self.base_currency, self.quote_currency
        )


class AnalyticsSection(Document, kw_only=True):
    """How metrics are computed from raw events."""

    interval_seconds: Annotated[float, Meta(ge=0.1)] = 1.0
    """Minimum interval of a bot's computed metrics in the log."""
    bots: dict[str, BotSection] = msgspec.field(default_factory=dict)
    """By name or pattern (`scalper-*`), in the order of the document: later ones override earlier ones."""
    symbols: dict[str, SymbolSection] = msgspec.field(default_factory=dict)
    """By symbol or pattern (`BTC-*-SWAP`), likewise."""
    reporting_currency: Currency | None = None
    """Currency of sums over accounts in several currencies; default: one sum per currency."""
    rate_max_age_seconds: Annotated[float, Meta(gt=0, le=86_400)] = RATE_MAX_AGE_S
    """Age up to which a price of a currency is used for conversion."""

    def settings_for(self, bot: str) -> AnalyticsSettings:
        """Return the settings of `bot`."""
        chosen = self._matching(bot)
        chosen.pop("unit", None)
        symbols = {pattern: section.terms() for pattern, section in self.symbols.items()}
        return AnalyticsSettings(**chosen, rate_max_age_s=self.rate_max_age_seconds, symbols=symbols)

    def reports_fractions(self, bot: str) -> bool:
        """Return whether `bot` reports shares as fractions, not in percent."""
        return self._matching(bot).get("unit") == "fraction"

    def _matching(self, bot: str) -> dict[str, Any]:
        chosen: dict[str, Any] = {}
        for pattern, section in self.bots.items():
            if glob_matches(pattern, bot):
                given = msgspec.structs.asdict(section)
                chosen |= {name: value for name, value in given.items() if value is not None}
        return chosen


class PerformanceLogger(Document, kw_only=True):
    """`performance_logger.json`."""

    schema: str = msgspec.field(default="", name="$schema")
    """Where an editor finds what is allowed; nothing to Botwatch."""
    database: DatabaseSection = msgspec.field(default_factory=DatabaseSection)
    prometheus: PrometheusSection = msgspec.field(default_factory=PrometheusSection)
    alerting: AlertingSection = msgspec.field(default_factory=AlertingSection)
    analytics: AnalyticsSection = msgspec.field(default_factory=AnalyticsSection)


Resource = Literal["cpu", "memory", "disk", "network", "processes"]
"""What is sampled on the host; checks of processes need `processes`, those over the network `network`."""


class MonitoringSection(Document, kw_only=True):
    """What the collector monitors, and how often."""

    interval_seconds: Annotated[float, Meta(ge=1)] = 60
    enabled_checks: list[Resource] = msgspec.field(default_factory=lambda: list(get_args(Resource)))
    thresholds: Thresholds = msgspec.field(default_factory=Thresholds)
    checks: dict[Name, CheckSection] = msgspec.field(default_factory=dict)
    exchanges: dict[Name, ExchangeSection] = msgspec.field(default_factory=dict)
    security: SecuritySection | None = None
    heartbeats: dict[Key, HeartbeatSection] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if both := min(self.checks.keys() & self.exchanges.keys(), default=None):
            raise ValueError(f"expected different names for checks and exchanges, got {both!r} twice")


class AlertsSection(Document, kw_only=True):
    """Whom to notify, and how long resolved alerts are kept."""

    enabled: bool = True
    webhook_url: str = ""
    email_config: EmailConfig | None = None
    retention_days: Annotated[int, Meta(ge=1)] | None = None
    """Days that resolved alerts are kept; default: `retentionDays` of the database."""


class HealthMonitor(Document, kw_only=True):
    """`health_monitor.json`."""

    schema: str = msgspec.field(default="", name="$schema")
    """Where an editor finds what is allowed; nothing to Botwatch."""
    monitoring: MonitoringSection = msgspec.field(default_factory=MonitoringSection)
    alerts: AlertsSection = msgspec.field(default_factory=AlertsSection)
    database: DatabaseSection = msgspec.field(
        default_factory=lambda: DatabaseSection(path="../../data/monitoring/system_health.db")
    )


class Documents(msgspec.Struct, frozen=True):
    """All documents of a config folder."""

    performance: PerformanceLogger
    health: HealthMonitor
    notifications: Notifications

    @property
    def alert_retention_days(self) -> int:
        """Days that resolved alerts are kept."""
        return self.health.alerts.retention_days or self.health.database.retention_days

    @property
    def channels(self) -> dict[str, ChannelSection]:
        """Every enabled channel by name; none if alerts are disabled.

        The seed's `webhookUrl` is the channel `webhook`, its `emailConfig` the channel `email`.
        """
        alerts = self.health.alerts
        if not alerts.enabled:
            return {}
        webhook, email = SEED_CHANNELS
        found = {
            webhook: ChannelSection(url=alerts.webhook_url),
            email: ChannelSection(email=alerts.email_config),
            **self.notifications.channels,
        }
        return {name: channel for name, channel in found.items() if channel.is_enabled}


def database_path(settings: PartSettings, section: DatabaseSection) -> Path:
    """Return the file of a document's database; relative to `enterprise/monitoring` in the home."""
    base = settings.botwatch_home.absolute() / "enterprise" / "monitoring"
    return Path(os.path.normpath(base / section.path))


def load_documents(folder: Path, environ: Mapping[str, str] = os.environ) -> Documents:
    """Load the documents of `folder`; a missing one means defaults. InvalidError lists every fault."""
    faults: list[Fault] = []

    def load(name: str, kind: type[D]) -> D | None:
        try:
            return load_document(folder / name, kind, environ)
        except InvalidError as error:
            faults.extend(error.faults)
            return None

    if not folder.is_dir():
        raise InvalidError([Fault(str(folder), "expected a folder of config documents (BOTWATCH_CONFIG)")])
    performance = load("performance_logger.json", PerformanceLogger)
    health = load("health_monitor.json", HealthMonitor)
    notifications = load("notifications.yml", Notifications)
    if performance is None or health is None or notifications is None:
        raise InvalidError(faults)
    return Documents(performance, health, notifications)


DOCUMENTS = ("performance_logger.json", "health_monitor.json", "notifications.yml")


def read_documents(folder: Path) -> dict[str, Any]:
    """Return what the documents say as written, with references such as `${NAME}`, by file name.

    A missing one is omitted; one that cannot be read or decoded is None.
    """
    found: dict[str, Any] = {}
    for name in DOCUMENTS:
        try:
            data = (folder / name).read_bytes()
            found[name] = decode_yaml(data) if name.endswith(".yml") else msgspec.json.decode(data)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, RecursionError):
            found[name] = None
    return found


D = TypeVar("D", bound=Document)


def load_document(path: Path, kind: type[D], environ: Mapping[str, str]) -> D:
    """Load one document (JSON, or YAML by its suffix), with `${NAME}` replaced from the environment.

    `NAME_FILE` may name a file instead; `${NAME:-text}` has a default; an unset name becomes empty.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return kind()
    except OSError as error:
        raise InvalidError([Fault(str(path), f"cannot be read: {error.strerror}")]) from error
    try:
        value = decode_yaml(data) if path.suffix in (".yml", ".yaml") else msgspec.json.decode(data)
    except (ValueError, RecursionError) as error:
        raise InvalidError([Fault(str(path), describe_syntax_error(data, error))]) from error
    try:
        value = _expand_variables({} if value is None else value, environ)
    except OSError as error:
        what = f"a file that its variables name cannot be read: {error.filename}: {error.strerror}"
        raise InvalidError([Fault(str(path), what)]) from error
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:  # the first fault; the author needs all of them
        faults = struct_faults(value, kind, f"{path}: $") or [fault_from_error(error, f"{path}: $")]
        raise InvalidError([_mask_key(fault) for fault in faults]) from None


def decode_yaml(data: bytes) -> object:
    """Decode a YAML document of bounded size. Raises ValueError, RecursionError."""
    validate_yaml_size(data)
    return msgspec.yaml.decode(data)


_MARK = re.compile(r'\n? *in "<byte string>", line (?P<line>\d+), column (?P<column>\d+)\n?')
_BYTE = re.compile(r" \(byte (\d+)\)$")


def describe_syntax_error(data: bytes, error: Exception) -> str:
    """Return in one line what is wrong with a document that cannot be decoded, with its line and column."""
    text = str(error)
    if not data.strip():
        return "expected a document, got an empty file"
    if found := _BYTE.search(text):
        before = data[: int(found[1])]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        return f"line {line}, column {column}: {_BYTE.sub('', text)}"
    marks = list(_MARK.finditer(text))
    if not marks:
        return text
    line, column = (int(marks[-1][name]) for name in ("line", "column"))
    *context, problem = (part for part in _MARK.sub("\n", text).split("\n") if part)
    where = f" ({context[0]} at line {marks[0]['line']})" if context else ""
    if b"".join(data.splitlines()[line - 1 : line])[column - 1 : column] == b"\t":
        problem = "YAML is indented by spaces, not by tabs"
    return f"line {line}, column {column}: {problem}{where}"


_KEY = re.compile(r"(?<=\.heartbeats\.)([\w-]{4})[\w-]*")


def _mask_key(fault: Fault) -> Fault:
    """Shorten the key of a heartbeat in a fault: it is a secret."""
    return Fault(_KEY.sub(r"\1…", fault.path), fault.message)


_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


def _expand_variables(value: object, environ: Mapping[str, str]) -> object:
    if isinstance(value, dict):
        return {key: _expand_variables(item, environ) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand_variables(item, environ) for item in value]
    if isinstance(value, str):
        return _VARIABLE.sub(
            lambda match: read_variable(match["name"], environ) or match["default"] or "", value
        )
    return value
