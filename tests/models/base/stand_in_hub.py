"""A server on loopback with the routes of the Hugging Face Hub that presets need."""

import base64
import contextlib
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from typing import Any

TOKEN = "hf_of_the_test"


class StandInHub:
    """Repositories in memory: by name, the bytes of files by path.

    Attributes:
        repositories: what was uploaded.
        endpoint: address for `HF_ENDPOINT`.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.endpoint = ""


def _routes(hub: StandInHub) -> type[http.server.BaseHTTPRequestHandler]:
    class Routes(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def reply_json(self, fields: Any, status: int = 200) -> None:
            self.reply(status, json.dumps(fields).encode(), Content_Type="application/json")

        def do_GET(self) -> None:
            found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/main/(.+)", self.path)
            if not found or found[1] not in hub.repositories:
                return self.reply(401, X_Error_Code="RepoNotFound")
            content = hub.repositories[found[1]].get(found[2])
            if content is None:
                return self.reply(404, X_Error_Code="EntryNotFound")
            digest = hashlib.sha256(content).hexdigest()
            self.reply(200, content, ETag=f'"{digest}"', X_Repo_Commit="a" * 40)

        do_HEAD = do_GET

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self.reply(401)
            if self.path == "/api/repos/create":
                fields = json.loads(body)
                name = f"{fields.get('organization') or 'anna'}/{fields['name']}"
                status = 409 if name in hub.repositories else 200
                hub.repositories.setdefault(name, {})
                return self.reply_json({"url": f"{hub.endpoint}/{name}"}, status)
            if self.path == "/api/validate-yaml":  # the front matter of a card
                return self.reply_json({"errors": [], "warnings": []})
            found = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main", self.path)
            if not found:
                return self.reply(404)
            if found[2] == "preupload":
                files = json.loads(body)["files"]
                return self.reply_json({"files": [
                    {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for each in files
                ]})  # fmt: skip
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    hub.repositories[found[1]][line["value"]["path"]] = content
            self.reply_json({"commitUrl": f"{hub.endpoint}/{found[1]}/commit/{'a' * 40}",
                             "commitOid": "a" * 40})  # fmt: skip

    return Routes


@contextlib.contextmanager
def stand_in_hub() -> Iterator[StandInHub]:
    """A hub that runs while the block does."""
    hub = StandInHub()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _routes(hub)) as server:
        hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
