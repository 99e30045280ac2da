"""What execute_python and run_command do for a person and for the model."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from PIL import Image
from sandbox_chat import Chat, images_of, sandbox, text_of

from utils.python_sandbox import execute_python, run_command

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["bubblewrap", "none"])
async def chat(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> AsyncIterator[Chat]:
    async with sandbox(tmp_path_factory.mktemp("data"), request.param, output_bytes=5_000, images=2) as chat:
        yield chat


async def test_printed_text_value_and_state_between_calls(chat: Chat) -> None:
    assert await chat.python("x = 20\nprint('hello')\nx + 1") == "hello\n21"
    assert await chat.python("x * 2") == "40"
    assert await chat.python("y = 1") == "(no output)"


async def test_code_imports_what_it_wrote_and_nothing_of_ours(chat: Chat) -> None:
    await chat.python("open('helper.py', 'w').write('answer = 42'); open('random.py', 'w').write('1 / 0')")
    assert await chat.python("import helper, random\nhelper.answer, random.choice([1])") == "(42, 1)"
    assert "No module named 'sandbox_call'" in await chat.python(
        "import sys\ndel sys.modules['sandbox_call']\nimport sandbox_call"
    )
    (chat.workspace / "random.py").unlink()


async def test_output_is_shown_while_the_code_runs(chat: Chat) -> None:
    running = await chat.begin("import time\nprint('first', flush=True)\nwhile True: time.sleep(0.01)")
    assert "first" in "".join(chat.shown)
    running.cancel()
    await asyncio.wait({running})


async def test_a_chart_is_a_png_in_the_workspace_and_in_the_result(chat: Chat) -> None:
    result = await execute_python("import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()", chat.context)
    (url,) = images_of(result)
    name = url.rpartition("/")[2]
    assert url == chat.context.file_url(name)
    with Image.open(chat.workspace / name) as image:
        assert image.format == "PNG"
        assert image.width > 100


async def test_a_figure_that_was_only_saved_is_shown_too(chat: Chat) -> None:
    result = await execute_python("fig = plt.figure()\nfig.savefig('saved.png')\nplt.close('all')", chat.context)
    assert images_of(result) == [chat.context.file_url("saved.png")]


async def test_no_more_pictures_than_allowed(chat: Chat) -> None:
    result = await execute_python("for _ in range(4): plt.figure(); plt.plot([1, 2])", chat.context)
    assert len(images_of(result)) == 2


async def test_what_is_no_png_is_never_shown_as_one(chat: Chat) -> None:
    result = await execute_python("open('page.png', 'w').write('<script>alert(1)</script>')", chat.context)
    assert images_of(result) == []
    assert "page.png" in text_of(result)


async def test_a_link_named_png_is_not_followed(chat: Chat) -> None:
    (chat.workspace.parent / "secret.png").write_bytes((chat.workspace / "saved.png").read_bytes())
    code = f"import os; os.symlink({str(chat.workspace.parent / 'secret.png')!r}, 'link.png')"
    assert images_of(await execute_python(code, chat.context)) == []


async def test_files_that_the_code_wrote_are_named(chat: Chat) -> None:
    said = await chat.python("import pandas as pd\npd.DataFrame({'a': [1, 2]}).to_csv('table.csv', index=False)")
    assert said == "Files written: table.csv (6 bytes)"
    assert (chat.workspace / "table.csv").read_text() == "a\n1\n2\n"


async def test_an_uploaded_file_can_be_read_and_changed(chat: Chat) -> None:
    (chat.workspace / "uploaded.csv").write_text("n\n1\n")
    assert "2" in await chat.python("open('uploaded.csv', 'a').write('2\\n')\nprint(open('uploaded.csv').read())")


async def test_a_traceback_shows_only_the_persons_own_code(chat: Chat) -> None:
    said = await chat.python(
        "import pandas as pd\ndef look(frame):\n    return frame['b']\nlook(pd.DataFrame({'a': []}))"
    )
    assert "your code\", line 3, in look\n    return frame['b']" in said
    assert said.endswith("KeyError: 'b'")
    assert "site-packages" not in said


async def test_a_syntax_error_points_at_its_line(chat: Chat) -> None:
    said = await chat.python("x = 1\ny = = 2")
    assert "line 2" in said
    assert "SyntaxError: invalid syntax" in said


async def test_more_output_than_allowed_is_cut_and_said_so(chat: Chat) -> None:
    chat.shown.clear()
    said = await chat.python("for i in range(100_000): print(i)\nraise ValueError('and the error is still told')")
    assert len("".join(chat.shown)) <= 5_000
    assert "[The output was cut after 5 kB.]" in said
    assert "ValueError: and the error is still told" in said


async def test_a_huge_value_and_a_huge_error_are_shortened(chat: Chat) -> None:
    assert len(await chat.python("'x' * 10_000_000")) < 25_000
    assert len(await chat.python("raise ValueError('x' * 10_000_000)")) < 25_000


async def test_a_command_prints_and_tells_its_exit_status(chat: Chat) -> None:
    said = text_of(await run_command("echo to-out; echo to-err >&2; exit 3", chat.context))
    assert "to-out" in said
    assert "to-err" in said
    assert said.endswith("Exit status 3.")


async def test_what_child_processes_print_is_part_of_the_output(chat: Chat) -> None:
    assert "from a child" in await chat.python("import os; os.system('echo from a child')")


async def test_asking_for_input_is_an_error_not_a_wait(chat: Chat) -> None:
    assert "input" in await chat.python("input('name? ')")


async def test_the_environment_of_the_server_is_not_passed_on(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    another = Chat(chat.workspace.parents[1], "another")
    assert "sk-secret" not in await another.python("import os; print(dict(os.environ))")
