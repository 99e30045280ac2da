// The conversation, drawn incrementally: one element a message, kept by id, touched only when its message changed.

import { arrange, el } from "./dom.js";
import { assistantRow, noteRow, reasoningRow, userRow } from "./view_message.js";

const ROWS = { user: userRow, assistant: assistantRow, reasoning: reasoningRow, notice: noteRow };

const DRAWN_AT_ONCE = 40;

/** draw(chat, unsent): unsent are the messages on their way. actions: see view_message.js and view_approval.js. */
export function messagesView(list, actions) {
  const rows = new Map();
  const ending = el("div", { class: "ending" });

  function rowOf(message) {
    let row = rows.get(message.id);
    if (row?.role !== message.role) rows.set(message.id, (row = { role: message.role, ...ROWS[message.role](message, actions) }));
    return row;
  }

  return {
    draw(chat, unsent) {
      const messages = [...chat.messages, ...onTheirWay(chat, unsent)];
      const shown = messages.map((message, index) => {
        const row = rowOf(message);
        row.update(message, chat, index < messages.length - DRAWN_AT_ONCE);
        return row.element;
      });
      forgetAbsent(rows, messages);
      markLast(shown);
      drawEnding(ending, chat, messages, actions);
      arrange(list, [...shown, ending]);
      list.toggleAttribute("data-busy", chat.server.status !== "idle");
    },
  };
}

// About to run: sent and not yet in the queue, or first in a queue that nothing holds.
function onTheirWay(chat, unsent) {
  if (chat.server.status !== "idle") return [];
  const known = new Set(chat.messages.map(({ id }) => id));
  const next = chat.server.queue.filter(({ held }) => !held);
  const all = [...next, ...unsent].filter(({ id }) => !known.has(id) && known.add(id));
  return all.map(({ id, content }) => ({ id, content, role: "user", status: "sending", callIds: [] }));
}

function forgetAbsent(rows, messages) {
  if (rows.size === messages.length) return;
  const present = new Set(messages.map(({ id }) => id));
  for (const id of rows.keys()) if (!present.has(id)) rows.delete(id);
}

function markLast(elements) {
  const last = elements.findLast((element) => element.matches(".assistant"));
  for (const element of elements[0]?.parentElement?.querySelectorAll("[data-last]") ?? []) if (element !== last) delete element.dataset.last;
  if (last) last.dataset.last = "";
}

// What stands below the last message: that something is being done, what went wrong, or that an answer is missing.
function drawEnding(ending, chat, messages, { command }) {
  const { status, lastError, queue } = chat.server;
  const last = messages.at(-1);
  const state = lastError && status === "idle" ? `error:${lastError.message}`
    : chat.retry ? `retry:${chat.retry.attempt}`
      : status === "running" && quiet(last) ? "working"
        : status === "stopping" ? "stopping"
          : status === "idle" && last?.role === "user" && last.status !== "sending" && !queue.some(({ held }) => !held) ? "unanswered" : "";
  if (ending.dataset.state === state) return;
  ending.dataset.state = state;
  ending.replaceChildren(...endingOf(state.split(":")[0], chat, () => command({ type: "regenerate" })));
}

const quiet = (last) => !last?.streaming && !(last?.role === "assistant" && last.callIds.length);

function endingOf(kind, chat, again) {
  const action = (label) => el("button", { type: "button", class: "button", on: { click: again } }, label);
  if (kind === "error") {
    const { message } = chat.server.lastError;
    return [el("div", { class: "card error", role: "alert" }, el("p", {}, message), action("Retry"))];
  }
  if (kind === "retry") return [note(`${chat.retry.reason} Asking again${inSeconds(chat.retry.waitSeconds)}.`)];
  if (kind === "unanswered") return [el("div", { class: "note" }, "Response interrupted before it began. ", action("Answer this"))];
  if (kind === "stopping") return [note("Stopping…")];
  if (kind === "working") return [el("div", { class: "working" }, el("span", { class: "visually-hidden" }, "Working"), el("i"), el("i"), el("i"))];
  return [];
}

const note = (text) => el("p", { class: "note" }, text);
const inSeconds = (seconds) => (seconds >= 1 ? ` in ${Math.round(seconds)} s` : "");
