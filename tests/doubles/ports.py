"""TCP ports that misbehave, and a proxy that cuts connections: plain sockets, a thread a connection."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from types import TracebackType

Serve = Callable[[socket.socket, threading.Event], None]


class Port:
    """A listening port of the loopback that gives every connection to `serve`; all end with the block."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._is_over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.number: int = self._listener.getsockname()[1]
        self.connection_count = 0
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_over.is_set():
                client.close()
                return
            self.connection_count += 1
            thread = threading.Thread(target=self._guard, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _guard(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            self._serve(client, self._is_over)

    def __enter__(self) -> Port:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.number), timeout=1):
            pass  # Wakes the one that accepts.
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=5)


def silent(client: socket.socket, is_over: threading.Event) -> None:
    """Takes the connection and says nothing."""
    is_over.wait()


def garbage(client: socket.socket, is_over: threading.Event) -> None:
    """Says something that is no SSH at all."""
    client.sendall(b"\x00\xff\x80HTTP/1.1 400 Bad Request\r\n\r\n" * 20)


def hang_up(client: socket.socket, is_over: threading.Event) -> None:
    """Closes at once."""


def tarpit(client: socket.socket, is_over: threading.Event) -> None:
    """Sends one more line that is no banner, again and again, as endlessh does."""
    while not is_over.wait(0.05):
        client.sendall(b"x\r\n")


def after_the_banner(client: socket.socket, is_over: threading.Event) -> None:
    """Says who it is, and nothing more."""
    client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    is_over.wait()


@contextlib.contextmanager
def cutting_proxy(target_port: int, budget: Callable[[], int | None]) -> Iterator[Port]:
    """A way to `target_port` on which each connection lives for `budget()` bytes in all; None is for ever."""

    def serve(client: socket.socket, is_over: threading.Event) -> None:
        left = _Budget(budget())
        with socket.create_connection(("127.0.0.1", target_port)) as server:
            pumps = [
                threading.Thread(target=_pump, args=(one, other, left), daemon=True)
                for one, other in ((client, server), (server, client))
            ]
            for pump in pumps:
                pump.start()
            for pump in pumps:
                pump.join()

    with Port(serve) as port:
        yield port


class _Budget:
    def __init__(self, size: int | None) -> None:
        self._left = size
        self._guard = threading.Lock()

    def take(self, wanted: int) -> int:
        """How many of `wanted` bytes may still pass."""
        with self._guard:
            if self._left is None:
                return wanted
            taken = min(wanted, self._left)
            self._left -= taken
            return taken


def _pump(source: socket.socket, sink: socket.socket, budget: _Budget) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(4096):
            allowed = budget.take(len(content))
            sink.sendall(content[:allowed])
            if allowed < len(content):
                break
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
