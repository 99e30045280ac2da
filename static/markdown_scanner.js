/**
 * One pass over a stretch of inline text, into DOM nodes: code spans, links, breaks, escapes, entities; emphasis by
 * markdown_emphasis.js. It knows how much of what it drew can no longer change, whatever text comes next.
 */
import { codeSpan, codeSpanEnd } from "./markdown_code.js";
import { Emphasis, runLength } from "./markdown_emphasis.js";
import { angleLink, angleLinkBegins, bareUrl, entityAt, link, linkTail, safeUrl } from "./markdown_links.js";

/** The most characters from the first to the last of one construct; a longer one is literal. */
export const REACH = 3000;
const LONGEST_RUN = 100;   // a longer run of one delimiter is literal
const UNSETTLED_END = 128; // the last characters may be half of something; must exceed LONGEST_RUN
const MAX_DEPTH = 24;      // elements inside one another; what lies deeper is shown as plain text

const SPECIAL = / {2,}| ?\n|[\\`*_~[\]<&]|!\[|https?:\/\//gi;
const HALF_WRITTEN = /(?:\\[^\w\s]?|&#?\w{0,10}|[*_~]{1,3}|`{1,3})$/;
const WORD_END = /[\p{L}\p{N}_]$/u;

export class Scanner {
  root = new DocumentFragment();
  #text; #before; #final; #limit; // from #limit on, later text may still change what is drawn
  #at = 0;
  #brackets = [];    // "[" and "![" that may begin a link: {node, from, inWord, active, emphasis: delimiters below it}
  #info = new Map(); // node → {from: where its text begins, depth: of elements below it, plain: may be split anywhere}
  #emphasis = new Emphasis((...span) => this.#wrap(...span), REACH);

  /** `before`: {text: what precedes, insideRun, begun}, as settle() returns it. `final`: no text will follow. */
  constructor(text, before, final) {
    this.#text = final ? text : text.replace(HALF_WRITTEN, "");
    this.#limit = text.length - UNSETTLED_END;
    this.#before = before.text;
    this.#final = final;
    if (before.insideRun) this.#plain(runLength(this.#text, 0, text[0]));
    if (before.begun) this.#resume(before.begun);
    this.#scan();
    this.#emphasis.pairFrom(0);
    this.#closeOpen();
    if (final) this.#trimEnd();
  }

  /** How many characters at the beginning can no longer change. */
  get settled() {
    let node = this.root.lastChild;
    while (node && this.#info.get(node).from > this.#limit) node = node.previousSibling;
    if (!node) return 0;
    const { from, plain } = this.#info.get(node);
    const end = plain ? Math.min(this.#limit, from + node.length) : from;
    const afterOneSpace = this.#text[end - 1] === " " && this.#text[end - 2] !== " "; // it may yet precede a line end
    const insideCharacter = /[\udc00-\udfff]/.test(this.#text[end]);
    return afterOneSpace || insideCharacter ? end - 1 : end;
  }

  /** Moves what is settled out of the root: {nodes, length in characters, before: for the scanner of the rest}. */
  settle() {
    const length = this.settled, nodes = new DocumentFragment();
    let split = false;
    for (let node; !split && (node = this.root.firstChild); nodes.append(node)) {
      const { from, plain } = this.#info.get(node);
      if (from >= length) break;
      split = plain && from + node.length > length;
      if (split) node.splitText(length - from);
    }
    const [last, next] = this.#text.slice(length - 1);
    const insideRun = split && last === next && "`*_~ ".includes(next); // plain text has such a run only if overlong
    const text = this.#text.slice(Math.max(0, length - 2), length);
    return { nodes, length, before: { text, insideRun, begun: this.#emphasis.begunAt(length) } };
  }

  #scan() {
    while (this.#at < this.#text.length) {
      SPECIAL.lastIndex = this.#at;
      const found = SPECIAL.exec(this.#text);
      this.#plain((found?.index ?? this.#text.length) - this.#at);
      if (found) this.#special(found[0]);
    }
  }

  #special(token) {
    switch (token[0]) {
      case "\\": return this.#escape();
      case "`": return this.#code();
      case "*": case "_": case "~": return this.#delimiter(token);
      case "[": case "!": return this.#openBracket(token);
      case "]": return this.#closeBracket();
      case "<": return this.#angle();
      case "&": return this.#entity();
      case " ": case "\n": return this.#space(token);
      default: return this.#url(token);
    }
  }

  #push(node, length, plain = false) {
    this.root.append(node);
    this.#info.set(node, { from: this.#at, depth: 0, plain });
    this.#at += length;
    return node;
  }

  /** The next characters as they stand; they may be split when the beginning settles. */
  #plain(length) {
    if (length > 0) this.#push(document.createTextNode(this.#text.slice(this.#at, this.#at + length)), length, true);
  }

  #literal(source, meaning = source) {
    return this.#push(document.createTextNode(meaning), source.length);
  }

  #textBefore() {
    return this.#at > 1 ? this.#text.slice(this.#at - 2, this.#at) : this.#before + this.#text.slice(0, this.#at);
  }

  #mayChangeFrom(position) {
    this.#limit = Math.min(this.#limit, position);
  }

  /** Whether what began at `from` may be completed by text that has not come yet, or is not yet sure. */
  #isLive(from) {
    return !this.#final && this.#limit - from <= REACH;
  }

  #escape() {
    const next = this.#text[this.#at + 1] ?? "";
    if (next === "\n") this.#push(document.createElement("br"), 2);
    else if (/[!-/:-@[-`{-~]/.test(next)) this.#literal(`\\${next}`, next);
    else this.#literal("\\");
  }

  #entity() {
    const entity = entityAt(this.#text, this.#at);
    if (entity) this.#literal(this.#text.slice(this.#at, entity.end), entity.text);
    else this.#literal("&");
  }

  #space(token) {
    const run = token.endsWith("\n") ? token.length - 1 : token.length;
    const endsLine = this.#text[this.#at + run] === "\n";
    if (run > LONGEST_RUN) this.#plain(run);
    else if (!endsLine) this.#literal(token);
    else if (run > 1) this.#push(document.createElement("br"), run + 1);
    else this.#literal(token, "\n");
  }

  #code() {
    const from = this.#at, run = runLength(this.#text, from, "`");
    if (run > LONGEST_RUN) return this.#plain(run);
    const end = codeSpanEnd(this.#text, from + run, run, from + REACH);
    if (end !== null) return this.#push(codeSpan(this.#text.slice(from + run, end), true), end + run - from);
    if (!this.#isLive(from)) return this.#literal("`".repeat(run));
    this.#mayChangeFrom(from);
    return this.#push(codeSpan(this.#text.slice(from + run), false), this.#text.length - from);
  }

  #angle() {
    const found = angleLink(this.#text, this.#at);
    if (found) return this.#push(link(found.url, [found.text]), found.end - this.#at);
    if (this.#final || !angleLinkBegins(this.#text, this.#at)) return this.#literal("<");
    this.#mayChangeFrom(this.#at);
    return this.#literal("<", "");
  }

  #url(scheme) {
    const found = WORD_END.test(this.#textBefore()) ? null : bareUrl(this.#text, this.#at);
    if (!found) return this.#literal(scheme);
    if (found.rawEnd === this.#text.length) this.#mayChangeFrom(this.#at);
    return this.#push(link(found.url, [found.url]), found.end - this.#at);
  }

  #delimiter(char) {
    const from = this.#at, run = runLength(this.#text, from, char), before = this.#textBefore();
    if (run > LONGEST_RUN) return this.#plain(run);
    const after = this.#text.slice(from + run, from + run + 2) || "\n";
    const node = this.#literal(char.repeat(run));
    return this.#emphasis.add(node, this.#info.get(node), run, before, after);
  }

  #resume(begun) {
    const node = this.#literal(begun.char.repeat(begun.left));
    this.#emphasis.resume(node, this.#info.get(node), begun);
  }

  #openBracket(token) {
    const from = this.#at, inWord = token === "[" && WORD_END.test(this.#textBefore());
    const emphasis = this.#emphasis.depth;
    this.#brackets.push({ node: this.#literal(token), from, inWord, active: true, emphasis });
  }

  #closeBracket() {
    const opener = this.#brackets.pop();
    const tail = opener?.active ? linkTail(this.#text, this.#at + 1) : null;
    if (tail === "partial" && this.#isLive(opener.from)) this.#halfLink(opener);
    else if (tail?.end - opener?.from <= REACH) this.#finishLink(opener, tail);
    else this.#literal("]");
  }

  /** `[text](http…` at the end of a stream: its text only, until the rest has come. */
  #halfLink(opener) {
    this.#mayChangeFrom(opener.from);
    if (opener.inWord) return void this.#literal(this.#text.slice(this.#at));
    opener.node.remove();
    this.#at = this.#text.length;
  }

  /** A link; where it may not lead anywhere, its text only; for an image, a link to it. A link holds no other link. */
  #finishLink(opener, { url, title, end }) {
    this.#emphasis.pairFrom(opener.emphasis);
    this.#emphasis.dropFrom(opener.emphasis);
    const image = opener.node.data === "![";
    const element = safeUrl(url) ? link(url, [], title) : document.createElement("span");
    this.#wrap(opener.node, null, element, opener.from);
    opener.node.remove();
    for (const inner of element.querySelectorAll("a")) inner.replaceWith(...inner.childNodes);
    if (image) element.className = "image-link";
    if (image && !element.textContent) element.textContent = url;
    if (!image) for (const bracket of this.#brackets) if (bracket.node.data === "[") bracket.active = false;
    this.#at = end;
  }

  #wrap(after, until, element, from) {
    let depth = 0;
    while (after.nextSibling !== until) {
      depth = Math.max(depth, this.#info.get(after.nextSibling).depth + 1);
      element.append(after.nextSibling);
    }
    if (depth > MAX_DEPTH) element.textContent = element.textContent;
    this.#info.set(element, { from, depth: depth > MAX_DEPTH ? 1 : depth });
    after.after(element);
  }

  /** At the end of a stream, shows what is open as if it were closed here, and remembers that it may change. */
  #closeOpen() {
    const isLive = (from) => this.#isLive(from);
    for (const bracket of this.#brackets.filter(({ active, from }) => active && isLive(from))) {
      this.#mayChangeFrom(bracket.from);
      if (!bracket.inWord) bracket.node.data = "";
    }
    this.#mayChangeFrom(this.#emphasis.closeOpen(isLive));
  }

  #trimEnd() {
    for (let node = this.root.lastChild; node?.nodeType === Node.TEXT_NODE; node = node.previousSibling) {
      if (this.#info.get(node).plain || node.data.trim() === "") node.data = node.data.replace(/[ \t]{1,100}$/, "");
      if (node.data) break;
    }
  }
}
