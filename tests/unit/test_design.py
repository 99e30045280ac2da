"""docs/design.md is true: its picture is the graph, and it keeps PocketFlow's form."""

import re
from pathlib import Path

from flow import create_chat_flow

DESIGN = (Path(__file__).parents[2] / "docs" / "design.md").read_text()
EDGE = re.compile(r"^    (\w+) -->(?:\|(\w+)\|)? (\w+)$", re.MULTILINE)
OUTSIDE_THE_RUN = {"DrainQueue", "FinishTurn", "Idle"}


def test_the_picture_is_the_graph() -> None:
    drawn = {(start, action or "default", end) for start, action, end in EDGE.findall(DESIGN)}
    graph = create_chat_flow().graph()
    inside = set(graph["nodes"]) - OUTSIDE_THE_RUN
    drawn |= {(node, action, "FinishTurn") for node in inside for action in ("interrupted", "failed")}
    assert drawn == {(edge["from"], edge["action"], edge["to"]) for edge in graph["edges"]}


def test_the_sections_stand_in_pocketflows_order_with_their_notes() -> None:
    headings = re.findall(r"^## (.+)$", DESIGN, re.MULTILINE)
    assert headings[:4] == ["Requirements", "Flow Design", "Utility Functions", "Node Design"]
    assert "Please DON'T remove notes for AI" in DESIGN
    assert DESIGN.count("> Notes for AI:") == 5


def test_every_node_is_described() -> None:
    for node in create_chat_flow().graph()["nodes"]:
        assert f". **{node}**" in DESIGN
