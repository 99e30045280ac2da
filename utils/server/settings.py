"""Every setting, read once from the environment and `.env`. A wrong value stops the start with a sentence."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

from dotenv import dotenv_values

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class BadSetting(ValueError):
    """A setting that cannot be used. The message names the variable, its value and what would be right."""


@dataclass(frozen=True)
class Settings:
    """Field names are the variables' names in lower case; see .env.example for what each does."""

    openai_api_key: str = ""
    openai_base_url: str = ""
    openai_model: str = "gpt-5-mini"
    host: str = "127.0.0.1"
    port: int = 8000
    auth: str = "none"
    data_dir: Path = Path("data")
    sandbox: str = "auto"
    allowed_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    idle_minutes: float = 30.0
    retention_days: float = 0.0
    history_chars: int = 400_000
    log_level: str = "info"
    # Limits: bytes, counts and seconds as PROTOCOL.md lists them.
    max_frame_bytes: int = 256 * 1024
    max_message_bytes: int = 64 * 1024
    max_queue: int = 20
    max_tool_rounds: int = 8
    max_upload_bytes: int = 20 * 1024 * 1024
    commands_per_minute: int = 60
    tool_seconds: float = 120.0
    first_token_seconds: float = 60.0
    stall_seconds: float = 60.0
    send_seconds: float = 30.0
    database_url: str = ""
    redis_url: str = ""

    @property
    def demo(self) -> bool:
        """Without a key and without a base URL the built-in demo model answers."""
        return not self.openai_api_key and not self.openai_base_url


CHOICES = {
    "auth": ("none",),
    "sandbox": ("auto", "bubblewrap", "none", "off"),
    "log_level": ("debug", "info", "warning", "error"),
}


def read_settings(environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Settings from `environment` (default: `.env`, then the process's own); `overrides` win. Raises BadSetting."""
    if environment is None:
        environment = {k: v for k, v in dotenv_values(".env").items() if v is not None} | dict(os.environ)
    values: dict[str, Any] = {}
    for field in fields(Settings):
        variable = field.name.upper()
        if text := environment.get(variable, "").strip():
            values[field.name] = _parse(variable, text, field.default.__class__)
    settings = Settings(**values | {name: value for name, value in overrides.items() if value is not None})
    _check(settings)
    return settings


def _parse(variable: str, text: str, kind: type) -> Any:
    if kind is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    readers: dict[type, tuple[Callable[[str], Any], str]] = {
        int: (int, "a whole number"),
        float: (float, "a number"),
        type(Path()): (Path, "a folder"),
        str: (str, "text"),
    }
    read, wanted = readers[kind]
    try:
        value = read(text)
    except ValueError:
        _refuse(variable, text, wanted)
    if isinstance(value, int | float) and not 0 <= value < float("inf"):
        _refuse(variable, text, "zero or more")
    return value


def _check(settings: Settings) -> None:
    for name, allowed in CHOICES.items():
        if (value := getattr(settings, name)) not in allowed:
            _refuse(name.upper(), value, "one of " + ", ".join(allowed))
    if not 0 <= settings.port <= 65535:
        _refuse("PORT", settings.port, "a port from 0 to 65535")
    if settings.openai_base_url and not settings.openai_base_url.startswith(("http://", "https://")):
        _refuse("OPENAI_BASE_URL", settings.openai_base_url, "an address that starts with http:// or https://")
    for name in ("database_url", "redis_url"):
        if value := getattr(settings, name):
            _refuse(name.upper(), value.split("://")[0] + "://…", "left empty: this version keeps SQLite and memory")
    if settings.host not in LOOPBACK and settings.auth == "none":
        _refuse("HOST", settings.host, "127.0.0.1 while AUTH=none: anyone who reaches the port could use it")


def _refuse(variable: str, value: object, wanted: str) -> NoReturn:
    raise BadSetting(f"{variable}={value} cannot be used: it must be {wanted}.")


if __name__ == "__main__":
    print(read_settings())
