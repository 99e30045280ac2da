"""Modules of the page that need no page: where the flow's picture puts things, and how long a reconnect waits."""

from typing import Any

from playwright.sync_api import Page

FLOW = {
    "nodes": ["Take", "Check", "Answer", "Refuse", "Finish"],
    "edges": [
        {"from": "Take", "to": "Check", "action": "message"},
        {"from": "Check", "to": "Answer", "action": "safe"},
        {"from": "Check", "to": "Refuse", "action": "unsafe"},
        {"from": "Answer", "to": "Finish", "action": "answered"},
        {"from": "Refuse", "to": "Finish", "action": "default"},
        {"from": "Finish", "to": "Take", "action": "next"},
        *({"from": name, "to": "Finish", "action": "failed"} for name in ("Check", "Answer", "Refuse")),
    ],
}


def picture(page: Page, flow: dict[str, Any]) -> dict[str, Any]:
    script = "async (flow) => (await import('/static/flow_layout.js')).layout(flow)"
    drawn = page.evaluate(script, flow)
    return {
        "size": (drawn["width"], drawn["height"]),
        "places": {node["name"]: (node["x"], node["y"]) for node in drawn["nodes"]},
        "edges": {(edge["from"], edge["to"]): edge for edge in drawn["edges"]},
    }


def test_a_node_stands_below_those_that_lead_to_it_and_beside_its_peers(modules: Page) -> None:
    places = picture(modules, FLOW)["places"]
    assert places["Take"][1] < places["Check"][1] < places["Answer"][1] < places["Finish"][1]
    assert places["Answer"][1] == places["Refuse"][1]
    assert len(set(places.values())) == len(places)


def test_what_many_nodes_do_alike_is_drawn_without_words(modules: Page) -> None:
    edges = picture(modules, FLOW)["edges"]
    assert edges["Check", "Finish"]["exit"]
    assert edges["Answer", "Finish"]["label"]["text"] == "answered"
    assert edges["Answer", "Finish"]["actions"] == ["answered", "failed"]


def test_a_node_that_someone_adds_appears(modules: Page) -> None:
    nodes = [*FLOW["nodes"], "Translate"]
    edges = [*FLOW["edges"], {"from": "Answer", "to": "Translate", "action": "default"}]
    drawn = picture(modules, {"nodes": nodes, "edges": edges})
    assert "Translate" in drawn["places"]
    assert ("Answer", "Translate") in drawn["edges"]


def test_a_node_without_edges_and_one_that_leads_to_itself_are_drawn_too(modules: Page) -> None:
    drawn = picture(modules, {"nodes": ["A", "B"], "edges": [{"from": "A", "to": "A", "action": "again"}]})
    assert set(drawn["places"]) == {"A", "B"}
    assert "NaN" not in drawn["edges"]["A", "A"]["path"]


def test_reconnecting_waits_longer_each_time_but_never_too_long(modules: Page) -> None:
    script = """async () => {
      const { backoff } = await import("/static/connection.js");
      return [0, 1, 2, 20].map((attempt) => [backoff(attempt, 0), backoff(attempt, 1)]);
    }"""
    assert modules.evaluate(script) == [[200, 600], [400, 1200], [800, 2400], [7500, 22500]]
