"""The history as the model's API takes it: always valid, whatever happened while it was made.

In: AG-UI messages, oldest first. Out: chat-completions messages, where every tool call has exactly one result, no
arguments are half-parsed, and failed partial answers and reasoning are left out.
"""

import json
import re
from typing import Any

Message = dict[str, Any]


def for_model(messages: list[Message], instructions: str) -> list[Message]:
    """`instructions` as the system message, then the history."""
    results = {message["toolCallId"]: message for message in reversed(messages) if message["role"] == "tool"}
    prompt: list[Message] = [{"role": "system", "content": instructions}] if instructions else []
    for message in messages:
        if message["role"] == "user":
            prompt.append({"role": "user", "content": plain_text(message["content"])})
        elif message["role"] == "assistant" and message.get("metadata", {}).get("status") != "failed":
            prompt += _answer(message, results)
    return prompt


def _answer(message: Message, results: dict[str, Message]) -> list[Message]:
    calls = message.get("toolCalls", [])
    if not calls and not message.get("content"):
        return []
    answer: Message = {"role": "assistant", "content": message.get("content") or None}
    if calls:
        answer["tool_calls"] = [_call(call) for call in calls]
    return [answer, *(_result(call["id"], results) for call in calls)]


def _call(call: Message) -> Message:
    function = call["function"]
    arguments = function["arguments"] if is_object(function["arguments"]) else "{}"
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", function["name"])[:64] or "unnamed"
    return {"id": call["id"], "type": "function", "function": {"name": name, "arguments": arguments}}


def _result(call_id: str, results: dict[str, Message]) -> Message:
    content = plain_text(results[call_id]["content"]) if call_id in results else "Not executed."
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def unanswered(messages: list[Message]) -> list[str]:
    """The ids of the last answer's tool calls that have no result."""
    answer: Message = next((m for m in reversed(messages) if m["role"] == "assistant"), {})
    results = {message["toolCallId"] for message in messages if message["role"] == "tool"}
    return [call["id"] for call in answer.get("toolCalls", ()) if call["id"] not in results]


def is_object(arguments: str) -> bool:
    """Whether the text is a JSON object, which is what a tool call's arguments must be."""
    try:
        return isinstance(json.loads(arguments), dict)
    except ValueError:
        return False


def plain_text(content: str | list[dict[str, Any]]) -> str:
    """Content parts as text; a picture is named by its address."""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] if part["type"] == "text" else _mention(part) for part in content)


def _mention(part: dict[str, Any]) -> str:
    source = part.get("source", {})
    return f"[{part['type']}: {source['value']}]" if source.get("type") == "url" else f"[{part['type']}]"


def shorter(messages: list[Message]) -> list[Message]:
    """Without about the oldest quarter, in whole turns; the last turn is always kept."""
    return within(messages, sum(map(_size, messages)) * 3 // 4)


def within(messages: list[Message], budget: int) -> list[Message]:
    """The newest whole turns of together at most `budget` characters; the last turn is always kept."""
    size, start = 0, len(messages)
    for index in range(len(messages) - 1, -1, -1):
        size += _size(messages[index])
        if size > budget and start < len(messages):
            break
        if messages[index]["role"] == "user":
            start = index
    return messages[start:] if start < len(messages) else messages


def _size(message: Message) -> int:
    calls = message.get("toolCalls", ())
    return (
        len(plain_text(message.get("content") or "")) + sum(len(call["function"]["arguments"]) for call in calls) + 50
    )


if __name__ == "__main__":
    print(for_model([{"id": "1", "role": "user", "content": "Hello"}], "Be kind."))
