/**
 * The blocks that hold text, each drawn as it grows: write(piece) adds to it, newline() ends its line, draw() brings
 * the DOM up to date while more may come, close() when nothing will. Code blocks are in markdown_code.js.
 */
import { CodeBlock } from "./markdown_code.js";
import { InlineText, renderInline } from "./markdown_inline.js";
import { unescaped } from "./markdown_links.js";

const PROVISIONAL_TABLE = 1000; // characters of a first line up to which "| a" is drawn as a table in the making

function child(parent, name, className = "") {
  const node = parent.appendChild(document.createElement(name));
  if (className) node.className = className;
  return node;
}

/** The cells of a table's line: split at every "|" without a backslash, the outer ones dropped. */
export function splitRow(line) {
  const cells = line.trim().replace(/^\|/, "").match(/(?:\\[^]?|[^\\|])*(?:\||$)/g);
  const texts = cells.filter((cell) => cell !== "").map((cell) => cell.replace(/(?<!\\)\|$/, ""));
  return texts.map((cell) => cell.replaceAll("\\|", "|").trim());
}

/** The alignments in a table's delimiter row, "" for none; null if `line` is not one. */
export function alignments(line) {
  if (!line.includes("|") || !/^[|:\- \t]+$/.test(line)) return null;
  const cells = splitRow(line);
  if (!cells.every((cell) => /^:?-+:?$/.test(cell))) return null;
  return cells.map((cell) => ({ "::": "center", ":": cell[0] === ":" ? "left" : "right" })[cell.replace(/-/g, "")] ?? "");
}

/** A task's checkbox: it shows what was written and cannot be changed. */
function checkbox(parent, done) {
  const box = child(parent, "input");
  box.type = "checkbox";
  box.disabled = true;
  box.defaultChecked = done;
  box.ariaLabel = done ? "Done" : "To do";
}

export class Paragraph {
  element = document.createElement("p");
  lastLine = ""; // of its text; a table's header if a delimiter row follows
  #text = "";
  #inline = new InlineText(this.element);
  #provisional = null;

  /** `task`: null, or whether the task whose text this is has been done. */
  constructor(task = null) {
    if (task !== null) checkbox(this.element, task);
    this.isTask = task !== null;
  }

  write(piece) {
    this.#inline.write(piece);
    this.lastLine += piece;
  }

  /** Its text goes on in a new line. */
  nextLine(piece) {
    this.#text += `${this.lastLine}\n`;
    this.lastLine = piece;
    this.#inline.write(`\n${piece}`);
  }

  newline() {}

  draw() {
    this.#provisional?.remove();
    const { lastLine: line } = this;
    const likeTable = this.#text === "" && line.startsWith("|") && line.length < PROVISIONAL_TABLE && !this.isTask;
    this.#provisional = likeTable ? new Table(splitRow(line), []).element : null;
    this.element.hidden = likeTable;
    if (likeTable) this.element.after(this.#provisional);
    else this.#inline.draw();
  }

  close() {
    this.#provisional?.remove();
    this.element.hidden = false;
    this.#inline.draw(true);
  }

  /** Closes it as a heading. */
  toHeading(level) {
    this.close();
    const heading = document.createElement(`h${level}`);
    heading.dir = this.element.dir;
    heading.append(...this.element.childNodes);
    this.element.replaceWith(heading);
  }

  /** Closes it without its last line, which becomes a table's header. */
  withoutLastLine() {
    this.#provisional?.remove();
    this.element.hidden = false;
    this.element.replaceChildren();
    if (this.#text) renderInline(this.element, this.#text.slice(0, -1));
    else this.element.remove();
  }
}

/** An ATX heading. Its closing #s wait in #end until it is known that nothing follows them. */
class Heading {
  #inline;
  #end = "";
  #started = false; // something stands before #end

  constructor(level) {
    this.element = document.createElement(`h${level}`);
    this.#inline = new InlineText(this.element);
  }

  write(piece) {
    const text = this.#end + piece;
    let end = text.length;
    while (end > 0 && "# \t".includes(text[end - 1])) end--;
    this.#inline.write(text.slice(0, end));
    this.#end = text.slice(end);
    this.#started ||= end > 0;
  }

  newline() {}

  draw() {
    this.#inline.draw();
  }

  close() {
    const closing = this.#started ? /[ \t]+#*[ \t]*$/ : /(?:^|[ \t]+)#*[ \t]*$/;
    this.#inline.write(this.#end.replace(closing, ""));
    this.#inline.draw(true);
  }
}

export class Table {
  #aligns; #table; #body = null;
  #row = null; // the line being written
  #drawn = null;

  /** `header`: texts of the cells; `aligns`: "left", "center", "right" or "" for each. */
  constructor(header, aligns) {
    this.#aligns = aligns;
    this.columns = header.length;
    this.element = document.createElement("div");
    Object.assign(this.element, { className: "table-scroll", tabIndex: 0, role: "group", ariaLabel: "Table" });
    this.#table = child(this.element, "table");
    this.#drawRow(child(this.#table, "thead"), "th", header, aligns.length > 0);
  }

  #drawRow(parent, cellName, texts, final) {
    const row = child(parent, "tr");
    for (let column = 0; column < this.columns; column++) {
      const align = this.#aligns[column];
      const cell = child(row, cellName, align ? `align-${align}` : "");
      if (texts[column]) renderInline(cell, texts[column], final || column < texts.length - 1);
    }
    return row;
  }

  write(piece) {
    this.#row = (this.#row ?? "") + piece;
  }

  draw(final = false) {
    this.#drawn?.remove();
    if (this.#row === null) return;
    this.#body ??= child(this.#table, "tbody");
    this.#drawn = this.#drawRow(this.#body, "td", splitRow(this.#row), final);
  }

  newline() {
    this.draw(true);
    this.#row = this.#drawn = null;
  }

  close() {
    if (this.#row !== null) this.newline();
  }
}

/** The block for `leaf`, as leafAt() describes it. `task`: the checkbox before a paragraph, as taskAt() does, or null. */
export function newLeaf(leaf, task) {
  switch (leaf.type) {
    case "heading": return new Heading(leaf.level);
    case "table": return new Table(leaf.header, leaf.aligns);
    case "indented": return new CodeBlock("");
    case "fence": return new CodeBlock(unescaped(leaf.info.trim().split(/\s/)[0]));
    default: return new Paragraph(task && task.done);
  }
}
