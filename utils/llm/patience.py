"""How long to wait for the next piece."""

import asyncio
from types import TracebackType


class Patience:
    """`with patience:` round an await raises TimeoutError once the allowed time is over.

    One timer an answer, which looks at a timestamp: asyncio.timeout would set a timer a read, and, open across a yield,
    could cancel whoever reads the answer. `allow` starts the time anew; what does not call it (pings) does not count.
    """

    __slots__ = ("_cancelling", "_deadline", "_loop", "_over", "_timer", "_waiting")

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._over = False
        self._deadline = self._loop.time() + seconds
        self._timer = self._loop.call_at(self._deadline, self._look)

    def allow(self, seconds: float) -> None:
        self._deadline = self._loop.time() + seconds
        if self._deadline < self._timer.when():
            self._set_timer(self._deadline)

    def close(self) -> None:
        self._timer.cancel()

    def _set_timer(self, when: float) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_at(when, self._look)

    def _look(self) -> None:
        if self._loop.time() < self._deadline:
            self._set_timer(self._deadline)
        elif self._waiting is None:  # the reader is busy with what came; look again when it may have come back
            self._set_timer(self._loop.time() + 1)
        else:
            self._over = True
            self._waiting.cancel()

    def __enter__(self) -> None:
        self._waiting = task = asyncio.current_task()
        self._cancelling = task.cancelling() if task else 0

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        task, self._waiting = self._waiting, None
        over, self._over = self._over, False
        if over and task and task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error


async def _trial() -> None:
    patience = Patience(0.2)
    try:
        with patience:
            await asyncio.sleep(1)
    except TimeoutError:
        print("enough")


if __name__ == "__main__":
    asyncio.run(_trial())
