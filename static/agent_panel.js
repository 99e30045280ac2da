// The right panel, read only when it is first opened: Activity and Flow, with what the server says about files and runs.

import { getConversation, getFlow, getRuns } from "./api.js";
import { complain } from "./toasts.js";
import { activityView } from "./view_activity.js";
import { flowView } from "./view_flow.js";
import { traceView } from "./view_trace.js";

const byId = (id) => document.getElementById(id);
const flowShown = () => !byId("flow").hidden;

/** session: the open conversation. draw() with every frame, read() when the server may have more to tell. */
export class AgentPanel {
  #activity = activityView(byId("activity"));
  #flow = flowView(byId("graph"));
  #trace = traceView(byId("trace"));
  #shown = null;

  constructor(session) {
    this.session = session;
  }

  draw() {
    if (flowShown()) this.#flow.draw(this.session.chat);
    else this.#activity.draw(this.session.chat);
  }

  read() {
    if (this.#shown !== this.session.id) this.#flow.latest = this.#flow.chosen = null;
    this.#shown = this.session.id;
    this.draw();
    return flowShown() ? this.#readFlow() : this.#readFiles();
  }

  async #readFiles() {
    const { id, born } = this.session;
    const conversation = born ? await getConversation(id).catch(keepShown) : { files: [] };
    if (id === this.session.id && conversation) this.#activity.drawFiles(conversation.files ?? []);
  }

  async #readFlow() {
    const { id, born } = this.session;
    if (!byId("graph").firstChild) await getFlow().then(this.#flow.setFlow, complain);
    const runs = born ? await getRuns(id).catch(keepShown) : [];
    if (id !== this.session.id || !runs) return;
    this.#flow.latest = runs.at(-1) ?? null;
    this.#trace.draw(runs, { open: (run) => this.#choose(run) });
    this.draw();
  }

  #choose(run) {
    this.#flow.chosen = run;
    this.draw();
  }
}

// The connection says by itself that the server is away; the panel keeps what it shows.
function keepShown(error) {
  console.info(error.message);
  return null;
}
