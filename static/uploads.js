// Files on their way into the conversation's workspace: chosen, dropped or pasted.

import { uploadFile } from "./api.js";
import { el } from "./dom.js";
import { complain } from "./toasts.js";

/** conversation: async () → id of a stored conversation. done() after each file. */
export function uploads({ picker, choose, list, area, drop }, conversation, done) {
  const send = async (files) => {
    for (const file of files) await sendOne(file, list, conversation).then(done, complain);
  };
  choose.addEventListener("click", () => picker.click());
  picker.addEventListener("change", () => send([...picker.files]).then(() => { picker.value = ""; }));
  area.addEventListener("paste", ({ clipboardData }) => send([...clipboardData.files]));
  drop.addEventListener("dragover", (event) => event.dataTransfer.types.includes("Files") && event.preventDefault());
  drop.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    send([...event.dataTransfer.files]);
  });
}

async function sendOne(file, list, conversation) {
  const bar = el("progress", { max: 1, value: 0, "aria-label": `Sending ${file.name}` });
  const item = el("li", { class: "chip" }, el("span", { class: "chip-text" }, file.name), bar);
  list.append(item);
  try {
    await uploadFile(await conversation(), file, (share) => { bar.value = share; });
    item.replaceChildren(el("span", { class: "chip-text" }, `${file.name} is in the workspace`));
    setTimeout(() => item.remove(), 4000);
  } catch (error) {
    item.remove();
    throw new Error(`${file.name} was not sent. ${error.message}`, { cause: error });
  }
}
