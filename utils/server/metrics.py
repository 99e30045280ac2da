"""What the server did and does, as Prometheus text. It only listens: taking it away changes nothing else."""

from collections.abc import Callable

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0

from utils.server.events import Event
from utils.server.runner import Runner

FIRST_TOKEN_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
RUN_SECONDS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """Counts from the events of every conversation; what is true now is read from `runner` when it is asked for."""

    def __init__(self, runner: Runner) -> None:
        self.registry = registry = CollectorRegistry()
        self._runs = Counter("chat_runs", "Runs that ended", ["outcome"], registry=registry)
        self._tokens = Counter("chat_tokens", "Tokens as the providers count", ["model", "kind"], registry=registry)
        self._tools = Counter("chat_tool_results", "Tool calls that have a result", registry=registry)
        self._retries = Counter("chat_retries", "Requests sent to a provider again", registry=registry)
        self._first = Histogram(
            "chat_first_token_seconds", "From a run's start", buckets=FIRST_TOKEN_SECONDS, registry=registry
        )
        self._lasted = Histogram("chat_run_seconds", "How long runs took", buckets=RUN_SECONDS, registry=registry)
        self.readers = Gauge("chat_readers", "Open streams", ["door"], registry=registry)
        self._now("chat_live_conversations", "Conversations in memory", lambda: len(runner.live))
        self._now("chat_running", "Conversations at work", lambda: sum(c.busy for c in runner.live))
        self._now("chat_waiting_messages", "Messages queued", lambda: sum(len(c.state["queue"]) for c in runner.live))
        runner.watch = self._count

    def _now(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        Gauge(name, meaning, registry=self.registry).set_function(read)

    def _count(self, event: Event) -> None:
        if event["type"] == "RUN_FINISHED":
            self._count_run(event)
        elif event["type"] == "RUN_ERROR":
            self._runs.labels("error").inc()
        elif event["type"] == "TOOL_CALL_RESULT":
            self._tools.inc()
        elif event["type"] == "CUSTOM" and event["name"] == "retry":
            self._retries.inc()

    def _count_run(self, event: Event) -> None:
        self._runs.labels(event["outcome"]["type"]).inc()
        self._lasted.observe(event["result"]["durationMs"] / 1000)
        if "firstTokenMs" in event["result"]:
            self._first.observe(event["result"]["firstTokenMs"] / 1000)
        for usage in event.get("usage", ()):
            self._tokens.labels(usage["model"], "input").inc(usage["inputTokens"])
            self._tokens.labels(usage["model"], "output").inc(usage["outputTokens"])


def create_router(metrics: Metrics) -> APIRouter:
    """GET /metrics."""
    router = APIRouter()

    @router.get("/metrics", response_class=PlainTextResponse)
    async def read_metrics() -> PlainTextResponse:
        return PlainTextResponse(generate_latest(metrics.registry), media_type=CONTENT_TYPE_PLAIN_1_0_0)

    return router
