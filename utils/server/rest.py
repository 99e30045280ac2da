"""REST: conversations, commands, agents and the flow, as thin adapters over the same commands and rows."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, NotRequired

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from utils.server import catalog, commands, events
from utils.server.conversation import Conversation
from utils.server.files import FileEntry, listed
from utils.server.problems import ConversationId, find, problems, refuse, refused
from utils.server.rows import DEFAULT_AGENT, change, new_id, read_state
from utils.server.runner import Runner
from utils.server.settings import Settings

Title = Annotated[str, Field(max_length=200)]


class NewConversation(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    title: Title = ""
    agent: str = DEFAULT_AGENT


class ConversationChange(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    title: Title | None = None
    agent: str | None = None


class Summary(TypedDict):
    id: str
    title: str
    agent: str
    status: str
    updatedAt: str


class Listing(TypedDict):
    """`next` is the `before` of the following page; it is left out on the last."""

    conversations: list[Summary]
    next: NotRequired[str]


class Description(TypedDict):
    """`state` as in STATE_SNAPSHOT, `messages` as in MESSAGES_SNAPSHOT."""

    id: str
    title: str
    agent: str
    state: dict[str, Any]
    messages: list[dict[str, Any]]
    files: list[FileEntry]


class Accepted(TypedDict):
    messageId: NotRequired[str]
    runId: NotRequired[str]


class AgentEntry(TypedDict):
    name: str
    description: str
    tools: list[str]
    model: str


def create_router(
    runner: Runner, settings: Settings, graph: Callable[[], dict[str, Any]], agents: Callable[[], list[Any]]
) -> APIRouter:
    """The routes under /api, without the files. `agents()` are those that can answer, as AgentEntry."""
    router = APIRouter(prefix="/api")

    def check_agent(name: str) -> None:
        if name not in (names := [agent["name"] for agent in agents()]):
            raise refuse(422, "bad_command", f"There is no agent {name!r}. There are: {', '.join(names)}.")

    @router.get("/conversations", responses=problems(422))
    async def list_conversations(
        query: Annotated[str, Query(max_length=200)] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        before: Annotated[str, Query(pattern=r"^([0-9]{1,15}~[A-Za-z0-9_-]{1,64})?$")] = "",
    ) -> Listing:
        return await runner.database.transact(lambda c: catalog.recent(c, query, limit, before))  # type: ignore[arg-type, return-value]

    @router.post("/conversations", status_code=201, responses=problems(400, 409, 413, 422))
    async def create_conversation(new: NewConversation) -> Description:
        check_agent(new.agent)
        conversation_id = new.id or new_id("chat")
        if not await runner.database.transact(lambda c: catalog.create(c, conversation_id, new.title, new.agent)):
            raise refuse(409, "conflict", f"There is a conversation {conversation_id} already.")
        return await describe(await find(runner, conversation_id))

    @router.get("/conversations/{conversation_id}", responses=problems(404, 422))
    async def read_conversation(conversation_id: ConversationId) -> Description:
        return await describe(await find(runner, conversation_id))

    @router.patch("/conversations/{conversation_id}", responses=problems(400, 404, 413, 422))
    async def change_conversation(conversation_id: ConversationId, wanted: ConversationChange) -> Description:
        columns = wanted.model_dump(exclude_none=True)
        if wanted.agent is not None:
            check_agent(wanted.agent)
        conversation = await find(runner, conversation_id)
        async with conversation.commands:
            await find(runner, conversation_id)  # it may have been deleted while this waited
            state = await conversation.store.transact(lambda c, cid: _change(c, cid, columns))
            conversation.emit(events.state_snapshot(state))
        return await describe(conversation)

    @router.delete("/conversations/{conversation_id}", status_code=204, responses=problems(404, 422))
    async def delete_conversation(conversation_id: ConversationId) -> Response:
        await runner.delete(await find(runner, conversation_id))
        return Response(status_code=204)

    @router.get("/conversations/{conversation_id}/runs", responses=problems(404, 422))
    async def list_runs(conversation_id: ConversationId) -> list[dict[str, Any]]:
        conversation = await find(runner, conversation_id)
        return await conversation.store.transact(catalog.runs)

    @router.post(
        "/conversations/{conversation_id}/commands", status_code=202, responses=problems(400, 404, 409, 413, 422, 429)
    )
    async def send_command(conversation_id: ConversationId, command: commands.AnyCommand, request: Request) -> Accepted:
        conversation = await find(runner, conversation_id)
        try:
            checked = commands.parse(await request.body(), settings)
            return await commands.execute(runner, conversation, checked, settings)
        except commands.Rejected as rejected:
            raise refused(rejected) from rejected

    @router.get("/agents")
    async def list_agents() -> list[AgentEntry]:
        return agents()

    @router.get("/flow")
    async def read_flow() -> dict[str, Any]:
        return graph()

    return router


async def describe(conversation: Conversation) -> Description:
    messages, state = await conversation.store.load()
    files = await asyncio.to_thread(listed, conversation.id)
    return state["conversation"] | {"state": state, "messages": messages, "files": files}


def _change(c: Any, cid: str, columns: dict[str, Any]) -> dict[str, Any]:
    """A new title or agent is no news of the conversation: its place in the list stays."""
    updated_at = c.execute("SELECT updated_at FROM conversations WHERE id = ?", (cid,)).fetchone()["updated_at"]
    change(c, cid, **columns, updated_at=updated_at)
    return read_state(c, cid)
