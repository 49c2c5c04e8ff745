"""Servers on this machine in the place of W&B's."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def refusing() -> str:
    """The address of nobody."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def silent() -> Iterator[str]:
    """The address of one that takes calls and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def answering(status: int, answer: bytes = b"", heard: list[bytes] | None = None) -> Iterator[str]:
    """The address of one that answers the same to everybody; what was sent to it is added to `heard`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if heard is not None:
                heard.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def failing_api(status: int | None) -> Iterator[str]:
    """The address of one that greets everybody and answers its API with an error, or (None) not at all."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path != "/" and status is None:
                ended.wait()
                return
            self.send_response(200 if self.path == "/" else status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        ended.set()
        server.shutdown()


class WandbServer(ThreadingHTTPServer):
    """As much of W&B's as a run needs, until it dies, with all that it was in the middle of."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _WandbHandler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.connections: list[socket.socket] = []
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def die(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in self.connections:
            with suppress(OSError):  # the other end has closed it
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request, client_address):
        """Connections were cut."""


class _WandbHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.connections.append(self.connection)

    def do_GET(self):
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = json.loads(content) if self.path == "/graphql" else {}
        self.server.asked.append(asked.get("operationName") or self.path)
        answer = json.dumps({"data": self.answer(**asked["variables"])} if asked else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_PUT = do_GET

    def answer(self, name=None, project=None, files=(), **variables):
        """To every question at once."""
        project = {"id": "project", "name": project, "entity": {"id": "entity", "name": "somebody"}}
        bucket = {"id": "run", "name": name, "displayName": name, "project": project}
        uploads = [{"name": file, "uploadUrl": f"{self.server.address}/{file}"} for file in files]
        return {
            "model": {**project, "bucket": None},
            "upsertBucket": {"bucket": bucket, "inserted": True},
            "createRunFiles": {"runID": "run", "uploadHeaders": [], "files": uploads},
        }

    def log_message(self, *args):
        pass
