// The conversation on the page: its state, its socket, and the commands no answer has come for.

import { Connection } from "./connection.js";
import { addToOutbox, moveOutbox, outboxOf, removeFromOutbox } from "./outbox.js";
import { emptyChat, fold, reattached } from "./reducer.js";

export const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** on: {draw(), status(name), rejected(command, {code, message}), events(list)}; exists: async id → boolean or undefined */
export class Session {
  constructor({ on, exists }) {
    Object.assign(this, { on, id: null, born: false, chat: emptyChat(), incoming: [], scheduled: false, pending: new Map(), status: "connecting" });
    this.connection = new Connection({
      on: { event: (event) => this.#receive(event), status: (status) => this.#changed(status) },
      place: () => (this.born || this.pending.size ? { id: this.id, after: this.chat.eventId } : { id: null, after: null }),
      exists,
    });
  }

  /** Shows another conversation; null begins a new one. */
  open(id) {
    Object.assign(this, { id, born: Boolean(id), chat: emptyChat(), incoming: [], pending: new Map() });
    this.connection.attempt = 0;
    this.connection.open();
    this.#schedule();
  }

  /** Sends a message; it stays in the outbox until the server has it. */
  say(content, when) {
    const message = { id: newId(), content, ...(when && { when }) };
    addToOutbox({ ...message, conversationId: this.id });
    this.#command({ type: "user_message", ...message, commandId: message.id });
    this.#schedule();
  }

  /** Sends any other command; resolves to whether the server accepted it. A lost connection sends it again later. */
  command(fields) {
    return this.#command({ ...fields, commandId: newId() });
  }

  /** Messages on their way: in the outbox, or accepted and not yet seen in the queue or the history. */
  get unsent() {
    return [...this.pending.values()].map(({ command }) => command).filter(({ type }) => type === "user_message");
  }

  #command(command) {
    return new Promise((answered) => {
      this.pending.set(command.commandId, { command, answered });
      if (this.id) this.connection.send(command);
    });
  }

  #changed(status) {
    this.status = status;
    if (status === "open") this.#attached();
    if (status === "gone" && !this.born) this.#startOver();
    else this.on.status(status);
  }

  #attached() {
    this.chat = reattached(this.chat);
    if (!this.id) return;
    for (const { conversationId, ...message } of outboxOf(this.id)) this.#adopt(message);
    for (const { command, accepted } of this.pending.values()) if (!accepted) this.connection.send(command);
  }

  #adopt(message) {
    const known = this.pending.has(message.id);
    if (!known) this.pending.set(message.id, { command: { type: "user_message", ...message, commandId: message.id }, answered() {} });
  }

  // A conversation without a message is not stored: the server forgot it, so a new one takes over what was typed.
  #startOver() {
    moveOutbox(this.id, null);
    Object.assign(this, { id: null, chat: emptyChat() });
    this.connection.open();
  }

  #receive(event) {
    if (event.type === "CUSTOM" && event.name === "command_accepted") return this.#accepted(event.value);
    if (event.type === "CUSTOM" && event.name === "command_rejected") return this.#rejected(event.value);
    event.timestamp ??= Date.now();
    this.incoming.push(event);
    this.#schedule();
  }

  #accepted({ commandId }) {
    const entry = this.pending.get(commandId);
    if (!entry) return;
    entry.answered(true);
    entry.accepted = true;
    this.born = true;
    if (entry.command.type !== "user_message") this.pending.delete(commandId);
    else removeFromOutbox(entry.command.id);
    this.#schedule();
  }

  #rejected({ commandId, ...reason }) {
    const entry = this.pending.get(commandId);
    this.pending.delete(commandId);
    if (entry?.command.type === "user_message") removeFromOutbox(entry.command.id);
    entry?.answered(false);
    this.on.rejected(entry?.command ?? {}, reason);
    this.#schedule();
  }

  #schedule() {
    if (this.scheduled) return;
    this.scheduled = true;
    // A hidden page gets no animation frames, but its title still has to say when an answer is done.
    if (document.hidden) setTimeout(() => this.#frame(), 100);
    else requestAnimationFrame(() => this.#frame());
  }

  #frame() {
    this.scheduled = false;
    const events = this.incoming;
    this.incoming = [];
    this.chat = fold(this.chat, events);
    this.#settle(events);
    this.on.events(events);
    this.on.draw();
  }

  #settle(events) {
    const { conversation, queue } = this.chat.server;
    if (conversation && conversation.id !== this.id) this.#named(conversation.id);
    if (!events.length) return;
    const seen = new Set([...queue, ...this.chat.messages].map(({ id }) => id));
    for (const [id, { command }] of this.pending) {
      if (command.type !== "user_message" || !seen.has(command.id)) continue;
      removeFromOutbox(command.id);
      this.pending.delete(id);
    }
    if (this.chat.messages.length || queue.length) this.born = true;
  }

  #named(id) {
    moveOutbox(this.id, id);
    this.id = id;
    this.#attached();
  }
}
