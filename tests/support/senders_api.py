"""A sender's own API on 127.0.0.1, for kinds that read records back: a real HTTP server around a story's function."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.support.ports import free_port


class Streamed(NamedTuple):
    """An answer sent piece by piece, with headers of its own; the connection is closed at its end."""

    headers: Mapping[str, str]
    parts: Iterable[bytes]


Answer = Callable[[str, str, Mapping[str, str], bytes], tuple[int, Any]]


PORTS = [free_port() for _ in range(4)]  # that the service under test may ask; one for each API at the same time
HOSTS = [f"{host}:{port}" for host in ("127.0.0.1", "localhost") for port in PORTS]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Serve `answer` and give the URL."""
    connections: list[socket.socket] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            connections.append(self.connection)

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, value = answer(self.command, self.path, headers, body)
            if isinstance(value, Streamed):
                self._stream(status, value)
                return
            raw = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def _stream(self, status: int, value: Streamed) -> None:
            self.send_response(status)
            for name, text in value.headers.items():
                self.send_header(name, text)
            self.end_headers()
            self.close_connection = True
            with suppress(OSError):  # whoever has asked has heard enough
                for part in value.parts:
                    self.wfile.write(part)
                    self.wfile.flush()

        do_GET = do_POST = do_PATCH = _answer  # noqa: N815  as http.server calls them

        def log_message(self, *_: Any) -> None:  # it would write to the tests' output
            return

    server = _server(Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        for one in connections:  # kept alive, they would answer for the next API at this port
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _server(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    for port in PORTS:
        try:
            return ThreadingHTTPServer(("127.0.0.1", port), handler)
        except OSError:  # another API has it
            continue
    raise RuntimeError("all ports for senders' APIs are taken")
