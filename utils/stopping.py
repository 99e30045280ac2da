"""Racing work against Stop: the work is cancelled and has ended when this returns; the caller itself never is."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")


class Stopped:
    """What until_stopped returns when Stop came first."""


STOPPED: Final = Stopped()


async def until_stopped(work: Coroutine[Any, Any, T], stop: asyncio.Event) -> T | Stopped:
    """The result of `work`, or STOPPED if `stop` is set first. Raises what `work` raises."""
    task = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else STOPPED
    finally:
        stopping.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


if __name__ == "__main__":

    async def trial() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.1, stop.set)
        print(
            await until_stopped(asyncio.sleep(10), stop), await until_stopped(asyncio.sleep(0, "done"), asyncio.Event())
        )

    asyncio.run(trial())
