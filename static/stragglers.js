// Messages left in the outbox by topics that are not open: sent over HTTP as soon as there is a server again.

import { sendCommand } from "./api.js";
import { readDraft, saveDraft } from "./drafts.js";
import { outboxElsewhere, removeFromOutbox } from "./outbox.js";

/** What the server refuses goes back to its topic's draft, and the promise is rejected with a sentence that says so. */
export async function sendWaitingElsewhere(openId) {
  for (const { conversationId, ...message } of outboxElsewhere(openId)) {
    try {
      await sendCommand(conversationId, { type: "user_message", ...message, commandId: message.id });
    } catch (error) {
      if (!error.status) return;
      giveBack(error.status === 404 ? "new" : conversationId, message.content);
      removeFromOutbox(message.id);
      throw new Error(`${error.message} A message for another topic went back to its draft.`, { cause: error });
    }
    removeFromOutbox(message.id);
  }
}

function giveBack(topic, text) {
  saveDraft(topic, [text, readDraft(topic)].filter(Boolean).join("\n"));
}
