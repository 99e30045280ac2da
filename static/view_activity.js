// The right panel's first tab: every tool call of the conversation as a task, newest first, and the files it holds.

import { arrange, el } from "./dom.js";
import { callStatus } from "./reducer.js";
import { toolCard } from "./view_tool.js";

export function activityView(root) {
  const cards = new Map();
  const tasks = el("div", { class: "tasks" });
  const files = el("ul", { class: "files" });
  const fileSection = el("section", { hidden: true }, el("h2", {}, "Files"), files);
  const empty = el("p", { class: "hint" }, "Tools the agent uses appear here, with what they were asked and what they gave.");
  root.append(fileSection, empty, tasks);

  return {
    draw(chat) {
      for (const id of cards.keys()) if (!chat.calls[id]) cards.delete(id);
      const calls = Object.values(chat.calls).reverse();
      arrange(tasks, calls.map((call) => cardOf(cards, chat, call)));
      empty.hidden = calls.length > 0 || !fileSection.hidden;
    },
    drawFiles(list) {
      files.replaceChildren(...list.map(({ name, size, url }) =>
        el("li", {}, el("a", { href: url, download: name }, name), el("span", { class: "hint" }, sizeOf(size)))));
      fileSection.hidden = !list.length;
      empty.hidden ||= list.length > 0;
    },
  };
}

function cardOf(cards, chat, call) {
  if (!cards.has(call.id)) cards.set(call.id, toolCard(call));
  const card = cards.get(call.id);
  card.update(call, callStatus(chat, call));
  return card.element;
}

function sizeOf(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
