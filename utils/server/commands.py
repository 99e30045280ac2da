"""What a person may say: each command is validated, is one transaction, is acknowledged, then wakes the runner."""

import asyncio
import logging
import time
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from utils.server import command_rows, events
from utils.server.conversation import Conversation
from utils.server.database import StoreError
from utils.server.runner import Runner
from utils.server.settings import Settings

log = logging.getLogger(__name__)
NO_STORE = "The server cannot reach its store ({}), so nothing was changed. Send it again in a while."
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Content = Annotated[str, Field(min_length=1)]
ALWAYS_TAKEN = ("stop", "abandon")
"""These count towards no limit: whoever may start something may always end it."""


class Rejected(Exception):
    """A command that had no effect: `code` as PROTOCOL.md lists them, `message` for the person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Command(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")
    commandId: Id | None = None


class UserMessage(Command):
    type: Literal["user_message"]
    content: Content
    id: Id | None = None
    when: Literal["queue", "now"] = "queue"


class Stop(Command):
    type: Literal["stop"]
    runId: Id | None = None


class Decision(BaseModel):
    model_config = ConfigDict(strict=True)
    interruptId: str
    status: Literal["resolved", "cancelled"]
    payload: Any = None
    """Checked against the interrupt's own responseSchema."""


class Resume(Command):
    type: Literal["resume"]
    resume: Annotated[list[Decision], Field(min_length=1)]


class QueueEdit(Command):
    type: Literal["queue_edit"]
    id: Id
    content: Content


class QueueRemove(Command):
    type: Literal["queue_remove"]
    id: Id


class Simple(Command):
    type: Literal["queue_release", "queue_clear", "regenerate"]


class EditMessage(Command):
    type: Literal["edit_message"]
    id: Id
    content: Content


class DeleteMessage(Command):
    type: Literal["delete_message"]
    id: str


AnyCommand = Annotated[
    UserMessage | Stop | Resume | QueueEdit | QueueRemove | Simple | EditMessage | DeleteMessage,
    Field(discriminator="type"),
]
_adapter: TypeAdapter[Any] = TypeAdapter(AnyCommand)


def parse(frame: str | bytes, settings: Settings) -> dict[str, Any]:
    """A frame as a checked command; raises Rejected, whose `command_id` is the frame's where it could be read."""
    size = len(frame.encode(errors="surrogatepass") if isinstance(frame, str) else frame)
    if size > settings.max_frame_bytes:
        raise Rejected("too_large", f"A command may have {settings.max_frame_bytes} bytes; this one has {size}.")
    try:
        value = orjson.loads(frame)
    except (orjson.JSONDecodeError, UnicodeEncodeError) as error:
        raise Rejected("bad_json", f"This is not valid JSON: {error}. Send one JSON object a frame.") from error
    return check(value, settings)


def check(value: Any, settings: Settings) -> dict[str, Any]:
    """A decoded command as a dict of checked fields; raises Rejected."""
    try:
        command = _adapter.validate_python(value)
    except ValidationError as error:
        raise Rejected("bad_command", _explain(error)) from error
    content = getattr(command, "content", "")
    if len(content.encode()) > settings.max_message_bytes:
        raise Rejected("too_large", f"A message may have {settings.max_message_bytes} bytes. Shorten it or split it.")
    if isinstance(content, str) and content and not content.strip():
        raise Rejected("bad_command", "The message is empty.")
    fields: dict[str, Any] = command.model_dump(exclude_none=True)
    return fields


def command_id_of(frame: str | bytes) -> str | None:
    """The command id of a frame that was rejected, if it has one, so that the client knows what was."""
    try:
        command_id = orjson.loads(frame)["commandId"]
    except (ValueError, KeyError, TypeError):
        return None
    return command_id if isinstance(command_id, str) else None


def _explain(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"] if part != problem.get("input"))
    return f"The command is not valid: {where or 'command'}: {problem['msg']}."


async def execute(runner: Runner, conversation: Conversation, command: dict[str, Any], settings: Settings) -> Any:
    """Carry out a checked command: returns what command_accepted carries, raises Rejected.

    Once begun it is finished even if the caller goes away, so that what is committed is also told and woken.
    """
    return await asyncio.shield(asyncio.ensure_future(_execute(runner, conversation, command, settings)))


async def _execute(runner: Runner, conversation: Conversation, command: dict[str, Any], settings: Settings) -> Any:
    async with conversation.commands:
        if conversation.channel.closed or runner.closing:
            raise Rejected("not_found", "This conversation is closed. Reload the page.")
        try:
            known = await command_rows.known_answer(conversation.store, command)
            if known is None:
                if command["type"] not in ALWAYS_TAKEN:
                    _limit_rate(conversation, settings.commands_per_minute)
                known = await _perform(runner, conversation, command, settings)
        except StoreError as error:
            log.exception("conversation %s: the store took no %s", conversation.id, command["type"])
            raise Rejected("unavailable", NO_STORE.format(error)) from error
    if "code" in known:
        raise Rejected(known["code"], known["message"])
    return known


async def _perform(
    runner: Runner, conversation: Conversation, command: dict[str, Any], settings: Settings
) -> dict[str, Any]:
    effect = await command_rows.apply(conversation.store, command, settings.max_queue)
    if effect.state is not None:
        if effect.history is not None:
            _tell_edit(conversation, effect.answer["runId"], effect.history)
        conversation.emit(events.state_snapshot(effect.state))
    if effect.stopped_run:
        conversation.stop_run(effect.stopped_run)
    runner.wake(conversation)
    return effect.answer


def _tell_edit(conversation: Conversation, run_id: str, history: list[dict[str, Any]]) -> None:
    """A change of the history that nobody answers is a run of its own, begun and ended at once."""
    conversation.emit(events.run_started(conversation.id, run_id, []))
    conversation.replace_history(history)
    conversation.emit(events.run_finished(conversation.id, run_id, {"type": "success"}, [], {"durationMs": 0}))


def _limit_rate(conversation: Conversation, per_minute: int) -> None:
    now = time.monotonic()
    conversation.recent_commands = [at for at in conversation.recent_commands if at > now - 60]
    if len(conversation.recent_commands) >= per_minute:
        wait = int(conversation.recent_commands[0] + 61 - now)
        raise Rejected("rate_limited", f"Only {per_minute} commands a minute are taken here. Try again in {wait} s.")
    conversation.recent_commands.append(now)
