"""Tool calls for models that have no native ones: described in the instructions, parsed out of the streaming text.

    <function_calls><invoke name="current_time"><parameter name="timezone">UTC</parameter></invoke></function_calls>

Text before the first tag flows at once; what follows it is not shown, as models that write on invent the result.
In Markdown code the tags are text. A call that is not well-formed becomes one that fails, with a result that says why.
"""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any

from utils.llm.code_spans import CodeSpans
from utils.llm.deltas import Delta, Finish, TextDelta, ToolCallDelta

PIECES = re.compile(r"[^<>`~\n]+|[<>`~\n]")
LONGEST_TAG = 300
NAME = re.compile(r"""\sname\s*=\s*["']?([^"'<>]+)""")
NAMELESS = "unnamed"
TAGS = {
    "text": ("function_calls", "invoke"),
    "calls": ("invoke",),
    "call": ("parameter", "code", "/invoke"),
    "parameter": ("/parameter",),
    "code": ("/code",),
}
"""What may be a tag, by where the parser is. `<code>` is short for the parameter of that name."""


class TextToolCalls:
    """`take` the text in pieces of any size, then `end` it. `tools` as the chat-completions API takes them."""

    def __init__(self, tools: Iterable[dict[str, Any]]) -> None:
        functions = [tool["function"] for tool in tools]
        self._json = {(f["name"], name) for f in functions for name in _written_as_json(f["parameters"])}
        self.calls = 0
        self._where = "text"
        self._held = ""
        """What could still be a tag; nothing in it but its end is of interest to anyone else."""
        self._spans = CodeSpans()
        self._deltas: list[Delta] = []
        self._tool, self._opener, self._problem = "", "{", ""
        self._is_text = self._fresh = False
        self._line_break = ""

    def take(self, text: str) -> list[Delta]:
        for piece in PIECES.findall(text):
            self._piece(piece)
        return self._found()

    def end(self) -> list[Delta]:
        """What is left once the model has ended its answer."""
        held, self._held = self._held, ""
        if held:
            self._plain(held)
        if self._where in ("parameter", "code"):
            self._end_value()
        if self._where == "call":
            self._problem = "the call was not closed"
            self._end_call()
        elif self._where == "calls" and not self.calls:
            self._problem = "there was no call"
            self._begin_call("")
            self._end_call()
        return self._found()

    def _found(self) -> list[Delta]:
        found, self._deltas = self._deltas, []
        return [_joined(list(group)) for _, group in itertools.groupby(found, _kind)]

    def _piece(self, piece: str) -> None:
        if self._held:
            if self._may_be_tag(piece):
                self._held += piece
                if piece == ">":
                    tag, self._held = self._held, ""
                    self._tag(tag)
                return
            held, self._held = self._held, ""
            self._plain(held)
        if piece == "<" and not self._in_code():
            self._held = piece
        else:
            self._plain(piece)

    def _in_code(self) -> bool:
        if self._where == "text":
            self._spans.see("<")
        return self._where == "text" and self._spans.inside

    def _may_be_tag(self, piece: str) -> bool:
        grown = self._held + piece
        if piece in ("<", "`", "~", "\n") or len(grown) > LONGEST_TAG:
            return False
        openings = [f"<{name}" for name in TAGS[self._where]]
        return any(o.startswith(grown) or re.match(rf"{o}[\s>]", grown) for o in openings)

    def _tag(self, tag: str) -> None:
        name = re.split(r"[\s>]", tag[1:])[0]
        if name == "function_calls":
            self._where = "calls"
        elif name == "invoke":
            self._begin_call(tag)
        elif name == "/invoke":
            self._end_call()
        elif name in ("parameter", "code"):
            self._begin_value(name, tag)
        else:
            self._end_value()

    def _plain(self, text: str) -> None:
        """Text that is no tag."""
        if self._where == "text":
            self._spans.see(text)
            self._deltas.append(TextDelta(text))
        elif self._where == "call" and text.strip():
            self._problem = "there was text outside of a parameter"
        elif self._where in ("parameter", "code"):
            self._value(text)

    def _begin_call(self, tag: str) -> None:
        self.calls += 1
        self._where, self._opener = "call", "{"
        name = NAME.search(tag)
        self._tool = name[1].strip() if name else NAMELESS
        self._deltas.append(ToolCallDelta(self.calls - 1, None, self._tool, ""))

    def _end_call(self) -> None:
        if self._problem:
            self._add(f"{self._opener}{json.dumps(self._problem)}: true")  # no tool has such a parameter, so it fails
            self._opener, self._problem = ", ", ""
        self._add("{}" if self._opener == "{" else "}")
        self._where = "calls"

    def _begin_value(self, where: str, tag: str) -> None:
        name = NAME.search(tag)
        parameter = "code" if where == "code" else name[1] if name else NAMELESS
        self._is_text = (self._tool, parameter) not in self._json
        self._add(f"{self._opener}{json.dumps(parameter)}: " + '"' * self._is_text)
        self._where, self._opener, self._fresh, self._line_break = where, ", ", True, ""

    def _value(self, text: str) -> None:
        """The line breaks next to the tags are not part of the value."""
        begins, self._fresh = self._fresh, False
        if text == "\n":
            self._add_value(self._line_break)
            self._line_break = "" if begins else "\n"
        else:
            self._add_value(self._line_break + text)
            self._line_break = ""

    def _add_value(self, text: str) -> None:
        self._add(json.dumps(text, ensure_ascii=False)[1:-1] if self._is_text else text)

    def _end_value(self) -> None:
        self._add('"' * self._is_text)
        self._where = "call"

    def _add(self, arguments: str) -> None:
        if arguments:
            self._deltas.append(ToolCallDelta(self.calls - 1, None, None, arguments))


def _written_as_json(parameters: dict[str, Any]) -> list[str]:
    """The names of the parameters that take no text. The schema may be a client's: anything may be missing."""
    properties = parameters.get("properties")
    named = properties if isinstance(properties, dict) else {}
    return [name for name, schema in named.items() if not _takes_text(schema)]


def _takes_text(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return True
    options = schema.get("anyOf")
    return schema.get("type") == "string" or (isinstance(options, list) and any(map(_takes_text, options)))


def _kind(delta: Delta) -> Any:
    return delta.index if isinstance(delta, ToolCallDelta) else "text"


def _joined(deltas: list[Any]) -> Delta:
    first = deltas[0]
    if isinstance(first, TextDelta):
        return TextDelta("".join(delta.text for delta in deltas))
    return ToolCallDelta(first.index, None, first.name, "".join(delta.arguments for delta in deltas))


async def with_text_tool_calls(
    deltas: AsyncGenerator[Delta, None], tools: Iterable[dict[str, Any]]
) -> AsyncGenerator[Delta, None]:
    """The deltas of a model's answer with the calls in its text as tool calls. Closes `deltas` when it is closed."""
    parser = TextToolCalls(tools)
    async with aclosing(deltas):
        async for delta in deltas:
            if isinstance(delta, TextDelta):
                for found in parser.take(delta.text):
                    yield found
            elif isinstance(delta, Finish):
                for found in parser.end():
                    yield found
                yield Finish("tool_calls") if parser.calls and delta.reason == "stop" else delta
            else:
                yield delta


if __name__ == "__main__":

    async def trial() -> None:
        async def answer() -> AsyncGenerator[Delta, None]:
            for piece in ("Let me look.\n<func", 'tion_calls><invoke name="current_time"></invoke></function_calls>'):
                yield TextDelta(piece)
            yield Finish("stop")

        async for delta in with_text_tool_calls(answer(), []):
            print(delta)

    asyncio.run(trial())
