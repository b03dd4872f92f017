"""Webhook: the full notification as JSON, signed if a secret is configured."""

from services.notifier.channels.json_poster import JsonPoster, PostResponse
from services.notifier.content.message import NotificationMessage
from services.notifier.content.report_message import ReportMessage
from shared.runtime import clock
from shared.runtime.http.signature import SIGNATURE, sign
from shared.schema.alerts import encode_json


class WebhookTransport:
    """Posts one notification per request to one URL."""

    takes_batches = False

    def __init__(self, url: str, secret: str = "") -> None:
        self._hook = SignedPoster(url, secret)

    def send(self, message: NotificationMessage) -> None:
        """Post the notification. Raises TransportError."""
        (notice,) = message.notifications
        self._hook.post(encode_json(notice), message.key)

    def send_report(self, report: ReportMessage) -> None:
        """Post the summary of a report: `{"type": "report", …}`."""
        self._hook.post(encode_json(report.summary), f"report-{report.report_id}")

    def last_response(self) -> str:
        """Return the receiver's last response."""
        return str(self._hook.last_response)


class SignedPoster:
    """Posts bodies with an idempotency key and, given a secret, a signature."""

    def __init__(self, url: str, secret: str) -> None:
        self._poster = JsonPoster(url)
        self._secret = secret
        self.last_response: PostResponse | str = ""
        """The receiver's last response."""

    def post(self, body: bytes, key: str) -> None:
        """Post `body`; `key` lets the receiver recognise repeated attempts."""
        headers = {"Idempotency-Key": key}
        if self._secret:
            # Computed for each attempt: receivers reject old signatures.
            headers[SIGNATURE] = sign(body, self._secret, clock.now())
        self.last_response = self._poster.post(body, headers)
