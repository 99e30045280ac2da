"""Private folders that lie inside of shown ones, as in an image that keeps the project in /usr/src/app."""

from pathlib import Path

import pytest
from sandbox_chat import sandbox

from utils.sandbox import isolation

READ = "try: print(open({path!r}).read())\nexcept OSError as error: print('refused', error)"


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the system, as code sees it, with the server's data in it."""
    monkeypatch.setattr(isolation, "_SYSTEM", (*isolation._SYSTEM, str(tmp_path)))
    tmp_path.chmod(0o755)
    (tmp_path / "data").mkdir()
    (tmp_path / "public.txt").write_text("for all")
    (tmp_path / "data" / ".env").write_text("private")
    return tmp_path


async def test_a_secret_beneath_a_shown_folder_is_masked(shown: Path) -> None:
    async with sandbox(shown / "data") as chat:
        assert "for all" in await chat.python(READ.format(path=str(shown / "public.txt")))
        assert (await chat.python(READ.format(path=str(shown / "data" / ".env")))).startswith("refused")
