"""Every door checks whose name was asked for and whose page is asking."""

import http.client
from urllib.parse import urlsplit

import pytest
from server_process import ServerProcess

DOORS = [("GET", "/"), ("GET", "/static/app.js"), ("GET", "/api/conversations"), ("GET", "/healthz"), ("POST", "/agui")]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory):
    process = ServerProcess(tmp_path_factory.mktemp("data"), ALLOWED_ORIGINS="https://friend.example").start()
    yield urlsplit(process.url).netloc
    process.end()


def status(address: str, method: str, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection(address, timeout=20)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


@pytest.mark.parametrize(("method", "path"), DOORS)
def test_a_name_that_merely_resolves_here_is_refused(address: str, method: str, path: str) -> None:
    assert status(address, method, path, Host="evil.example") == 403
    assert status(address, method, path, Host="127.0.0.1.evil.example") == 403


@pytest.mark.parametrize(("method", "path"), DOORS)
def test_a_page_from_elsewhere_is_refused(address: str, method: str, path: str) -> None:
    assert status(address, method, path, Origin="https://evil.example") == 403
    assert status(address, method, path, Origin="null") == 403


def test_our_own_page_and_named_friends_are_let_in(address: str) -> None:
    assert status(address, "GET", "/healthz", Origin=f"http://{address}") == 200
    assert status(address, "GET", "/healthz", Origin="https://friend.example") == 200
    assert status(address, "GET", "/healthz", Host="localhost") == 200


def test_every_response_forbids_what_the_page_does_not_need(address: str) -> None:
    connection = http.client.HTTPConnection(address, timeout=20)
    connection.request("GET", "/")
    headers = connection.getresponse().headers
    connection.close()
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
