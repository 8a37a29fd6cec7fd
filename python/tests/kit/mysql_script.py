"""A server that speaks as much of MySQL's protocol as a script tells: logins, errors, and requests for files."""

import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

NONCE = b"abcdefghij0123456789"  # twenty bytes, none of them zero

# Bits of the capabilities.
SSL, PLUGIN_AUTH, LOCAL_FILES, COMPRESS = 1 << 11, 1 << 19, 1 << 7, 1 << 5
_CAPABILITIES = 0xFFFFFFFF & ~COMPRESS  # all others

OK = b"\0\0\0\2\0\0\0"


def error(number: int, message: str, state: str = "HY000") -> bytes:
    """Return an error packet."""
    return b"\xff" + number.to_bytes(2, "little") + b"#" + state.encode() + message.encode()


class Conversation:
    """A client's connection, packet by packet."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.sequence = 0
        self.capabilities = 0
        self.is_compressed = False
        self.parts: list[tuple[int, int]] = []
        """The lengths of each compressed part that has come, packed and unpacked; the latter is 0 for a plain one."""
        self._part = 0
        self._unpacked = b""

    def send(self, body: bytes) -> None:
        """Send a packet."""
        packet = len(body).to_bytes(3, "little") + bytes([self.sequence]) + body
        self.sequence = (self.sequence + 1) % 256
        if self.is_compressed:
            self.send_part(len(packet), zlib.compress(packet))
        else:
            self.client.sendall(packet)

    def send_part(self, becomes: int, body: bytes, number: int | None = None) -> None:
        """Send a part of the compressed protocol, which is to become so many bytes."""
        number = self._part if number is None else number
        header = len(body).to_bytes(3, "little") + bytes([number]) + becomes.to_bytes(3, "little")
        self.client.sendall(header + body)
        self._part = (number + 1) % 256

    def receive(self) -> bytes:
        """Receive a packet; return nothing at the end."""
        header = self._take(4)
        if len(header) < 4:
            return b""
        self.sequence = (header[3] + 1) % 256
        return self._take(int.from_bytes(header[:3], "little"))

    def _take(self, count: int) -> bytes:
        """Take bytes of packets."""
        while self.is_compressed and len(self._unpacked) < count:
            header = self._receive(7)
            if len(header) < 7:
                return b""
            packed, becomes = int.from_bytes(header[:3], "little"), int.from_bytes(header[4:], "little")
            self.parts.append((packed, becomes))
            self._part = (header[3] + 1) % 256
            body = self._receive(packed)
            self._unpacked += zlib.decompress(body) if becomes else body
        if self.is_compressed:
            taken, self._unpacked = self._unpacked[:count], self._unpacked[count:]
            return taken
        return self._receive(count)

    def _receive(self, count: int) -> bytes:
        """Receive bytes from the socket."""
        data = b""
        while len(data) < count and (more := self.client.recv(count - len(data))):
            data += more
        return data

    def greet(
        self, plugin: str, *, version: str = "8.4.0", offers_tls: bool = False, offers_compression: bool = False
    ) -> None:
        """Send the handshake, with the name of the login that the server proposes."""
        capabilities = _CAPABILITIES if offers_tls else _CAPABILITIES & ~SSL
        if offers_compression:
            capabilities |= COMPRESS
        if version.startswith("5.5.5-"):
            capabilities &= ~1  # MariaDB's mark
        low, high = capabilities & 0xFFFF, capabilities >> 16
        self.send(
            b"\x0a" + version.encode() + b"\0" + (7).to_bytes(4, "little") + NONCE[:8] + b"\0"
            + low.to_bytes(2, "little") + b"\xff\2\0" + high.to_bytes(2, "little") + b"\x15" + bytes(10)
            + NONCE[8:] + b"\0" + plugin.encode() + b"\0"
        )  # fmt: skip

    def login(self, context: ssl.SSLContext | None = None) -> tuple[bytes, bytes, str]:
        """Receive the login, over TLS if the client asks for it: return the user, the proof and its plugin."""
        packet = self.receive()
        self.capabilities = int.from_bytes(packet[:4], "little")
        if context is not None and len(packet) == 32:
            sequence = self.sequence
            self.client = context.wrap_socket(self.client, server_side=True)
            self.sequence = sequence
            packet = self.receive()
        if len(packet) <= 32:  # the client has left
            return b"", b"", ""
        user, _, rest = packet[32:].partition(b"\0")
        length, rest = rest[0], rest[1:]
        if length == 0xFC:  # two bytes follow
            length, rest = int.from_bytes(rest[:2], "little"), rest[2:]
        proof, rest = rest[:length], rest[length:]
        plugin = rest.split(b"\0")
        named = [part for part in plugin if b"password" in part or b"ed25519" in part]
        return user, proof, named[0].decode() if named else ""

    def refuse_all(self) -> None:
        """Answer every command with an error, which shows that the login was complete."""
        while self.receive():
            self.send(error(1235, "the script has ended"))


@contextmanager
def scripted(script: Callable[[Conversation], None]) -> Iterator[int]:
    """Listen on a port, and run the script for each client; the block fails if a script failed."""
    listener = socket.create_server(("127.0.0.1", 0))
    failures: list[BaseException] = []
    threads: list[threading.Thread] = []

    def converse(client: socket.socket) -> None:
        conversation = Conversation(client)
        try:
            with suppress(OSError):
                script(conversation)
        except BaseException as error:  # noqa: BLE001, handed to the test
            failures.append(error)
        finally:
            with suppress(OSError):
                conversation.client.close()

    def serve() -> None:
        with suppress(OSError):  # shutting down the listener ends the loop
            while True:
                threads.append(threading.Thread(target=converse, args=(listener.accept()[0],)))
                threads[-1].start()

    serving = threading.Thread(target=serve)
    serving.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        serving.join()
        listener.close()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
