"""Recommendations: what the figures of a report suggest to do, each with its evidence. Pure.

A rule is a function that looks at a report and yields what it finds; a recommendation names the rule, the
figures and the limits that they are beyond. Without evidence there is none.
"""

from collections.abc import Callable, Iterator, Sequence

from shared.schema.formatting import format_span, format_value, unit_named
from shared.schema.reports import (
    AccountReport,
    Evidence,
    Figure,
    Priority,
    Recommendation,
    Report,
    TradeGroup,
)
from shared.schema.units import MONEY, PERCENT

MAX_RECOMMENDATIONS = 40
MIN_TRADES = 20
"""Fewer trades say little about a symbol, a weekday or an hour."""
BAD_PROFIT_FACTOR = 0.8
DEEP_DRAWDOWN = 10.0
FAST_DECLINE = 2.0
"""Times that a drawdown is deeper than in the period before."""
MAX_REJECT_RATE = 5.0
MAX_SLIPPAGE_BPS = 10.0
MAX_COST_SHARE = 50.0
"""Fees and funding as a share of what the trades made before them, percent."""
NOISY = 10
"""Alerts of one rule in the period."""
SLOW_ACKNOWLEDGEMENT_S = 900.0
MIN_ACKNOWLEDGED = 50.0
NIGHTLY = 3
"""Notices at night to one person, per week."""
MIN_UPTIME = 99.0
CERTIFICATE_DAYS = 21.0
DISK_DAYS = 30.0
DISK_GROWTH = 10.0
MEMORY_MEAN = 85.0
CPU_MEAN = 80.0
CONFIDENT = 30
"""Daily returns."""

_EXECUTION_LIMITS = {
    "rejectRate": (
        *(MAX_REJECT_RATE, "%"),
        "Check balance, lot sizes and rate limits of {bot}: {value} of its latest orders were rejected.",
    ),
    "slippageBps": (
        *(MAX_SLIPPAGE_BPS, " bps"),
        "Check order type and size of {bot}: its fills cost {value} against the price decided on.",
    ),
}
"""By figure: limit, its unit, what to do."""

Rule = Callable[[Report], Iterator[Recommendation]]
_ORDER: tuple[Priority, ...] = ("high", "medium", "low")


def recommend(report: Report) -> list[Recommendation]:
    """Return what the figures of `report` suggest, the most urgent first."""
    found = [one for rule in RULES for one in rule(report)]
    return sorted(found, key=lambda one: _ORDER.index(one.priority))[:MAX_RECOMMENDATIONS]


def _value(figures: Sequence[Figure], name: str) -> float | None:
    return next((figure.value for figure in figures if figure.name == name), None)


def _shown(figure: Figure, value: float | None = None) -> str:
    number = figure.value if value is None else value
    return "" if number is None else format_value(number, unit_named(figure.unit))


def _find(figures: Sequence[Figure], name: str) -> Figure | None:
    return next((figure for figure in figures if figure.name == name and figure.value is not None), None)


def deep_drawdown(report: Report) -> Iterator[Recommendation]:
    """Find bots whose drawdown in the period is deep; say if it was less in the period before."""
    for row in report.bots:
        found = _find(row.figures, "maxDrawdown")
        if found is None or found.value is None or found.value < DEEP_DRAWDOWN:
            continue
        evidence = [Evidence(figure="maxDrawdown", value=_shown(found), limit=f"{DEEP_DRAWDOWN:g}%")]
        worse = ""
        if found.previous and found.value >= FAST_DECLINE * found.previous:
            before = _shown(found, found.previous)
            evidence.append(Evidence(figure="maxDrawdown, period before", value=before))
            worse = f", against {before} in the period before"
        yield Recommendation(
            rule="deep-drawdown",
            priority="high",
            subject=row.bot,
            text=f"Reduce the position size of {row.bot}, or pause it, until the cause is known: "
            f"it fell {_shown(found)} below its peak{worse}.",
            evidence=evidence,
        )


def losing_symbol(report: Report) -> Iterator[Recommendation]:
    """Find symbols that lose over many trades."""
    for account in report.accounts:
        for group in account.trades.by_symbol if account.trades else ():
            if _loses(group):
                yield _losing(account, group, "losing-symbol", f"trading {group.key}", "symbol")


def losing_hour(report: Report) -> Iterator[Recommendation]:
    """Find hours of the day that lose over many trades while all trades together do not."""
    for account in report.accounts:
        trades = account.trades
        if trades is None or trades.total.pnl <= 0:
            continue
        zone = report.period.time_zone
        for group in trades.by_hour:
            if _loses(group):
                yield _losing(account, group, "losing-hour", f"trading from {group.key}:00 ({zone})", "hour")


def _loses(group: TradeGroup) -> bool:
    return group.trades >= MIN_TRADES and bool(group.lost) and group.gains < BAD_PROFIT_FACTOR * group.lost


def _losing(account: AccountReport, group: TradeGroup, rule: str, what: str, kind: str) -> Recommendation:
    factor = f"{group.gains / group.lost:.2f}"
    lost = format_value(group.pnl, MONEY)
    return Recommendation(
        rule=rule,
        priority="medium",
        subject=account.name,
        text=f"Review {what} with {account.name}: {group.trades} trades made {lost} "
        f"{account.currency or ''}".rstrip()
        + f", a profit factor of {factor}.",
        evidence=[
            Evidence(
                figure=f"profitFactor of {kind} {group.key}", value=factor, limit=f"{BAD_PROFIT_FACTOR}"
            ),
            Evidence(figure=f"trades of {kind} {group.key}", value=str(group.trades), limit=str(MIN_TRADES)),
        ],
    )


def high_costs(report: Report) -> Iterator[Recommendation]:
    """Find bots whose fees and funding take most of what their trades made before them."""
    for account in report.accounts:
        pnl = _value(account.figures, "tradePnL")
        fees, funding = _value(account.figures, "fees"), _value(account.figures, "funding")
        if pnl is None or fees is None or funding is None:
            continue
        costs = fees + funding
        before_costs = pnl + costs
        if costs <= 0 or before_costs <= 0 or costs / before_costs * 100 < MAX_COST_SHARE:
            continue
        share = format_value(costs / before_costs * 100, PERCENT)
        yield Recommendation(
            rule="high-costs",
            priority="medium",
            subject=account.name,
            text=f"Trade {account.name} less often, or as maker: fees and funding took {share} of what its "
            "trades made before costs.",
            evidence=[
                Evidence(figure="(fees + funding) / gross P&L", value=share, limit=f"{MAX_COST_SHARE:g}%"),
                Evidence(figure="fees", value=format_value(fees, MONEY)),
                Evidence(figure="funding", value=format_value(funding, MONEY)),
            ],
        )


def poor_execution(report: Report) -> Iterator[Recommendation]:
    """Find bots whose orders are rejected often, or filled far from the price decided on."""
    for account in report.accounts:
        for name, (limit, suffix, text) in _EXECUTION_LIMITS.items():
            found = _find(account.execution, name)
            if found is not None and found.value is not None and found.value > limit:
                yield Recommendation(
                    rule="poor-execution",
                    priority="medium",
                    subject=account.name,
                    text=text.format(bot=account.name, value=_shown(found)),
                    evidence=[Evidence(figure=name, value=_shown(found), limit=f"{limit:g}{suffix}")],
                )


def disagreeing_figures(report: Report) -> Iterator[Recommendation]:
    """Find bots that report figures that their own events do not confirm."""
    for account in report.accounts:
        if not account.differences:
            continue
        names = ", ".join(one.label for one in account.differences[:3])
        yield Recommendation(
            rule="disagreeing-figures",
            priority="medium",
            subject=account.name,
            text=f"Check how {account.name} computes {names}: what it reports differs from what its equity, "
            "orders and fills give.",
            evidence=[
                Evidence(
                    figure=one.name,
                    value=f"reported {format_value(one.reported, unit_named(one.unit))}",
                    limit=f"computed {format_value(one.computed, unit_named(one.unit))}",
                )
                for one in account.differences
            ],
        )


def few_returns(report: Report) -> Iterator[Recommendation]:
    """Find ratios that rest on few daily returns."""
    few = [
        (account.name, figure)
        for account in report.accounts
        if (figure := _find(account.risk, "sharpeRatio")) and figure.note.startswith("Low confidence")
    ]
    if few:
        yield Recommendation(
            rule="few-returns",
            priority="low",
            subject=", ".join(name for name, _ in few[:5]) + (" …" if len(few) > 5 else ""),  # noqa: PLR2004
            text=f"Do not decide by Sharpe, Sortino and VaR yet: they rest on fewer than {CONFIDENT} daily "
            "returns.",
            evidence=[
                Evidence(figure=f"sharpeRatio of {name}", value=_shown(figure), limit=figure.note)
                for name, figure in few[:5]
            ],
        )


def noisy_rule(report: Report) -> Iterator[Recommendation]:
    """Find rules with many alerts that resolve by themselves within minutes."""
    for group in report.incidents.by_rule if report.incidents else ():
        if group.opened >= NOISY and group.short * 2 >= group.opened:
            yield Recommendation(
                rule="noisy-rule",
                priority="medium",
                subject=group.key,
                text=f"Raise `for` or the limit of the rule {group.key}: {group.short} of its {group.opened} "
                "alerts resolved within five minutes without anybody acknowledging them.",
                evidence=[
                    Evidence(figure="alerts opened", value=str(group.opened), limit=str(NOISY)),
                    Evidence(figure="resolved within 5m, not acknowledged", value=str(group.short)),
                    Evidence(figure="notices", value=str(group.notices)),
                ],
            )


def slow_response(report: Report) -> Iterator[Recommendation]:
    """Find that alerts are acknowledged late, or not at all."""
    figures = report.incidents.figures if report.incidents else ()
    late = _find(figures, "timeToAcknowledge")
    if late and late.value is not None and late.value > SLOW_ACKNOWLEDGEMENT_S:
        yield Recommendation(
            rule="slow-response",
            priority="high",
            subject="on call",
            text="Shorten the first escalation step, or notify by a channel that wakes people: half of the "
            f"acknowledged alerts waited longer than {format_span(late.value)}.",
            evidence=[
                Evidence(
                    figure="timeToAcknowledge (median)",
                    value=format_span(late.value),
                    limit=format_span(SLOW_ACKNOWLEDGEMENT_S),
                )
            ],
        )
    share, opened = _find(figures, "acknowledgedShare"), _find(figures, "alertsOpened")
    if share and opened and (opened.value or 0) >= NOISY and (share.value or 0) < MIN_ACKNOWLEDGED:
        yield Recommendation(
            rule="slow-response",
            priority="medium",
            subject="on call",
            text="Review which alerts deserve a notice: most were acknowledged by nobody.",
            evidence=[
                Evidence(figure="acknowledgedShare", value=_shown(share), limit=f"{MIN_ACKNOWLEDGED:g}%"),
                Evidence(figure="alertsOpened", value=_shown(opened), limit=str(NOISY)),
            ],
        )


def on_call_burden(report: Report) -> Iterator[Recommendation]:
    """Find people who are notified at night often, and channels that fail."""
    load = report.on_call
    weeks = max(1.0, (report.period.until - report.period.since).total_seconds() / (7 * 86_400))
    for group in load.by_person if load else ():
        if group.at_night / weeks >= NIGHTLY:
            yield Recommendation(
                rule="on-call-burden",
                priority="medium",
                subject=group.key,
                text=f"Relieve {group.key}: {group.at_night} notices came at night. Hold what can wait "
                "with `quiet`, or rotate more often.",
                evidence=[
                    Evidence(
                        figure="notices from 22:00 to 07:00",
                        value=str(group.at_night),
                        limit=f"{NIGHTLY} a week",
                    )
                ],
            )
    for group in load.by_channel if load else ():
        if group.failed:
            yield Recommendation(
                rule="failing-channel",
                priority="high",
                subject=group.key,
                text=f"Repair the channel {group.key} (`botwatch notify test {group.key}`): "
                f"{group.failed} notices were not delivered.",
                evidence=[Evidence(figure="notices not delivered", value=str(group.failed), limit="0")],
            )


def failing_check(report: Report) -> Iterator[Recommendation]:
    """Find checks that were often critical, and certificates that expire soon."""
    for check in report.checks:
        name = f"{check.host}: {check.check}"
        if check.uptime is not None and check.uptime < MIN_UPTIME:
            value = f"{check.uptime:.2f}%"
            yield Recommendation(
                rule="failing-check",
                priority="high",
                subject=name,
                text=f"Find out why {check.check} on {check.host} fails: it was up {value} of the period.",
                evidence=[
                    Evidence(figure="uptime", value=value, limit=f"{MIN_UPTIME:g}%"),
                    Evidence(
                        figure="outages",
                        value=f"{check.outages}, {format_span(check.downtime_seconds)} in all",
                    ),
                ],
            )
        days = check.certificate_days
        if days is not None and days < CERTIFICATE_DAYS:
            yield Recommendation(
                rule="expiring-certificate",
                priority="high",
                subject=name,
                text=f"Renew the certificate that {check.check} checks: it ends in {days:.0f} days.",
                evidence=[
                    Evidence(figure="certificateDays", value=f"{days:.1f}", limit=f"{CERTIFICATE_DAYS:g}")
                ],
            )


def busy_host(report: Report) -> Iterator[Recommendation]:
    """Find hosts whose disk fills, or whose memory or CPU is used up."""
    for host in report.hosts:
        growth = (host.disk_end or 0.0) - (host.disk_begin or 0.0)
        if host.disk_full_days is not None and host.disk_full_days < DISK_DAYS:
            days = f"{host.disk_full_days:.1f} days"
            evidence = [Evidence(figure="diskFullDays", value=days, limit=f"{DISK_DAYS:g} days")]
            text = f"Free or add disk space on {host.host}: at the present rate it is full in {days}."
            yield _host("filling-disk", "high", host.host, text, evidence)
        elif growth >= DISK_GROWTH:
            points = f"{growth:.1f} percentage points"
            evidence = [Evidence(figure="diskUsage, end − begin", value=points, limit=f"{DISK_GROWTH:g}")]
            text = f"Look at what fills the disk of {host.host}: its use grew by {points}."
            yield _host("filling-disk", "medium", host.host, text, evidence)
        for value, limit, figure, what in (
            (host.memory_mean, MEMORY_MEAN, "memoryUsage", "memory"),
            (host.cpu_mean, CPU_MEAN, "cpuUsage", "CPU"),
        ):
            if value is not None and value > limit:
                evidence = [Evidence(figure=f"{figure}, mean", value=f"{value:.1f}%", limit=f"{limit:g}%")]
                text = f"Give {host.host} more {what}, or move something: on average {value:.1f}% was used."
                yield _host("busy-host", "medium", host.host, text, evidence)


def _host(rule: str, priority: Priority, host: str, text: str, evidence: list[Evidence]) -> Recommendation:
    return Recommendation(rule=rule, priority=priority, subject=host, text=text, evidence=evidence)


RULES: tuple[Rule, ...] = (
    deep_drawdown, losing_symbol, losing_hour, high_costs, poor_execution, disagreeing_figures, few_returns,
    noisy_rule, slow_response, on_call_burden, failing_check, busy_host,
)  # fmt: skip
