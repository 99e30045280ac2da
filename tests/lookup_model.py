"""A language model whose answers we write: a GGUF file for llama.cpp whose weights are a lookup table.

One block of the llama architecture with all its weights zero leaves each token's embedding as it is. The embeddings are
one-hot, so the output matrix says which token follows which, with such certainty that sampling changes nothing. The
first token of an answer is the last one of the prompt: our chat template writes it there, as a program that reads the
messages. All else is llama.cpp's: templates, tokens, sampling, grammars, the parsers of thoughts and tool calls, HTTP.
"""

import re
from pathlib import Path

import gguf
import numpy as np
from gguf import TokenType

ANSWERS = {
    "hello": "Hello! I am a lookup table.",
    "thought": "<think>\nSomebody wants me to think.\n</think>\n\nI have thought about it.",
    "time": 'Let me look.\n<tool_call>\n{"name": "current_time", "arguments": {"timezone": "UTC"}}\n</tool_call>',
    "time_as_text": "I look it up.\n<function_calls>\n<invoke name='current_time'>\n"
    "<parameter name='timezone'>UTC</parameter>\n</invoke>\n</function_calls>",
    "note": '<tool_call>\n{"name": "save_note", "arguments": {"name": "note", "text": "milk"}}\n</tool_call>',
    "result": "The tool answered, as one can see above.",
    "safe": '{"safe": true, "reason": ""}',
    "unsafe": '{"safe": false, "reason": "It asks for a bomb."}',
    "coder": '{"agent": "coder"}',
    "assistant": '{"agent": "assistant"}',
    "endless": "On and on it goes, ",
}
"""What the model can say; it says "endless" again and again."""

TEMPLATE = r"""
{%- set system = messages[0].content if messages[0].role == 'system' else '' -%}
{%- set said = messages[-1].content | default('', true) | lower -%}
{%- for tool in tools or [] -%}
    {{ tool | tojson }}
{% endfor -%}
{%- for message in messages -%}
    <|im_start|>{{ message.role }}
{% if message.reasoning_content -%}
    <think>
{{ message.reasoning_content }}
</think>

{% endif -%}
    {{ message.content | default('', true) }}
    {%- for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
    {%- endfor -%}
    <|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
    {%- if '"safe"' in system -%}{{ '<|unsafe|>' if 'bomb' in said else '<|safe|>' }}
    {%- elif '"agent"' in system -%}{{ '<|coder|>' if 'program' in said else '<|assistant|>' }}
    {%- elif messages[-1].role == 'tool' or '<function_result' in said -%}<|result|>
    {%- elif 'note' in said and tools -%}<|note|>
    {%- elif 'time' in said and tools -%}<|time|>
    {%- elif 'time' in said and '<function_calls>' in system -%}<|time_as_text|>
    {%- elif 'think' in said -%}<|thought|>
    {%- elif 'essay' in said -%}<|endless|>
    {%- else -%}<|hello|>
    {%- endif -%}
{%- endif -%}
"""
"""ChatML with Hermes' tool calls, from which llama.cpp learns how this model thinks and calls; then the first token."""

UNKNOWN, BEGIN, END = range(3)
CERTAIN = 10.0
"""Times the norm of an embedding (about 20) this is a logit beside which the others, all 0, have no chance."""
HEAD = 32
"""The size of what computes nothing: one attention head, the feed-forward layer."""


def write_model(path: Path) -> None:
    """Write the model as a GGUF file of about a megabyte."""
    tokens, types, follows = _vocabulary()
    writer = gguf.GGUFWriter(path, "llama")
    _describe(writer, width=len(tokens))
    _describe_tokens(writer, tokens, types)
    writer.add_chat_template(TEMPLATE)
    for name, values in _weights(len(tokens), follows).items():
        writer.add_tensor(f"{name}.weight", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tokens_of(answer: str) -> int:
    """How many tokens the server generates for this answer, its end included."""
    return len(_pieces()[answer]) + 1


def _pieces() -> dict[str, list[str]]:
    """The answers in words. A token has one successor, so a word that was there before goes with the next one."""
    taken: set[str] = set()
    return {name: _new_words(text, taken) for name, text in ANSWERS.items()}


def _new_words(text: str, taken: set[str]) -> list[str]:
    words = [""]
    for word in re.findall(r"\S+\s*", text):
        words[-1] += word
        if words[-1] not in taken:
            taken.add(words[-1])
            words.append("")
    *words, last, rest = words
    return [*words, last + rest]


def _vocabulary() -> tuple[list[str], list[TokenType], dict[int, int]]:
    """Every token, its type, and which follows which. The bytes are for what people write."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    types = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL, *[TokenType.BYTE] * 256]
    follows: dict[int, int] = {}
    for name, pieces in _pieces().items():
        start = len(tokens)
        tokens += [f"<|{name}|>", *pieces]
        types += [TokenType.CONTROL, *[TokenType.NORMAL] * len(pieces)]
        follows |= {token: token + 1 for token in range(start, len(tokens) - 1)}
        follows[len(tokens) - 1] = start + 1 if name == "endless" else END
    assert len(set(tokens)) == len(tokens), "an answer ends as another one does: put it differently"
    return tokens, types, follows


def _describe(writer: gguf.GGUFWriter, width: int) -> None:
    writer.add_context_length(2**20)
    writer.add_vocab_size(width)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(HEAD)
    writer.add_head_count(1)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_rope_dimension_count(HEAD)
    writer.add_layer_norm_rms_eps(1e-6)


def _describe_tokens(writer: gguf.GGUFWriter, tokens: list[str], types: list[TokenType]) -> None:
    writer.add_tokenizer_model("llama")
    writer.add_token_list([token.replace(" ", "▁") for token in tokens])
    writer.add_token_types(types)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_unk_token_id(UNKNOWN)
    writer.add_bos_token_id(BEGIN)
    writer.add_eos_token_id(END)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)


def _weights(width: int, follows: dict[int, int]) -> dict[str, np.ndarray]:
    """The lookup table, and a block that adds nothing to it."""
    into, out, norm = np.zeros((HEAD, width)), np.zeros((width, HEAD)), np.ones(width)
    table = np.zeros((width, width))
    table[list(follows.values()), list(follows)] = CERTAIN
    block = {"attn_q": into, "attn_k": into, "attn_v": into, "attn_output": out, "attn_norm": norm}
    block |= {"ffn_gate": into, "ffn_up": into, "ffn_down": out, "ffn_norm": norm}
    weights = {"token_embd": np.eye(width), "output": table, "output_norm": norm}
    weights |= {f"blk.0.{name}": values for name, values in block.items()}
    return {name: values.astype(np.float32) for name, values in weights.items()}


if __name__ == "__main__":
    for name, pieces in _pieces().items():
        print(f"{name}: {pieces}")
