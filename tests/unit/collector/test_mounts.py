"""Which lines of /proc/mounts count, on texts of real machines."""

from services.collector.mounts import one_per_device, parse_mounts, real

SERVER = """\
sysfs /sys sysfs rw,nosuid,nodev,noexec,relatime 0 0
proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0
udev /dev devtmpfs rw,nosuid,relatime,size=8100000k,nr_inodes=2030000,mode=755,inode64 0 0
tmpfs /run tmpfs rw,nosuid,nodev,noexec,relatime,size=1630000k,mode=755,inode64 0 0
/dev/nvme0n1p2 / ext4 rw,relatime,errors=remount-ro 0 0
/dev/loop0 /snap/core20/2105 squashfs ro,nodev,relatime,errors=continue 0 0
/dev/nvme0n1p1 /boot/efi vfat rw,relatime,fmask=0077,dmask=0077 0 0
/dev/sdb1 /srv/ticks\\040and\\040bars xfs rw,noatime,attr2 0 0
/dev/sr0 /media/cdrom iso9660 ro,nosuid,nodev,relatime 0 0
/dev/sdc1 /mnt/archive ext4 ro,relatime 0 0
nas:/export /mnt/nas nfs4 rw,relatime,vers=4.2 0 0
/dev/sdb1 /var/lib/docker/volumes xfs rw,noatime,attr2 0 0
overlay /var/lib/docker/overlay2/ab/merged overlay rw,relatime,lowerdir=/a,upperdir=/b,workdir=/c 0 0
"""
CONTAINER = """\
overlay / overlay ro,relatime,lowerdir=/l1:/l2,upperdir=/u,workdir=/w 0 0
tmpfs /tmp tmpfs rw,nosuid,nodev,noexec,relatime,inode64 0 0
/dev/sda1 /etc/resolv.conf ext4 rw,relatime 0 0
/dev/sda1 /etc/hosts ext4 rw,relatime 0 0
/dev/sda1 /data ext4 rw,relatime 0 0
"""


def points(text: str) -> list[str]:
    return [mount.point for mount in one_per_device(real(parse_mounts(text)))]


def test_only_writable_file_systems_on_real_media_count_once_per_device() -> None:
    assert points(SERVER) == ["/", "/boot/efi", "/srv/ticks and bars"]


def test_the_root_counts_even_as_a_read_only_overlay_and_bind_mounts_share_a_device() -> None:
    assert points(CONTAINER) == ["/", "/data"]


def test_what_is_mounted_over_a_point_hides_what_was_there() -> None:
    text = "/dev/sda1 /data ext4 rw 0 0\ntmpfs /data tmpfs rw 0 0\n"
    assert points(text) == []


def test_lines_that_are_no_mounts_are_passed_over() -> None:
    assert parse_mounts("\nnonsense\n") == []
