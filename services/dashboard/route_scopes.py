"""What each route of the dashboard needs: one table, which a test holds against all routes. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

from shared.access.identity import Scope

_API = "/api/monitoring"

ROUTE_SCOPES: Mapping[str, Scope | None] = MappingProxyType(
    {
        "GET /": "read",
        "GET /runbooks/<name>": "read",
        "GET /api/openapi.json": "read",
        f"GET {_API}": "read",
        f"GET {_API}/alerts": "read",
        f"GET {_API}/alerts/<alert_id>": "read",
        f"GET {_API}/alerts/<alert_id>/values": "read",
        f"GET {_API}/bots": "read",
        f"GET {_API}/bots/<path:bot>": "read",
        f"GET {_API}/bots/<path:bot>/marks": "read",
        f"GET {_API}/channels": "read",
        f"GET {_API}/channels/<name>/deliveries": "read",
        f"GET {_API}/checks": "read",
        f"GET {_API}/checks/history": "read",
        f"GET {_API}/health": "read",
        f"GET {_API}/maintenance": "read",
        f"GET {_API}/drawdown": "read",
        f"GET {_API}/equity": "read",
        f"GET {_API}/execution": "read",
        f"GET {_API}/on-call": "read",
        f"GET {_API}/performance": "read",
        f"GET {_API}/portfolio": "read",
        f"GET {_API}/positions": "read",
        f"GET {_API}/rules": "read",
        f"GET {_API}/summary": "read",
        f"GET {_API}/system": "read",
        f"GET {_API}/silences": "read",
        f"GET {_API}/silences/<silence_id>": "read",
        f"GET {_API}/trades": "read",
        f"GET {_API}/trends": "read",
        f"POST {_API}/websocket-ticket": "read",
        f"POST {_API}/alerts/<alert_id>/acknowledge": "operate",
        f"POST {_API}/alerts/acknowledge": "operate",
        f"POST {_API}/silences/preview": "read",
        f"POST {_API}/bots/<path:bot>/retire": "operate",
        f"POST {_API}/bots/<path:bot>/unretire": "operate",
        f"POST {_API}/channels/<name>/test": "operate",
        f"POST {_API}/silences": "operate",
        f"DELETE {_API}/silences/<silence_id>": "operate",
        f"DELETE {_API}/bots/<path:bot>": "admin",
        f"GET {_API}/audit": "admin",
        f"GET {_API}/backups": "admin",
        f"POST {_API}/backups": "admin",
        f"POST {_API}/config/reload": "admin",
        f"GET {_API}/tokens": "admin",
        f"POST {_API}/tokens": "admin",
        f"DELETE {_API}/tokens/<token>": "admin",
        f"GET {_API}/users": "admin",
        f"POST {_API}/users": "admin",
        f"PATCH {_API}/users/<name>": "admin",
        f"POST {_API}/users/<name>/password": "admin",
        f"DELETE {_API}/users/<name>/sessions": "admin",
        "GET /account": "read",
        "POST /account/password": "read",
        "POST /account/totp": "read",
        "POST /account/totp/remove": "read",
        "GET /login": None,
        "POST /login": None,
        "POST /logout": None,
        # A link is signed: it is the permission for its alert.
        "GET /acknowledge/<token>": None,
        "POST /acknowledge/<token>": None,
    }
)
"""`METHOD /rule` → scope; None: for everybody. A route that is missing here needs `admin`."""
