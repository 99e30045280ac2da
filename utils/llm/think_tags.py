"""Reasoning that a server leaves in the content: <think>…</think> at its very start, in pieces of any size."""

from collections.abc import Callable, Iterator

from utils.llm.deltas import Delta, ReasoningDelta, TextDelta

OPEN, CLOSE = "<think>", "</think>"


class ThinkTags:
    """`take` the content piece by piece; what could still be half a tag is held back, no longer than that."""

    def __init__(self) -> None:
        self.over = False
        """Whatever follows is plain text."""
        self._held = ""
        self._read: Callable[[], Iterator[Delta]] = self._before

    def take(self, text: str) -> Iterator[Delta]:
        self._held += text
        yield from self._read()

    def rest(self) -> Iterator[Delta]:
        """What is held back, as no more content comes before something else, or at all."""
        held, self._held = self._held, ""
        thinking = self._read == self._inside
        self.over = not thinking
        if held.strip():
            yield ReasoningDelta(held) if thinking else TextDelta(held)

    def _before(self) -> Iterator[Delta]:
        start = self._held.lstrip()
        if start.startswith(OPEN):
            self._held, self._read = start[len(OPEN) :], self._inside
            yield from self._inside()
        elif not OPEN.startswith(start):
            yield from self.rest()

    def _inside(self) -> Iterator[Delta]:
        thought, tag, answer = self._held.partition(CLOSE)
        if tag:
            self._held, self._read = answer, self._after
        else:
            half = next((size for size in range(len(CLOSE) - 1, 0, -1) if thought.endswith(CLOSE[:size])), 0)
            thought, self._held = thought[: len(thought) - half], thought[len(thought) - half :]
        if thought:
            yield ReasoningDelta(thought)
        if tag:
            yield from self._after()

    def _after(self) -> Iterator[Delta]:
        self._held = self._held.lstrip()
        if self._held:
            yield from self.rest()


if __name__ == "__main__":
    tags = ThinkTags()
    for piece in ("\n<thi", "nk>Let me see.</", "think>\n\nYes", ", <think> is a tag."):
        print(list(tags.take(piece)) if not tags.over else piece)
