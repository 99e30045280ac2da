// A call that waits for a person: exactly what would run, open to editing, and what it may touch.

import { button, el, growWithText } from "./dom.js";
import { readDraft, saveDraft } from "./drafts.js";
import { parseArguments } from "./view_tool.js";

/** `element` is what is shown. actions: {command(fields) → promise of whether it was accepted} */
export class ApprovalCard {
  #problem = el("p", { class: "problem", role: "alert", hidden: true });
  #buttons = el("div", { class: "row" });

  constructor(interrupt, call, actions) {
    const args = parseArguments(call.args);
    Object.assign(this, { interrupt, actions, fields: fieldsOf(interrupt, args) });
    const heading = el("h2", { id: `approve-${interrupt.id}` }, titleOf(call.name, args));
    this.element = el("section", { class: "card approval", "aria-labelledby": heading.id, on: { keydown: (event) => this.#shortcut(event) } },
      heading, ...this.fields.map(({ element }) => element), this.#problem,
      interrupt.message ? el("p", { class: "may-touch" }, interrupt.message) : null, this.#buttons);
    this.#offerChoice();
  }

  async #decide(payload) {
    const resume = [{ interruptId: this.interrupt.id, status: "resolved", payload }];
    this.element.inert = true;
    const accepted = await this.actions.command({ type: "resume", resume });
    this.element.inert = accepted;
    if (accepted) for (const field of this.fields) field.forget();
  }

  #approve() {
    const edited = {};
    for (const field of this.fields) {
      const { value, error } = field.read();
      if (error) return this.#complain(`${field.name}: ${error}`);
      edited[field.name] = value;
    }
    const changed = this.fields.some((field) => field.changed());
    return this.#decide({ approved: true, ...(changed && { editedArgs: edited }) });
  }

  #complain(text) {
    this.#problem.textContent = text;
    this.#problem.hidden = false;
  }

  #shortcut(event) {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    this.#approve();
  }

  #offerChoice() {
    const approve = button("Approve", () => this.#approve(), "primary approve");
    approve.append(el("kbd", {}, "Ctrl ⏎"));
    this.#buttons.replaceChildren(approve, button("Reject…", () => this.#askReason()));
  }

  #askReason() {
    const reason = el("input", { class: "field", placeholder: "Why? The model reads this (optional)", "aria-label": "Reason for rejecting", maxlength: 2000 });
    const reject = () => this.#decide({ approved: false, ...(reason.value.trim() && { reason: reason.value.trim() }) });
    reason.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.isComposing) { event.preventDefault(); event.stopPropagation(); reject(); }
      if (event.key === "Escape") { event.stopPropagation(); this.#offerChoice(); }
    });
    this.#buttons.replaceChildren(reason, button("Reject", reject, "danger"), button("Back", () => this.#offerChoice()));
    reason.focus();
  }
}

const titleOf = (name, args) => (typeof args.code === "string" ? "Run this code?" : `Allow ${name}?`);

function fieldsOf({ id }, args) {
  const fields = Object.entries(args).map(([name, value]) => argumentField(`${id}:${name}`, name, value));
  return fields.length ? fields : [noArguments()];
}

function noArguments() {
  return { element: el("p", { class: "hint" }, "It is called without arguments."), changed: () => false, forget() {}, read: () => ({}) };
}

// Text is edited as text, everything else as JSON. Edits outlive a reload.
function argumentField(key, name, value) {
  const isText = typeof value === "string";
  const shown = isText ? value : JSON.stringify(value, null, 2);
  const area = el("textarea", { class: "field code", value: readDraft(key) || shown, spellcheck: "false", autocapitalize: "off", rows: 1 });
  const grow = growWithText(area);
  area.addEventListener("input", () => saveDraft(key, area.value === shown ? "" : area.value));
  requestAnimationFrame(grow);
  return {
    name,
    element: el("label", { class: "argument" }, el("span", { class: name === "code" ? "visually-hidden" : "" }, name), area),
    changed: () => area.value !== shown,
    forget: () => saveDraft(key, ""),
    read: () => (isText ? { value: area.value } : parseJson(area.value)),
  };
}

function parseJson(text) {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { error: `this is not valid JSON (${error.message}).` };
  }
}
