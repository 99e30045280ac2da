// Telling someone who is not looking: a polite spoken line, and the title and icon of a page in the background.

let unseen = false, title = "";

/** Says it through the aria-live region; events, never tokens. */
export function announce(text) {
  const region = document.getElementById("announcer");
  region.textContent = "";
  requestAnimationFrame(() => { region.textContent = text; });
}

export function setTitle(topic) {
  title = topic ? `${topic} · Chat` : "Chat";
  show();
}

/** Marks the page's title and icon until it is looked at. */
export function markUnseen() {
  unseen = document.hidden;
  show();
}

function show() {
  const shown = unseen ? `● ${title}` : title;
  if (document.title !== shown) document.title = shown;
  const href = unseen ? "/static/favicon-done.svg" : "/static/favicon.svg";
  const link = document.querySelector("link[rel=icon]");
  if (link.getAttribute("href") !== href) link.setAttribute("href", href);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unseen = false;
  show();
});

/** What a frame's events mean to someone who only listens; null when nothing does. */
export function spoken(events) {
  const last = events.findLast(({ type }) => type === "RUN_FINISHED" || type === "RUN_ERROR");
  if (!last) return null;
  if (last.type === "RUN_ERROR") return `The answer failed. ${last.message}`;
  return { interrupt: "The agent asks for your approval.", cancelled: "Response interrupted." }[last.outcome?.type] ?? "Answer complete.";
}
