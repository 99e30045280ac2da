"""Who can answer: agents as plain values. Add one to AGENTS and it can be picked in the page.

An agent without a `model` uses the server's own (OPENAI_MODEL and its provider). With `base_url` it talks to another
provider; `key_variable` names the environment variable that holds that provider's key.
"""

import os
from dataclasses import dataclass
from typing import Any, Literal

from utils.llm.connection import Model
from utils.server.rows import DEFAULT_AGENT


@dataclass(frozen=True)
class Agent:
    name: str
    description: str
    instructions: str
    tools: tuple[str, ...] = ()
    model: str = ""
    base_url: str = ""
    key_variable: str = ""
    safety_policy: str = ""
    tool_calls: Literal["native", "text"] = "native"


BASICS = "Answer in the person's language, in Markdown, briefly unless asked for more."

AGENTS = {
    agent.name: agent
    for agent in (
        Agent(
            "assistant",
            "General help, with tools for the time, notes and Python code.",
            f"You are a helpful assistant. {BASICS} Use a tool when it gives a better answer than memory. "
            "Code and notes run only after the person approved them; if a call was refused, accept that.",
            tools=("current_time", "save_note", "execute_python", "run_command"),
        ),
        Agent(
            "writer", "Stories, letters, essays, poems and editing.", f"You are a careful writer and editor. {BASICS}"
        ),
        Agent(
            "coder",
            "Programming questions, reviews and debugging.",
            f"You are an experienced programmer. {BASICS} Prefer short, complete code; say what you did not check.",
            tools=("execute_python", "run_command"),
        ),
        Agent(
            "analyst",
            "Data analysis: uploaded files, statistics, tables and charts.",
            f"You are a data analyst. {BASICS} Look at the uploaded files with Python (pandas, matplotlib) before you "
            "answer, show a chart where one helps, and name the limits of the data.",
            tools=("execute_python", "run_command", "current_time"),
        ),
        Agent(
            "auto",
            "Picks whoever fits each question best.",
            "",
            safety_policy="Refuse requests for help with violence, weapons, intrusion into systems without permission, "
            "or the sexual abuse of children. Everything else, also uncomfortable subjects, is fine.",
        ),
    )
}
FALLBACK = DEFAULT_AGENT

_default = Model("demo", demo=True)


def configure(default: Model) -> None:
    """The model of every agent that names none; called once at start."""
    global _default
    _default = default


def agent_named(name: str) -> Agent:
    """The agent, or the assistant if it is no longer there."""
    return AGENTS.get(name, AGENTS[FALLBACK])


def model_for(name: str) -> Model:
    """The model that the named agent answers with."""
    agent = agent_named(name)
    if not agent.model and not agent.base_url:
        return _default
    key = os.environ.get(agent.key_variable) if agent.key_variable else _default.api_key
    return Model(agent.model or _default.name, agent.base_url or _default.base_url, key)


def listing() -> list[dict[str, Any]]:
    """`{name, description, tools, model}` of every agent, as the doors tell it."""
    return [
        {"name": a.name, "description": a.description, "tools": list(a.tools), "model": model_for(a.name).name}
        for a in AGENTS.values()
    ]


def candidates() -> list[Agent]:
    """Whom `auto` may choose from."""
    return [agent for agent in AGENTS.values() if agent.name != "auto"]


if __name__ == "__main__":
    for listed in AGENTS.values():
        print(f"{listed.name}: {listed.description}")
