"""Which lines of mountinfo count, on texts of real machines."""

import pytest

from services.collector.host.mounts import Mount, one_per_device, parse_mountinfo, storage_mounts

SERVER = """\
21 28 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
22 28 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:14 - proc proc rw
23 28 0:5 / /dev rw,nosuid,relatime shared:2 - devtmpfs udev rw,size=8100000k,mode=755,inode64
25 28 0:23 / /run rw,nosuid,nodev,noexec,relatime shared:5 - tmpfs tmpfs rw,size=1630000k,mode=755,inode64
28 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro
40 28 7:0 / /snap/core20/2105 ro,nodev,relatime shared:20 - squashfs /dev/loop0 ro,errors=continue
41 28 259:1 / /boot/efi rw,relatime shared:22 - vfat /dev/nvme0n1p1 rw,fmask=0077,dmask=0077
42 28 8:17 / /srv/ticks\\040and\\040bars rw,noatime shared:24 - xfs /dev/sdb1 rw,attr2
43 28 11:0 / /media/cdrom ro,nosuid,nodev,relatime shared:26 - iso9660 /dev/sr0 ro
44 28 8:33 / /mnt/archive ro,relatime shared:28 - ext4 /dev/sdc1 ro
45 28 0:50 / /mnt/nas rw,relatime shared:30 - nfs4 nas:/export rw,vers=4.2
46 28 8:17 /docker /var/lib/docker/volumes rw,noatime shared:24 - xfs /dev/sdb1 rw,attr2
47 28 0:52 / /var/lib/docker/ab/merged rw,relatime - overlay overlay rw,lowerdir=/a,upperdir=/b,workdir=/c
"""
CONTAINER = """\
700 600 0:60 / / ro,relatime master:200 - overlay overlay rw,lowerdir=/l1:/l2,upperdir=/u,workdir=/w
701 700 0:61 / /tmp rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,inode64
702 700 8:1 /containers/x/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/sda1 rw
703 700 8:1 /containers/x/hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw
704 700 8:1 /volumes/data /data rw,relatime - ext4 /dev/sda1 rw
705 700 8:1 /config /cfg ro,relatime - ext4 /dev/sda1 rw
"""


def chosen(text: str) -> list[Mount]:
    return one_per_device(storage_mounts(parse_mountinfo(text)))


def points(text: str) -> list[str]:
    return [mount.point for mount in chosen(text)]


def test_only_writable_file_systems_on_real_media_count_once_per_device() -> None:
    assert points(SERVER) == ["/", "/boot/efi", "/srv/ticks and bars"]
    assert all(mount.writable for mount in chosen(SERVER))


def test_the_root_always_counts_and_bind_mounts_share_a_device() -> None:
    assert points(CONTAINER) == ["/", "/data"]


def test_a_pool_of_mergerfs_counts() -> None:
    """It keeps its files on media of this machine."""
    pool = "60 28 0:60 / /mnt/pool rw,relatime shared:40 - fuse.mergerfs a:b rw,user_id=0\n"
    assert points(SERVER + pool) == ["/", "/boot/efi", "/mnt/pool", "/srv/ticks and bars"]


@pytest.mark.parametrize(
    "failed",
    ["ro,errors=remount-ro", "rw,errors=remount-ro,emergency_ro", "rw,shutdown"],
    ids=["before 6.13", "since 6.13", "shut down"],
)
def test_a_failed_file_system_differs_from_a_read_only_mount(failed: str) -> None:
    root = next(
        mount for mount in chosen(SERVER.replace("rw,errors=remount-ro", failed)) if mount.point == "/"
    )
    assert root.should_be_writable
    assert not root.writable


def test_a_read_only_container_root_is_meant_so() -> None:
    assert not chosen(CONTAINER)[0].should_be_writable


def test_what_was_writable_stays_when_it_is_mounted_read_only() -> None:
    mounts = parse_mountinfo(SERVER)
    archive = next(mount for mount in mounts if mount.point == "/mnt/archive")
    assert archive not in storage_mounts(mounts)
    assert archive in storage_mounts(mounts, {archive.identity})


def test_what_is_mounted_over_a_point_hides_what_was_there() -> None:
    text = "1 0 8:1 / /data rw - ext4 /dev/sda1 rw\n2 1 0:9 / /data rw - tmpfs tmpfs rw\n"
    assert points(text) == []


def test_lines_that_are_no_mounts_are_passed_over() -> None:
    assert parse_mountinfo("\nnonsense\n") == []
