/**
 * The block structure, line by line: CommonMark's block algorithm over a stack of open containers and one open leaf.
 * A line waits only until its beginning says what it is; from then on its rest flows into the leaf as it comes. Nothing
 * but the open leaf is ever drawn again.
 */
import { CodeBlock } from "./markdown_code.js";
import { newLeaf, Paragraph, Table } from "./markdown_leaves.js";
import { Line } from "./markdown_line.js";
import { containerAt, continues, endsFence, isUndecided, leafAt, taskAt } from "./markdown_starts.js";

const MAX_CONTAINERS = 40; // quotes, lists and items inside one another; markers beyond that are text
const LETTER = /\p{L}/u;
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

export class Blocks {
  #stack;              // open containers: {type, element, filled: has a child, …}, the document first
  #leaf = null;        // the open Paragraph, Heading, CodeBlock or Table
  #line = "";          // the current line, while it is undecided
  #flowing = false;    // its structure is settled, its rest goes to the leaf
  #blank = null;       // after a blank line: the index of the innermost quote it lay in, -1 for none
  #fence = null;       // of an open fenced code block: {closing, indent}
  #preview = null;     // a code block shown before the line with its fence has ended
  #undirected = null;  // the last block at the top level, while it has no letter

  constructor(root) {
    this.#stack = [{ type: "document", element: root }];
  }

  write(text) {
    this.#preview?.remove();
    const lines = text.split("\n");
    const last = lines.pop();
    for (const line of lines) this.#endLine(line);
    this.#flow(last);
    this.#leaf?.draw();
  }

  end() {
    this.#preview?.remove();
    if (this.#flowing || this.#line) this.#endLine("");
    this.#leaf?.close();
  }

  #flow(piece) {
    if (!piece) return;
    if (this.#flowing) return this.#writeLeaf(piece);
    this.#line += piece;
    this.#flowing = this.#place(false);
  }

  #endLine(piece) {
    if (this.#flowing) this.#writeLeaf(piece);
    else {
      this.#line += piece;
      this.#place(true);
    }
    this.#leaf?.newline();
    this.#line = "";
    this.#flowing = false;
  }

  #writeLeaf(piece) {
    this.#direct(piece);
    this.#leaf?.write(piece);
  }

  /** The first letter sets a block's direction. dir="auto" would have the browser search the block at every change. */
  #direct(text) {
    const letter = this.#undirected && LETTER.exec(text);
    if (!letter) return;
    this.#undirected.dir = RIGHT_TO_LEFT.test(letter[0]) ? "rtl" : "ltr";
    this.#undirected = null;
  }

  /** Gives the current line its place; false if that must wait for more of it. */
  #place(complete) {
    const line = new Line(this.#line);
    const kept = this.#keptBy(line, complete);
    if (kept === 0 || (line.blank && !complete)) return false;
    const inLeaf = kept === this.#stack.length;
    if (inLeaf && this.#leaf instanceof CodeBlock) {
      const placed = this.#fence ? this.#placeInFence(line, complete) : this.#placeInIndented(line);
      if (placed !== null) return placed;
    }
    if (line.blank) return this.#placeBlank(kept);
    const starts = this.#read(line, kept, complete);
    if (!starts) return false;
    this.#open(starts, line, kept);
    this.#blank = null;
    return true;
  }

  /** How many open containers `line` continues, their marks taken off it; 0 if that is undecided. */
  #keptBy(line, complete) {
    for (let kept = 1; kept < this.#stack.length; kept++) {
      if (!complete && (line.blank || line.text === ">")) return 0;
      if (!continues(this.#stack[kept], line)) return kept;
    }
    return this.#stack.length;
  }

  #placeInFence(line, complete) {
    const ends = endsFence(line, this.#fence);
    if (ends !== false && !complete) return false;
    this.#blank = null;
    if (ends) {
      this.#closeLeaf();
    } else {
      line.skip(this.#fence.indent);
      this.#writeLeaf(line.rest);
    }
    return true;
  }

  /** null if the line does not belong to the indented code. */
  #placeInIndented(line) {
    if (line.indent < 4 && !line.blank) return null;
    const { blank } = line;
    line.skip(4);
    if (blank) {
      this.#leaf.blank(line.rest);
      this.#blank = this.#innermostQuote(this.#stack.length);
    } else {
      this.#writeLeaf(line.rest);
      this.#blank = null;
    }
    return true;
  }

  #placeBlank(kept) {
    this.#closeLeaf();
    this.#stack.length = kept;
    this.#blank = this.#innermostQuote(kept);
    return true;
  }

  #innermostQuote(kept) {
    return this.#stack.slice(0, kept).findLastIndex(({ type }) => type === "quote");
  }

  /** What begins in `line`: {containers, leaf}, leaf null for plain text; null if that is undecided. */
  #read(line, kept, complete) {
    const containers = [];
    const open = this.#leaf instanceof Paragraph ? this.#leaf : null;
    for (;;) {
      const continued = containers.length === 0 ? open : null; // what plain text would continue
      const paragraph = kept === this.#stack.length ? continued : null; // what markers in this line may interrupt
      if (!complete && isUndecided(line, paragraph !== null, this.#beginsItem(containers))) return null;
      if (line.blank || (line.indent >= 4 && continued)) return { containers, leaf: null };
      const leaf = leafAt(line, paragraph);
      if (leaf?.type === "fence" && !complete) return this.#showPreview(kept, containers);
      if (leaf) return { containers, leaf };
      const room = kept + containers.length < MAX_CONTAINERS;
      const container = room ? containerAt(line, paragraph !== null) : null;
      if (!container) return { containers, leaf: null };
      containers.push(container);
    }
  }

  #beginsItem(containers) {
    const container = containers.at(-1) ?? this.#stack.at(-1);
    return container.type === "item" && !container.filled;
  }

  /** Shows the code block that an unfinished line with a fence is about to open; returns null: it is undecided. */
  #showPreview(kept, containers) {
    const container = this.#stack[kept - 1];
    if (containers.length || container.type === "list") return null;
    this.#preview = new CodeBlock("").element;
    container.element.append(this.#preview);
    return null;
  }

  #open({ containers, leaf }, line, kept) {
    const plain = leaf === null && containers.length === 0;
    if (plain && this.#leaf instanceof Paragraph) return this.#continueParagraph(line.text);
    if (plain && this.#leaf instanceof Table && kept === this.#stack.length) return this.#writeLeaf(line.text);
    if (leaf?.type === "underline") return this.#underline(leaf.level);
    if (leaf?.type === "table") this.#leaf.withoutLastLine();
    else this.#closeLeaf();
    this.#stack.length = kept;
    if (this.#stack.at(-1).type === "list" && containers[0]?.type !== "item") this.#stack.pop();
    for (const container of containers) this.#openContainer(container);
    if (!line.blank || leaf) this.#openLeaf(leaf ?? { type: "paragraph" }, line);
  }

  #continueParagraph(text) {
    this.#direct(text);
    this.#leaf.nextLine(text);
  }

  #underline(level) {
    this.#leaf.toHeading(level);
    this.#leaf = null;
  }

  #closeLeaf() {
    this.#leaf?.close();
    this.#leaf = null;
    this.#fence = null;
  }

  #openContainer(container) {
    if (container.type === "item") this.#openList(container);
    else if (this.#stack.at(-1).type === "list") this.#stack.pop();
    this.#push(container, container.type === "item" ? "li" : "blockquote");
  }

  /** The list that `item` belongs to: the open one if it is of its kind, else a new one. */
  #openList({ kind, start }) {
    const open = this.#stack.at(-1);
    if (open.type === "list" && open.kind === kind) return;
    if (open.type === "list") this.#stack.pop();
    const list = this.#push({ type: "list", kind }, start === undefined ? "ul" : "ol");
    if (start !== undefined && Number(start) !== 1) list.start = Number(start);
  }

  #push(container, name) {
    container.element = document.createElement(name);
    this.#append(container.element);
    this.#stack.push(container);
    return container.element;
  }

  #append(element) {
    const index = this.#stack.length - 1, parent = this.#stack[index];
    const list = { list: parent, item: this.#stack[index - 1] }[parent.type];
    const afterBlank = parent.filled && this.#blank !== null && this.#blank < index;
    if (list && afterBlank) list.element.classList.add("loose");
    if (index === 0) this.#undirected = element.dir ? null : element;
    parent.filled = true;
    parent.element.append(element);
  }

  #openLeaf(leaf, line) {
    if (leaf.type === "rule") return this.#append(document.createElement("hr"));
    const task = leaf.type === "paragraph" && this.#beginsItem([]) ? taskAt(line) : null;
    this.#leaf = newLeaf(leaf, task);
    this.#append(this.#leaf.element);
    if (task) this.#stack.at(-1).element.className = "task";
    if (leaf.type === "heading") line.take(leaf.level);
    if (leaf.type === "indented") line.skip(4);
    if (leaf.type === "indented") this.#writeLeaf(line.rest);
    if (leaf.type === "heading" || leaf.type === "paragraph") this.#writeLeaf(line.text.slice(task?.length));
    if (leaf.type === "table") this.#direct(leaf.header.join(" "));
    if (leaf.type === "fence") this.#fence = leaf;
  }
}
