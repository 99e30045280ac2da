"""What an answer consists of while it arrives."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the visible answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of what the model thinks before it answers."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call. The first piece of a call carries its name, and its id if the server gave a usable one.

    `index` counts the distinct calls of one answer from 0. The `arguments` of its pieces, joined, are the JSON text,
    which a model may have written wrong or not to its end.
    """

    index: int
    id: str | None
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of this request so far; a later one replaces an earlier one."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of the answer: stop, length, tool_calls, content_filter or the provider's own word.

    "cut" when the server closed the connection properly but never said that the answer was over.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Nothing has arrived yet; it is asked again after `wait_seconds`. `attempt` counts the retries from 1."""

    attempt: int
    reason: str
    wait_seconds: float


Delta = TextDelta | ReasoningDelta | ToolCallDelta | Usage | Finish | Retry
