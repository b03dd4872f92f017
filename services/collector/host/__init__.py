"""Host: what the kernel says of CPU, memory, disks, network, clock and processes."""
