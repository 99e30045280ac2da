// What was typed and not sent, kept through a reload. Keys name what the text is for: a topic, an approval.

const PREFIX = "draft:";

export const readDraft = (key) => localStorage.getItem(PREFIX + key) ?? "";

export function saveDraft(key, text) {
  if (text) localStorage.setItem(PREFIX + key, text);
  else localStorage.removeItem(PREFIX + key);
}
