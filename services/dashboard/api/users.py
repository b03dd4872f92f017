"""Users over HTTP, for admins: list, add, change the role, disable, reset a password, end sessions."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta

from services.dashboard.accounts import Accounts, this_actor
from services.dashboard.api.queries import decode_body
from shared.access.identity import ROLES
from shared.access.passwords import MAX_LENGTH, MIN_LENGTH, LoginBusyError, generate_password
from shared.access.users import NAME_PATTERN, User, UserConflictError, UserError
from shared.runtime.web.app import json_error, json_response
from shared.runtime.web.openapi import Parameter, describe

# These only describe: `shared.access.users` checks, and names every fault.
UserName = Annotated[
    str, Meta(extra_json_schema={"pattern": rf"^{NAME_PATTERN.pattern}$", "minLength": 1, "maxLength": 64})
]
Role = Annotated[str, Meta(extra_json_schema={"enum": [*ROLES]})]
Password = Annotated[str, Meta(extra_json_schema={"minLength": MIN_LENGTH, "maxLength": MAX_LENGTH})]

USER = Parameter("name", UserName, "The user.")


class NewUser(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/monitoring/users`."""

    name: UserName
    role: Role = "viewer"
    password: Password | None = None
    """None to generate one, which the response has."""


class UserChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `PATCH /api/monitoring/users/{name}`; what is missing stays."""

    role: Role | None = None
    disabled: bool | None = None
    totp: bool | None = None
    """False to require no code any more: the phone is lost."""


class NewPassword(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/monitoring/users/{name}/password`."""

    password: Password | None = None
    """None to generate one, which the response has."""


class ChangedUser(User, frozen=True, kw_only=True, rename="camel"):
    """A user after a change."""

    password: str | msgspec.UnsetType = msgspec.UNSET
    """The generated password, where one was generated; it is shown only here."""


class EndedSessions(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """How many sessions of a user were ended."""

    name: str
    sessions_ended: int


def create_users_api(accounts: Accounts) -> Blueprint:
    """Return the routes below `/api/monitoring/users`; the guard lets only admins through."""
    api = Blueprint("users", __name__, url_prefix="/api/monitoring/users")
    users, clock = accounts.users, accounts.clock

    @api.get("")
    @describe("List the users", tag="Administration", answers=list[User], description="By name.")
    def many() -> Response:
        return json_response(users.list_all(clock()))

    @api.post("")
    @describe(
        "Add a user",
        tag="Administration",
        answers=ChangedUser,
        status=HTTPStatus.CREATED,
        body=NewUser,
        errors=(HTTPStatus.CONFLICT,),
        description="Without a password one is generated, which the response has.",
    )
    def add() -> Response:
        given = decode_body(request.get_data(), NewUser, '{"name": "alice", "role": "operator"}')
        password = given.password or generate_password()
        user = users.add(given.name, given.role, password, this_actor(), clock())
        return json_response(_fields(user, None if given.password else password), HTTPStatus.CREATED)

    @api.patch("/<name>")
    @describe(
        "Change a user's role, disable or enable one, or remove the second factor",
        tag="Administration",
        path=(USER,),
        answers=ChangedUser,
        body=UserChange,
        errors=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
        description="Disabling ends the sessions. 409 for the last admin.",
    )
    def change(name: str) -> Response:
        given = decode_body(request.get_data(), UserChange, '{"role": "viewer", "disabled": true}')
        by, now = this_actor(), clock()
        if given.role is not None:
            users.set_role(name, given.role, by, now)
        if given.disabled is not None:
            users.set_disabled(name, by, now, disabled=given.disabled)
        if given.totp is False:
            users.disable_totp(name, by, now)
        return json_response(_fields(users.read(name)))

    @api.post("/<name>/password")
    @describe(
        "Set a user's password",
        tag="Administration",
        path=(USER,),
        answers=ChangedUser,
        body=NewPassword,
        is_body_optional=True,
        errors=(HTTPStatus.NOT_FOUND,),
        description="Without a password one is generated, which the response has. Ends the user's sessions.",
    )
    def reset_password(name: str) -> Response:
        given = decode_body(request.get_data() or b"{}", NewPassword, "{}")
        password = given.password or generate_password()
        users.set_password(name, password, this_actor(), clock())
        return json_response(_fields(users.read(name), None if given.password else password))

    @api.delete("/<name>/sessions")
    @describe(
        "End the sessions of a user",
        tag="Administration",
        path=(USER,),
        answers=EndedSessions,
        errors=(HTTPStatus.NOT_FOUND,),
    )
    def revoke_sessions(name: str) -> Response:
        return json_response(
            {"name": name, "sessionsEnded": users.revoke_sessions(name, this_actor(), clock())}
        )

    api.register_error_handler(UserError, _refused)
    api.register_error_handler(LoginBusyError, _busy)
    return api


def _refused(raised: UserError) -> Response:
    is_conflict = isinstance(raised, UserConflictError)
    return json_error(HTTPStatus.CONFLICT if is_conflict else HTTPStatus.NOT_FOUND, str(raised))


def _busy(raised: LoginBusyError) -> Response:
    response = json_error(HTTPStatus.SERVICE_UNAVAILABLE, str(raised))
    response.headers["Retry-After"] = "3"
    return response


def _fields(user: User, password: str | None = None) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(user)
    return {**fields, "password": password} if password else fields
