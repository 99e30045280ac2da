// Where the flow's nodes and edges go. Pure geometry: layers from top to bottom, long edges in lanes beside them.

export const NODE = { width: 116, height: 28 };
const COLUMN = 128, ROW = 66, LANE = 14, MARGIN = 8;

/**
 * layout({nodes: [name], edges: [{from, to, action}]}) →
 *   {left, width, height, nodes: [{name, x, y}], edges: [{from, to, actions, path, label: {text, x, y, anchor} or null, exit}]}
 * x and y are a node's centre. `exit` marks edges that many nodes share, like those of a
 * failure; they come first, so that the others are drawn over them.
 */
export function layout({ nodes, edges }) {
  const joined = joinEdges(edges);
  const forward = withoutCycles(nodes, joined);
  const rows = rowsOf(nodes, forward);
  const places = placesOf(rows);
  const lanes = new Map();
  const halfWidth = Math.max(...rows.map((row) => row.length)) * COLUMN / 2;
  const drawn = joined.map((edge) => ({ ...edge, ...route(edge, places, lanes, halfWidth), exit: edge.label === "" }));
  drawn.sort((a, b) => b.exit - a.exit);
  const sides = [...lanes.values()];
  const left = halfWidth + MARGIN + LANE * sides.filter(({ side }) => side < 0).length;
  const right = halfWidth + MARGIN + LANE * sides.filter(({ side }) => side > 0).length;
  return {
    left: -left, width: left + right, height: rows.length * ROW,
    nodes: nodes.map((name) => ({ name, ...places.get(name) })),
    edges: drawn,
  };
}

// Edges with the same ends become one. Actions that lead to one node from three others or more are left out of its label.
function joinEdges(edges) {
  const shared = Object.groupBy(edges, ({ action, to }) => `${action} ${to}`);
  const common = ({ action, to }) => action !== "default" && shared[`${action} ${to}`].length > 2;
  return Object.values(Object.groupBy(edges, ({ from, to }) => `${from} ${to}`)).map((same) => {
    const own = same.filter((edge) => !common(edge)).map(({ action }) => action);
    const label = own.length ? own.filter((action) => action !== "default").join(", ") || null : "";
    return { from: same[0].from, to: same[0].to, actions: same.map(({ action }) => action), label };
  });
}

// Depth first from the first node: an edge to a node still being visited closes a circle and does not count for rows.
function withoutCycles(nodes, edges) {
  const forward = [], state = new Map();
  const visit = (name) => {
    state.set(name, "open");
    for (const edge of edges.filter(({ from }) => from === name)) {
      if (state.get(edge.to) === "open") continue;
      forward.push(edge);
      if (!state.has(edge.to)) visit(edge.to);
    }
    state.set(name, "done");
  };
  for (const name of nodes) if (!state.has(name)) visit(name);
  return forward;
}

// A node stands one row below the lowest node that leads to it.
function rowsOf(nodes, forward) {
  const rank = new Map();
  const rankOf = (name) => {
    if (!rank.has(name)) {
      const before = forward.filter(({ to }) => to === name).map(({ from }) => rankOf(from));
      rank.set(name, before.length ? Math.max(...before) + 1 : 0);
    }
    return rank.get(name);
  };
  const rows = [];
  for (const name of nodes) (rows[rankOf(name)] ??= []).push(name);
  return rows;
}

function placesOf(rows) {
  const places = new Map();
  rows.forEach((row, index) => row.forEach((name, column) => places.set(name, {
    x: (column - (row.length - 1) / 2) * COLUMN, y: (index + 0.5) * ROW, row: index })));
  return places;
}

function route(edge, places, lanes, halfWidth) {
  const from = places.get(edge.from), to = places.get(edge.to);
  const start = from.y + NODE.height / 2, end = to.y - NODE.height / 2;
  if (to.row === from.row + 1 && edge.label !== "") {
    const middle = (start + end) / 2;
    const path = `M${from.x} ${start}C${from.x} ${middle} ${to.x} ${middle} ${to.x} ${end}`;
    return { path, label: labelAt(edge, (from.x + to.x) / 2 + 6, middle + 3) };
  }
  const side = to.row > from.row ? 1 : -1;
  const lane = laneX(lanes, edge.to, side, halfWidth);
  const out = from.x + side * NODE.width / 3, below = start + 10, above = end - 10;
  const path = `M${out} ${start}V${below}H${lane}V${above}H${to.x + side * NODE.width / 4}V${end}`;
  return { path, label: labelAt(edge, out + side * 4, below - 3, side) };
}

// Every edge to one node from one side shares a lane, as on a map of trains.
function laneX(lanes, target, side, halfWidth) {
  const key = `${side} ${target}`;
  if (!lanes.has(key)) {
    const before = [...lanes.values()].filter((lane) => lane.side === side).length;
    lanes.set(key, { side, x: side * (halfWidth + LANE * (before + 0.5)) });
  }
  return lanes.get(key).x;
}

function labelAt({ label }, x, y, side = 1) {
  return label ? { text: label, x, y, anchor: side > 0 ? "start" : "end" } : null;
}
