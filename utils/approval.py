"""What a person must decide, and the question they are asked."""

from typing import Any

from utils.server.store import ToolCall
from utils.toolkit import BadArguments, Tool


def needs_approval(call: ToolCall, tools: dict[str, Tool]) -> bool:
    """A call that cannot run anyway needs no person: its error goes to the model."""
    tool = tools.get(call.name)
    if tool is None or not tool.needs_approval:
        return False
    try:
        tool.check(call.arguments)
    except BadArguments:
        return False
    return True


def interrupt_for(call: ToolCall, tool: Tool, warning: str) -> dict[str, Any]:
    parameters = dict(tool.schema["function"]["parameters"])
    definitions = parameters.pop("$defs", {})  # references to them start from the root of the whole schema
    properties = {"approved": {"type": "boolean"}, "editedArgs": parameters, "reason": {"type": "string"}}
    schema = {"type": "object", "properties": properties, "required": ["approved"]}
    return {
        "id": call.id,
        "reason": "tool_call",
        "toolCallId": call.id,
        "message": f"The agent wants to use {call.name}. {warning}".strip(),
        "responseSchema": schema | ({"$defs": definitions} if definitions else {}),
    }


if __name__ == "__main__":

    async def pay(amount: float) -> str:
        """Pay somebody."""
        return f"Paid {amount}"

    tool = Tool(pay, needs_approval=True)
    print(interrupt_for(ToolCall("1", "pay", '{"amount": 3}'), tool, ""))
