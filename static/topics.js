// The list of topics: read page by page, kept current by the server's events, deleted with a chance to undo.

import { changeConversation, deleteConversation, listConversations } from "./api.js";

const UNDO_MS = 6000, RETRY_MS = 5000;

/** on: {changed(), failed(error), announced(text), deleted(id)}. topics.items: [{id, title, agent, status, updatedAt}], newest first. */
export class Topics {
  constructor(on) {
    Object.assign(this, { on, items: [], next: null, query: "", source: null, doomed: new Map() });
    document.addEventListener("visibilitychange", () => this.#listen());
    addEventListener("pagehide", () => [...this.doomed.keys()].forEach((id) => this.#deleteNow(id)));
    this.#listen();
  }

  async search(query) {
    this.query = query;
    await this.#read({ query });
  }

  async more() {
    await this.#read({ query: this.query, before: this.next });
  }

  async rename(id, title) {
    this.#merge({ ...this.#find(id), id, title });
    await changeConversation(id, { title }).catch(this.on.failed);
  }

  /** Takes a topic away at once and deletes it when the time to undo is over. Returns undo(). */
  delete(id) {
    this.doomed.set(id, setTimeout(() => this.#deleteNow(id), UNDO_MS));
    this.on.changed();
    return () => {
      clearTimeout(this.doomed.get(id));
      this.doomed.delete(id);
      this.on.changed();
    };
  }

  get shown() {
    return this.items.filter(({ id }) => !this.doomed.has(id));
  }

  async #deleteNow(id) {
    clearTimeout(this.doomed.get(id));
    try {
      await deleteConversation(id);
      this.#drop(id);
    } catch (error) {
      if (error.status !== 404) this.on.failed(error);
    }
    this.doomed.delete(id);
    this.on.changed();
  }

  async #read(options) {
    try {
      const { conversations, next } = await listConversations(options);
      if (options.query !== this.query) return;
      this.items = options.before ? [...this.items, ...conversations] : conversations;
      this.next = next ?? null;
      this.on.changed();
    } catch (error) {
      this.on.failed(error);
    }
  }

  // Browsers allow six connections a host; a page nobody looks at should not hold one, and reads the list again when seen.
  #listen() {
    const wanted = document.visibilityState === "visible";
    if (wanted === Boolean(this.source)) return;
    if (!wanted) return this.#unlisten();
    this.source = new EventSource("/events");
    this.source.onopen = () => this.search(this.query);
    this.source.onerror = () => this.#refused();
    this.source.addEventListener("CUSTOM", ({ data }) => this.#hear(JSON.parse(data)));
  }

  #unlisten() {
    this.source?.close();
    this.source = null;
  }

  // A lost connection comes back by itself; after an HTTP error the browser gives up, and the page does not.
  #refused() {
    if (this.source?.readyState !== EventSource.CLOSED) return;
    this.#unlisten();
    setTimeout(() => this.#listen(), RETRY_MS);
  }

  #hear({ name, value }) {
    if (name === "conversation_changed" && (!this.query || this.#find(value.id))) this.#merge(value);
    if (name === "conversation_deleted") {
      this.#drop(value.id);
      this.on.deleted(value.id);
    }
    if (name === "announcement") this.on.announced(value.text);
  }

  #find(id) {
    return this.items.find((item) => item.id === id);
  }

  #merge(topic) {
    const others = this.items.filter(({ id }) => id !== topic.id);
    this.items = [{ ...this.#find(topic.id), ...topic }, ...others].sort((a, b) => String(b.updatedAt).localeCompare(String(a.updatedAt), "en", { numeric: true }));
    this.on.changed();
  }

  #drop(id) {
    this.items = this.items.filter((item) => item.id !== id);
    this.on.changed();
  }
}
