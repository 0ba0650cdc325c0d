"""Cuts the power of an ext4 file system: `cut.py MOUNT`.

The kernel's EXT4_IOC_SHUTDOWN with the flag NOLOGFLUSH: from this instant nothing is written any more, not even what is
in the journal's buffers. What was not flushed before is gone after the next mount, as after a power cut.
"""

import fcntl
import os
import struct
import sys

EXT4_IOC_SHUTDOWN = 0x8004587D
NOLOGFLUSH = 2

mount = os.open(sys.argv[1], os.O_RDONLY)
fcntl.ioctl(mount, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
os.close(mount)
