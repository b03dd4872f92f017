"""The containers: healthy, confined, published on loopback only, and able to stop and to come back."""

import socket
import urllib.request
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from shared.runtime.audit_key import KEY_NAME
from shared.runtime.credentials import AUDITING_PARTS
from shared.runtime.settings import REPOSITORY
from shared.schema.jobs import JOBS
from tests.stack.compose import ComposeStack, wait_until

PARTS = (
    "broadcaster",
    "collector",
    "dashboard",
    "evaluator",
    "ingestion",
    "ingestion-redis",
    "jobs",
    "notifier",
    "watchdog",
    "recorder",
)
ONE_SHOT = ("secrets", "migrate")


def test_everything_is_healthy_and_the_migration_is_done(stack: ComposeStack) -> None:
    containers = stack.containers()
    assert {*PARTS, *ONE_SHOT, "redis", "prometheus"} <= set(containers)
    for name in ONE_SHOT:
        assert containers.pop(name)["State"]["ExitCode"] == 0, name
    for name, container in containers.items():
        assert container["State"]["Health"]["Status"] == "healthy", name


def test_every_container_is_read_only_and_not_root(stack: ComposeStack) -> None:
    for name, container in stack.containers().items():
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["Privileged"], name
        assert host["Memory"] > 0, name
        if name not in ONE_SHOT:
            status = stack.execute(name, "cat", "/proc/self/status")
            fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            assert int(fields["Uid"].split()[0]) > 0, name
            assert int(fields["CapEff"], 16) == 0, name
            assert fields["NoNewPrivs"] == "1", name


@pytest.mark.parametrize("name", PARTS)
def test_a_part_cannot_change_its_own_code(stack: ComposeStack, name: str) -> None:
    attempt = "try: open('/app/shared/x', 'w')\nexcept OSError as error: print(error.strerror)"
    assert stack.execute(name, "python", "-c", attempt).strip() == "Read-only file system"


def test_ports_are_published_on_loopback_only(stack: ComposeStack) -> None:
    published = {
        name: bound["HostIp"]
        for name, container in stack.containers().items()
        for bindings in container["NetworkSettings"]["Ports"].values()
        for bound in bindings or []
    }
    assert set(published) >= {"ingestion", "dashboard", "broadcaster", "prometheus", "redis"}
    assert set(published.values()) == {"127.0.0.1"}


def test_each_container_has_the_password_of_its_own_part_only(stack: ComposeStack) -> None:
    for name in PARTS:
        expected = {"internal-tokens", "redis-url"} | ({KEY_NAME} if name in AUDITING_PARTS else set())
        assert set(stack.execute(name, "ls", "/run/botwatch").split()) == expected, name
        assert "bw_" not in stack.execute(name, "cat", "/run/botwatch/internal-tokens")  # digests only
        assert f"redis://{name}:" in stack.execute(name, "cat", "/run/botwatch/redis-url")
    for container in stack.containers().values():
        assert not any("redis://" in one for one in container["Config"]["Env"])


def test_a_bot_may_only_publish_and_redis_requires_a_password(stack: ComposeStack) -> None:
    with pytest.raises(NoPermissionError):
        stack.redis("XRANGE", "botwatch:records:0", "-", "+")
    with (
        closing(Redis(port=stack.ports["REDIS"], socket_timeout=10)) as redis,
        pytest.raises(AuthenticationError),
    ):
        redis.get("botwatch:latest")


def test_the_collector_cannot_read_the_environment_of_another_part(stack: ComposeStack) -> None:
    # Its processes on the host, below docker's init, which is another user's already.
    init = stack.containers()["notifier"]["State"]["Pid"]
    [child, *_] = Path(f"/proc/{init}/task/{init}/children").read_text(encoding="utf-8").split()
    look = f"try: open('/host/proc/{child}/environ').read()\nexcept OSError as error: print(error.strerror)"
    assert stack.execute("collector", "python", "-c", look).strip() == "Permission denied"


def test_the_collector_reports_the_host_and_not_its_container(stack: ComposeStack) -> None:
    if "Docker Desktop" in stack.compose("version") or psutil.MACOS or psutil.WINDOWS:
        pytest.skip("containers run in a virtual machine here: that is the host they see")

    def report() -> dict[str, object] | None:
        found: dict[str, dict[str, object]] = stack.request("DASHBOARD", "/api/monitoring")[1]["health"]
        return found.get(socket.gethostname())

    health = wait_until(report)
    assert health["memoryTotalBytes"] == psutil.virtual_memory().total
    assert health["cpuCores"] == psutil.cpu_count()
    processes = health["processes"]
    assert isinstance(processes, int)
    assert processes > 10, "the container itself has three"
    disks = health["disks"]
    assert isinstance(disks, list)
    root = {disk["mount"]: disk["totalBytes"] for disk in disks}.get("/")
    assert root == psutil.disk_usage("/").total


_ATTEMPTS = """
import socket
for name, attempt in (
    ("shadow", lambda: open("/host/root/etc/shadow")),
    ("write", lambda: open("/host/root/tmp/botwatch", "w")),
    ("environment", lambda: open("/host/proc/1/environ").read()),
    ("root", lambda: open("/host/proc/1/root/etc/passwd")),
    ("engine", lambda: socket.socket(socket.AF_UNIX).connect("/host/root/run/docker.sock")),
):
    try: print(name, attempt())
    except OSError as error: print(name, error.strerror)
"""


def test_the_collector_reads_only_what_every_user_of_the_host_may(stack: ComposeStack) -> None:
    """Of the host's root and processes; it writes nothing and does not reach the container engine."""
    refused = ("Permission denied", "Read-only file system", "No such file or directory")
    for line in stack.execute("collector", "python", "-c", _ATTEMPTS).splitlines():
        assert line.partition(" ")[2] in refused, line


def test_the_command_runs_beside_the_stack(stack: ComposeStack) -> None:
    stack.compose("build", "botwatch", timeout_s=600)
    command = ("run", "--rm", "-T", "botwatch")
    assert "maxDrawdown: CRITICAL" in stack.compose(*command, "rules", "check")
    assert "webhook" in stack.compose(*command, "notify", "test", "webhook")


def test_grafana_has_the_dashboards(stack: ComposeStack) -> None:
    if not stack.has_grafana:
        pytest.skip("the Grafana image is neither here nor to be pulled: the stack ran without it")
    status, answer = stack.request("GRAFANA", "/api/health")
    assert (status, answer["database"]) == (200, "ok")
    found = stack.execute(
        "grafana",
        "sh",
        "-c",
        "wget -q -O - http://admin:$(cat /run/botwatch/admin-password)@127.0.0.1:3000/api/search",
    )
    for path in (REPOSITORY / "grafana" / "dashboards").glob("*.json"):
        assert f'"botwatch-{path.stem}"' in found


def test_prometheus_reaches_every_part(stack: ComposeStack) -> None:
    def all_up() -> dict[str, str] | None:
        _, answer = stack.request("PROMETHEUS", "/api/v1/targets?state=active")
        found = {one["labels"]["job"]: one["health"] for one in answer["data"]["activeTargets"]}
        return found if set(found.values()) == {"up"} else None

    assert set(wait_until(all_up, timeout_s=60)) == {*PARTS, "prometheus"}


def test_every_background_job_succeeds(stack: ComposeStack) -> None:
    """Jobs run in a read-only container, with a Redis user that may use RQ's keys and no others of it."""

    def outcomes() -> dict[str, str] | None:
        jobs = stack.request("DASHBOARD", "/api/monitoring")[1]["system"]["jobs"]
        found = {name: job["outcome"] for name, job in jobs.items()}
        return found if set(found.values()) == {"success"} else None

    assert set(wait_until(outcomes, timeout_s=60)) == set(JOBS)


def test_pages_of_other_sites_cannot_read_prometheus(stack: ComposeStack) -> None:
    """By default Prometheus lets a page of any site read every figure."""
    url = f"http://127.0.0.1:{stack.ports['PROMETHEUS']}/api/v1/query?query=up"
    request = urllib.request.Request(url, headers={"Origin": "http://evil.example"})
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.headers["Access-Control-Allow-Origin"] is None


def test_prometheus_has_loaded_the_rules_and_none_of_them_fails(stack: ComposeStack) -> None:
    def evaluated() -> list[dict[str, str]] | None:
        _, answer = stack.request("PROMETHEUS", "/api/v1/rules")
        found = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
        return found if found and all(rule["health"] != "unknown" for rule in found) else None

    found = wait_until(evaluated, timeout_s=60)
    assert {rule["health"] for rule in found} == {"ok"}
    assert "BotwatchPartDown" in {rule["name"] for rule in found}
