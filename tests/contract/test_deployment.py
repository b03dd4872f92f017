"""What compose starts, what the images hold and what the settings read fit together."""

import importlib.util
import inspect
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from shared.runtime.redis.acl import acl_digest
from shared.runtime.settings import PartSettings
from tests.support import unavailable

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
FOLDERS = sorted(path.parent.name for path in ROOT.glob("services/*/__main__.py"))
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^${}]*))?")
ONE_SHOT = {"migrate", "botwatch", "secrets"}
NOT_A_PART = {"demo", "botwatch", "secrets", "caddy"}
SECRETS = {"AUDIT_KEY", "BOTWATCH_KEY", "BOTWATCH_SECRET"}
"""Looked up where they are needed; no part's settings hold them."""
BUILT = sorted(name for name, service in SERVICES.items() if service["image"].startswith("botwatch-"))
OURS = [name for name in BUILT if name != "caddy"]
"""What runs our code."""
LASTING = sorted(set(SERVICES) - ONE_SHOT)


def folder_of(name: str) -> str:
    """Return the folder of services/ that a compose service runs."""
    return str(SERVICES[name]["image"]).removeprefix("botwatch-")


def settings_of(folder: str) -> set[str]:
    """Return the environment names that a service's settings read."""
    fields = {field.name.upper() for field in msgspec.structs.fields(PartSettings)}
    if importlib.util.find_spec(f"services.{folder}.config"):
        module = importlib.import_module(f"services.{folder}.config")
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, PartSettings):
                fields |= {field.name.upper() for field in msgspec.structs.fields(kind)}
    return fields


def document_variables() -> set[str]:
    """Return the names that the config documents take from the environment."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "deploy" / "config").iterdir()]
    return {name for text in texts for name, _ in VARIABLE.findall(text)} - {"NAME"}


def test_every_service_folder_is_started_by_compose() -> None:
    built = {service["build"]["args"]["SERVICE"] for n, service in SERVICES.items() if n not in NOT_A_PART
             if "build" in service}  # fmt: skip
    assert built == set(FOLDERS)


def test_every_service_folder_has_locked_requirements() -> None:
    for folder in FOLDERS:
        assert (ROOT / "requirements" / f"{folder}.txt").is_file(), folder


def test_each_image_is_built_once() -> None:
    built = [service["image"] for service in SERVICES.values() if "build" in service]
    assert len(built) == len(set(built))
    assert {SERVICES[name]["image"] for name in BUILT} == set(built)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_container_is_confined(name: str) -> None:
    service = SERVICES[name]
    user, _, _ = service["user"].partition(":")
    assert int(user) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert not service.get("privileged")
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert service["pids_limit"] > 0
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["stop_grace_period"] == "10s"
    assert service["logging"]["driver"] == "json-file"
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}


def test_memory_limits_are_those_that_were_measured() -> None:
    """The table in docs/operations.md has each limit, at least two and a half times the measured peak."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z-]+)(?: \(the command\))? \| (\d+) \| (\d+) \| (\d+) \|", text, re.MULTILINE)
    units = {"m": 1, "g": 1024}
    for name, peak, limit, processes in rows:
        given = SERVICES[name]["mem_limit"]
        assert int(given[:-1]) * units[given[-1]] == int(limit) >= 2.5 * int(peak), name
        assert SERVICES[name]["pids_limit"] >= 2.5 * int(processes), name
    assert {name for name, *_ in rows} == set(SERVICES) - {"secrets", "migrate", "grafana"}


@pytest.mark.parametrize("name", LASTING)
def test_every_lasting_container_is_health_checked_and_comes_back(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"]
    assert check["start_interval"]
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_ports_are_published_on_the_bind_address_only(name: str) -> None:
    # Redis only ever on loopback: its passwords would cross a network in the clear.
    for port in SERVICES[name].get("ports", []):
        prefix = "TLS_" if name == "caddy" else ""
        variable = rf"\$\{{{prefix}BIND_ADDRESS:-127\.0\.0\.1\}}"
        address = r"127\.0\.0\.1" if name == "redis" else variable
        assert re.fullmatch(rf"{address}:\$\{{\w+:-\d+\}}:\d+", port)
        assert "edge" in SERVICES[name]["networks"], "an internal network publishes nothing"


def test_the_network_of_the_parts_has_no_way_out() -> None:
    assert COMPOSE["networks"]["inside"]["internal"] is True


@pytest.mark.parametrize("name", [*OURS, "redis", "grafana"])
def test_containers_mount_only_their_secrets_and_start_after_them(name: str) -> None:
    if name == "secrets":
        return
    mounts = [volume for volume in SERVICES[name]["volumes"] if "secrets" in str(volume)]
    # The migration talks to no Redis, but its settings hold a URL.
    own = mounts.pop(0)
    assert own["volume"]["subpath"] == {"migrate": "recorder"}.get(name, name)
    assert own["read_only"] is True
    # Who backs up the secrets reads them all, and the command writes them in a restore.
    all_secrets = {"jobs": [True], "botwatch": [False]}
    assert [mount.get("read_only", False) for mount in mounts] == all_secrets.get(name, [])
    first = SERVICES[name]["depends_on"]
    assert first.get("secrets", {}).get("condition") == "service_completed_successfully" or "redis" in first
    assert "REDIS_URL" not in SERVICES[name].get("environment", {})


def test_redis_is_made_anew_when_the_rights_of_its_users_change() -> None:
    assert SERVICES["redis"]["labels"]["botwatch.rights"] == acl_digest()


def test_the_collector_which_sees_the_host_is_a_user_of_its_own() -> None:
    assert [name for name in OURS if SERVICES[name]["user"] == SERVICES["collector"]["user"]] == ["collector"]


def test_a_plain_start_runs_neither_demo_nor_command_nor_tls() -> None:
    profiles = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}
    assert profiles == {"demo": ["demo"], "botwatch": ["tools"], "caddy": ["tls"]}


def test_redis_keeps_an_append_only_file_and_never_evicts() -> None:
    command = SERVICES["redis"]["command"]
    for option in (
        "--appendonly yes",
        "--appendfsync ${DURABILITY:-everysec}",
        "--maxmemory-policy noeviction",
    ):
        assert option in command


@pytest.mark.parametrize("name", [name for name in OURS if name not in NOT_A_PART])
def test_every_environment_name_is_one_that_the_part_reads(name: str) -> None:
    known = settings_of(folder_of(name)) | document_variables() | SECRETS
    # Any of them may stand in a file.
    assert {variable.removesuffix("_FILE") for variable in SERVICES[name]["environment"]} <= known


def test_who_sends_gets_every_variable_of_the_documents() -> None:
    for name in ("notifier", "watchdog", "botwatch"):
        assert document_variables() <= set(SERVICES[name]["environment"]), name


def test_the_command_has_what_the_parts_encrypt_and_sign_with() -> None:
    """A TOTP secret, a config value or a backup of a part can be read by the command, and the reverse."""
    command = set(SERVICES["botwatch"]["environment"])
    assert {"BOTWATCH_KEY", "BOTWATCH_SECRET", "AUDIT_KEY_FILE", "BOTWATCH_TOKEN_FILE"} <= command
    backups = {name for name in SERVICES["jobs"]["environment"] if name.startswith(("BACKUP_", "SECRETS_"))}
    assert "BACKUP_PUBLIC_KEY" in backups
    assert backups <= command


def test_the_example_environment_matches_compose() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    read = dict(VARIABLE.findall(text))
    example = (ROOT / "deploy" / ".env.example").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", example, re.MULTILINE))
    assert set(listed) == set(read)
    for name, default in read.items():
        if default and "://" not in default:
            assert listed[name] == default, name


def test_images_are_pinned_and_from_the_default_registry() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    stages = {stage.split()[-1] for stage in re.findall(r"^FROM .* AS \w[\w-]*$", dockerfile, re.MULTILINE)}
    bases = set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) - stages
    images = bases | {service["image"] for name, service in SERVICES.items() if name not in BUILT}
    for image in images:
        host = image.partition("/")[0] if "/" in image else ""
        assert not re.search(r"[.:]", host), image
        assert re.search(r":[\w.-]+$", image), image
        assert "@" not in image, image


def test_nothing_in_the_build_names_an_address() -> None:
    files = [ROOT / "deploy" / "Dockerfile", *(ROOT / "requirements").iterdir()]
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert "://" not in text, path
        assert not re.search(r"--(extra-)?index-url|--find-links|^# *syntax=", text, re.MULTILINE), path


def test_only_the_collector_sees_the_host_and_read_only() -> None:
    for name in OURS:
        volumes = [volume for volume in SERVICES[name].get("volumes", []) if str(volume).startswith("/")]
        if name == "collector":
            environment = SERVICES[name]["environment"]
            wanted = [f"/proc:{environment['HOST_PROC']}:ro", f"/:{environment['HOST_ROOT']}:ro"]
            assert sorted(volumes) == sorted(wanted)
        else:
            assert not volumes, name


def test_redis_over_tls_changes_nothing_else() -> None:
    """The overlay keeps Redis's options, and gives the authority to each container with a Redis URL."""
    text = (ROOT / "deploy" / "tls" / "redis.yml").read_text(encoding="utf-8")
    overlay = yaml.safe_load(text.replace("!override ", ""))["services"]
    command = overlay["redis"]["command"]
    assert command.startswith(SERVICES["redis"]["command"])
    assert "--port 0 --tls-port 6379" in command
    verifying = {name for name, service in overlay.items() if "redis-ca.crt" in str(service.get("volumes"))}
    assert verifying == {*OURS, "redis"} - {"secrets", "migrate"}
    done = subprocess.run(
        ["docker", "compose", "-f", "docker-compose.yml", "-f", "deploy/tls/redis.yml", "config", "--quiet"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    ) if shutil.which("docker") else None  # fmt: skip
    assert done is None or done.returncode == 0 or "is not a docker command" in done.stderr, done


def test_the_collector_can_do_without_the_hosts_root() -> None:
    """The overlay replaces `/` by single paths below HOST_ROOT; everything else stays."""
    text = (ROOT / "deploy" / "host-mounts.yml").read_text(encoding="utf-8")
    narrow = yaml.safe_load(text.replace("!override", ""))["services"]["collector"]["volumes"]
    root = SERVICES["collector"]["environment"]["HOST_ROOT"]
    whole = f"/:{root}:ro"
    kept = [volume for volume in SERVICES["collector"]["volumes"] if volume != whole]
    assert whole in SERVICES["collector"]["volumes"]
    assert [volume for volume in narrow if root not in str(volume)] == kept
    for volume in narrow[len(kept) :]:
        assert re.fullmatch(rf"(/\S+):{root}\1:ro", volume), volume


def test_only_what_an_image_needs_reaches_the_build() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    sources = re.findall(r"^COPY (?!--)(\S+) ", dockerfile, re.MULTILINE)
    let_in = [line[1:] for line in ignored if line.startswith("!")]
    for source in sources:
        path = source.replace("${SERVICE}", "recorder")
        assert any(path == one or path.startswith(f"{one}/") or Path(path).match(one) for one in let_in), path


def test_compose_itself_accepts_the_file() -> None:
    try:
        done = subprocess.run(
            ["docker", "compose", "config", "--quiet"],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        unavailable("docker is not installed")
    if "is not a docker command" in done.stderr:
        unavailable("docker has no compose")
    assert done.returncode == 0, done.stderr
