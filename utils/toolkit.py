"""What a tool is: a plain async function, its schema read from the signature, and whether a person must approve it.

Add your own in utils/tools.py; nothing here needs editing for that.
"""

import inspect
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

ToolResult = str | list[dict[str, Any]]
"""Text, or AG-UI content parts: `{"type": "text", "text"}`, `{"type": "image", "source": {"type": "url", …}}`."""


class BadArguments(ValueError):
    """The arguments do not fit the tool's schema; the message says which and why, so that a model can mend them."""


@dataclass(frozen=True)
class ToolContext:
    """Where a tool call happens. A tool that wants it declares a parameter of this type; the model never sees it."""

    conversation_id: str
    workspace: Path
    output: Callable[[str], None] = field(default=lambda text: None)
    """Shows `text` to everyone watching, while the tool still runs."""

    def file_url(self, name: str) -> str:
        """The address under which a file of the workspace can be downloaded."""
        return f"/api/conversations/{self.conversation_id}/files/{name}"


@dataclass(frozen=True)
class Tool:
    """A function offered to the model.

    `run` is async and returns a ToolResult; what it raises becomes a result that the model reads. When Stop is pressed
    it is cancelled, after TOOL_SECONDS too: it must end what it started and let CancelledError pass.
    """

    run: Callable[..., Awaitable[ToolResult]]
    needs_approval: bool = False
    runs_code: bool = False
    """Whether it needs the sandbox: not offered when that is off, and its limits are named on the approval card."""

    @property
    def name(self) -> str:
        return self.run.__name__

    @cached_property
    def arguments(self) -> type[BaseModel]:
        """A pydantic model of the parameters, the ToolContext left out."""
        hints = get_type_hints(self.run, include_extras=True)
        fields: dict[str, Any] = {
            name: (hints[name], ... if parameter.default is parameter.empty else parameter.default)
            for name, parameter in inspect.signature(self.run).parameters.items()
            if hints[name] is not ToolContext
        }
        return create_model(self.name, __config__=ConfigDict(extra="forbid", strict=True), **fields)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The tool as the chat-completions API takes it."""
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": inspect.getdoc(self.run) or "",
                "parameters": self.arguments.model_json_schema(),
            },
        }

    def check(self, arguments: str) -> dict[str, Any]:
        """The JSON text `arguments` as keyword arguments; raises BadArguments."""
        try:
            parsed = self.arguments.model_validate_json(arguments or "{}")
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors())
            raise BadArguments(f"The arguments of {self.name} are not valid: {problems}.") from error
        return {name: getattr(parsed, name) for name in type(parsed).model_fields}

    async def __call__(self, arguments: str, context: ToolContext) -> ToolResult:
        """Run with the JSON text `arguments`; raises BadArguments, and whatever the function raises."""
        keywords = self.check(arguments)
        for name, hint in get_type_hints(self.run).items():
            if hint is ToolContext:
                keywords[name] = context
        return await self.run(**keywords)


if __name__ == "__main__":

    async def greet(name: str, times: int = 1) -> str:
        """Say hello."""
        return f"Hello {name}! " * times

    print(json.dumps(Tool(greet).schema, indent=2))
