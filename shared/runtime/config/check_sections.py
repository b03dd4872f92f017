"""Check sections of `health_monitor.json`: what the collector monitors besides the host itself."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.runtime.config.notification_validation import validate_durations
from shared.runtime.config.notifications import Name, Port, check_time_zone
from shared.schema.conditions import Document
from shared.schema.durations import Duration, milliseconds
from shared.schema.patterns import validate_regex

Address = Annotated[
    str,
    Meta(
        pattern=r"^(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):[0-9]{1,5}\Z",
        description="a host and a port, such as db:5432",
    ),
]
Url = Annotated[
    str, Meta(pattern=r"^(https?://|encrypted:)\S+\Z", description="a URL: http://… or https://…")
]
WebSocketUrl = Annotated[
    str, Meta(pattern=r"^(wss?://|encrypted:)\S+\Z", description="a URL: ws://… or wss://…")
]
PathName = Annotated[str, Meta(pattern=r"^/\S*\Z", description="a path that begins with /")]
MIN_INTERVAL_MS = 1_000


class ProcessSection(Document, kw_only=True):
    """Processes on this host; all given criteria must match."""

    name: str | None = None
    """The full name of the program, or the 15 characters that `ps -o comm` shows."""
    command: str | None = None
    """A regular expression to search for in the command line."""
    pid_file: PathName | None = None
    user: str | None = None
    at_least: Annotated[int, Meta(ge=0)] = 1
    at_most: Annotated[int, Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        if self.name is None and self.command is None and self.pid_file is None:
            raise ValueError("expected at least one of `name`, `command` and `pidFile`")
        validate_regex("command", self.command)


class HttpSection(Document, kw_only=True):
    """An HTTP request and the expected response."""

    url: Url
    method: Literal["GET", "HEAD", "POST", "OPTIONS"] = "GET"
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    status: Annotated[list[Annotated[int, Meta(ge=100, le=599)]], Meta(min_length=1)] | None = None
    """Default: any of 200 to 399."""
    body: str | None = None
    """A regular expression to search for in the body."""
    verify: bool = True
    """Whether the certificate must be valid."""

    def __post_init__(self) -> None:
        validate_regex("body", self.body)


class DnsSection(Document, kw_only=True):
    """A name that must resolve."""

    name: str
    expect: list[str] = msgspec.field(default_factory=list)
    """Expected addresses; at least one must be in the response."""


class CertificateSection(Document, kw_only=True):
    """The certificate of a server, or certificates in a file."""

    address: Address | None = None
    server_name: str | None = None
    """The expected host name of the certificate; default: the host."""
    file: PathName | None = None
    """A PEM file: every certificate in it is checked."""
    days: Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: [21, 14, 7, 1]
    )
    """Days before expiry at which to notify, once each; critical from the last but one."""
    trust: PathName | None = None
    """A PEM file of additional CAs, for certificates of a private CA."""

    def __post_init__(self) -> None:
        if (self.address is None) == (self.file is None):
            raise ValueError("expected either `address` or `file`")


class CheckSection(Document, kw_only=True):
    """One check: exactly one key for its target, and its schedule."""

    process: ProcessSection | None = None
    port: Port | None = None
    """A TCP port of this host that must be listening."""
    http: HttpSection | None = None
    tcp: Address | None = None
    dns: DnsSection | None = None
    database: str | None = None
    """A URL: `sqlite:///path`, `postgresql://…`, `redis://…`; secrets as ${NAME}."""
    systemd: str | None = None
    """A unit, such as trading-bot.service."""
    container: str | None = None
    """A container's name, for Docker's or Podman's socket."""
    certificate: CertificateSection | None = None
    status_page: Url | None = None
    """URL of Statuspage (Atlassian) or a compatible service: `…/api/v2/summary.json`."""
    every: Duration = "1m"
    timeout: Duration | None = None
    """Default: 10 s, or `every` if that is shorter."""
    slow: Duration | None = None
    """A response that takes longer is a warning."""
    failures: Annotated[int, Meta(ge=1, le=100)] = 2
    """Number of failed runs in a row before the failure counts."""
    severity: Literal["critical", "warning"] = "critical"
    """The status of a failure."""

    def __post_init__(self) -> None:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            names = ", ".join(msgspec.structs.fields(CheckSection)[i].encode_name for i in range(len(KINDS)))
            raise ValueError(f"expected exactly one of {names}, got {' and '.join(given) or 'none'}")
        validate_durations(slow=self.slow)
        validate_times(self.every, self.timeout)

    @property
    def kind(self) -> str:
        """The key of the target."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)


KINDS = (
    "process", "port", "http", "tcp", "dns", "database", "systemd", "container", "certificate", "status_page",
)  # fmt: skip
"""The keys for the target of a check."""


class ExchangeSection(Document, kw_only=True):
    """An exchange; omitted keys come from the preset of that name, if there is one."""

    preset: Name | None = None
    """Default: the name of the exchange."""
    rest: Url | None = None
    """URL for the availability check."""
    time: Url | None = None
    """URL that returns the exchange's time."""
    time_path: str | None = None
    """Path to the time in the response: keys and indexes separated by dots, such as `result.unixtime`."""
    web_socket: WebSocketUrl | None = None
    status_page: Url | None = None
    every: Duration = "30s"
    timeout: Duration | None = None
    slow: Duration | None = "2s"
    skew: Duration = "2s"
    """A larger clock skew is a warning: exchanges reject such orders."""
    failures: Annotated[int, Meta(ge=1, le=100)] = 2
    severity: Literal["critical", "warning"] = "critical"

    def __post_init__(self) -> None:
        validate_durations(slow=self.slow, skew=self.skew)
        validate_times(self.every, self.timeout)


class FailedLoginsSection(Document, kw_only=True):
    """Limits of failed logins per minute, in total and per source address."""

    files: list[PathName] = msgspec.field(default_factory=lambda: ["/var/log/auth.log", "/var/log/secure"])
    btmp: PathName | None = "/var/log/btmp"
    journal: bool = True
    """Whether to read journalctl, if available."""
    warning: Annotated[float, Meta(gt=0)] = 5
    critical: Annotated[float, Meta(gt=0)] = 30


class ListeningSection(Document, kw_only=True):
    """New listening ports, compared with the baseline."""

    allow: list[Port] = msgspec.field(default_factory=list)
    loopback: bool = False
    """Whether to include ports that are reachable only from this machine."""


class SudoSection(Document, kw_only=True):
    """Uses of sudo."""

    allow: list[str] = msgspec.field(default_factory=list)
    """Users whose commands do not alert; denied commands always do."""


class SecuritySection(Document, kw_only=True):
    """Security checks; omitted ones are disabled."""

    failed_logins: FailedLoginsSection | None = None
    listening: ListeningSection | None = None
    sudo: SudoSection | None = None
    files: list[PathName] = msgspec.field(default_factory=list)
    """Files and patterns (`/etc/ssh/*`) whose content, owner or mode must not change."""
    secrets: list[PathName] = msgspec.field(default_factory=list)
    """Files and patterns that only their owner may read."""
    every: Duration = "1m"

    def __post_init__(self) -> None:
        validate_times(self.every, None)


class HeartbeatSection(Document, kw_only=True):
    """A heartbeat expected from a bot or a cron job: after a period, or by a cron schedule."""

    name: Name | None = None
    """Default: the key's first eight characters."""
    period: Duration | None = None
    cron: Annotated[str, Meta(max_length=128)] | None = None
    time_zone: str = "UTC"
    grace: Duration = "1m"
    """How late a ping may be."""
    longest: Duration | None = None
    """Limit of a run, from `/start` to its end."""
    severity: Literal["critical", "warning"] = "critical"

    def __post_init__(self) -> None:
        validate_durations(period=self.period, grace=self.grace, longest=self.longest)
        if (self.period is None) == (self.cron is None):
            raise ValueError("expected either `period` or `cron`")
        if self.period is not None and milliseconds(self.period) < MIN_INTERVAL_MS:
            raise ValueError(f"`period`: expected at least 1s, got {self.period!r}")
        check_time_zone(self.time_zone)


Key = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_-]{8,128}\Z",
        description="8 to 128 letters, digits, - and _; keep it secret",
    ),
]


def validate_times(every: Duration, timeout: Duration | None) -> None:
    """Raise ValueError unless `timeout` is within `every`."""
    validate_durations(every=every, timeout=timeout)
    if milliseconds(every) < MIN_INTERVAL_MS:
        raise ValueError(f"`every`: expected at least 1s, got {every!r}")
    if timeout is not None and not 0 < milliseconds(timeout) <= milliseconds(every):
        raise ValueError(f"`timeout`: expected more than 0 and at most `every` ({every}), got {timeout!r}")
