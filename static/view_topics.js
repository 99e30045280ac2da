// The left panel's list: topics by age, each with its live state, renamed in place.

import { arrange, el, iconButton } from "./dom.js";

const STATES = { running: "answering", stopping: "stopping", awaiting: "waiting for you" };

/** actions: {rename(id, title), remove(topic), more()}; draw(topics, currentId) */
export function topicsView(root, actions) {
  const rows = new Map();
  const more = el("button", { type: "button", class: "button", on: { click: actions.more } }, "Show older");
  return {
    draw({ shown, next, query }, currentId) {
      const present = new Set(shown.map(({ id }) => id));
      for (const id of rows.keys()) if (!present.has(id)) rows.delete(id);
      const groups = Object.entries(Object.groupBy(shown, ({ updatedAt }) => ageOf(new Date(updatedAt))));
      const sections = groups.map(([name, topics]) => groupOf(rows, name, topics.map((topic) => rowOf(rows, topic, currentId, actions))));
      const empty = el("p", { class: "hint" }, query ? "No topic matches." : "Topics appear here with their first message.");
      arrange(root, shown.length ? [...sections, ...(next ? [more] : [])] : [empty]);
    },
  };
}

function groupOf(rows, name, elements) {
  const key = `group ${name}`;
  let group = rows.get(key);
  if (!group) {
    const list = el("ul");
    group = { list, element: el("section", {}, el("h2", {}, name), list) };
  }
  arrange(group.list, elements);
  return group.element;
}

function ageOf(date, now = new Date()) {
  const days = Math.floor((new Date(now).setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86_400_000);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days <= 7) return "Last seven days";
  return date.toLocaleDateString(undefined, { month: "long", year: "numeric" });
}

function rowOf(rows, topic, currentId, actions) {
  const key = JSON.stringify([topic, topic.id === currentId]);
  const old = rows.get(topic.id);
  if (old && (old.key === key || old.element.querySelector("input"))) return old.element;
  const element = row(topic, topic.id === currentId, actions);
  const focused = old?.element.contains(document.activeElement);
  rows.set(topic.id, { key, element });
  if (focused) queueMicrotask(() => element.querySelector("a").focus());
  return element;
}

function row(topic, current, actions) {
  const state = STATES[topic.status];
  const title = topic.title || "New topic";
  const link = el("a", { href: `./#${topic.id}`, dir: "auto", title, "aria-current": current ? "page" : null },
    el("span", { class: "topic-title" }, title),
    state ? el("span", { class: "dot", "data-status": topic.status, role: "img", "aria-label": state, title: state }) : null);
  const rename = () => renameInPlace(element, title, (text) => actions.rename(topic.id, text));
  link.addEventListener("dblclick", rename);
  link.addEventListener("keydown", (event) => event.key === "F2" && rename());
  const element = el("li", { class: "topic" }, link,
    el("span", { class: "topic-actions" },
      iconButton("edit", `Rename “${title}”`, rename),
      iconButton("trash", `Delete “${title}”`, () => actions.remove(topic))));
  return element;
}

function renameInPlace(element, title, done) {
  const before = [...element.childNodes];
  const field = el("input", { class: "field", value: title, "aria-label": "Topic title", maxlength: 200, dir: "auto" });
  const finish = () => { if (field.isConnected) element.replaceChildren(...before); };
  const save = () => {
    const changed = field.isConnected && field.value.trim() && field.value.trim() !== title;
    finish();
    if (changed) done(field.value.trim());
  };
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter" && !event.isComposing) save();
    if (event.key === "Escape") finish();
  });
  field.addEventListener("blur", save);
  element.replaceChildren(field);
  field.select();
}
