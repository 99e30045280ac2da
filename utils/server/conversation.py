"""A conversation in memory: its history and state as last told, the channel its readers follow, and Stop."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from utils.server import events
from utils.server.bus import Channel
from utils.server.events import Event
from utils.server.rows import Message
from utils.server.store import ConversationStore


class Conversation:
    """Made by the Runner, which alone runs the flow on `shared`; commands change rows, then `emit` the new state."""

    def __init__(
        self,
        store: ConversationStore,
        messages: list[Message],
        state: dict[str, Any],
        on_event: Callable[[Event], None],
    ) -> None:
        self.id = store.conversation_id
        self.store = store
        self.state = state
        self.stop = asyncio.Event()
        self.channel = Channel(self._snapshot)
        self.commands = asyncio.Lock()
        self.recent_commands: list[float] = []
        self.task: asyncio.Task[None] | None = None
        self.woken = False
        self.used_at = time.monotonic()
        self._on_event = on_event
        self.shared: dict[str, Any] = {
            "conversation_id": self.id,
            "agent": state["conversation"]["agent"],
            "messages": messages,
            "turn": None,
            "emit": self.emit,
            "stop": self.stop,
            "store": store,
        }
        self.channel.mark()

    @property
    def busy(self) -> bool:
        return self.task is not None and not self.task.done()

    @property
    def stored(self) -> bool:
        return bool(self.state["version"])

    def emit(self, event: Event) -> None:
        """Tell every reader. Outside a run a new state is also what new readers start from."""
        self.used_at = time.monotonic()
        if event["type"] != "STATE_SNAPSHOT":
            self.channel.publish(event)
            return self._on_event(event)
        if event["snapshot"]["version"] >= self.state["version"]:
            self.state = event["snapshot"]
            self.shared["agent"] = self.state["conversation"]["agent"]
            self.channel.publish(event)
            self._on_event(event)
        if self.shared["turn"] is None:
            self.channel.mark()

    def replace_history(self, messages: list[Message]) -> None:
        """Earlier messages changed: tell everyone the whole history."""
        self.shared["messages"] = messages
        self.emit(events.messages_snapshot(list(messages)))

    def stop_run(self, run_id: str) -> None:
        """Set Stop if that run is the one in progress; a Stop that comes late must not hit the next run."""
        turn = self.shared["turn"]
        if turn is not None and turn["run_id"] == run_id:
            self.stop.set()

    def _snapshot(self) -> list[Event]:
        return [events.messages_snapshot(list(self.shared["messages"])), events.state_snapshot(self.state)]
