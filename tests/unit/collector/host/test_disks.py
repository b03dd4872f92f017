"""File systems as they are measured: full, failed, gone, and a real one that the kernel gives up."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from services.collector.host.disks import DiskSampler, disk_usage
from services.collector.host.kernel_files import KernelFiles
from shared.schema.records import Disk
from tests.support import require_program, wait_until

DATA = "30 1 8:17 / /data rw - xfs /dev/sdb1 rw\n"
ROOT = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"


def sizes(**given: int) -> os.statvfs_result:
    names = [
        *("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail"),
        *("f_files", "f_ffree", "f_favail", "f_flag", "f_namemax"),
    ]
    usual = dict.fromkeys(names, 0) | {"f_frsize": 4096}
    return os.statvfs_result([(usual | given)[name] for name in names])


class Scene:
    """Disks whose mountinfo and sizes a test writes."""

    def __init__(self, folder: Path) -> None:
        self.mountinfo = folder / "mountinfo"
        self.root = folder / "root"
        (self.root / "data").mkdir(parents=True)
        self.disks = DiskSampler(self.mountinfo, self.root, KernelFiles())

    def measure(self, text: str, at: float = 0.0) -> list[Disk]:
        """Measure with this mountinfo."""
        self.mountinfo.write_text(text)
        return self.disks.measure(at)


def test_a_mount_point_that_is_no_utf_8_is_shown(scene: Scene) -> None:
    """It is measured by its bytes, and its name is text that every reader takes."""
    name = b"b\xfccher\xc2\x85x"
    os.mkdir(os.fsencode(scene.root) + b"/" + name)  # noqa: PTH102 - a path of bytes
    scene.mountinfo.write_bytes(b"30 1 8:17 / /" + name + b" rw - xfs /dev/sdb1 rw\n")
    (disk,) = scene.disks.measure(0.0)
    assert disk.mount == "/b\\xfccher\x85x"
    assert msgspec.json.decode(msgspec.json.encode(disk), type=Disk) == disk


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_usage_is_what_df_shows_to_those_who_are_not_root() -> None:
    disk = disk_usage("/", sizes(f_blocks=100, f_bfree=20, f_bavail=10), read_only=False)
    assert disk == Disk(mount="/", usage=88.89, total_bytes=409600, free_bytes=40960)


def test_inodes_are_undefined_where_a_file_system_makes_them_as_needed() -> None:
    given = {"f_blocks": 10, "f_bfree": 5, "f_bavail": 5}
    for files, free, expected in ((0, 0, None), (200, 20, 90.0), (200, 200, 0.0)):
        disk = disk_usage("/", sizes(**given, f_files=files, f_ffree=free), read_only=False)
        assert disk is not None
        assert disk.inode_usage == expected


def test_a_file_system_without_a_size_is_none() -> None:
    assert disk_usage("/", sizes(), read_only=False) is None


def test_a_mount_outside_the_container_is_not_taken_for_the_root(scene: Scene) -> None:
    gone = "31 1 8:33 / /gone rw - xfs /dev/sdc1 rw\n"
    # /data is only a folder of the same file system here, /gone is not there at all.
    assert [disk.mount for disk in scene.measure(ROOT + DATA + gone)] == ["/"]


def test_a_single_file_that_is_mounted_is_no_disk(scene: Scene) -> None:
    (scene.root / "hosts").touch()
    assert scene.measure("30 1 8:17 / /hosts rw - xfs /dev/sdb1 rw\n") == []


@pytest.mark.parametrize(
    "failed", ["rw - xfs /dev/sdb1 ro", "ro - xfs /dev/sdb1 ro", "ro - xfs /dev/sdb1 rw"]
)
def test_a_file_system_that_was_writable_and_is_not_any_more_is_read_only(scene: Scene, failed: str) -> None:
    assert [disk.read_only for disk in scene.measure(DATA)] == [False]
    assert [disk.read_only for disk in scene.measure(DATA.replace("rw - xfs /dev/sdb1 rw", failed))] == [True]
    assert [disk.read_only for disk in scene.measure(DATA)] == [False]


def test_a_disk_must_have_been_writable_and_be_mounted(
    scene: Scene,
) -> None:
    read_only = DATA.replace("rw", "ro")
    assert scene.measure(read_only) == []
    scene.measure(DATA)
    assert scene.measure("") == []
    assert scene.measure(read_only) == []


def test_root_mounted_read_only_on_purpose_is_no_failure(scene: Scene) -> None:
    assert [disk.read_only for disk in scene.measure("20 1 0:60 / / ro - overlay overlay rw\n")] == [False]


def test_a_disk_that_fills_says_when_it_will_be_full(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 1_000_000
    monkeypatch.setattr(
        "os.statvfs", lambda _: sizes(f_blocks=2_000_000, f_bfree=free, f_bavail=free, f_frsize=1)
    )
    for at in range(0, 1801, 60):
        free = 1_000_000 - 100 * at
        (disk,) = scene.measure(DATA, at)
    assert disk.full_days == pytest.approx(820_000 / 100 / 86_400, abs=0.001)
    (disk,) = scene.measure(DATA.replace("xfs /dev/sdb1 rw", "xfs /dev/sdb1 ro"), 1860)
    assert disk.full_days is None


def test_a_device_that_stops_answering_is_read_only(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    (before,) = scene.measure(DATA)

    def fail(_path: Path) -> os.statvfs_result:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.statvfs", fail)
    with capture_logs() as lines:
        (after,) = scene.measure(DATA)
        scene.measure(DATA)
    assert (before.read_only, after.read_only) == (False, True)
    assert after.usage == before.usage
    assert [line["what"] for line in lines] == ["file system /data"]


@pytest.fixture
def loop_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small ext4 that gives up at the first error; for those who may mount."""
    mkfs = require_program("mkfs.ext4")
    image, folder = tmp_path / "image", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(16 * 2**20)
    run(mkfs, "-q", "-F", image)
    try:
        run("mount", "-o", "loop,errors=remount-ro", image, folder)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no file system can be mounted here: {error.stderr.decode().strip()}")
    yield folder
    run("umount", folder)


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=30)


def give_up(folder: Path) -> None:
    """Let the kernel find an error on the file system at `folder`."""
    device = Path(f"/sys/dev/block/{os.major(number := folder.stat().st_dev)}:{os.minor(number)}").resolve()
    (Path("/sys/fs/ext4") / device.name / "trigger_fs_error").write_text("the test wants it")


@pytest.mark.parametrize(
    "fault", [give_up, lambda folder: run("mount", "-o", "remount,ro", folder)], ids=["an error", "by hand"]
)
def test_a_real_file_system_that_becomes_read_only_is_noticed(
    loop_disk: Path, fault: Callable[[Path], None]
) -> None:
    disks = DiskSampler(Path("/proc/self/mountinfo"), Path("/"), KernelFiles())

    def found() -> Disk:
        return next(disk for disk in disks.measure(0.0) if disk.mount == str(loop_disk))

    assert not found().read_only
    fault(loop_disk)
    wait_until(lambda: found().read_only, "the file system is read-only")
    with pytest.raises(OSError, match="Read-only file system"):
        (loop_disk / "order").touch()


def test_a_real_file_system_without_inodes_left_is_noticed(loop_disk: Path) -> None:
    disks = DiskSampler(Path("/proc/self/mountinfo"), Path("/"), KernelFiles())
    with pytest.raises(OSError, match="No space left"):
        for number in range(1_000_000):
            (loop_disk / str(number)).touch()
    disk = next(disk for disk in disks.measure(0.0) if disk.mount == str(loop_disk))
    assert disk.inode_usage == 100.0
    assert disk.usage < 50
