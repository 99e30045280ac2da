"""The graph of the agent: every edge, nothing else. What the nodes do is in nodes.py."""

from nodes import (
    CheckInterrupt,
    CheckSafety,
    ChooseAgent,
    DrainQueue,
    ExecuteTools,
    FinishTurn,
    Idle,
    Refuse,
    RequestApproval,
    StreamChat,
)
from utils.server.traced_flow import TracedFlow


def create_chat_flow() -> TracedFlow:
    """The flow from the first waiting message to an empty queue."""
    drain, safety, choose, chat = DrainQueue(), CheckSafety(), ChooseAgent(), StreamChat()
    approval, execute, check, refuse = RequestApproval(), ExecuteTools(), CheckInterrupt(), Refuse()
    finish, idle = FinishTurn(), Idle()

    drain - "message" >> safety
    drain - "resume" >> execute
    drain - "empty" >> idle
    safety - "safe" >> choose
    safety - "unsafe" >> refuse
    choose >> chat
    chat - "tool_calls" >> approval
    chat - "answered" >> finish
    approval - "approved" >> execute
    approval - "pending" >> finish
    execute >> check
    check - "continue" >> chat
    refuse >> finish
    finish - "next" >> drain

    for node in (safety, choose, chat, approval, execute, check, refuse):
        node - "interrupted" >> finish
        node - "failed" >> finish
    return TracedFlow(start=drain)


if __name__ == "__main__":
    for edge in create_chat_flow().graph()["edges"]:
        print(f"{edge['from']} -{edge['action']}-> {edge['to']}")
