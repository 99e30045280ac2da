"""What went wrong with a model, in the provider's own words, with what it means and what to do about it."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any


class ModelError(Exception):
    """No answer, or only a part of one.

    `message` is for the person who asked. `code` is one of auth, not_found, rate_limited, overloaded, context_overflow,
    too_large, bad_request, bad_response, connection, timeout, stall. `passing` says that asking again may help, after
    `retry_after` seconds if the provider named a time.
    """

    def __init__(self, message: str, code: str, *, passing: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.passing = passing
        self.retry_after = retry_after


ADVICE = {
    "auth": "The provider did not accept the key. Check OPENAI_API_KEY (and that it belongs to OPENAI_BASE_URL), "
    "then start the server again.",
    "not_found": "The provider does not know this model or address. Check OPENAI_MODEL and OPENAI_BASE_URL.",
    "rate_limited": "Too many requests for now. Wait a little, then press Retry.",
    "no_credit": "The provider's account has no quota left. Add credit or raise its limit there, then press Retry.",
    "overloaded": "The provider has trouble at the moment. Press Retry in a while.",
    "context_overflow": "The conversation is longer than the model can read. Start a new one, or delete old messages.",
    "too_large": "The request is larger than the provider takes. Send a shorter message or a smaller file.",
    "bad_request": "The provider refused the request as it is. Another model, or another question, may work.",
    "bad_response": "Check that OPENAI_BASE_URL is an OpenAI-compatible address (it often ends in /v1).",
}

OVERFLOW = re.compile(
    r"context.{0,12}(length|window|size)|exceed_context|too many (input )?tokens"
    r"|(prompt|input) is too long|reduce the length",
    re.IGNORECASE,
)
NO_CREDIT = re.compile(r"insufficient.{0,3}(quota|balance|credit|funds)|current quota|billing", re.IGNORECASE)
STATUS_BY_WORD = (("rate_limit", 429), ("quota", 429), ("authentication", 401), ("not_found", 404), ("invalid", 400))
SECRET = re.compile(r"\b(sk|pk|gsk|key)[-_][\w.*-]{6,}|\bBearer \S+|[\w-]*\*{3,}[\w-]*")
LONGEST_QUOTE = 500


def error_from_status(status: int, body: Any, headers: Mapping[str, str], key: str | None) -> ModelError:
    """The error of an HTTP response; `body` is its JSON, or its text where it is none."""
    return _error(status, body, key, _retry_after(headers))


def error_from_chunk(payload: Any, key: str | None) -> ModelError:
    """The error that a provider sent where a piece of the answer was due: an object, a string, or anything else."""
    details = _details(payload)
    named = f"{details.get('code')} {details.get('status')} {details.get('type')}"
    number = re.search(r"\b[45]\d\d\b", named)
    status = int(number[0]) if number else next((code for word, code in STATUS_BY_WORD if word in named.lower()), 500)
    return _error(status, payload, key, None)


def unreadable(what: str, key: str | None = None) -> ModelError:
    """The error of an answer that is none; `what` tells or quotes what came instead."""
    message = f"The provider's answer cannot be read: it sent {without_secrets(what, key)}. {ADVICE['bad_response']}"
    return ModelError(message, "bad_response")


def without_secrets(text: str, key: str | None) -> str:
    """`text` with the key, and whatever looks like one, blotted out."""
    return SECRET.sub("[key]", text.replace(key, "[key]") if key else text)


def _error(status: int, body: Any, key: str | None, retry_after: float | None) -> ModelError:
    details = _details(body)
    said = without_secrets(str(details.get("message") or details.get("detail") or "").strip(), key)[:LONGEST_QUOTE]
    kind = _kind(status, f"{details.get('code')} {details.get('type')} {said}")
    advice = ADVICE[kind]
    if kind == "rate_limited" and retry_after and retry_after > 1:
        advice = f"Too many requests for now. Press Retry in {retry_after:.0f} seconds."
    said = said or f"The provider answered with HTTP status {status}"
    passing = kind == "rate_limited" or kind == "overloaded" or status in (408, 409)
    message = f"{said if said[-1] in '.!?' else said + '.'} {advice}"
    code = "rate_limited" if kind == "no_credit" else kind
    return ModelError(message, code, passing=passing, retry_after=retry_after)


def _details(body: Any) -> dict[str, Any]:
    """The innermost error object, whichever way a provider wraps it."""
    while isinstance(body, list) and body:  # Gemini sends a list of one
        body = body[0]
    if isinstance(body, dict):
        inner = body.get("error")
        return _details(inner) if inner else body
    return {"message": readable(str(body or ""))}


def readable(text: str) -> str:
    """An error page's words without its markup."""
    if "<" not in text:
        return text
    return re.sub(r"\s+", " ", re.sub(r"(?is)<(script|style).*?</\1>|<[^>]*>", " ", text)).strip()


def _kind(status: int, said: str) -> str:
    if status == 402 or (status == 429 and NO_CREDIT.search(said)):
        return "no_credit"
    if OVERFLOW.search(said) and status in (400, 413, 422, 500):
        return "context_overflow"
    by_status = {401: "auth", 403: "auth", 404: "not_found", 408: "overloaded", 413: "too_large", 429: "rate_limited"}
    return by_status.get(status) or ("overloaded" if status >= 500 else "bad_request")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until the provider wants to be asked again."""
    value = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


if __name__ == "__main__":
    print(error_from_status(401, {"error": {"message": "Incorrect API key provided: sk-abc***xyz"}}, {}, None))
