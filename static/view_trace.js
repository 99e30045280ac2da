// Past runs under the picture of the flow: how each ended, how long it took, what every step left behind.

import { duration, el } from "./dom.js";

/** draw(runs, {open(run or null)}): runs as GET /api/conversations/{id}/runs gives them, in any order. */
export function traceView(root) {
  return {
    draw(runs, { open }) {
      const openId = root.querySelector("details[open]")?.dataset.run;
      const newest = [...runs].sort((a, b) => new Date(b.startedAt) - new Date(a.startedAt));
      root.replaceChildren(...newest.map((run) => runDetails(run, run.id === openId, open)));
    },
  };
}

function runDetails(run, isOpen, open) {
  const details = el("details", { class: "run", "data-run": run.id, open: isOpen, name: "run" },
    el("summary", {}, el("span", { class: "dot", "data-status": run.status }), el("span", {}, clock(run.startedAt)),
      el("span", { class: "hint" }, [run.status, duration(run.durationMs)].filter(Boolean).join(" · "))),
    el("p", { class: "hint" }, figures(run)),
    el("ol", { class: "steps" }, ...run.steps.map(step)));
  details.addEventListener("toggle", () => open(details.open ? run : null));
  return details;
}

const clock = (startedAt) => new Date(startedAt).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

function figures({ usage, firstTokenMs }) {
  const { inputTokens, outputTokens } = totals(usage);
  const tokens = inputTokens || outputTokens ? `${inputTokens} tokens read, ${outputTokens} written` : "";
  return [firstTokenMs ? `first word after ${duration(firstTokenMs)}` : "", tokens].filter(Boolean).join(" · ");
}

function totals(usage) {
  const entries = Array.isArray(usage) ? usage : [usage ?? {}];
  const sum = (key) => entries.reduce((total, entry) => total + (entry[key] ?? 0), 0);
  return { inputTokens: sum("inputTokens"), outputTokens: sum("outputTokens") };
}

function step({ node, action, ms, error, summary }) {
  const after = typeof summary === "string" ? summary : summary && JSON.stringify(summary, null, 2);
  const line = el("summary", {}, node, el("span", { class: "hint" }, [action === "default" ? null : action, duration(ms)].filter(Boolean).join(" · ")));
  const label = `What is shared after ${node}`;
  return el("li", {},
    el("details", { title: label }, line, el("pre", { tabindex: "0", role: "region", "aria-label": label }, after ?? "nothing noted")),
    error ? el("p", { class: "problem" }, error) : null);
}
