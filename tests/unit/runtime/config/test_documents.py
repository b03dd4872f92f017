"""Config documents: the seed's load unchanged; faults name file, path, expectation and nearest key."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.runtime.config.documents import HealthMonitor, PerformanceLogger, load_documents
from shared.runtime.config.notifications import EmailConfig, Notifications
from shared.runtime.databases import database_url
from shared.runtime.environment import load_settings
from shared.runtime.settings import REPOSITORY, PartSettings
from shared.schema.faults import InvalidError

SEED_PERFORMANCE = {
    "database": {"path": "../../data/monitoring/performance_metrics.db", "retentionDays": 365},
    "prometheus": {"enabled": True, "port": 9090, "endpoint": "/metrics"},
    "alerting": {
        "enabled": True,
        "conditions": [
            {
                "metricName": "maxDrawdown",
                "threshold": 20,
                "operator": ">",
                "severity": "HIGH",
                "description": "Maximum drawdown exceeded 20%",
                "enabled": True,
            }
        ],
    },
}
SEED_HEALTH = {
    "monitoring": {
        "intervalSeconds": 60,
        "enabledChecks": ["cpu", "memory", "disk", "network", "processes"],
        "thresholds": {
            "cpu": {"warning": 70, "critical": 90},
            "memory": {"warning": 80, "critical": 95},
            "disk": {"warning": 85, "critical": 95},
        },
    },
    "alerts": {
        "enabled": True,
        "webhookUrl": "https://hooks.slack.com/...",
        "emailConfig": {
            "smtp": "smtp.gmail.com",
            "from": "monitoring@turbobotdeva.com",
            "to": ["admin@turbobotdeva.com"],
        },
    },
}


def folder(
    path: Path, performance: Any = SEED_PERFORMANCE, health: Any = SEED_HEALTH, yaml: str = ""
) -> Path:
    (path / "performance_logger.json").write_text(json.dumps(performance))
    (path / "health_monitor.json").write_text(json.dumps(health))
    (path / "notifications.yml").write_text(yaml)
    return path


def test_the_seeds_documents_load_unchanged(tmp_path: Path) -> None:
    documents = load_documents(folder(tmp_path), {})
    assert documents.performance.alerting.conditions[0].metric_name == "maxDrawdown"
    assert documents.health.monitoring.thresholds.disk is not None
    assert list(documents.channels) == ["webhook", "email"]


def test_the_shipped_documents_load_with_channels_disabled() -> None:
    shipped = REPOSITORY / "deploy" / "config"
    assert load_documents(shipped, {}).channels == {}
    address = {"ALERT_WEBHOOK_URL": "http://localhost/hook", "ALERT_SMTP": "mail.example"}
    assert list(load_documents(shipped, address).channels) == ["webhook", "email"]


def test_a_mailbox_can_be_configured_by_environment(tmp_path: Path) -> None:
    """The shipped document needs no editing; the password may stand in a file."""
    secret = tmp_path / "password"
    secret.write_text("hush\n")
    environ = {
        "ALERT_SMTP": "mail.example:2525",
        "ALERT_SMTP_USER": "watch",
        "ALERT_SMTP_PASSWORD_FILE": str(secret),
        "ALERT_SMTP_SECURITY": "tls",
    }
    mailbox = load_documents(REPOSITORY / "deploy" / "config", environ).channels["email"].email
    assert mailbox is not None
    assert (mailbox.smtp, mailbox.port, mailbox.security) == ("mail.example", 2525, "tls")
    assert (mailbox.username, mailbox.password) == ("watch", "hush")
    with pytest.raises(InvalidError, match="cannot be read: /nowhere"):
        load_documents(REPOSITORY / "deploy" / "config", environ | {"ALERT_SMTP_PASSWORD_FILE": "/nowhere"})


def test_the_seeds_relative_paths_lie_below_the_home(tmp_path: Path) -> None:
    settings = PartSettings(botwatch_home=tmp_path)
    url = database_url(settings, load_documents(folder(tmp_path), {}).performance.database)
    assert url == f"sqlite:///{tmp_path}/data/monitoring/performance_metrics.db"


def test_a_channel_url_comes_from_a_secret_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("tgram://token/chat\n")
    config = folder(
        tmp_path, yaml="channels:\n  desk: { url: '${DESK_URL}' }\n  unset: { url: '${UNSET}' }\n"
    )
    channels = load_documents(config, {"DESK_URL_FILE": str(secret)}).channels
    desk = channels["desk"]
    assert not isinstance(desk, EmailConfig)
    assert desk.url == "tgram://token/chat"
    assert "unset" not in channels


@pytest.mark.parametrize(
    ("performance", "health", "words"),
    [
        ({"databse": {}}, {}, ["performance_logger.json", "$.databse", "did you mean `database`?"]),
        (
            {"alerting": {"conditions": [{"metricName": "x", "threshold": "20", "operator": "=>"}]}},
            {},
            [
                "$.alerting.conditions[0].threshold",
                "conditions[0].operator",
                "conditions[0].severity",
                "missing",
            ],
        ),
        (
            {},
            {"monitoring": {"thresholds": {"cpu": {"warning": 95, "critical": 90}}}},
            ["cpu.warning", "at most"],
        ),
        ({}, {"monitoring": {"intervalSeconds": 0}}, ["health_monitor.json", "$.monitoring.intervalSeconds"]),
        ({}, {"monitoring": {"enabledChecks": ["cpu", "gpu"]}}, ["enabledChecks[1]"]),
    ],
)
def test_a_fault_names_file_path_and_expectation(
    performance: Any,
    health: Any,
    words: list[str],
    tmp_path: Path,
) -> None:
    with pytest.raises(InvalidError) as raised:
        load_documents(folder(tmp_path, performance, health), {})
    for word in words:
        assert word in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "health_monitor.json",
            '{"a": 1,\n "b": 2,\n}',
            "line 3, column 1: JSON is malformed: trailing comma",
        ),
        ("health_monitor.json", "", "expected a document, got an empty file"),
        ("notifications.yml", "a:\n\t- x", "line 2, column 1: YAML is indented by spaces, not by tabs"),
        ("notifications.yml", "routes: []\n\tb: 1", r"not by tabs"),
        (
            "notifications.yml",
            "a: [1\n",
            "line 2, column 1: did not find expected ',' or ']' (while parsing a flow sequence at line 1)",
        ),
        ("notifications.yml", "a: b: c", "line 1, column 5: mapping values are not allowed in this context"),
    ],
)
def test_a_syntax_error_is_one_line_with_its_place(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    """An editor goes to a line, not to a byte."""
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidError) as raised:
        load_documents(tmp_path, {})
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_key_on_the_wrong_level_is_named_with_its_right_path(tmp_path: Path) -> None:
    """`checks` and `heartbeats` stand under `monitoring`: at the top, the fault says so."""
    with pytest.raises(InvalidError) as raised:
        load_documents(folder(tmp_path, {"conditions": []}, {"checks": {}}))
    faults = [str(fault) for fault in raised.value.faults]
    assert any("$.conditions: unknown key; did you mean `$.alerting.conditions`?" in one for one in faults)
    assert any("$.checks: unknown key; did you mean `$.monitoring.checks`?" in one for one in faults)


def test_the_faults_of_every_file_are_listed_together(tmp_path: Path) -> None:
    with pytest.raises(InvalidError) as raised:
        load_documents(folder(tmp_path, {"a": 1}, {"b": 1}, "c: 1"), {})
    assert len(raised.value.faults) == 3


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="BOTWATCH_CONFIG"):
        load_documents(tmp_path / "none", {})


def test_settings_report_every_invalid_variable(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("redis://:secret@127.0.0.1/0\n")
    settings = load_settings(PartSettings, {"REDIS_URL_FILE": str(secret), "LOG_FORMAT": ""})
    assert settings.redis_url == "redis://:secret@127.0.0.1/0"
    with pytest.raises(InvalidError) as raised:
        load_settings(PartSettings, {"HEALTH_PORT": "many", "LOG_FORMAT": "xml", "REDIS_URL_FILE": "/none"})
    assert {fault.path for fault in raised.value.faults} == {"HEALTH_PORT", "LOG_FORMAT", "REDIS_URL_FILE"}
    with pytest.raises(
        InvalidError, match="HEALTH_PORT: expected a whole number from 0 to 65535, got '70000'"
    ):
        load_settings(PartSettings, {"HEALTH_PORT": "70000"})


def test_the_key_of_a_heartbeat_stands_in_no_fault(tmp_path: Path) -> None:
    health = {"monitoring": {"heartbeats": {"abcd-secret-key": {"period": "1e9d", "graze": 1}}}}
    with pytest.raises(InvalidError) as caught:
        load_documents(folder(tmp_path, health=health), {})
    faults = [str(fault) for fault in caught.value.faults]
    assert any("$.monitoring.heartbeats.abcd….graze: unknown key" in fault for fault in faults)
    assert not any("secret" in fault for fault in faults)


def test_every_section_refuses_unknown_keys() -> None:
    """Else a document with a misspelt key would load: its faults are looked for when msgspec refuses it."""
    sections: set[type[msgspec.Struct]] = set()

    def visit(node: object) -> None:
        if isinstance(node, list | tuple):
            for one in node:
                visit(one)
        elif isinstance(node, msgspec.inspect.StructType) and node.cls not in sections:
            sections.add(node.cls)
            for field in node.fields:
                visit(field.type)
        elif isinstance(node, msgspec.inspect.Type):
            visit([getattr(node, name) for name in node.__struct_fields__])

    visit([msgspec.inspect.type_info(kind) for kind in (PerformanceLogger, HealthMonitor, Notifications)])
    assert EmailConfig in sections
    assert [one for one in sections if not one.__struct_config__.forbid_unknown_fields] == []
