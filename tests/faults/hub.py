"""The network between namespaces, in one process: `hub.py NAMESPACE...`.

Each namespace has one device, a TUN, with the address 10.99.0.1, 10.99.0.2, ...; a packet that it sends comes out
here and goes to the namespace that has its destination. So whatever happens to a packet on its way is decided in this
file, and the kernel needs no netem. Commands come on standard input, one a line, each answered with `ok`:

    cut A B         packets from A to B are lost
    heal            every packet arrives again, at once
    far MS JITTER LOSS
                    every packet takes MS milliseconds, and up to JITTER more; LOSS of 1000 are lost
    count           the answer is the number of packets carried

A and B are numbers of namespaces from 0. The end of standard input ends the hub.
"""

import ctypes
import fcntl
import heapq
import os
import random
import selectors
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
MTU = 9000
libc = ctypes.CDLL(None, use_errno=True)


def enter(namespace):
    fd = os.open(namespace, os.O_RDONLY)
    if libc.setns(fd, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot enter " + namespace)
    os.close(fd)


def device(namespace, address):
    """A TUN in the namespace, up, with its address."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    enter("/run/netns/" + namespace)
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"writ0", IFF_TUN | IFF_NO_PI))
    libc.setns(home, 0)
    os.close(home)
    for arguments in (
        ["link", "set", "lo", "up"],
        ["addr", "add", address + "/24", "dev", "writ0"],
        ["link", "set", "writ0", "mtu", str(MTU), "txqueuelen", "10000", "up"],
    ):
        subprocess.check_call(["ip", "-n", namespace] + arguments)
    return tun


class Hub:
    def __init__(self, namespaces):
        self.tuns = [device(name, "10.99.0.%d" % (n + 1)) for n, name in enumerate(namespaces)]
        self.chance = random.Random(7)
        self.cuts = set()
        self.delay = self.jitter = self.loss = 0.0
        self.under_way = []
        self.carried = 0

    def command(self, words):
        if words[0] == "cut":
            self.cuts.add((int(words[1]), int(words[2])))
        elif words[0] == "heal":
            self.cuts.clear()
            self.delay = self.jitter = self.loss = 0.0
        elif words[0] == "far":
            self.delay, self.jitter, self.loss = (int(word) / 1000 for word in words[1:4])
        elif words[0] == "count":
            return str(self.carried)
        else:
            raise ValueError("unknown command: " + " ".join(words))
        return "ok"

    def take(self, source):
        """Everything that waits in a namespace's device."""
        for _ in range(64):
            try:
                packet = os.read(self.tuns[source], MTU + 64)
            except BlockingIOError:
                return
            # IPv4 only, and only between namespaces: the rest is multicast chatter.
            if len(packet) < 20 or packet[0] >> 4 != 4 or packet[16:19] != b"\x0a\x63\x00":
                continue
            to = packet[19] - 1
            if not 0 <= to < len(self.tuns) or (source, to) in self.cuts or self.chance.random() < self.loss:
                continue
            if self.delay == 0 and not self.under_way:
                self.give(to, packet)
            else:
                due = time.monotonic() + self.delay + self.chance.uniform(0, self.jitter)
                heapq.heappush(self.under_way, (due, self.carried, to, packet))
            self.carried += 1

    def give(self, to, packet):
        try:
            os.write(self.tuns[to], packet)
        except OSError:
            # Its queue is full: lost, like on any other network.
            pass

    def run(self):
        selector = selectors.DefaultSelector()
        for n, tun in enumerate(self.tuns):
            selector.register(tun, selectors.EVENT_READ, n)
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ, None)
        pending = b""
        print("ready", flush=True)
        while True:
            now = time.monotonic()
            while self.under_way and self.under_way[0][0] <= now:
                _, _, to, packet = heapq.heappop(self.under_way)
                self.give(to, packet)
            patience = max(0.0, self.under_way[0][0] - now) if self.under_way else None
            for key, _ in selector.select(patience):
                if key.data is not None:
                    self.take(key.data)
                    continue
                text = os.read(sys.stdin.fileno(), 4096)
                if not text:
                    return
                pending += text
                *lines, pending = pending.split(b"\n")
                for line in lines:
                    print(self.command(line.decode().split()), flush=True)


Hub(sys.argv[1:]).run()
