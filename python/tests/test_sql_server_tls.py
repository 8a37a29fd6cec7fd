"""TLS to SQL Server. The emulator is asked for none: a relay in front of it speaks TLS and passes on what it decrypts."""

import json
import os
import select
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import pytest
import trustme

import industrydb
from industrydb import DatabaseConnectionError

from .sql_server import PASSWORD, given_uri, sql_server
from .support import with_options

# What the option ENCRYPTION of the first packets says.
OFF, ON, NOT_SUPPORTED, REQUIRED = range(4)

# Types of packets.
LOGIN, PRELOGIN = 0x10, 0x12

HEADER_BYTES = 8

# How the protocol sends a password where there is no TLS: each byte has its halves swapped, and every second bit flipped.
HIDDEN_PASSWORD = bytes(((byte << 4 | byte >> 4) & 0xFF) ^ 0xA5 for byte in PASSWORD.encode("utf-16-le"))


class Tls:
    """A session of TLS as bytes, whoever carries them."""

    def __init__(self, context: ssl.SSLContext) -> None:
        """Wait for a client's first bytes."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def shake_hands(self, received: bytes) -> tuple[bytes, bool]:
        """Return the answer to what has been received, and whether that is all."""
        self._incoming.write(received)
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            return self._outgoing.read(), False
        return self._outgoing.read(), True

    def decrypted(self, received: bytes) -> bytes:
        """Return what is inside."""
        self._incoming.write(received)
        data = b""
        with suppress(ssl.SSLWantReadError):
            while part := self._session.read(1 << 16):
                data += part
        return data

    def encrypted(self, data: bytes) -> bytes:
        """Put it inside."""
        self._session.write(data)
        return self._outgoing.read()


class TdsRelay:
    """Does the encryption that it says it has, and takes what is inside to a server that has none."""

    def __init__(self, server: int, context: ssl.SSLContext, encryption: int = ON, *, strict: bool = False) -> None:
        """Listen and serve; strict is TLS from the first byte on."""
        self.received = bytearray()
        """From all clients, as it came."""
        self.sessions = 0
        """With TLS."""
        self.protocols: list[str | None] = []
        self.answer_bytes = sys.maxsize
        """Which a session may have before it is closed."""
        self.sent = 0
        """In the last session."""
        self._server = server
        self._context = context
        self._encryption = encryption
        self._strict = strict
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):  # closing the listener ends it
            while True:
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(client,)))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._server)) as server:
            self.sent = 0
            if not self._strict:
                server.sendall(_saying(NOT_SUPPORTED, self._packet(client)))
                self._send(client, _saying(self._encryption, _read_packet(server)))
            tls = None
            if self._strict or self._encryption != NOT_SUPPORTED:
                tls = self._shaken(client)
                if self._strict:
                    server.sendall(tls.decrypted(b""))  # may have come along with the last of the handshake
            if tls and self._encryption == OFF and not self._strict:
                login = b""
                while not _is_whole(login):
                    login += tls.decrypted(self._received(client))
                server.sendall(login)
                tls = None
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    if ready is client:
                        data = self._received(client)
                        server.sendall(tls.decrypted(data) if tls else data)
                    elif data := server.recv(1 << 14):
                        self._send(client, tls.encrypted(data) if tls else data)
                    else:
                        return

    def _shaken(self, client: socket.socket) -> Tls:
        tls, done = Tls(self._context), False
        while not done:
            data = self._received(client) if self._strict else self._packet(client)[HEADER_BYTES:]
            flight, done = tls.shake_hands(data)
            self._send(client, flight if self._strict else _packets(PRELOGIN, flight))
        self.sessions += 1
        return tls

    def _packet(self, client: socket.socket) -> bytes:
        packet = b""
        while not _is_whole(packet):
            packet += self._received(client, 1)
        return packet

    def _received(self, client: socket.socket, at_most: int = 1 << 16) -> bytes:
        data = client.recv(at_most)
        if not data:
            raise ConnectionError
        self.received += data
        return data

    def _send(self, client: socket.socket, data: bytes) -> None:
        allowed = data[: self.answer_bytes - self.sent]
        client.sendall(allowed)
        self.sent += len(allowed)
        if len(allowed) < len(data):
            raise ConnectionError

    def close(self) -> None:
        """Let no more in, and wait for who is in."""
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()


def _is_whole(packet: bytes) -> bool:
    """Tell whether all is there of a packet, whose length stands in its third and fourth byte."""
    return len(packet) >= HEADER_BYTES and len(packet) >= int.from_bytes(packet[2:4], "big")


def _read_packet(source: socket.socket) -> bytes:
    packet = b""
    while not _is_whole(packet):
        if not (data := source.recv(1)):
            raise ConnectionError
        packet += data
    return packet


def _packets(kind: int, data: bytes) -> bytes:
    """Put data into a packet."""
    return bytes([kind, 1]) + (HEADER_BYTES + len(data)).to_bytes(2, "big") + bytes(4) + data if data else b""


def _saying(encryption: int, packet: bytes) -> bytes:
    """Return a first packet whose option ENCRYPTION (1) says this; an option has five bytes."""
    for start in range(HEADER_BYTES, len(packet), 5):
        if packet[start] == 1:
            place = HEADER_BYTES + int.from_bytes(packet[start + 1 : start + 3], "big")
            return packet[:place] + bytes([encryption]) + packet[place + 1 :]
    return packet
