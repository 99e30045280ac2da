"""Whatever bytes come, however the network cuts them."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from utils.llm.chat_stream import ChatStream
from utils.stream_llm import Finish, ModelError

WIRE = (
    b'data: {"choices": [{"delta": {"reasoning": "Hm"}}]}\r\n\r\n: ping\n\n'
    + 'data: {"choices": [{"delta": {"content": "Grüße 🌍"}}]}\n\n'.encode()
    + b'data: {"choices":\ndata: [{"delta": {"content": "!"}}]}\n\nevent: x\ndata:{"choices": [], "usage": {}}\n\n'
    + b'data: {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{"}}]}}]}\n\n'
    + b'data: {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}}]}\n\n'
    + b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
)


@given(st.sets(st.integers(1, len(WIRE) - 1)))
def test_the_deltas_do_not_depend_on_how_the_bytes_are_cut(cuts: set[int]) -> None:
    ends = [*sorted(cuts), len(WIRE)]
    stream, whole = ChatStream(), ChatStream()
    pieces = [WIRE[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    assert [item for piece in pieces for item in stream.feed(piece)] == list(whole.feed(WIRE))
    assert stream.done


@given(st.lists(st.binary(max_size=200)))
def test_any_bytes_are_an_answer_or_a_model_error(pieces: list[bytes]) -> None:
    stream = ChatStream()
    with contextlib.suppress(ModelError):
        deltas = [item for piece in pieces for item in stream.feed(piece)] + list(stream.end())
        assert isinstance(deltas[-1], Finish)
