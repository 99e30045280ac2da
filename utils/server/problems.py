"""What every HTTP door says when it cannot do what was asked: a status and `{code, message}`."""

import logging
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException as AnyHTTPException

from utils.server.commands import Rejected
from utils.server.conversation import Conversation
from utils.server.database import StoreError
from utils.server.runner import NotFound, Runner

log = logging.getLogger(__name__)
STATUS = {
    "bad_json": 400,
    "bad_command": 422,
    "too_large": 413,
    "not_found": 404,
    "conflict": 409,
    "queue_full": 429,
    "rate_limited": 429,
    "unavailable": 503,
}
CODES = {400: "bad_json", 404: "not_found", 405: "bad_method", 413: "too_large", 422: "bad_command", 503: "unavailable"}
ConversationId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Problem(BaseModel):
    """Every error's body."""

    code: str
    message: str


def refuse(status: int, code: str, message: str) -> HTTPException:
    return HTTPException(status, {"code": code, "message": message})


def refused(rejected: Rejected) -> HTTPException:
    """A command's rejection as an HTTP error."""
    return refuse(STATUS[rejected.code], rejected.code, rejected.message)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: these statuses carry a Problem, and so does 503 when the store does not answer."""
    return {status: {"model": Problem} for status in (*statuses, 503)}


async def find(runner: Runner, conversation_id: str) -> Conversation:
    """The conversation; an HTTP 404 if there is none."""
    try:
        return await runner.get(conversation_id)
    except NotFound as error:
        raise refuse(404, "not_found", f"There is no conversation {conversation_id}.") from error


def response(status: int, detail: Any) -> JSONResponse:
    body = detail if isinstance(detail, dict) else {"code": CODES.get(status, "error"), "message": f"{detail}."}
    return JSONResponse(body, status_code=status)


def install(app: FastAPI) -> None:
    """Give every error of `app` the form of a Problem."""

    @app.exception_handler(AnyHTTPException)
    async def http_problem(request: Request, error: AnyHTTPException) -> Response:
        answer = response(error.status_code, error.detail)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(StoreError)
    async def store_problem(request: Request, error: StoreError) -> Response:
        log.error("%s %s: the store does not answer", request.method, request.url.path, exc_info=error)
        return response(503, "The store does not answer. Nothing was changed; try again soon")

    @app.exception_handler(RequestValidationError)
    async def validation_problem(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return response(400, f"The body is not valid JSON: {first['ctx']['error']}")
        where = ".".join(str(part) for part in first["loc"])
        return response(422, f"{where}: {first['msg']}")
