// Tiny helpers for making elements. Text always travels as text: nothing here takes markup.

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "open", "textContent", "inert"]);
const SVG = "http://www.w3.org/2000/svg";

/** el("button", {class: "plain", on: {click: save}}, "Save") → HTMLButtonElement. Null children are left out. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  setProps(node, props);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** The same for SVG. Attributes only. */
export function svg(tag, props = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function setProps(node, props) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (name === "on") for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    else if (PROPERTIES.has(name)) node[name] = value;
    else node.setAttribute(name, value);
  }
}

const ICONS = {
  plus: ["M12 5v14M5 12h14"],
  send: ["M12 19V5M6 11l6-6 6 6"],
  stop: ["M7 7h10v10H7z"],
  copy: ["M9 9h10v10H9z", "M5 15V5h10"],
  check: ["M5 12.5l4.5 4.5L19 7.5"],
  redo: ["M19 12a7 7 0 1 1-2.2-5.1", "M19 4v4h-4"],
  edit: ["M4 20l1-4L16 5l3 3L8 19z"],
  trash: ["M5 7h14M10 7V5h4v2M7 7l1 12h8l1-12"],
  close: ["M6 6l12 12M18 6L6 18"],
  left: ["M4 5h16v14H4z", "M10 5v14"],
  right: ["M4 5h16v14H4z", "M14 5v14"],
  attach: ["M8 12.5l5.5-5.5a3 3 0 0 1 4.2 4.2l-7.4 7.4a4.6 4.6 0 0 1-6.5-6.5L11 5"],
  down: ["M12 5v14M6 13l6 6 6-6"],
  search: ["M11 5a6 6 0 1 1 0 12 6 6 0 0 1 0-12z", "M20 20l-4.7-4.7"],
  system: ["M4 5h16v11H4z", "M9 20h6M12 16v4"],
  light: ["M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8z", "M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4"],
  dark: ["M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z"],
  tool: ["M5 7l4 5-4 5M12 17h7"],
  now: ["M13 4L6 13h5l-1 7 7-9h-5z"],
};

/** A decorative line icon, hidden from assistive technology. */
export function icon(name) {
  const paths = ICONS[name].map((d) => svg("path", { d }));
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, ...paths);
}

/** A button that shows only an icon; its label is its accessible name and its tooltip. */
export function iconButton(name, label, click, props = {}) {
  return el("button", { type: "button", class: "icon-button", "aria-label": label, title: label, on: click ? { click } : {}, ...props }, icon(name));
}

export function button(label, click, kind = "") {
  return el("button", { type: "button", class: `button ${kind}`, on: { click } }, label);
}

/** Make parent's children exactly `nodes`, in order, moving only what is out of place. */
export function arrange(parent, nodes) {
  let next = parent.firstChild;
  for (const node of nodes) {
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
  }
  while (next) {
    const after = next.nextSibling;
    next.remove();
    next = after;
  }
}

/** A textarea as tall as its text, up to the max-height its style gives. */
export function growWithText(area) {
  const grow = () => {
    area.style.setProperty("height", "auto");
    area.style.setProperty("height", `${area.scrollHeight + 2}px`);
  };
  area.addEventListener("input", grow);
  return grow;
}

/** Copies text; without the clipboard API (plain http beyond localhost) by a selection. Says whether it worked. */
export async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => false);
  const area = el("textarea", { value: text, class: "visually-hidden" });
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

/** Milliseconds as a person would say them: 340 ms, 2.4 s, 3 min 5 s. */
export function duration(ms) {
  if (!Number.isFinite(ms)) return "";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}
