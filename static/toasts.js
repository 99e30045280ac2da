// Short notices at the edge of the page. They go by themselves, but not while someone is on them.

import { el, iconButton } from "./dom.js";

const SHOWN_MS = 6000;

/** toast("Topic deleted", {action: "Undo", run}) */
export function toast(text, { action, run, kind = "" } = {}) {
  const gone = () => element.remove();
  const act = () => { gone(); run(); };
  const element = el("div", { class: `toast ${kind}`, role: kind === "error" ? "alert" : "status" }, el("span", {}, text),
    action ? el("button", { type: "button", class: "button", on: { click: act } }, action) : null, iconButton("close", "Dismiss", gone));
  let timer = setTimeout(gone, SHOWN_MS);
  element.addEventListener("pointerenter", () => clearTimeout(timer));
  element.addEventListener("pointerleave", () => { timer = setTimeout(gone, SHOWN_MS); });
  document.getElementById("toasts").append(element);
}

export const complain = (error) => toast(error.message, { kind: "error" });
