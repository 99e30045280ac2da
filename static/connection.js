// One conversation's WebSocket: opened again by itself after any loss, at the event where it stopped.

const FIRST_WAIT = 400, LONGEST_WAIT = 15_000, STEADY = 5000;

/** Milliseconds before attempt n (0, 1, 2 …): doubling, with jitter so that a thousand pages do not come back at once. */
export function backoff(attempt, random = Math.random()) {
  return Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** attempt) * (0.5 + random);
}

/**
 * on: {event(object), status("connecting" | "open" | "reconnecting" | "offline" | "gone")}
 * place: () → {id: conversation id or null for a new one, after: event id or null}
 * exists: async id → false when the conversation is known to be gone
 */
export class Connection {
  constructor({ on, place, exists }) {
    Object.assign(this, { on, place, exists, socket: null, attempt: 0, timer: null, openedAt: null });
    addEventListener("online", () => this.open());
    addEventListener("offline", () => this.#lost());
    document.addEventListener("visibilitychange", () => this.#woke());
  }

  /** Connects now, whatever was going on before. */
  open() {
    this.close();
    const { id, after } = this.place();
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const query = id && after ? `?after=${encodeURIComponent(after)}` : "";
    const socket = new WebSocket(`${scheme}//${location.host}/ws${id ? `/${encodeURIComponent(id)}` : ""}${query}`);
    this.socket = socket;
    this.on.status(this.attempt ? "reconnecting" : "connecting");
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data }) => this.on.event(JSON.parse(data));
    socket.onclose = ({ code }) => this.#closed(id, code);
  }

  /** True when the command went out; an answer is another matter. */
  send(command) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(command));
    return true;
  }

  close() {
    clearTimeout(this.timer);
    if (!this.socket) return;
    const { socket } = this;
    this.socket = socket.onclose = socket.onmessage = null;
    // A browser complains of a socket that is closed while it opens.
    if (socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
    else socket.close();
  }

  #opened() {
    this.openedAt = Date.now();
    this.on.status("open");
  }

  async #closed(id, code) {
    const socket = this.socket;
    const gone = code === 4404 || (id && (await this.exists(id)) === false);
    if (this.socket !== socket) return;
    if (gone) this.on.status("gone");
    else this.#lost();
  }

  // A connection that breaks as soon as it is made counts as one more failed attempt.
  #lost() {
    if (this.openedAt && Date.now() - this.openedAt > STEADY) this.attempt = 0;
    this.openedAt = null;
    this.close();
    this.on.status(navigator.onLine ? "reconnecting" : "offline");
    if (navigator.onLine) this.timer = setTimeout(() => this.open(), backoff(this.attempt++));
  }

  // A page that slept may hold a socket that died unseen; one that waits should not wait longer for its reader.
  #woke() {
    if (document.visibilityState === "visible" && this.socket?.readyState !== WebSocket.OPEN) this.open();
  }
}
