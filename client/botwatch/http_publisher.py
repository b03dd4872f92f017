"""Publishing records to the HTTP endpoint."""

from collections.abc import Sequence

from botwatch.http_client import HttpClient
from botwatch.publishers import join_records
from botwatch.typed_json import Document


class HttpPublisher:
    """Posts records to Botwatch's HTTP endpoint, which responds once they are in the log."""

    def __init__(self, url: str, *, token: str, timeout_s: float) -> None:
        self._server = HttpClient(url, token=token, timeout_s=timeout_s)
        self.address = self._server.address

    def publish(self, records: Sequence[bytes]) -> None:
        """Post all `records` in one request."""
        self._server.post("/api/v1/records", join_records(records), Document)

    def check(self) -> None:
        """Post no record: unlike /health that needs the token, and the right port."""
        self._server.post("/api/v1/records", b"[]", Document)

    def close(self) -> None:
        """Close the connection."""
        self._server.close()
