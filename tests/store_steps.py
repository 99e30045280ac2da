"""What tests of the store do again and again, each as one step."""

from typing import Any

from utils.server import command_rows
from utils.server.store import ConversationStore, ToolCall, Work

INTERRUPT = {"id": "call", "toolCallId": "call", "reason": "tool_call", "message": "?", "responseSchema": {}}
APPROVED = {"interruptId": "call", "status": "resolved", "payload": {"approved": True}}


async def say(store: ConversationStore, id: str, when: str = "queue") -> dict[str, Any]:
    return await do(store, "user_message", content=f"This is {id}", id=id, when=when)


async def do(store: ConversationStore, type: str, **fields: Any) -> dict[str, Any]:
    return (await command_rows.apply(store, {"type": type, **fields}, max_queue=20)).answer


async def take(store: ConversationStore) -> Work:
    work = await store.take_work()
    assert work is not None
    return work


async def finish(store: ConversationStore, work: Work, **changes: Any) -> dict[str, Any]:
    record = {"run_id": work.run_id, "status": "success", "error": None, "interrupts": [], "steps": [], "usage": {}}
    record |= {"messages": [], "first_token_ms": None, "duration_ms": 1}
    _, _, state = await store.finish_run(record | changes)
    return state


async def answered(store: ConversationStore, id: str) -> None:
    await say(store, id)
    work = await take(store)
    await store.save([{"id": f"re-{id}", "role": "assistant", "content": "Yes", "metadata": {"status": "complete"}}])
    await finish(store, work)


async def awaiting(store: ConversationStore) -> None:
    """A conversation that has asked to run one call."""
    await say(store, "ask")
    work = await take(store)
    call = {"id": "call", "type": "function", "function": {"name": "save_note", "arguments": "{}"}}
    answer = {"id": "re-ask", "role": "assistant", "content": "", "toolCalls": [call]}
    await store.save([answer], [ToolCall("call", "save_note", "{}")])
    await finish(store, work, status="interrupt", interrupts=[INTERRUPT])


async def ids(store: ConversationStore) -> list[str]:
    return [message["id"] for message in (await store.load())[0]]


async def state_of(store: ConversationStore) -> dict[str, Any]:
    return (await store.load())[1]
