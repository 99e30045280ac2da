"""The limits that a person may set, for the utils and nodes that keep them; main hands them over once at start."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What each is for says .env.example; the names are its variables' in lower case."""

    history_chars: int = 400_000
    """Characters of history that a model is sent; older whole turns are left out."""
    max_tool_rounds: int = 8
    """After this many rounds of tool calls in a run the model is asked without tools."""
    tool_seconds: float = 120.0
    first_token_seconds: float = 60.0
    stall_seconds: float = 60.0


_limits = Limits()


def configure(limits: Limits) -> None:
    global _limits
    _limits = limits


def limits() -> Limits:
    """The limits in force."""
    return _limits


if __name__ == "__main__":
    print(limits())
