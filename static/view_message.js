// One row of the conversation: what a person said, what the agent answered, thought or noted.
// A row is {element, update(message, chat, far)}; update may be called every frame and does nothing when nothing changed.
// actions: {command(fields), copied(done)}.

import { arrange, copyText, duration, el, growWithText, icon, iconButton } from "./dom.js";
import { growingProse } from "./prose.js";
import { callStatus } from "./reducer.js";
import { ApprovalCard } from "./view_approval.js";
import { toolCard } from "./view_tool.js";

export function userRow(first, actions) {
  let drawn = null;
  const body = el("div", { class: "bubble", dir: "auto" });
  const bar = toolbar(
    copyButton(() => drawn.content, actions),
    iconButton("edit", "Edit and answer anew", () => editInPlace(element, body, drawn, actions), { class: "icon-button when-idle" }),
    iconButton("trash", "Delete with its answer", () => actions.command({ type: "delete_message", id: drawn.id }), { class: "icon-button when-idle" }),
  );
  const element = el("article", { class: "message user", "aria-label": "You", tabindex: "-1", "data-id": first.id }, body, bar);
  return {
    element,
    update(message) {
      if (message === drawn || same(message, drawn)) return;
      body.textContent = message.content;
      element.toggleAttribute("data-sending", message.status === "sending");
      drawn = message;
    },
  };
}

const same = (message, drawn) => drawn && message.content === drawn.content && message.status === drawn.status;

export function assistantRow(first, actions) {
  let drawn = null;
  const body = el("div", { class: "answer prose", dir: "auto" });
  const text = growingProse(body);
  const calls = callList(actions);
  const foot = el("p", { class: "note", hidden: true });
  const bar = toolbar(
    copyButton(() => drawn.content, actions),
    iconButton("redo", "Answer again", () => actions.command({ type: "regenerate" }), { class: "icon-button when-idle only-last" }),
  );
  const who = el("p", { class: "who" }, first.name ?? "assistant");
  const element = el("article", { class: "message assistant", "aria-label": first.name ?? "assistant", tabindex: "-1", "data-id": first.id }, who, body, calls.element, foot, bar);
  return {
    element,
    update(message, chat, far) {
      if (message.callIds.length) calls.update(message, chat);
      if (message === drawn) return;
      drawn = message;
      text(message, far);
      bar.hidden = message.streaming || !message.content;
      foot.hidden = !(message.status in ENDINGS);
      foot.textContent = ENDINGS[message.status] ?? "";
    },
  };
}

const ENDINGS = { interrupted: "Response interrupted", failed: "This answer failed. What arrived is kept for you; the model will not see it." };

export function reasoningRow() {
  let drawn = null;
  const summary = el("summary");
  const body = el("div", { class: "thought prose", dir: "auto" });
  const text = growingProse(body);
  const element = el("details", { class: "message reasoning" }, summary, body);
  return {
    element,
    update(message, chat, far) {
      if (message === drawn) return;
      drawn = message;
      text(message, far);
      summary.textContent = message.streaming ? "Thinking…" : thoughtFor(message);
      element.toggleAttribute("data-live", message.streaming);
    },
  };
}

function thoughtFor({ startedAt, endedAt, ms }) {
  const taken = ms ?? (startedAt && endedAt && endedAt - startedAt);
  return taken === null ? "Thought" : `Thought for ${duration(Math.max(1000, Math.round(taken / 1000) * 1000)).replace(".0", "")}`;
}

export function noteRow(message) {
  return { element: el("p", { class: "message note" }, message.content), update() {} };
}

// A message's tool calls; one that waits for a person shows its approval.
function callList(actions) {
  const element = el("div", { class: "calls" });
  const cards = new Map();
  return {
    element,
    update({ callIds }, chat) {
      const nodes = callIds.filter((id) => chat.calls[id]).map((id) => drawCall(cards, chat, chat.calls[id], actions));
      arrange(element, nodes);
    },
  };
}

function drawCall(cards, chat, call, actions) {
  const interrupt = chat.server.interrupts.find(({ toolCallId }) => toolCallId === call.id);
  const key = interrupt ? `approve ${interrupt.id}` : call.id;
  if (!cards.has(key)) cards.set(key, interrupt ? new ApprovalCard(interrupt, call, actions) : toolCard(call));
  const card = cards.get(key);
  card.update?.(call, callStatus(chat, call));
  return card.element;
}

function toolbar(...buttons) {
  return el("div", { class: "actions" }, ...buttons);
}

function copyButton(text, actions) {
  const button = iconButton("copy", "Copy", async () => {
    const done = await copyText(text());
    actions.copied(done);
    if (!done) return;
    button.replaceChildren(icon("check"));
    setTimeout(() => button.replaceChildren(icon("copy")), 1500);
  });
  return button;
}

function editInPlace(element, body, message, { command }) {
  const area = el("textarea", { class: "field", value: message.content, "aria-label": "Edit your message", dir: "auto" });
  const grow = growWithText(area);
  const finish = () => editor.replaceWith(body);
  const save = () => {
    finish();
    if (area.value.trim()) command({ type: "edit_message", id: message.id, content: area.value });
  };
  const editor = el("form", { class: "edit", on: { submit: (event) => { event.preventDefault(); save(); } } }, area,
    el("div", { class: "row" }, el("button", { type: "submit", class: "button primary" }, "Answer anew"),
      el("button", { type: "button", class: "button", on: { click: finish } }, "Cancel")));
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { event.stopPropagation(); finish(); }
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); save(); }
  });
  body.replaceWith(editor);
  grow();
  area.focus();
}
