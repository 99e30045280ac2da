// One tool call as a task: what was asked, how it stands, what it printed and gave. Used in the chat and in Activity.

import { duration, el, icon } from "./dom.js";

const STATUS = {
  waiting: "Waiting for you", decided: "Decided", preparing: "Preparing", running: "Running", completed: "Completed", failed: "Failed",
  rejected: "Rejected", cancelled: "Cancelled", interrupted: "Interrupted", unknown: "Outcome unknown",
};

/** → {element, update(call, status)} */
export function toolCard(call) {
  let drawn = null, drawnStatus = null;
  const status = el("span", { class: "tool-status" });
  const hint = el("span", { class: "tool-hint" });
  const sections = el("div", { class: "tool-body" });
  const images = el("div", { class: "tool-images" });
  const details = el("details", { class: "tool", on: { toggle: () => details.open && fill() } },
    el("summary", {}, icon("tool"), el("span", { class: "tool-name" }, call.name), hint, status), sections);
  const output = outputSection();

  function fill() {
    sections.replaceChildren(section(...argumentsOf(drawn)), output.element, ...resultOf(drawn));
    output.update(drawn.output);
  }

  return {
    element: el("div", { class: "tool-card" }, details, images),
    update(next, nextStatus) {
      if (next === drawn && nextStatus === drawnStatus) return;
      const onlyOutput = drawn && next.args === drawn.args && next.result === drawn.result;
      if (next.args !== drawn?.args || next.result !== drawn?.result) hint.textContent = firstLine(next.result?.edited ?? next.args);
      if (next.result !== drawn?.result) images.replaceChildren(...imagesOf(next));
      [drawn, drawnStatus] = [next, nextStatus];
      details.dataset.status = nextStatus;
      status.textContent = [STATUS[nextStatus] ?? nextStatus, timeOf(next)].filter(Boolean).join(" · ");
      if (!details.open) return;
      if (onlyOutput) output.update(next.output);
      else fill();
    },
  };
}

/** A call's arguments, parsed; the raw text under "arguments" while they are incomplete or not an object. */
export function parseArguments(text) {
  try {
    const parsed = JSON.parse(text || "{}");
    if (parsed && typeof parsed === "object" && !Array.isArray(parsed)) return parsed;
  } catch {
    // Half of it may have arrived yet; what is there is shown as it is.
  }
  return { arguments: text };
}

function timeOf({ result, startedAt, endedAt }) {
  if (result?.ms) return duration(result.ms);
  return result && startedAt && endedAt ? duration(endedAt - startedAt) : "";
}

function firstLine(args) {
  const first = Object.values(parseArguments(args)).find((value) => typeof value === "string") ?? "";
  return first.trim().split("\n")[0].slice(0, 120);
}

// What ran, where a person changed it; else what was asked for.
function argumentsOf({ args, result }) {
  const parsed = parseArguments(result?.edited ?? args);
  const names = Object.keys(parsed), changed = result?.edited ? ", as you changed it" : "";
  if (!names.length) return [`Arguments${changed}`, "none"];
  if (names.length === 1 && typeof parsed[names[0]] === "string") return [names[0] + changed, parsed[names[0]]];
  return [`Arguments${changed}`, JSON.stringify(parsed, null, 2)];
}

function section(title, text) {
  return el("section", {}, el("p", { class: "label" }, title), scrollable("pre", title, text));
}

// A region that scrolls has to be reachable by keyboard.
function scrollable(tag, label, text) {
  return el(tag, { tabindex: "0", role: "region", "aria-label": label, dir: "auto", textContent: text });
}

function outputSection() {
  const pre = scrollable("pre", "Output", "");
  const element = el("section", { hidden: true }, el("p", { class: "label" }, "Output"), pre);
  let drawn = "";
  return {
    element,
    update(text) {
      if (text.startsWith(drawn)) pre.append(text.slice(drawn.length));
      else pre.textContent = text;
      drawn = text;
      element.hidden = !text;
      pre.scrollTop = pre.scrollHeight;
    },
  };
}

function resultOf({ result, output }) {
  if (!result) return [];
  const text = parts(result).filter(({ type }) => type === "text").map((part) => part.text).join("\n");
  const sections = [];
  if (text.trim() && text.trim() !== output.trim()) sections.push(section("Result", text));
  if (result.error && result.error !== text) sections.push(section("Error", result.error));
  return sections;
}

function parts({ content }) {
  return Array.isArray(content) ? content : [{ type: "text", text: content ?? "" }];
}

function imagesOf({ result, name }) {
  if (!result) return [];
  const urls = parts(result).filter(({ type, source }) => type === "image" && source?.type === "url").map(({ source }) => source.value);
  return urls.filter(fromHere).map((url, index) => el("a", { href: url, target: "_blank", rel: "noopener" },
    el("img", { src: url, alt: `Image ${index + 1} made by ${name}`, loading: "lazy" })));
}

const fromHere = (url) => new URL(url, location.href).origin === location.origin;
