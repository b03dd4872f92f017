"""Signature of a webhook's body, in Stripe's format: HMAC-SHA256 with the time, against replays."""

import hashlib
import hmac
from datetime import datetime

SIGNATURE = "Botwatch-Signature"


def sign(body: bytes, secret: str, now: datetime) -> str:
    """Return the signature of `body` at `now`: HMAC-SHA256 in hex over `<unix seconds>.<body>`.

    The header has Stripe's format: `t=<unix seconds>,v1=<hex>`.
    """
    seconds = int(now.timestamp())
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256)
    return f"t={seconds},v1={digest.hexdigest()}"
