"""A dataset repository on this machine, by the Hugging Face Hub's protocol; its connections and files can be bad."""

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from urllib.parse import parse_qs, unquote

COMMIT = "0123456789" * 4
PIECE = 2**14


class Hub:
    """`files`: content by path. What is bad is by path too: `cuts`, after how many bytes each of the next answers
    breaks off, or None for "try later"; `damaged`, how many answers have a wrong byte; `stalls`, after how many bytes
    an answer stops until `go` is set. `asked` has the first byte of each answer that was asked for."""

    def __init__(self, repository: str, files: dict[str, bytes]):
        self.repository, self.files, self.commit = repository, files, COMMIT
        self.in_git = {path for path in files if path.endswith(".json")}
        self.cuts: dict[str, list[int | None]] = {}
        self.damaged: Counter[str] = Counter()
        self.stalls: dict[str, int] = {}
        self.stalled, self.go = threading.Event(), threading.Event()
        self.asked: dict[str, list[int]] = {}
        self.address = ""

    def entry(self, path: str) -> dict:
        content = self.files[path]
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        entry = {"type": "file", "path": path, "size": len(content), "oid": blob}
        if path not in self.in_git:
            entry["oid"] = "f" * 40  # of git's pointer to the file
            entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
        return entry


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            path = unquote(self.path.partition("?")[0])
            api, resolve = f"/api/datasets/{hub.repository}", f"/datasets/{hub.repository}/resolve/{hub.commit}/"
            if path == f"{api}/revision/main":
                self.json({"id": hub.repository, "sha": hub.commit})
            elif path.startswith(f"{api}/tree/{hub.commit}/"):
                folder = path.removeprefix(f"{api}/tree/{hub.commit}/")
                inside = [file for file in hub.files if file.rpartition("/")[0] == folder]
                self.json([hub.entry(file) for file in inside], 200 if inside else 404)
            elif path.startswith(resolve) and path.removeprefix(resolve) in hub.files:
                self.resolve(path.removeprefix(resolve))
            elif path.startswith("/cdn/"):
                self.content(path.removeprefix("/cdn/"))
            else:
                self.json({"error": "Not found"}, 404, {} if path.startswith(api) else {"X-Error-Code": "RepoNotFound"})

        def do_POST(self):
            asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["paths"]
            self.json([hub.entry(path) for path in asked if path in hub.files])

        def resolve(self, path):
            """Small files come at once; large ones from elsewhere, as the Hub's content network has them."""
            if path in hub.in_git:
                return self.content(path)
            self.send_response(302)
            self.send_header("Location", f"{hub.address}/cdn/{path}")
            self.send_header("X-Repo-Commit", hub.commit)
            self.send_header("X-Linked-Etag", f'"{hub.entry(path)["lfs"]["oid"]}"')
            self.send_header("X-Linked-Size", str(len(hub.files[path])))
            self.send_header("Content-Length", "0")
            return self.end_headers()

        def content(self, path):
            content = bytearray(hub.files[path])
            start = int(re.match(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-")).group(1))
            hub.asked.setdefault(path, []).append(start)
            sent = hub.cuts[path].pop(0) if hub.cuts.get(path) else len(content)
            if sent is None:
                return self.json({"error": "try later"}, 503)
            if hub.damaged[path]:
                hub.damaged[path] -= 1
                content[-1] ^= 1
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("ETag", f'"{hub.entry(path)["oid"]}"')
            self.end_headers()
            end = min(start + sent, len(content))
            for at in range(start, end, PIECE):
                if path in hub.stalls and at >= hub.stalls[path]:
                    hub.stalled.set()
                    hub.go.wait()
                self.wfile.write(content[at : min(at + PIECE, end)])
            self.close_connection = end < len(content)
            return None

        def json(self, value, status=200, headers=MappingProxyType({})):
            answer = json.dumps(value).encode()
            self.send_response(status)
            for header in {"Content-Type": "application/json", **headers}.items():
                self.send_header(*header)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            """Somebody was killed in mid-download."""

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        hub.address = f"http://127.0.0.1:{server.server_port}"
        yield hub
        hub.go.set()
        server.shutdown()
