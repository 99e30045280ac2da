"""REST as any HTTP client sees it: the same conversations, commands and files, and errors that say what is wrong."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2 as httpx
import pytest
from chat_server import ChatServer, running_server
from mock_provider import MockProvider, Reply

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


@pytest.fixture
async def http(server: ChatServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        yield client


async def ask(server: ChatServer, conversation_id: str, content: str) -> None:
    async with server.client(conversation_id) as tab:
        await tab.ask(content)


def says(response: httpx.Response, status: int, code: str) -> bool:
    problem = response.json()
    return (response.status_code, problem["code"]) == (status, code) and bool(problem["message"])


async def test_create_read_rename_and_delete(http: httpx.AsyncClient) -> None:
    made = await http.post("/api/conversations", json={"id": "one", "title": "First", "agent": "writer"})
    assert made.status_code == 201
    assert (made.json()["title"], made.json()["agent"], made.json()["messages"]) == ("First", "writer", [])
    renamed = await http.patch("/api/conversations/one", json={"title": "Renamed"})
    assert renamed.json()["state"]["conversation"] == {"id": "one", "title": "Renamed", "agent": "writer"}
    assert (await http.get("/api/conversations/one")).json() == renamed.json()
    assert (await http.delete("/api/conversations/one")).status_code == 204
    assert says(await http.get("/api/conversations/one"), 404, "not_found")


async def test_a_taken_id_is_a_conflict(http: httpx.AsyncClient) -> None:
    await http.post("/api/conversations", json={"id": "one"})
    assert says(await http.post("/api/conversations", json={"id": "one"}), 409, "conflict")


@pytest.mark.parametrize("body", [{"id": "../x"}, {"agent": "nobody"}, {"title": 5}, {"colour": "red"}])
async def test_a_wrong_field_is_named(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    answer = await http.post("/api/conversations", json=body)
    assert says(answer, 422, "bad_command")
    assert next(iter(body)) in answer.json()["message"]


async def test_what_is_not_json_is_said_so(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/conversations", content="{", headers={"Content-Type": "application/json"})
    assert says(answer, 400, "bad_json")


async def test_a_rename_reaches_open_pages_and_keeps_the_place_in_the_list(
    server: ChatServer, http: httpx.AsyncClient
) -> None:
    for name in ("old", "new"):
        await http.post("/api/conversations", json={"id": name})
    async with server.client("old") as page:
        await http.patch("/api/conversations/old", json={"title": "Renamed"})
        await page.until(lambda c: c.state["conversation"]["title"] == "Renamed")
    listed = (await http.get("/api/conversations")).json()["conversations"]
    assert [entry["id"] for entry in listed] == ["new", "old"]


async def test_the_list_is_paged_newest_first(http: httpx.AsyncClient) -> None:
    for number in range(5):
        await http.post("/api/conversations", json={"id": f"c{number}"})
    seen, before = [], ""
    while True:
        page = (await http.get("/api/conversations", params={"limit": 2, "before": before})).json()
        seen += [entry["id"] for entry in page["conversations"]]
        if not (before := page.get("next", "")):
            break
    assert sorted(seen) == ["c0", "c1", "c2", "c3", "c4"]


async def test_search_finds_titles_and_texts_literally(server: ChatServer, http: httpx.AsyncClient) -> None:
    for name, text in (("a", "About 100% wool"), ("b", "About 1000 sheep")):
        await http.post("/api/conversations", json={"id": name, "title": name})
        await ask(server, name, text)
    found = (await http.get("/api/conversations", params={"query": "100%"})).json()["conversations"]
    assert [entry["id"] for entry in found] == ["a"]


async def test_a_command_is_accepted_and_the_page_sees_it(server: ChatServer, http: httpx.AsyncClient) -> None:
    await http.post("/api/conversations", json={"id": "one"})
    async with server.client("one") as page:
        answer = await http.post(
            "/api/conversations/one/commands", json={"type": "user_message", "content": "Hello", "id": "m1"}
        )
        assert answer.status_code == 202
        assert answer.json()["messageId"] == "m1"
        await page.until(lambda c: c.ended(answer.json()["runId"]))
    read = (await http.get("/api/conversations/one")).json()
    assert [message["role"] for message in read["messages"]] == ["user", "assistant"]


@pytest.mark.parametrize(
    ("command", "status", "code"),
    [
        ({"type": "nonsense"}, 422, "bad_command"),
        ({"type": "user_message", "content": " "}, 422, "bad_command"),
        ({"type": "user_message", "content": "x" * 70_000}, 413, "too_large"),
        ({"type": "queue_remove", "id": "nothing"}, 404, "not_found"),
        ({"type": "regenerate"}, 404, "not_found"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_refused_command(http: httpx.AsyncClient, command: dict[str, Any], status: int, code: str) -> None:
    await http.post("/api/conversations", json={"id": "one"})
    assert says(await http.post("/api/conversations/one/commands", json=command), status, code)


async def test_the_rate_limit_never_stops_a_stop(tmp_path: Any, provider: MockProvider) -> None:
    async with (
        running_server(tmp_path, openai_base_url=provider.url, commands_per_minute=1) as server,
        httpx.AsyncClient(base_url=server.url, timeout=30) as http,
    ):
        await http.post("/api/conversations", json={"id": "one"})
        send = "/api/conversations/one/commands"
        assert (await http.post(send, json={"type": "queue_clear"})).status_code == 202
        assert says(await http.post(send, json={"type": "queue_clear"}), 429, "rate_limited")
        assert (await http.post(send, json={"type": "stop"})).status_code == 202


async def test_a_command_after_a_deletion_brings_nothing_back(
    server: ChatServer, http: httpx.AsyncClient, provider: MockProvider
) -> None:
    begun = asyncio.Event()

    async def slow(request: dict[str, Any], reply: Reply) -> None:
        await reply.text("Once ")
        begun.set()
        await reply.closed.wait()

    provider.script = slow
    await http.post("/api/conversations", json={"id": "one"})
    send = "/api/conversations/one/commands"
    await http.post(send, json={"type": "user_message", "content": "Hello"})
    await begun.wait()
    deleting = asyncio.create_task(http.delete("/api/conversations/one"))
    late = await asyncio.gather(
        *(http.post(send, json={"type": "user_message", "content": "Again"}) for _ in range(5)),
        http.patch("/api/conversations/one", json={"title": "New"}),
    )
    assert (await deleting).status_code == 204
    assert {answer.status_code for answer in late} <= {200, 202, 404}
    assert (await http.get("/api/conversations")).json() == {"conversations": []}


async def test_the_trace_names_every_step(server: ChatServer, http: httpx.AsyncClient) -> None:
    await http.post("/api/conversations", json={"id": "one"})
    await ask(server, "one", "Hello")
    (run,) = (await http.get("/api/conversations/one/runs")).json()
    assert run["status"] == "success"
    assert [step["node"] for step in run["steps"]] == ["CheckSafety", "ChooseAgent", "StreamChat"]
    assert run["usage"] == {"inputTokens": 12, "outputTokens": 34}


async def test_a_file_comes_back_as_it_went(http: httpx.AsyncClient) -> None:
    await http.post("/api/conversations", json={"id": "one"})
    made = await http.post("/api/conversations/one/files", files={"file": ("Ä ?.csv", b"a,b\n1,2\n")})
    assert made.status_code == 201
    got = await http.get(made.json()["url"])
    assert got.content == b"a,b\n1,2\n"
    assert got.headers["content-disposition"].startswith("attachment;")
    assert got.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert (await http.get("/api/conversations/one")).json()["files"] == [made.json()]


@pytest.mark.parametrize(
    ("content", "shown"), [(PNG, "inline"), (b"<svg onload=alert(1)>", "attachment"), (b"", "attachment")]
)
async def test_only_what_is_an_image_shows_inline(http: httpx.AsyncClient, content: bytes, shown: str) -> None:
    await http.post("/api/conversations", json={"id": "one"})
    made = await http.post("/api/conversations/one/files", files={"file": ("x.png", content, "image/png")})
    assert (await http.get(made.json()["url"])).headers["content-disposition"].startswith(shown)


@pytest.mark.parametrize("path", ["..%2f..%2fchat.sqlite3", "%2e%2e/chat.sqlite3", "%00", "nothing.txt", "a%5cb"])
async def test_no_path_leads_out_of_the_workspace(http: httpx.AsyncClient, path: str) -> None:
    await http.post("/api/conversations", json={"id": "one"})
    assert (await http.get(f"/api/conversations/one/files/{path}")).status_code in (404, 422)


@pytest.mark.parametrize("size", [1500, 100_000, 300_000])
async def test_an_upload_over_the_limit_is_refused_and_leaves_nothing(
    tmp_path: Any, provider: MockProvider, size: int
) -> None:
    async with (
        running_server(tmp_path, openai_base_url=provider.url, max_upload_bytes=1000) as server,
        httpx.AsyncClient(base_url=server.url, timeout=30) as http,
    ):
        await http.post("/api/conversations", json={"id": "one"})
        answer = await http.post("/api/conversations/one/files", files={"file": ("x", b"x" * size)})
        assert says(answer, 413, "too_large")
        assert (await http.get("/api/conversations/one")).json()["files"] == []


async def test_who_can_answer_and_the_flow(http: httpx.AsyncClient) -> None:
    agents = {agent["name"]: agent for agent in (await http.get("/api/agents")).json()}
    assert agents["assistant"]["model"] == "mock"
    flow = (await http.get("/api/flow")).json()
    assert {"from": "StreamChat", "to": "FinishTurn", "action": "answered"} in flow["edges"]


async def test_metrics_count_what_happened(server: ChatServer, http: httpx.AsyncClient) -> None:
    async with server.client() as page:
        await page.ask("Hello")
        text = (await http.get("/metrics")).text
    for line in (
        'chat_runs_total{outcome="success"} 1.0',
        'chat_tokens_total{kind="output",model="mock"} 34.0',
        "chat_first_token_seconds_count 1.0",
        'chat_readers{door="websocket"} 1.0',
        "chat_live_conversations 1.0",
        "chat_waiting_messages 0.0",
    ):
        assert line in text


async def test_an_unknown_path_and_a_wrong_method_are_problems_too(http: httpx.AsyncClient) -> None:
    assert says(await http.get("/api/nothing"), 404, "not_found")
    wrong = await http.put("/api/agents")
    assert says(wrong, 405, "bad_method")
    assert wrong.headers["allow"] == "GET"
