"""The prompt for a model without native tool calls: the tools described, earlier calls and results as text."""

import itertools
import json
from typing import Any

from utils.history import Message

FORMAT = """You can use tools. To call one or more of them, end your answer with this, and write nothing after it:

<function_calls>
<invoke name="the tool's name">
<parameter name="the parameter's name">its value</parameter>
</invoke>
</function_calls>

A text goes between the tags as it is, anything else as JSON. The results come with the next message. The tools:
"""


def describe(tools: list[dict[str, Any]]) -> str:
    """Instructions on how to call `tools`, which are as the chat-completions API takes them; "" without any."""
    return FORMAT + "".join(_description(tool["function"]) for tool in tools) if tools else ""


def _description(function: dict[str, Any]) -> str:
    parameters = json.dumps(function["parameters"], ensure_ascii=False)
    return f"\n- {function['name']}: {function['description']}\n  Its parameters as JSON Schema: {parameters}"


def as_text(prompt: list[Message]) -> list[Message]:
    """Chat-completions messages without tool calls and tool roles; user and assistant take turns, as templates want."""
    names = {call["id"]: call["function"]["name"] for message in prompt for call in message.get("tool_calls", ())}
    plain = [(_role(message), _text(message, names)) for message in prompt]
    return [
        {"role": role, "content": "\n\n".join(text for _, text in group)}
        for role, group in itertools.groupby(plain, lambda pair: pair[0])
    ]


def _role(message: Message) -> str:
    return "user" if message["role"] == "tool" else str(message["role"])


def _text(message: Message, names: dict[str, str]) -> str:
    if message["role"] == "tool":
        return f'<function_result name="{names[message["tool_call_id"]]}">\n{message["content"]}\n</function_result>'
    if not message.get("tool_calls"):
        return str(message["content"])
    calls = "".join(map(_call, message["tool_calls"]))
    return f"{message['content'] or ''}\n<function_calls>\n{calls}</function_calls>".strip()


def _call(call: Message) -> str:
    arguments = json.loads(call["function"]["arguments"])
    parameters = "".join(
        f'<parameter name="{name}">{value if isinstance(value, str) else json.dumps(value)}</parameter>\n'
        for name, value in arguments.items()
    )
    return f'<invoke name="{call["function"]["name"]}">\n{parameters}</invoke>\n'


if __name__ == "__main__":
    call = {"id": "1", "type": "function", "function": {"name": "current_time", "arguments": "{}"}}
    result = {"role": "tool", "tool_call_id": "1", "content": "Friday"}
    print(as_text([{"role": "assistant", "content": None, "tool_calls": [call]}, result]))
