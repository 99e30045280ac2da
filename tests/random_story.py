"""One conversation of random commands, and what must be true of it in the end."""

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chat_server import ChatServer, Client
from random_provider import RandomProvider
from readers import Reader, problems_in

from utils.server import workspace

ACTIONS = (
    *("say", "say", "say", "now", "stop", "stop_run", "decide", "decide", "decide_one", "again", "wait", "pause"),
    *("regenerate", "edit", "delete", "queue_edit", "queue_remove", "queue_release", "queue_clear"),
    *("reader_comes", "reader_goes", "nonsense"),
)


class Story:
    """One conversation: a tab that sees everything and gives the commands, and readers that come and go."""

    def __init__(self, server: ChatServer, tag: str, provider: RandomProvider) -> None:
        self.server, self.tag, self.provider = server, tag, provider
        self.tab: Client
        self.readers: list[Reader] = []
        self.sent: set[str] = set()
        self.accepted: set[str] = set()
        self.removed: set[str] = set()
        self.cleared: set[str] = set()
        self.may_be_written: set[str] = set()
        self.last: dict[str, Any] = {}
        self.log: list[Any] = []
        self._numbers = itertools.count(1)

    async def play(self, steps: list[tuple[str, int]]) -> None:
        async with self.server.client() as self.tab:
            try:
                await self.say(0)
                async with asyncio.TaskGroup() as hurried:
                    for action, number in steps:
                        doing = hurried.create_task(getattr(self, action)(number))
                        if number % 3:  # else the next follows before the answer is there
                            await doing
                await self.come_to_rest()
                await self.check()
                await self.still_answers()
            except BaseException as error:
                error.add_note(f"{self.tag}: {steps} did {self.log}")
                raise
            finally:
                for reader in self.readers:
                    await reader.detach()

    async def command(self, type: str, **fields: Any) -> dict[str, Any]:
        self.last = command = {"type": type, **fields}
        answer = await self.tab.command(**command)
        self.log.append((command, answer.get("code", "accepted")))
        return answer

    async def say(self, number: int, **fields: Any) -> None:
        message_id = f"m{next(self._numbers)}"
        self.sent.add(message_id)
        answer = await self.command("user_message", content=f"{self.tag}: {message_id}", id=message_id, **fields)
        if "code" not in answer:
            self.accepted.add(message_id)

    async def now(self, number: int) -> None:
        await self.say(number, when="now")

    async def again(self, number: int) -> None:
        """The last command once more, as a client sends it that has lost the answer: with its command id or without."""
        keep = ("type", "content", "id", "when", "resume") if number % 2 and self.last["type"] == "user_message" else ()
        await self.tab.command(**{name: value for name, value in self.last.items() if name in keep or not keep})

    async def stop(self, number: int) -> None:
        await self.command("stop")

    async def stop_run(self, number: int) -> None:
        runs = [event["runId"] for event in self.tab.find(type="RUN_STARTED")]
        await self.command("stop", runId=runs[number % len(runs)] if runs else "none")

    async def decide(self, number: int) -> None:
        await self.decide_some(number, self.tab.state["interrupts"])

    async def decide_one(self, number: int) -> None:
        await self.decide_some(number, self.tab.state["interrupts"][:1])

    async def decide_some(self, number: int, interrupts: list[dict[str, Any]]) -> None:
        if not interrupts:
            return
        answer = await self.command("resume", resume=[decision(number, interrupt["id"]) for interrupt in interrupts])
        if "code" not in answer:
            self.may_be_written |= {interrupt["id"].removeprefix("call_") for interrupt in interrupts}

    async def regenerate(self, number: int) -> None:
        await self.command("regenerate")

    async def edit(self, number: int) -> None:
        message = self.pick(number, lambda message: message["role"] == "user")
        await self.command("edit_message", id=message, content=f"{self.tag}: edited {number}")

    async def delete(self, number: int) -> None:
        await self.command("delete_message", id=self.pick(number, lambda message: True))

    async def queue_edit(self, number: int) -> None:
        await self.command("queue_edit", id=self.pick_waiting(number), content=f"{self.tag}: changed")

    async def queue_remove(self, number: int) -> None:
        answer = await self.command("queue_remove", id=self.pick_waiting(number))
        if "code" not in answer:
            self.removed.add(answer["messageId"])

    async def queue_release(self, number: int) -> None:
        await self.command("queue_release")

    async def queue_clear(self, number: int) -> None:
        await self.command("queue_clear")
        self.cleared |= self.sent

    async def nonsense(self, number: int) -> None:
        answer = await self.command("resume", resume=[{"interruptId": "none", "status": "resolved", "payload": {}}])
        assert answer["code"] == "not_found"

    async def wait(self, number: int) -> None:
        """Until nothing runs; a provider that is silent would let us wait for ever, so not for long."""
        try:
            async with asyncio.timeout(0.1):
                await self.tab.until(lambda c: c.state["status"] in ("idle", "awaiting"))
        except TimeoutError:
            self.log.append("still running")

    async def pause(self, number: int) -> None:
        await asyncio.sleep(number * 0.001)

    async def reader_comes(self, number: int) -> None:
        """A new one, or one that was here before and goes on from its place."""
        gone = [reader for reader in self.readers if not reader.attached]
        if number % 2 and gone:
            return await gone[0].attach()
        self.readers.append(Reader(self.server.ws_url, self.tab.conversation_id))
        await self.readers[-1].attach()

    async def reader_goes(self, number: int) -> None:
        if present := [reader for reader in self.readers if reader.attached]:
            await present[number % len(present)].detach()

    def pick(self, number: int, fits: Callable[[dict[str, Any]], bool]) -> str:
        found = [message["id"] for message in self.tab.messages if fits(message)]
        return found[number % len(found)] if found else "none"

    def pick_waiting(self, number: int) -> str:
        queue = self.tab.state["queue"]
        return queue[number % len(queue)]["id"] if queue else f"m{number}"

    async def come_to_rest(self) -> None:
        await self.wait(0)
        if self.tab.state["status"] not in ("idle", "awaiting"):
            await self.command("stop")
        await self.tab.until(lambda c: c.state["status"] in ("idle", "awaiting"))

    async def still_answers(self) -> None:
        """Whatever was done, the next message is answered."""
        self.provider.turns[self.tag] = []
        await self.tab.command("queue_clear")
        answer = await self.tab.say(f"{self.tag}: finale", when="now")
        await self.tab.until(lambda c: c.ended(answer["runId"]))
        assert self.tab.find(type="RUN_FINISHED")[-1]["outcome"] == {"type": "success"}
        assert str(self.tab.messages[-1]["content"]).endswith("w3 ")

    async def check(self) -> None:
        tab, problems = self.tab, problems_in(self.tab.events)
        assert problems + tab.mirror.problems == []
        started = {m["id"] for event in tab.find(type="RUN_STARTED") for m in event["input"]["messages"]}
        waiting = {message["id"] for message in tab.state["queue"]}
        assert started | waiting | self.removed | self.cleared >= self.accepted
        assert not started & (waiting | self.removed)
        written = {Path(name).stem for name, _ in workspace.files(tab.conversation_id)}
        assert written <= self.may_be_written
        failed = {m["content"] for m in tab.messages if m.get("metadata", {}).get("status") == "failed"} - {""}
        assert not any(text in request for text in failed for request in self.provider.texts_sent[self.tag])
        for message in tab.messages:
            assert len({word.split("w")[0] for word in str(message["content"]).split() if "w" in word}) <= 1 or (
                message["role"] != "assistant"
            )
        await self.check_readers()

    async def check_readers(self) -> None:
        tab = self.tab
        conversation = await self.server.runner.get(tab.conversation_id)
        assert await conversation.store.load() == (tab.messages, tab.state)
        fresh = Reader(self.server.ws_url, tab.conversation_id)
        self.readers.append(fresh)
        for reader in self.readers:
            if not reader.attached:
                await reader.attach()
            await reader.until_place(tab.last_event_id)
            assert reader.problems + reader.mirror.problems == []
            assert (reader.mirror.messages, reader.mirror.state) == (tab.messages, tab.state)


def decision(number: int, interrupt_id: str) -> dict[str, Any]:
    payloads: list[dict[str, Any] | None] = [
        {"approved": True},
        {"approved": True, "editedArgs": {"name": interrupt_id.removeprefix("call_"), "text": "edited"}},
        {"approved": False, "reason": "I would rather not"},
        None,
    ]
    payload = payloads[number % len(payloads)]
    entry = {"interruptId": interrupt_id, "status": "resolved" if payload else "cancelled"}
    return entry | ({"payload": payload} if payload else {})
