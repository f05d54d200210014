"""A web server on the loopback, which can answer ranges, drop connections and change its files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Serves `files`, bytes by path, and notes the header `Range` of each request in `ranges`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.ranges: list[str | None] = []
        self.version: str | None = "1"  # the ETag of all files
        self.knows_ranges = True
        self.states_size = True
        self.drop_after: int | None = None  # bytes of the body
        self.gate = threading.Event()  # answers wait for it
        self.gate.set()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"


class Handler(BaseHTTPRequestHandler):
    """Answers GET."""

    server: Server

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers["Range"]
        server.ranges.append(wanted)
        server.gate.wait(30)
        data = server.files.get(self.path[1:])
        start = int(wanted.split("=")[1].split("-")[0]) if wanted and server.knows_ranges else 0
        if data is None or (start and start >= len(data)):
            self.send_error(404 if data is None else 416)
            return
        self.send_response(206 if start else 200)
        if server.states_size:
            self.send_header("Content-Length", str(len(data) - start))
        if server.version:
            self.send_header("ETag", f'"{server.version}"')
        self.end_headers()
        self.wfile.write(data[start:][: server.drop_after])

    def log_message(self, *args: object) -> None:
        """Print nothing."""


@contextmanager
def serving() -> Iterator[Server]:
    """Yield a server that runs in a thread."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.gate.set()
        server.shutdown()
        thread.join()
