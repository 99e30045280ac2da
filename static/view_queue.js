// The messages that wait for their turn, as chips over the composer.

import { arrange, button, el, growWithText, iconButton } from "./dom.js";

/** actions: {command(fields) → promise of whether it was accepted, say(content, when)}; draw(chat, unsent) */
export function queueView(root, actions) {
  const chips = new Map();
  const list = el("ul", { class: "chips", "aria-label": "Waiting messages" });
  const held = el("div", { class: "held row", hidden: true },
    el("span", {}, "These wait because the answer before them was stopped or failed."),
    button("Release", () => actions.command({ type: "queue_release" })),
    button("Discard", () => actions.command({ type: "queue_clear" })));
  root.append(held, list);

  return {
    draw(chat, unsent) {
      const waiting = waitingOf(chat, unsent);
      for (const id of chips.keys()) if (!waiting.some((item) => item.id === id)) chips.delete(id);
      arrange(list, waiting.map((item) => chipOf(chips, item, actions)));
      held.hidden = !waiting.some((item) => item.held);
      root.hidden = !waiting.length;
    },
  };
}

// While nothing runs, what nothing holds is about to: it is drawn in the conversation already.
function waitingOf({ server, messages }, unsent) {
  if (server.status === "idle") return server.queue.filter((item) => item.held);
  const known = new Set([...server.queue, ...messages.slice(-4)].map(({ id }) => id));
  return [...server.queue, ...unsent.filter(({ id }) => !known.has(id)).map((message) => ({ ...message, sending: true }))];
}

function chipOf(chips, item, actions) {
  const key = JSON.stringify(item);
  const old = chips.get(item.id);
  if (old && (old.key === key || old.element.contains(document.activeElement))) return old.element;
  const element = chip(item, actions);
  chips.set(item.id, { key, element });
  return element;
}

function chip(item, { command, say }) {
  const text = el("span", { class: "chip-text", dir: "auto", title: item.content }, item.content);
  const remove = () => command({ type: "queue_remove", id: item.id });
  const sendNow = async () => (await remove()) && say(item.content, "now");
  const edit = () => editChip(element, item, command);
  const buttons = item.sending ? [el("span", { class: "chip-state" }, "sending")] : [
    iconButton("edit", "Edit this message", edit),
    iconButton("now", "Send now, stopping what runs", sendNow),
    iconButton("close", "Remove this message", remove),
  ];
  const element = el("li", { class: `chip${item.held ? " is-held" : ""}` }, text, ...buttons);
  return element;
}

function editChip(element, item, command) {
  const before = [...element.childNodes];
  const field = el("textarea", { class: "field", value: item.content, rows: 1, "aria-label": "Edit this waiting message", dir: "auto" });
  const grow = growWithText(field);
  const finish = () => element.replaceChildren(...before);
  const save = () => {
    finish();
    if (field.value.trim() && field.value !== item.content) command({ type: "queue_edit", id: item.id, content: field.value });
  };
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); save(); }
    if (event.key === "Escape") { event.stopPropagation(); finish(); }
  });
  element.replaceChildren(field, iconButton("check", "Save", save), iconButton("close", "Cancel", finish));
  grow();
  field.focus();
}
