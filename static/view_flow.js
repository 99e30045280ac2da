// The right panel's second tab: the flow as it is in flow.py, with the node at work lit and the edges taken marked.

import { duration, el, svg } from "./dom.js";
import { layout, NODE } from "./flow_layout.js";

/** setFlow(flow) once GET /api/flow has answered; draw(chat) with every change; `latest` and `chosen` are runs of the past. */
export function flowView(root) {
  let picture = null, drawnRun;
  const view = { latest: null, chosen: null, setFlow, draw };

  function draw(chat) {
    const run = view.chosen ?? (chat.server.status === "idle" ? view.latest : null) ?? live(chat);
    const key = run && `${run.id} ${run.steps.length} ${run.steps.at(-1)?.ms} ${run.live} ${run.outcome}`;
    if (!picture || drawnRun === key) return;
    drawnRun = key;
    picture.mark(run);
  }

  function setFlow(flow) {
    picture = flowPicture(flow);
    drawnRun = undefined;
    root.replaceChildren(picture.element);
  }

  return view;
}

const live = ({ run, server }) => run && { ...run, live: server.status === "running" };

function flowPicture(flow) {
  const { left, width, height, nodes, edges } = layout(flow);
  const edgeElements = edges.map((edge) => ({ ...edge, element: drawEdge(edge) }));
  const nodeElements = new Map(nodes.map((node) => [node.name, drawNode(node)]));
  const title = svg("title");
  title.textContent = `The flow: ${nodes.map(({ name }) => name).join(", ")}`;
  const element = svg("svg", { viewBox: `${left} 0 ${width} ${height}`, class: "flow", role: "img" },
    title, arrowHead(), ...edgeElements.map((edge) => edge.element), ...nodeElements.values());
  const now = el("p", { class: "visually-hidden" });
  return { element: el("div", {}, element, now), mark: (run) => mark(run, nodeElements, edgeElements, now) };
}

function arrowHead() {
  const head = svg("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, markerUnits: "userSpaceOnUse", orient: "auto" },
    svg("path", { d: "M0 0.5L8 4L0 7.5z" }));
  return svg("defs", {}, head);
}

function drawEdge({ path, label, exit }) {
  const line = svg("path", { d: path, "marker-end": "url(#arrow)" });
  const group = svg("g", { class: `edge${exit ? " exit" : ""}` }, line);
  if (label) group.append(text(label.text, label.x, label.y, { "text-anchor": label.anchor }));
  return group;
}

function drawNode({ name, x, y }) {
  const { width, height } = NODE;
  const box = svg("rect", { x: x - width / 2, y: y - height / 2, width, height, rx: 7 });
  return svg("g", { class: "node" }, box, text(name, x, y + 3.5), text("", x + width / 2, y - height / 2 - 3, { class: "time", "text-anchor": "end" }));
}

function text(content, x, y, props = {}) {
  const node = svg("text", { x, y, "text-anchor": "middle", ...props });
  node.textContent = content;
  return node;
}

function mark(run, nodes, edges, now) {
  const steps = run?.steps ?? [];
  const working = run?.live ? steps.findLast(({ ms }) => ms === null)?.node : null;
  for (const [name, element] of nodes) {
    const times = steps.filter(({ node, ms }) => node === name && ms !== null).map(({ ms }) => ms);
    element.classList.toggle("done", times.length > 0);
    element.classList.toggle("working", name === working);
    element.querySelector(".time").textContent = times.length ? duration(times.reduce((sum, ms) => sum + ms)) : "";
  }
  for (const edge of edges) edge.element.classList.toggle("taken", taken(edge, steps));
  now.textContent = working ? `At work: ${working}` : "";
}

// A past run knows the actions; a live one knows only which node came after which.
function taken({ from, to, actions }, steps) {
  return steps.some((step, index) => step.node === from
    && (step.action ? actions.includes(step.action) : steps[index + 1]?.node === to));
}
