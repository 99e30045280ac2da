// Messages that no server has acknowledged yet. They outlive the page, and go once, by their id.

const KEY = "outbox";

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? [];
  } catch (error) {
    console.warn("The outbox could not be read and starts empty.", error);
    return [];
  }
}

const write = (entries) => localStorage.setItem(KEY, JSON.stringify(entries));

/** entry: {conversationId or null, id, content, when?} */
export const addToOutbox = (entry) => write([...read(), entry]);

export const removeFromOutbox = (id) => write(read().filter((entry) => entry.id !== id));

export const outboxOf = (conversationId) => read().filter((entry) => entry.conversationId === conversationId);

/** What was written for a conversation that never came to be belongs to the one that takes its place. */
export const moveOutbox = (from, to) =>
  write(read().map((entry) => (entry.conversationId === from ? { ...entry, conversationId: to } : entry)));

/** Entries of stored topics other than the open one. */
export const outboxElsewhere = (openId) =>
  read().filter(({ conversationId }) => conversationId && conversationId !== openId);
