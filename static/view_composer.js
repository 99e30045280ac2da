// Where one writes: grows with the text, keeps a draft per topic, sends, queues and stops.

import { growWithText, icon } from "./dom.js";
import { readDraft, saveDraft } from "./drafts.js";

const PLACEHOLDERS = {
  idle: "Write a message", running: "Write what comes next", stopping: "Write what comes next",
  awaiting: "Decide above, or write ahead",
};

/** elements: {form, area, send, queue}; actions: {say(content, when), stop()} */
export class Composer {
  #key = "new";
  #status = "idle";

  constructor({ form, area, send, queue }, actions) {
    Object.assign(this, { area, send, queue, actions, grow: growWithText(area) });
    send.append(icon("send"), icon("stop"));
    form.addEventListener("submit", (event) => { event.preventDefault(); this.#press(); });
    queue.addEventListener("click", () => this.#say());
    area.addEventListener("input", () => { saveDraft(this.#key, area.value); this.#show(); });
    area.addEventListener("keydown", (event) => this.#typed(event));
    addEventListener("resize", this.grow);
  }

  /** Shows the draft kept under a topic's id, or "new". */
  openDraft(key) {
    this.#key = key;
    this.#write(readDraft(key));
  }

  /** A new topic got its id: the draft goes with it. */
  renameDraft(key) {
    saveDraft(this.#key, "");
    this.#key = key;
    saveDraft(key, this.area.value);
  }

  /** Gives a text back to its writer, before what was written since. */
  giveBack(text) {
    this.#write(this.area.value ? `${text}\n${this.area.value}` : text);
  }

  draw({ server }) {
    if (this.#status === server.status) return;
    this.#status = server.status;
    this.#show();
  }

  get #busy() {
    return this.#status === "running" || this.#status === "stopping";
  }

  #press() {
    if (this.send.dataset.does === "stop") this.actions.stop();
    else this.#say();
  }

  #say(when) {
    const content = this.area.value.trim();
    if (!content) return;
    this.actions.say(content, when);
    this.#write("");
    this.area.focus();
  }

  #write(text) {
    this.area.value = text;
    saveDraft(this.#key, text);
    this.grow();
    this.#show();
  }

  #typed(event) {
    // While an input method composes, Enter chooses a character; 229 is how Safari says so.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.#say((event.ctrlKey || event.metaKey) && this.#busy ? "now" : undefined);
  }

  #show() {
    const text = this.area.value.trim();
    const stops = this.#busy || (this.#status === "awaiting" && !text);
    const name = stops ? "Stop" : "Send";
    this.send.dataset.does = name.toLowerCase();
    this.send.disabled = stops ? this.#status === "stopping" : !text;
    this.send.title = stops ? "Stop (Esc)" : "Send (Enter)";
    this.send.setAttribute("aria-label", name);
    this.queue.hidden = !this.#busy || !text;
    this.area.placeholder = PLACEHOLDERS[this.#status];
  }
}
