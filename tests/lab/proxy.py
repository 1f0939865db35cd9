"""A way out for hosts that may use a package index: an HTTP proxy (CONNECT only) on the lab's own subnet.

A route to the world would need address translation, that is rules in this machine's own iptables. Run as
`python -I -S proxy.py ADDRESS PORT OWNER_FD`; says `up`, and ends with the lab's owner.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading

# Longer than any answer of an index takes; a host that was switched off holds a thread no longer than this.
IDLE_S = 120.0
PIECE = 65536


def pump(source: socket.socket, target: socket.socket) -> None:
    """Bytes one way until the source ends."""
    try:
        while piece := source.recv(PIECE):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # It is closed already.


def serve(client: socket.socket) -> None:
    """One connection: `CONNECT name:port`, then whatever they tell each other."""
    with client:
        client.settimeout(IDLE_S)
        asked = b""
        while b"\r\n\r\n" not in asked and len(asked) < PIECE:
            piece = client.recv(PIECE)
            if not piece:
                return
            asked += piece
        method, place, _ = asked.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        if method != "CONNECT":
            client.sendall(b"HTTP/1.1 405 Only CONNECT\r\n\r\n")
            return
        name, _, number = place.rpartition(":")
        try:
            server = socket.create_connection((name, int(number)), timeout=IDLE_S)
        except OSError as problem:
            client.sendall(f"HTTP/1.1 502 {problem}\r\n\r\n".encode())
            return
        with server:
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=pump, args=(server, client), daemon=True)
            back.start()
            pump(client, server)
            back.join()


def main(address: str, number: int, owner: int) -> None:
    """Serves until the owner has ended."""
    os.set_inheritable(owner, False)
    listener = socket.create_server((address, number))
    print("up", flush=True)
    while owner not in select.select([listener.fileno(), owner], [], [])[0]:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
    os._exit(0)


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
