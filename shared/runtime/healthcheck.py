"""A container's health check: `python -m shared.runtime.healthcheck [PORT]` exits 0 when /health says ok."""

import http.client
import os
import sys

TIMEOUT_S = 4.0


def main() -> int:
    """Request /health on this machine; the port is the argument, or HEALTH_PORT."""
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ["HEALTH_PORT"])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        response = connection.getresponse()
        body = response.read()
    except OSError as error:
        sys.stderr.write(f"no response on port {port}: {error}\n")
        return 1
    finally:
        connection.close()
    if response.status != http.client.OK:
        sys.stderr.write(body.decode(errors="replace") + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
