"""An S3 server on loopback, as far as backups need it: objects, listings, uploads in parts. No signatures.

Source: Amazon S3 API Reference (PutObject, GetObject, ListObjectsV2, DeleteObject, CreateMultipartUpload,
UploadPart, CompleteMultipartUpload).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
MODIFIED = "2026-01-31T12:00:00.000Z"


class FakeS3(ThreadingHTTPServer):
    """Keeps objects of any bucket in memory: `bucket/key` → content."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, bytes] = {}
        """Parts of uploads that were not completed."""
        self.authorizations: list[str] = []
        self.fail_parts = False
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeS3
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("ETag", '"e"')
        self.send_header("Last-Modified", "Sat, 31 Jan 2026 12:00:00 GMT")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _read(self) -> tuple[str, dict[str, list[str]], bytes]:
        address = urlsplit(self.path)
        self.server.authorizations.append(self.headers.get("Authorization", ""))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return unquote(address.path).strip("/"), parse_qs(address.query, keep_blank_values=True), body

    def do_PUT(self) -> None:
        """Store an object, or a part of an upload."""
        key, query, body = self._read()
        if "partNumber" not in query:
            self.server.objects[key] = body
            return self._answer(200)
        if self.server.fail_parts and query["partNumber"] != ["1"]:
            return self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        self.server.parts[f"{key}/{int(query['partNumber'][0]):05}"] = body
        return self._answer(200)

    def do_POST(self) -> None:
        """Begin an upload in parts, or complete it."""
        key, query, _ = self._read()
        if "uploads" in query:
            tag = "InitiateMultipartUploadResult"
            upload = f"<{tag} {NAMESPACE}><UploadId>u</UploadId></{tag}>"
            return self._answer(200, upload.encode())
        names = sorted(name for name in self.server.parts if name.startswith(f"{key}/"))
        self.server.objects[key] = b"".join(self.server.parts.pop(name) for name in names)
        done = f"<CompleteMultipartUploadResult {NAMESPACE}><ETag>e</ETag></CompleteMultipartUploadResult>"
        return self._answer(200, done.encode())

    def do_GET(self) -> None:
        """Return an object, or a listing."""
        key, query, _ = self._read()
        if "list-type" in query:
            return self._list(key, query.get("prefix", [""])[0])
        if key not in self.server.objects:
            return self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        return self._answer(200, self.server.objects[key])

    def do_HEAD(self) -> None:
        """Return what an object is."""
        self.do_GET()

    def _list(self, bucket: str, prefix: str) -> None:
        found = "".join(
            f"<Contents><Key>{escape(name.removeprefix(f'{bucket}/'))}</Key><Size>{len(data)}</Size>"
            f"<LastModified>{MODIFIED}</LastModified><ETag>e</ETag></Contents>"
            for name, data in sorted(self.server.objects.items())
            if name.startswith(f"{bucket}/{prefix}")
        )
        head = f"<Name>{bucket}</Name><IsTruncated>false</IsTruncated>"
        self._answer(200, f"<ListBucketResult {NAMESPACE}>{head}{found}</ListBucketResult>".encode())

    def do_DELETE(self) -> None:
        """Delete an object; abort an upload."""
        key, _, _ = self._read()
        self.server.objects.pop(key, None)
        self._answer(204)


@contextmanager
def fake_s3() -> Iterator[FakeS3]:
    """Run the server until the block ends."""
    server = FakeS3()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
