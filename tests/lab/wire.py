"""A long cable: frames between a host's port and the switch are held back, and some are lost.

    switch:  br0 -- tapN ==[ this process ]== pN ---- eth0 of the host

Delay in the kernel would be tc's netem, which many machines lack; so frames go through here. Run as root outside the
switch: `python -I -S wire.py '{"host": PID, "switch": PID, "port": "p1", "tap": "tap1", "delay_s": 0.05, "loss": 0.0,
"seed": 1}' OWNER_FD`. Says `up` once frames flow, and ends with the lab's owner or with the port.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
SIOCETHTOOL, ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO = 0x8946, 0x17, 0x1F, 0x24
ETH_P_ALL = 3
# More than a frame: nothing is segmented late on this cable.
LARGEST = 65536 + 64
# Frames a direction that one turn reads: too few cost time, too many hold up those that are due.
BATCH = 64
libc = ctypes.CDLL(None, use_errno=True)


def enter_network(pid: int) -> None:
    """Moves this process into another one's network namespace."""
    handle = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        if libc.setns(handle, 0) != 0:
            raise OSError(ctypes.get_errno(), f"setns into the network of {pid}")
    finally:
        os.close(handle)


def finish_frames_early(link: str) -> None:
    """Has the host compute checksums and cut segments itself: a cable between kernels leaves both to the last one.

    It stays so until the host is switched off; it costs some speed and changes nothing else.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for command in (ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO):
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP16x", link.encode(), ctypes.addressof(value))
            fcntl.ioctl(asked, SIOCETHTOOL, request)


def open_tap(name: str) -> int:
    """A link of the switch whose other side is this process."""
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return tap


def carry(port: socket.socket, tap: int, owner: int, *, delay_s: float, loss: float, seed: int) -> None:
    """Carries frames until the owner or the port is gone."""
    lucky = random.Random(seed)
    held: list[tuple[float, int, bool, bytes]] = []
    count = 0
    while True:
        wait_s = max(0.0, held[0][0] - time.monotonic()) if held else None
        ready = select.select([port.fileno(), tap, owner], [], [], wait_s)[0]
        if owner in ready:
            return
        for source in ready:
            for _ in range(BATCH):
                try:
                    frame = read_frame(port) if source == port.fileno() else os.read(tap, LARGEST)
                except BlockingIOError:
                    break
                if frame and lucky.random() >= loss:
                    count += 1
                    heapq.heappush(held, (time.monotonic() + delay_s, count, source == tap, frame))
        while held and held[0][0] <= time.monotonic():
            _, _, is_for_host, frame = heapq.heappop(held)
            try:
                port.send(frame) if is_for_host else os.write(tap, frame)
            except (BlockingIOError, InterruptedError):
                pass  # A full queue drops frames, as everywhere.


def read_frame(port: socket.socket) -> bytes:
    """A frame from the host; empty for one that this side sent."""
    frame, origin = port.recvfrom(LARGEST)
    return b"" if origin[2] == socket.PACKET_OUTGOING else frame


def main(cable: dict[str, object], owner: int) -> None:
    """Puts itself between the port and the switch."""
    os.set_inheritable(owner, False)
    enter_network(int(str(cable["host"])))
    finish_frames_early("eth0")
    enter_network(int(str(cable["switch"])))
    tap = open_tap(str(cable["tap"]))
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    port.bind((str(cable["port"]), 0))
    port.setblocking(False)
    lines = f"link set {cable['port']} nomaster\nlink set {cable['tap']} master br0 up\n"
    subprocess.run(["ip", "-batch", "-"], input=lines.encode(), check=True)
    print("up", flush=True)
    delay_s, loss, seed = float(str(cable["delay_s"])), float(str(cable["loss"])), int(str(cable["seed"]))
    try:
        carry(port, tap, owner, delay_s=delay_s, loss=loss, seed=seed)
    except OSError as problem:
        if problem.errno not in (errno.ENETDOWN, errno.ENXIO):  # Those: the cable was pulled, or its host is off.
            raise


main(json.loads(sys.argv[1]), int(sys.argv[2]))
