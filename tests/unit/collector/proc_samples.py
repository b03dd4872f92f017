"""Texts of /proc as kernels of several ages lay them out: of 6.18 as recorded on a machine, with less of it.

3.10 (RHEL 7, the oldest that psutil is built for) has no pressure and no count of OOM kills;
4.18 (RHEL 8) has pressure switched off, so that reading it fails, and counts kills; 5.10 has no line `full`
in the pressure of CPUs.
"""

K3_10 = {
    "stat": "cpu  1000 10 500 8000 400 5 20 65 0 0\ncpu0 1000 10 500 8000 400 5 20 65 0 0\nintr 12345 7 0\n",
    "meminfo": "MemTotal:        1020128 kB\nMemFree:           98060 kB\nMemAvailable:     510064 kB\n"
    "Buffers:          101940 kB\nCached:           310064 kB\nActive:           495244 kB\n"
    "Inactive:         112036 kB\nShmem:              2048 kB\n"
    "SwapTotal:       2064376 kB\nSwapFree:        1032188 kB\nHugePages_Total:       0\n",
    "vmstat": "nr_free_pages 24515\npswpin 0\npswpout 0\npgfault 8745361\nallocstall 0\n",
    "loadavg": "0.08 0.03 0.01 1/112 2731\n",
    "uptime": "350735.47 234388.90\n",
    "diskstats": "   1       0 ram0 0 0 0 0 0 0 0 0 0 0 0\n"
    "   8       0 sda 25354 10215 1042266 43285 15327 31820 376864 155322 0 30180 198561\n"
    "   8       1 sda1 508 213 4176 201 4 0 20 2 0 140 203\n"
    " 253       0 dm-0 35012 0 1036562 68102 46998 0 375984 1006981 0 30101 1075093\n"
    " 202       1 xvda1 100 0 800 20 10 0 80 5 0 25 25\n",
    "sys/fs/file-nr": "640\t0\t99123\n",
    "1/net/dev": "Inter-|   Receive                            |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes\n"
    "    lo:  840  10 0 0 0 0 0 0  840  10 0 0 0 0 0 0\n"
    "  eth0:123456789 1000 3 7 0 0 0 0 987654 900 1 2 0 0 0 0\n",
    "1/mountinfo": "15 20 0:3 / /proc rw,relatime - proc proc rw\n"
    "20 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw,barrier=1,data=ordered\n",
}
K4_18 = K3_10 | {
    "stat": "cpu  1000 10 500 8000 400 5 20 65 0 0\ncpu0 500 5 250 4000 200 2 10 33 0 0\n"
    "cpu1 500 5 250 4000 200 3 10 32 0 0\n",
    "meminfo": "MemTotal:        1020128 kB\nMemFree:           98060 kB\nMemAvailable:     510064 kB\n"
    "Buffers:          101940 kB\nCached:           310064 kB\nActive:           495244 kB\n"
    "Inactive:         112036 kB\nShmem:              2048 kB\n"
    "SwapTotal:             0 kB\nSwapFree:              0 kB\n",
    "vmstat": "nr_free_pages 24515\npswpin 0\npswpout 0\noom_kill 3\nnuma_pte_updates 0\n",
    "diskstats": " 259 0 nvme0n1 66390 63 5034108 17462 111421 62141 4212610 96327 0 44040 113900 0 0 0 0\n"
    " 259       1 nvme0n1p1 318 0 22098 44 2 0 2 0 0 50 45 0 0 0 0\n"
    " 253       0 dm-0 66058 0 5007674 18053 173000 0 4212608 188220 0 44111 206273 0 0 0 0\n",
}
K6_18 = K4_18 | {
    "pressure/cpu": "some avg10=31.20 avg60=15.84 avg300=12.81 total=2889904996\n"
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    "pressure/memory": "some avg10=0.00 avg60=0.00 avg300=0.00 total=500000\n"
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=400000\n",
    "pressure/io": "some avg10=0.48 avg60=0.36 avg300=0.41 total=197959596\n"
    "full avg10=0.29 avg60=0.19 avg300=0.20 total=130374556\n",
    "diskstats": " 254       0 vda 2148863 194003 107181898 1927165 1605390 905939 122759408 776149 0 367600 "
    "2810211 655411 111 84039872 68808 387761 38088\n",
    "sys/fs/file-nr": "1722\t0\t2466177\n",
    "1/mountinfo": "22 27 0:21 / /proc rw,relatime shared:3 - proc proc rw\n"
    "25 24 0:23 / /dev/shm rw,relatime shared:17 - tmpfs tmpfs rw,size=24684092k\n"
    "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard,resv_strict,resuid=65534,resgid=65534\n",
}
K5_10 = K6_18 | {"pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=2889904996\n"}
KERNELS = {"3.10": K3_10, "4.18": K4_18, "5.10": K5_10, "6.18": K6_18}
