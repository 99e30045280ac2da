"""A thousand conversations of random commands, with a provider that misbehaves at random.

RANDOM_COMMANDS_SEED=n explores others than the thousand that always run; RANDOM_COMMANDS_EXAMPLES=n, more of them.
"""

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import hypothesis
from chat_server import running_server
from hypothesis import strategies as st
from mock_provider import MockProvider
from random_provider import TURNS, RandomProvider
from random_story import ACTIONS, Story

from utils.server import bus

SEED = os.environ.get("RANDOM_COMMANDS_SEED")
EXAMPLES = int(os.environ.get("RANDOM_COMMANDS_EXAMPLES", "40"))
TOGETHER = 25
"""Conversations at the same time in one server."""

steps = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 15)), min_size=3, max_size=9)
plans = st.tuples(steps, st.lists(st.sampled_from(TURNS), max_size=5))
exploring = hypothesis.seed(int(SEED)) if SEED else lambda test: test


@exploring
@hypothesis.settings(
    max_examples=EXAMPLES,
    derandomize=SEED is None,
    deadline=None,
    database=None,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(st.lists(plans, min_size=TOGETHER, max_size=TOGETHER), st.sampled_from([10, 1000]))
def test_whatever_is_said_nothing_is_lost_and_everyone_agrees(plans: list[Any], window: int) -> None:
    asyncio.run(play(plans, window))


async def play(plans: list[Any], window: int) -> None:
    bus.WINDOW, usual_window = window, bus.WINDOW
    try:
        with tempfile.TemporaryDirectory() as folder:
            async with MockProvider() as provider:
                provider.script = random_provider = RandomProvider()
                options: dict[str, Any] = {"openai_base_url": provider.url, "max_queue": 4}
                async with running_server(Path(folder), **options) as server, asyncio.TaskGroup() as group:
                    for number, (steps, turns) in enumerate(plans):
                        random_provider.turns[f"c{number}"] = turns
                        group.create_task(Story(server, f"c{number}", random_provider).play(steps))
            assert random_provider.problems == []
    finally:
        bus.WINDOW = usual_window
