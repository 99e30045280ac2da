/**
 * Code, in a line and in blocks. A block grows by lines: finished lines are coloured once and never touched again. Its
 * text is cut into several <code> elements, so that a browser lays out only the last one anew; style them
 * `display: block`.
 */
import { colour, LONGEST } from "./highlight.js";

const LINES_A_PART = 64;

function element(name, properties, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

/** Where a code span's content that begins at `at` ends: before `run` backticks, at most at `latest`; null if nowhere. */
export function codeSpanEnd(text, at, run, latest) {
  const closing = /`+/g;
  closing.lastIndex = at;
  for (let found; (found = closing.exec(text)) && found.index <= latest; ) {
    if (found[0].length === run) return found.index;
  }
  return null;
}

/** The code span of `source`. Once `closed`, a space at both its ends is dropped, unless it is nothing but spaces. */
export function codeSpan(source, closed) {
  const content = source.replaceAll("\n", " ");
  const padded = closed && content.startsWith(" ") && content.endsWith(" ") && content.trim() !== "";
  return element("code", { textContent: padded ? content.slice(1, -1) : content });
}

/** Copies the text of `source`, and says on the button that it did; where the browser forbids that, selects the text. */
async function copy(button, source) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(source);
    button.textContent = "Selected: copy with Ctrl+C";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

export class CodeBlock {
  #language; #pre;
  #part = null; #lines = 0; // the last <code>, and how many lines have been begun
  #line = null;             // the line being written; null between lines
  #overlong = false;        // its beginning is drawn, its rest goes to the DOM as it comes
  #state = null;            // the colouring's, at the beginning of #line
  #blanks = [];             // blank lines that count only if a line follows
  #last = document.createElement("span"); // holds #line while it grows

  /** `language`: as written after the fence, "" for none. */
  constructor(language) {
    this.#language = language.toLowerCase();
    this.#pre = element("pre", { tabIndex: 0, role: "group", ariaLabel: `Code ${language}`.trim() });
    const button = element("button", { type: "button", className: "copy" }, "Copy");
    button.addEventListener("click", () => copy(button, this.#pre));
    const head = element("div", { className: "code-head" }, element("span", {}, language || "code"), button);
    this.element = element("figure", { className: "code-block", dir: "ltr" }, head, this.#pre);
    this.#nextPart();
  }

  #nextPart() {
    this.#part = document.createElement("code");
    this.#pre.append(this.#part);
  }

  /** A blank line of indented code: dropped if nothing follows. */
  blank(text) {
    this.#blanks.push(text);
  }

  write(piece) {
    for (const blank of this.#blanks.splice(0)) this.#finishLine(blank);
    if (this.#overlong) return this.#part.append(piece);
    this.#line = (this.#line ?? "") + piece;
    if (this.#line.length > LONGEST) {
      this.#drawLine(this.#line);
      this.#overlong = true;
    }
  }

  newline() {
    if (this.#line !== null) this.#finishLine(this.#overlong ? "" : this.#line);
    this.#line = null;
    this.#overlong = false;
  }

  #finishLine(line) {
    this.#drawLine(line);
    this.#part.append("\n");
    this.#lines += 1;
  }

  #drawLine(line) {
    if (this.#lines >= LINES_A_PART) {
      this.#nextPart();
      this.#lines = 0;
    }
    const { nodes, state } = colour(this.#language, line, this.#state);
    this.#last.remove();
    this.#part.append(...nodes);
    this.#state = state;
  }

  draw() {
    if (this.#line === null || this.#overlong) return;
    this.#last.replaceChildren(...colour(this.#language, this.#line, this.#state).nodes);
    this.#part.append(this.#last);
  }

  close() {
    this.newline();
  }
}
