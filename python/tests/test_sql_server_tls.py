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
        self.logins = 0
        """That came encrypted."""
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
