/**
 * The inline text of one block while it grows. Once nothing that may still come can change the beginning of it, the
 * beginning is settled: its nodes stay as they are, and only the rest is scanned and drawn again. The rest stays small
 * whatever is written, because no construct spans more than REACH characters.
 */
import { REACH, Scanner } from "./markdown_scanner.js";

// Scanned at once. Its beginning must be settled: code, links, emphasis may each wait for the one before, within their
// reach, and the element that crosses that point reaches back once more.
const WINDOW = 5 * REACH;
const WORTH_SETTLING = 512;

export class InlineText {
  #parent;
  #text = ""; // not settled yet
  #before = { text: "\n", insideRun: false, begun: undefined };
  #drawn = []; // the nodes of #text

  constructor(parent) {
    this.#parent = parent;
  }

  write(piece) {
    this.#text += piece;
  }

  /** Brings the DOM up to date. `final`: no more will come, so half-written syntax is literal. */
  draw(final = false) {
    for (const node of this.#drawn) node.remove();
    while (this.#text.length > WINDOW) this.#settle(new Scanner(this.#text.slice(0, WINDOW), this.#before, false));
    const scanner = new Scanner(this.#text, this.#before, final);
    if (!final && scanner.settled >= WORTH_SETTLING) this.#settle(scanner);
    this.#drawn = [...scanner.root.childNodes];
    this.#parent.append(scanner.root);
  }

  #settle(scanner) {
    const { nodes, length, before } = scanner.settle();
    this.#parent.append(nodes);
    this.#text = this.#text.slice(length);
    this.#before = before;
  }
}

/** Appends `text` to `parent` as inline content; `final` as in InlineText.draw. */
export function renderInline(parent, text, final = true) {
  const inline = new InlineText(parent);
  inline.write(text);
  inline.draw(final);
}
