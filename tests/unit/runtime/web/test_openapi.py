"""Routes of an app described as OpenAPI."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

import msgspec
import pytest
from flask import Flask, Response
from msgspec import Meta

from shared.runtime.web.openapi import Parameter, describe, openapi_document, routes_below

State = Literal["open", "closed"]


class Door(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A door.

    And what is known of it.
    """

    opened_at: datetime | None = None
    """When it was
    opened last."""
    state: State


class DoorChange(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """What to change."""

    state: State


@pytest.fixture(scope="module")
def app() -> Flask:
    app = Flask("house", static_folder=None)

    @app.get("/api/doors")
    @describe(
        "List the doors",
        tag="Doors",
        answers=list[Door],
        query=(
            Parameter("state", State, "Only these."),
            Parameter("floor", Annotated[int, Meta(ge=0)], "Of one floor.", required=True),
        ),
        csv=True,
    )
    def doors() -> Response:
        return Response()

    @app.patch("/api/doors/<path:door>/<int:hinge>")
    @describe("Change a door", tag="Doors", answers=Door, body=DoorChange, errors=(404, 409))
    def change(door: str, hinge: int) -> Response:
        raise NotImplementedError(door, hinge)

    @app.post("/api/doors/<any(front, back):side>/knock")
    @describe("Knock", tag="Knocking", status=204, path=(Parameter("side", State, "Where."),))
    def knock(side: str) -> Response:
        raise NotImplementedError(side)

    @app.get("/api/secret")
    def secret() -> Response:
        return Response()

    @app.get("/elsewhere")
    def elsewhere() -> Response:
        return Response()

    return app


@pytest.fixture(scope="module")
def document(app: Flask) -> Any:
    return openapi_document(app, {"GET /api/doors": "read", "POST " + KNOCK: None}, "House", "Doors.")


KNOCK = "/api/doors/<any(front, back):side>/knock"
PROBLEM = {"$ref": "#/components/schemas/Problem"}


def test_routes_below_a_path_are_found_with_their_operation(app: Flask) -> None:
    found = {route.name: route.operation and route.operation.summary for route in routes_below(app, "/api/")}
    assert found == {
        KNOCK.join(["POST ", ""]): "Knock",
        "PATCH /api/doors/<path:door>/<int:hinge>": "Change a door",
        "GET /api/doors": "List the doors",
        "GET /api/secret": None,
    }


def test_a_list_has_its_parameters_forms_and_errors(document: Any) -> None:
    found = document["paths"]["/api/doors"]["get"]
    state, floor, form = found["parameters"]
    assert (state["schema"], state["required"]) == ({"enum": ["closed", "open"], "type": "string"}, False)
    assert (floor["schema"], floor["required"]) == ({"type": "integer", "minimum": 0}, True)
    assert (form["name"], form["in"]) == ("format", "query")
    content = found["responses"]["200"]["content"]
    assert content["application/json"]["schema"] == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Door"},
    }
    assert content["text/csv"] == {"schema": {"type": "string"}}
    assert set(found["responses"]) == {"200", "400", "401", "403", "421", "429", "503"}
    assert found["security"] == [{"token": ["read"]}, {"session": ["read"]}]
    assert found["operationId"] == "getDoors"


def test_a_change_has_its_body_and_path_parameters(document: Any) -> None:
    found = document["paths"]["/api/doors/{door}/{hinge}"]["patch"]
    assert found["requestBody"] == {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/DoorChange"}}},
    }
    assert [(one["name"], one["schema"]) for one in found["parameters"]] == [
        ("door", {"type": "string", "minLength": 1}),
        ("hinge", {"type": "integer", "minimum": 0}),
    ]
    assert {"404", "409", "413"} <= set(found["responses"])
    assert found["security"] == [{"token": ["admin"]}, {"session": ["admin"]}]


def test_a_route_for_everybody_without_an_answer(document: Any) -> None:
    found = document["paths"]["/api/doors/{side}/knock"]["post"]
    assert found["security"] == []
    assert found["responses"]["204"] == {"description": "No Content"}
    assert found["parameters"][0]["description"] == "Where."
    assert "401" not in found["responses"]


def test_schemas_have_names_on_the_wire_and_plain_descriptions(document: Any) -> None:
    door = document["components"]["schemas"]["Door"]
    assert door["description"] == "A door.\n\nAnd what is known of it."
    assert list(door["properties"]) == ["openedAt", "state"]
    assert door["properties"]["openedAt"]["description"] == "When it was\nopened last."
    assert document["components"]["responses"]["NotFound"]["content"] == {
        "application/problem+json": {"schema": PROBLEM}
    }
    assert document["info"]["title"] == "House"
    assert HTTPStatus.NOT_FOUND.phrase == document["components"]["responses"]["NotFound"]["description"]
