"""What the pages and routes about users share: the users, the logins, and who acts."""

from typing import NamedTuple

from flask import g, request

from shared.access.login import Logins
from shared.access.users import Actor, Users
from shared.runtime.clock import Clock


class Accounts(NamedTuple):
    """The users of one dashboard."""

    users: Users
    logins: Logins
    clock: Clock
    is_open: bool
    """Whether everyone who reaches the port may do everything."""


def this_actor() -> Actor:
    """Return who sends the request, for the audit log."""
    return Actor(g.identity.name, request.remote_addr)
