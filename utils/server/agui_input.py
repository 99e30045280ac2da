"""RunAgentInput as the AG-UI door takes it: checked, and what of it is new to the conversation."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NoReturn

import orjson

from utils.server.agui_rows import Standing
from utils.server.problems import refuse
from utils.server.rows import DEFAULT_AGENT, Message
from utils.server.runner import ID
from utils.server.settings import Settings

if TYPE_CHECKING:
    from ag_ui.core import RunAgentInput

MAX_TOOLS = 100
MAX_OPTIONS = 256 * 1024
MAX_RESULT = 200_000
"""Characters of what a client's tool returns, as for the server's own."""


def parse(body: bytes, agents: Collection[str]) -> "RunAgentInput":
    """The checked input; HTTP 422 with what is wrong. `agents` can answer."""
    from ag_ui.core import RunAgentInput  # imported late: it takes 0.2 s, and most servers never need it
    from pydantic import ValidationError

    try:
        wanted = RunAgentInput.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        _wrong(f"{where or 'input'}: {first['msg']}.")
    _check_id("threadId", wanted.thread_id)
    _check_id("runId", wanted.run_id)
    if (agent := agent_of(wanted)) not in agents:
        _wrong(f"forwardedProps.agent: there is no agent {agent!r}.")
    return wanted


def agent_of(wanted: "RunAgentInput") -> Any:
    """Who shall answer in a new conversation."""
    props = wanted.forwarded_props
    return props.get("agent", DEFAULT_AGENT) if isinstance(props, dict) else DEFAULT_AGENT


def fresh_messages(
    wanted: "RunAgentInput", standing: Standing, history: list[Message], settings: Settings
) -> list[Message]:
    """The user and tool messages at the input's end that the conversation does not have yet, as they are stored.

    A tool message counts if it answers a call of one of the client's own tools.
    """
    asked = {call["id"] for message in history for call in message.get("toolCalls", ())}
    answered = {message["toolCallId"] for message in history if message["role"] == "tool"}
    fresh: list[Message] = []
    for message in reversed(wanted.messages):
        if message.role not in ("user", "tool"):
            break
        if message.id in standing.messages:
            continue
        if message.role == "user":
            fresh.insert(0, _stored_user(message, settings))
        elif message.tool_call_id in asked - answered - standing.ours:
            fresh.insert(0, _stored_result(message))
    return fresh


def _stored_user(message: Any, settings: Settings) -> Message:
    _check_id("a message's id", message.id)
    content = _text(message.content)
    if not content.strip():
        _wrong(f"The message {message.id} is empty.")
    if len(content.encode()) > settings.max_message_bytes:
        raise refuse(413, "too_large", f"A message may have {settings.max_message_bytes} bytes. Shorten or split it.")
    return {"id": message.id, "role": "user", "content": content, "metadata": {"status": "complete"}}


def _stored_result(message: Any) -> Message:
    _check_id("a message's id", message.id)
    content = _text(message.content)
    if message.error:
        content = f"{content}\nThe tool failed: {message.error}".strip()
    stored = {"id": message.id, "role": "tool", "toolCallId": message.tool_call_id, "content": content[:MAX_RESULT]}
    return stored | {"metadata": {"status": "complete"}}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if other := next((part.type for part in content if part.type != "text"), None):
        _wrong(f"This server reads text; a content part of type {other!r} must be uploaded as a file instead.")
    return "\n".join(part.text for part in content)


def options_of(wanted: "RunAgentInput", messages: list[Message]) -> dict[str, Any]:
    """What is stored with the run: `messages` that come before its own, the client's tools, and its context."""
    tools = [_schema(tool) for tool in wanted.tools or ()]
    context = [f"{entry.description}: {entry.value}" for entry in wanted.context or ()]
    options = {"messages": messages, "tools": tools, "context": context}
    if len(tools) > MAX_TOOLS or len(orjson.dumps(options)) > MAX_OPTIONS + MAX_RESULT:
        raise refuse(413, "too_large", f"At most {MAX_TOOLS} tools and {MAX_OPTIONS // 1024} KiB of input are taken.")
    return options


def _schema(tool: Any) -> dict[str, Any]:
    """The tool as the chat-completions API takes it."""
    if not ID.fullmatch(tool.name):
        _wrong(f"tools: {tool.name!r} cannot be a tool's name: it must match {ID.pattern}.")
    parameters = tool.parameters or {"type": "object", "properties": {}}
    if not isinstance(parameters, dict):
        _wrong(f"tools: the parameters of {tool.name} must be a JSON Schema object.")
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": parameters},
    }


def _check_id(what: str, value: str) -> None:
    if not ID.fullmatch(value):
        _wrong(f"{what}: {value[:80]!r} must match {ID.pattern}.")


def _wrong(message: str) -> NoReturn:
    raise refuse(422, "bad_command", message)
