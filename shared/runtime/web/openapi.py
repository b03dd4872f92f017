"""The OpenAPI document of a web part, generated from its routes and the structs that they read and answer.

A route says what it does with `describe`; its path parameters are read from Flask's rule, and the scope that
it needs from the table of scopes. Source: OpenAPI 3.1.1, https://spec.openapis.org/oas/v3.1.1.html.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from inspect import cleandoc
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeVar

from flask import Flask
from werkzeug.routing import Rule

from shared.access.identity import Scope
from shared.access.session_cookie import COOKIE
from shared.runtime.web.csv import CSV
from shared.runtime.web.json_schemas import Schemas
from shared.runtime.web.problems import PROBLEM, Problem
from shared.version import VERSION

F = TypeVar("F", bound=Callable[..., object])
Json = dict[str, Any]

DIALECT = "3.1.1"
JSON = "application/json"
_PLACE = re.compile(r"<(?:(?P<converter>[^:<>]+):)?(?P<name>\w+)>")
"""A path parameter in a rule of Flask: `<name>`, `<path:bot>`."""
_ANSWERED_BY_ALL = (
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_WRITING = ("POST", "PUT", "PATCH", "DELETE")


class Parameter(NamedTuple):
    """A parameter of a query string or a path."""

    name: str
    kind: Any
    """Its type: `str`, a Literal, or Annotated with msgspec.Meta for limits and an example."""
    description: str
    required: bool = False


FORMAT = Parameter(
    "format", Literal["json", "csv"], "`csv` for a table, as with the header `Accept: text/csv`."
)


class Operation(NamedTuple):
    """What a route does, reads and answers."""

    summary: str
    tag: str
    description: str
    answers: Any
    """The type of the JSON; None if it answers none."""
    status: int
    query: Sequence[Parameter]
    path: Sequence[Parameter]
    body: Any
    is_body_optional: bool
    body_media_types: Sequence[str]
    """In which further forms it reads a body."""
    errors: Sequence[int]
    media_types: Sequence[str]
    """In which further forms it answers."""
    further: Mapping[int, Any]
    """What it answers with other statuses that are no errors."""


def describe(  # noqa: PLR0913 - each is one line of the description
    summary: str,
    *,
    tag: str,
    answers: Any = None,  # noqa: ANN401 - any annotation
    status: int = HTTPStatus.OK,
    query: Sequence[Parameter] = (),
    path: Sequence[Parameter] = (),
    body: Any = None,  # noqa: ANN401 - any annotation
    is_body_optional: bool = False,
    body_media_types: Sequence[str] = (),
    errors: Sequence[int] = (),
    csv: bool = False,
    media_types: Sequence[str] = (),
    description: str = "",
    further: Mapping[int, Any] = MappingProxyType({}),
) -> Callable[[F], F]:
    """Return a decorator that describes a route; it stands below the one that registers the route.

    `answers` and `body` are the types of the JSON, `media_types` and `body_media_types` their further forms,
    `csv` says that it can be a table; `further` has the types of the JSON of other statuses that are no
    errors. `errors` are the statuses of its own; those that follow from scope, query, body and server are
    added. `path` describes path parameters of which the name does not say all.
    """
    forms = (*media_types, *((CSV,) if csv else ()))
    parameters = (*query, *((FORMAT,) if csv else ()))
    operation = Operation(
        summary,
        tag,
        description,
        answers,
        status,
        parameters,
        path,
        body,
        is_body_optional,
        body_media_types,
        errors,
        forms,
        further,
    )

    def add(function: F) -> F:
        vars(function)["operation"] = operation
        return function

    return add


class Route(NamedTuple):
    """A route of an app: one method of one rule."""

    rule: Rule
    method: str
    operation: Operation | None

    @property
    def name(self) -> str:
        """The method and the rule, as in a table of scopes."""
        return f"{self.method} {self.rule.rule}"


def routes_below(app: Flask, prefix: str) -> list[Route]:
    """Return the routes of an app below a path, in the order of their paths."""
    found = [
        Route(rule, method, vars(app.view_functions[rule.endpoint]).get("operation"))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(prefix)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]
    return sorted(found, key=lambda route: (route.rule.rule, route.method))


def openapi_document(
    app: Flask, scopes: Mapping[str, Scope | None], title: str, description: str, prefix: str = "/api/"
) -> Json:
    """Return the OpenAPI document of all described routes below `prefix`; `scopes` as in `RequestAccess`."""
    routes = [(route, route.operation) for route in routes_below(app, prefix) if route.operation]
    schemas = Schemas([Problem, *(kind for _, operation in routes for kind in _kinds(operation))])
    paths: dict[str, Json] = {}
    for route, operation in routes:
        item = paths.setdefault(_PLACE.sub(r"{\g<name>}", route.rule.rule), {})
        item[route.method.lower()] = _operation(route, operation, scopes.get(route.name, "admin"), schemas)
    return {
        "openapi": DIALECT,
        "info": {
            "title": title,
            "version": VERSION,
            "description": description,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name} for name in sorted({operation.tag for _, operation in routes})],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": _error_responses(schemas),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An API token: `bw_…`."},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            },
        },
    }


def _kinds(operation: Operation) -> list[Any]:
    parameters = (*operation.query, *operation.path)
    return [
        *(parameter.kind for parameter in parameters),
        *(kind for kind in (operation.answers, operation.body) if kind is not None),
        *operation.further.values(),
    ]


def _operation(route: Route, operation: Operation, scope: Scope | None, schemas: Schemas) -> Json:
    needs = f"Needs the scope `{scope}`." if scope else "Everybody may use it."
    content: Json = {kind: {"schema": {"type": "string"}} for kind in operation.media_types}
    if operation.answers is not None:
        content = {JSON: {"schema": schemas.of(operation.answers)}, **content}
    found: Json = {
        "operationId": _operation_id(route),
        "summary": operation.summary,
        "description": "\n\n".join(filter(None, (cleandoc(operation.description), needs))),
        "tags": [operation.tag],
        "responses": {
            str(int(operation.status)): {
                "description": HTTPStatus(operation.status).phrase,
                **({"content": content} if content else {}),
            },
            **{
                str(status): {
                    "description": HTTPStatus(status).phrase,
                    "content": {JSON: {"schema": schemas.of(kind)}},
                }
                for status, kind in operation.further.items()
            },
            **{
                str(int(status)): {"$ref": f"#/components/responses/{_response_name(status)}"}
                for status in _errors(route, operation, scope)
            },
        },
        "security": [{"token": [scope]}, {"session": [scope]}] if scope else [],
    }
    if parameters := _parameters(route, operation, schemas):
        found["parameters"] = parameters
    if operation.body is not None:
        found["requestBody"] = {
            "required": not operation.is_body_optional,
            "content": {
                JSON: {"schema": schemas.of(operation.body)},
                **{form: {"schema": {"type": "string"}} for form in operation.body_media_types},
            },
        }
    return found


def _parameters(route: Route, operation: Operation, schemas: Schemas) -> list[Json]:
    described = {parameter.name: parameter for parameter in operation.path}
    return [
        *(
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": schemas.of(described[name].kind) if name in described else _place_schema(converter),
                **({"description": described[name].description} if name in described else {}),
            }
            for converter, name in _PLACE.findall(route.rule.rule)
        ),
        *(
            {
                "name": parameter.name,
                "in": "query",
                "required": parameter.required,
                "description": parameter.description,
                # One that is empty is none.
                **({} if parameter.required else {"allowEmptyValue": True}),
                "schema": schemas.of(parameter.kind),
            }
            for parameter in operation.query
        ),
    ]


def _place_schema(converter: str) -> Json:
    """Return the schema of what a converter of Flask lets through: the default one, no slash."""
    if converter == "int":
        return {"type": "integer", "minimum": 0}
    if converter.startswith("any("):
        words = converter.removeprefix("any(").removesuffix(")").split(",")
        return {"type": "string", "enum": [word.strip(" \"'") for word in words]}
    return {"type": "string", "minLength": 1, **({} if converter == "path" else {"pattern": "^[^/]+$"})}


def _errors(route: Route, operation: Operation, scope: Scope | None) -> list[int]:
    """Return the statuses of the errors of a route: its own, and those that any such route answers."""
    found = {*operation.errors, *_ANSWERED_BY_ALL}
    if operation.query or operation.body is not None:
        found.add(HTTPStatus.BAD_REQUEST)
    if operation.body is not None:
        found.add(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if scope:
        found |= {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    if route.method in _WRITING:
        found.add(HTTPStatus.FORBIDDEN)  # of a cross-site request
    return sorted(found)


def _error_responses(schemas: Schemas) -> Json:
    return {
        _response_name(status): {
            "description": status.phrase,
            "content": {PROBLEM: {"schema": schemas.of(Problem)}},
        }
        for status in HTTPStatus
        if status >= HTTPStatus.BAD_REQUEST
    }


def _response_name(status: int) -> str:
    return "".join(word.capitalize() for word in re.findall(r"[A-Za-z]+", HTTPStatus(status).phrase))


def _operation_id(route: Route) -> str:
    """Return a name that stays as long as the path: `getAlertsAlertId`."""
    words = re.findall(r"[A-Za-z0-9]+", _PLACE.sub(r"\g<name>", route.rule.rule))
    below = [word for word in words if word not in ("api", "monitoring", "v1")] or ["overview"]
    return route.method.lower() + "".join(word[:1].upper() + word[1:] for word in below)
