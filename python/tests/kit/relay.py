"""A TCP relay in front of one server, or of several in turns, that can cut, stall, hold back or refuse connections."""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path

# The answer of PgBouncer in statement mode: an error, and "ready for query, in no transaction".
_FIELDS = b"SERROR\0VERROR\0C08P01\0Mtransaction blocks not allowed in statement pooling mode\0\0"
REFUSAL = b"E" + (len(_FIELDS) + 4).to_bytes(4, "big") + _FIELDS + b"Z\0\0\0\5I"


class Relay:
    """Forwards connections to a server's Unix socket or port, and cuts each after `cut_after` bytes of answers."""

    def __init__(  # noqa: PLR0913, PLR0917, what `relay` explains
        self,
        servers: list[Path | int],
        cut_after: int,
        refused: str | None,
        together: int,
        stalls: bool,  # noqa: FBT001
        turned_away: int,
        piece: int,
        holds: str | None,
        loses: str | None,
        passes: int,
    ) -> None:
        """Listen and start to accept connections; `relay` explains the arguments."""
        self._holds = None if holds is None else holds.encode()
        self._passes = passes
        self._loses = None if loses is None else loses.encode()
        self._released = threading.Event()
        self.held = 0
        self.connections = 0
        self._turned_away = turned_away
        self._piece = piece
        self._refused = None if refused is None else refused.encode()
        # Both directions of each connection after the first wait here until `together` connections are open.
        self._gathering = threading.Barrier(2 * together) if together else None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.answered = 0
        self.asked = b""
        self._servers = cycle(servers)
        self._stalls = stalls
        self._cut_after = cut_after
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def _serve(self) -> None:
        with suppress(OSError):  # closing the listener ends the loop
            while True:
                client, _ = self.listener.accept()
                self.connections += 1
                if self._turned_away > 0:
                    self._turned_away -= 1
                    client.close()
                    continue
                server = self._connected()
                gathering = self._gathering if self._ends else None
                self._ends += [client, server]
                for arguments in ((client, server, False, gathering), (server, client, True, gathering)):
                    self._threads.append(threading.Thread(target=self._pump, args=arguments))
                    self._threads[-1].start()

    def _connected(self) -> socket.socket:
        place = next(self._servers)
        if isinstance(place, int):
            return socket.create_connection(("127.0.0.1", place))
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(place))
        return server

    def _pump(
        self,
        source: socket.socket,
        target: socket.socket,
        answers: bool,  # noqa: FBT001
        gathering: threading.Barrier | None,
    ) -> None:
        if gathering:
            with suppress(threading.BrokenBarrierError):  # `close` aborts the barrier
                gathering.wait()
        left = self._cut_after if answers else sys.maxsize
        with suppress(OSError):  # the other direction or `close` may have shut the socket
            while left > 0 and (data := source.recv(min(left, self._piece if answers else 1 << 16))):
                if not answers and self._refused and data[:1] == b"Q" and data[5:].startswith(self._refused):
                    source.sendall(REFUSAL)
                    continue
                if not answers and self._holds and self._holds in data:
                    self.held += 1
                    self._released.wait()
                if answers and self._loses and self._loses in self.asked:
                    if self._passes == 0:
                        break
                    self._passes -= 1
                self.asked += b"" if answers else data
                target.sendall(data)
                left -= len(data)
                self.answered += len(data) if answers else 0
        if left > 0 or not self._stalls:
            self._shut(source, target)

    @staticmethod
    def _shut(*ends: socket.socket) -> None:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Forward held data, and everything that comes later."""
        self._released.set()

    def close(self) -> None:
        """End all connections and threads."""
        self.release()
        if self._gathering:
            self._gathering.abort()
        self._shut(self.listener)
        self._threads[0].join()
        self._shut(*self._ends)
        for thread in self._threads:
            thread.join()
        for end in (self.listener, *self._ends):
            end.close()


@contextmanager
def relay(  # noqa: PLR0913, each has a default
    server: Path | int | list[Path | int],
    cut_after: int = sys.maxsize,
    refused: str | None = None,
    together: int = 0,
    *,
    stalls: bool = False,
    turned_away: int = 0,
    piece: int = 1 << 16,
    holds: str | None = None,
    loses: str | None = None,
    passes: int = 0,
) -> Iterator[Relay]:
    """Relay until the end of the block; each connection goes to the next of several servers.

    With `stalls`, a connection stays open at the point where it would be cut. The first `turned_away` connections are
    closed at once. Statements that begin with `refused` get an error. All connections after the first wait until
    `together` of them are open. Answers are forwarded in pieces of at most `piece` bytes. Client data that contains the
    text `holds` waits until `release`. The answer to client data that contains the text `loses` is lost, with the
    connection, after so many answers as `passes` says.
    """
    servers = server if isinstance(server, list) else [server]
    serving = Relay(servers, cut_after, refused, together, stalls, turned_away, piece, holds, loses, passes)
    try:
        yield serving
    finally:
        serving.close()
