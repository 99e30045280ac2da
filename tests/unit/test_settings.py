"""A wrong setting stops the start with a sentence: the variable, its value, what would be right."""

from pathlib import Path

import pytest

from utils.server.settings import BadSetting, Settings, read_settings


def test_without_any_setting_the_demo_answers_on_this_machine_only() -> None:
    settings = read_settings({})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.demo) == ("127.0.0.1", 8000, True)


def test_settings_are_read_from_the_environment() -> None:
    environment = {"PORT": "9000", "DATA_DIR": "/var/chat", "IDLE_MINUTES": "0.5"}
    settings = read_settings(environment | {"ALLOWED_HOSTS": "a.example, b.example"})
    assert (settings.port, settings.data_dir, settings.idle_minutes) == (9000, Path("/var/chat"), 0.5)
    assert settings.allowed_hosts == ("a.example", "b.example")


@pytest.mark.parametrize("variable", ["OPENAI_API_KEY", "OPENAI_BASE_URL"])
def test_a_key_or_an_address_ends_the_demo(variable: str) -> None:
    assert not read_settings({variable: "http://localhost:11434/v1"}).demo


def test_an_empty_value_is_none() -> None:
    assert read_settings({"PORT": "", "OPENAI_API_KEY": "  "}) == Settings()


def test_the_command_line_wins_over_the_environment() -> None:
    assert read_settings({"PORT": "9000"}, port=9001, host=None).port == 9001


def test_dotenv_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("PORT=9000\nOPENAI_MODEL=from-file\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORT", "9001")
    monkeypatch.delenv("OPENAI_MODEL", raising=False)
    settings = read_settings()
    assert (settings.port, settings.openai_model) == (9001, "from-file")


@pytest.mark.parametrize(
    ("variable", "value", "right"),
    [
        ("PORT", "http", "a whole number"),
        ("PORT", "80.5", "a whole number"),
        ("PORT", "-1", "zero or more"),
        ("PORT", "65536", "a port from 0 to 65535"),
        ("AUTH", "password", "one of none"),
        ("SANDBOX", "docker", "one of auto, bubblewrap, none, off"),
        ("LOG_LEVEL", "loud", "one of debug, info, warning, error"),
        ("OPENAI_BASE_URL", "localhost:11434", "http:// or https://"),
        ("IDLE_MINUTES", "soon", "a number"),
        ("IDLE_MINUTES", "nan", "zero or more"),
        ("IDLE_MINUTES", "inf", "zero or more"),
        ("RETENTION_DAYS", "-3", "zero or more"),
        ("TOOL_SECONDS", "2 min", "a number"),
        ("MAX_QUEUE", "twenty", "a whole number"),
        ("HOST", "0.0.0.0", "127.0.0.1 while AUTH=none"),
        ("HOST", "::", "127.0.0.1 while AUTH=none"),
        ("REDIS_URL", "redis://…", "left empty"),
        ("DATABASE_URL", "postgresql://…", "left empty"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(variable: str, value: str, right: str) -> None:
    with pytest.raises(BadSetting) as refused:
        read_settings({variable: value})
    sentence = str(refused.value)
    assert sentence.startswith(f"{variable}={value} cannot be used")
    assert right in sentence


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(BadSetting) as refused:
        read_settings({"DATABASE_URL": "postgresql://me:hunter2@db/chat"})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_no_sign_in(host: str) -> None:
    assert read_settings({"HOST": host}).host == host
