// The page, wired: one session, the views that draw it, and what a person can do to it.

import { changeConversation, createConversation, getAgents, getConversation, getHealth } from "./api.js";
import { announce, markUnseen, setTitle, spoken } from "./attention.js";
import { icon } from "./dom.js";
import { sidePanel } from "./panels.js";
import { followEnd } from "./scroll.js";
import { Session } from "./session.js";
import { sendWaitingElsewhere } from "./stragglers.js";
import { tabList } from "./tabs.js";
import { themeButton } from "./theme.js";
import { complain, toast } from "./toasts.js";
import { Topics } from "./topics.js";
import { uploads } from "./uploads.js";
import { agentChoice } from "./view_agent.js";
import { Composer } from "./view_composer.js";
import { messagesView } from "./view_messages.js";
import { queueView } from "./view_queue.js";
import { topicsView } from "./view_topics.js";

const byId = (id) => document.getElementById(id);
const STATUS_TEXT = { open: "", connecting: "Connecting…", reconnecting: "Reconnecting…", offline: "Offline. What you write is kept." };

const session = new Session({
  exists: (id) => getConversation(id).then(() => true, ({ status }) => (status === 404 ? false : undefined)),
  on: { draw, status: connectionChanged, events: happened, rejected },
});
let agentChosen = Promise.resolve(); // what is said next is for the agent just picked
const actions = {
  command: (fields) => session.command(fields),
  say: (content, when) => agentChosen.then(() => { session.say(content, when); scroll.toEnd(); }),
  stop: () => session.command({ type: "stop", runId: session.chat.server.runId }),
  copied: (done) => announce(done ? "Copied" : "Copying is not allowed here"),
};

const scroll = followEnd(byId("scroller"), byId("messages"), byId("to-end"));
const messages = messagesView(byId("messages"), actions);
const queue = queueView(byId("queue"), actions);
const writing = new Composer({ form: byId("composer"), area: byId("message"), send: byId("send"), queue: byId("queue-up") }, actions);
const agent = agentChoice(byId("agent"), chooseAgent);
const topics = new Topics({ changed: drawTopics, failed: complain, announced: (text) => toast(text), deleted: topicDeleted });
const topicList = topicsView(byId("topics"), {
  rename: (id, title) => topics.rename(id, title), remove: removeTopic, more: () => topics.more() });
const left = sidePanel("left", byId("topics-panel"), [byId("show-left"), byId("fold-left")], true);
const right = sidePanel("right", byId("agent-panel"), [byId("show-right"), byId("fold-right")], false);

let version = null, panel = null;

function draw() {
  const { chat, unsent } = session;
  nameInAddress();
  messages.draw(chat, unsent);
  queue.draw(chat, unsent);
  writing.draw(chat);
  agent.draw(chat);
  if (right.isOpen()) panel?.draw();
  byId("empty").hidden = !chat.loaded || chat.messages.length + chat.server.queue.length + unsent.length > 0;
  const title = chat.server.conversation?.title;
  byId("title").textContent = title || "New topic";
  setTitle(title);
}

function drawTopics() {
  topicList.draw(topics, session.id);
}

// A topic's id comes with the connection, its place in the address with its first message.
function nameInAddress() {
  const { id, born } = session;
  if (!born || location.hash === `#${id}`) return;
  history.replaceState(null, "", `#${id}`);
  writing.renameDraft(id);
  drawTopics();
}

function openFromAddress() {
  openTopic(decodeURIComponent(location.hash.slice(1)) || null);
}

function openTopic(id) {
  if (id && id === session.id) return;
  session.open(id);
  writing.openDraft(id ?? "new");
  scroll.toEnd();
  left.closeOverlay();
  if (matchMedia("(hover: hover)").matches) byId("message").focus();
  drawTopics();
  readPanel();
}

function newTopic() {
  history.pushState(null, "", location.pathname);
  openTopic(null);
}

function removeTopic(topic) {
  const undo = topics.delete(topic.id);
  const wasOpen = topic.id === session.id;
  if (wasOpen) newTopic();
  toast(`“${topic.title || "New topic"}” deleted`, { action: "Undo", run: () => { undo(); if (wasOpen) location.hash = topic.id; } });
}

function topicDeleted(id) {
  if (id !== session.id) return;
  toast("This topic was deleted. Here is a new one.");
  newTopic();
}

/** The open topic's id, once the server has stored it: a file or an agent cannot belong to nothing. */
async function storedTopic() {
  if (session.born) return session.id;
  const known = session.id;
  const { id } = await createConversation(known ? { id: known } : {}).catch((error) => {
    if (error.status === 409) return { id: known }; // a message was quicker and has stored it
    throw error;
  });
  if (known && session.id !== known) return id; // another topic was opened meanwhile
  history.replaceState(null, "", `#${id}`);
  writing.renameDraft(id);
  if (id === known) session.born = true;
  else session.open(id);
  return id;
}

function chooseAgent(name) {
  agentChosen = storedTopic().then((id) => changeConversation(id, { agent: name })).catch(complain);
}

function connectionChanged(status) {
  if (status === "gone") {
    toast("This topic is not here any more. Here is a new one.");
    return newTopic();
  }
  byId("connection").textContent = STATUS_TEXT[status];
  byId("connection").dataset.status = status;
  if (status !== "open") return;
  getHealth().then(health, complain);
  sendWaitingElsewhere(session.id).catch(complain);
}

function health(now) {
  version ??= now.version;
  byId("outdated").hidden = now.version === version;
  byId("fine-print").textContent = now.demo
    ? "Demo model: scripted answers, until OPENAI_API_KEY or OPENAI_BASE_URL is set." : "";
}

function happened(events) {
  const said = spoken(events);
  if (!said) return;
  announce(said);
  markUnseen();
  readPanel();
}

function rejected(command, { message }) {
  if (command.content) writing.giveBack(command.content);
  toast(command.content ? `${message} Your text is back in the box below.` : message, { kind: "error" });
}

async function readPanel() {
  if (!right.isOpen()) return;
  panel ??= new (await import("./agent_panel.js")).AgentPanel(session);
  panel.read();
}

function keys(event) {
  if (event.isComposing || event.defaultPrevented) return;
  if (event.key === "Escape") escape();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && document.activeElement === document.body) document.querySelector(".approve")?.click();
  if (event.key === "k" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (!left.isOpen()) byId("show-left").click();
    byId("search").focus();
  }
}

function escape() {
  if (left.closeOverlay() || right.closeOverlay()) return;
  if (session.chat.server.status !== "idle") actions.stop();
}

function label(id, name, text) {
  byId(id).append(icon(name));
  byId(id).title = text;
  byId(id).setAttribute("aria-label", text);
}

label("show-left", "left", "Topics");
label("fold-left", "left", "Fold topics");
label("show-right", "right", "Activity and flow");
label("fold-right", "right", "Fold this panel");
label("attach", "attach", "Attach files");
byId("new-topic").prepend(icon("plus"));
byId("to-end").prepend(icon("down"));
themeButton(byId("theme"));
tabList([byId("tab-activity"), byId("tab-flow")], readPanel);
uploads({ picker: byId("picker"), choose: byId("attach"), list: byId("uploads"), area: byId("message"), drop: document.body }, storedTopic, readPanel);

byId("new-topic").addEventListener("click", newTopic);
byId("reload").addEventListener("click", () => location.reload());
byId("show-right").addEventListener("click", readPanel);
byId("cover").addEventListener("click", escape);
byId("search").addEventListener("input", ({ target }) => topics.search(target.value.trim()));
byId("empty").addEventListener("click", ({ target }) => target.dataset.say && actions.say(target.dataset.say));
addEventListener("hashchange", openFromAddress);
addEventListener("keydown", keys);
getAgents().then(agent.setAgents, complain);
openFromAddress();
