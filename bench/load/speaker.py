"""What a user of a load process is given to speak with: the right client, an address, secrets in place.

Prepared requests name secrets and never hold them (`bench/credentials.py`); here, inside the process that sends, they
are filled in, and taken out again of whatever a server repeats of them.
"""

from __future__ import annotations

import ssl
from dataclasses import replace
from itertools import cycle

from bench.credentials import Discretion, filled
from bench.load.connection import UNIX
from bench.load.exchange import Deadlines, Reply
from bench.load.grpc_client import GrpcClient
from bench.load.http_client import HttpClient
from bench.load.job import Job, Message, read_messages
from bench.load.tls import HttpsClient
from bench.serving.address import TLS, addresses_of

Client = HttpClient | GrpcClient


class Speaker:
    """Makes clients for one trial.   Raises: OSError for an unknown host, UnsetError for a variable that is not set."""

    def __init__(self, job: Job, deadlines: Deadlines) -> None:
        named = read_messages(job.path)
        self.messages = [_with_secrets(message) for message in named]
        self._discretion = Discretion(text for message in named for text in _texts_of(message))
        self._deadlines = deadlines
        self._grpc = job.transport == "grpc"
        self._host, self._port = job.host.removeprefix(TLS), job.port
        self._tls = ssl.create_default_context() if job.host.startswith(TLS) else None
        known = self._grpc or self._host.startswith(UNIX)
        # Behind one name there may be several machines, and everybody asking the first would leave the others idle.
        self._addresses = cycle(("",) if known else addresses_of(self._host, self._port))

    def client(self) -> Client:
        """A client for one more user."""
        if self._grpc:
            return GrpcClient(self._host, self._port, self.messages, self._deadlines)
        address = next(self._addresses)
        if self._tls is not None:
            return HttpsClient(self._host, self._port, self.messages, self._deadlines, self._tls, address)
        return HttpClient(self._host, self._port, self.messages, self._deadlines, address)

    def discreet(self, reply: Reply) -> Reply:
        """The reply, with names of variables where a server repeats their values."""
        if not self._discretion:
            return reply
        return reply._replace(body=self._discretion.bytes(reply.body), error=self._discretion.text(reply.error))


def _texts_of(message: Message) -> tuple[str, ...]:
    return (message.target, *(value for _, value in message.headers))


def _with_secrets(message: Message) -> Message:
    headers = tuple((name, filled(value)) for name, value in message.headers)
    return replace(message, target=filled(message.target), headers=headers)
