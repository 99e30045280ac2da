/**
 * Markdown into DOM nodes while it streams; never through innerHTML.
 *
 * CommonMark 0.31 plus tables, task lists, ~~strikethrough~~ and bare URLs. Links lead to http, https and mailto only;
 * to anything else they are plain text. Images become links. Left out: HTML (shown as it is written), reference links
 * and link definitions, footnotes, single-tilde strikethrough, most named entities, and what is absurdly long: a span of
 * over 3,000 characters, a rule or fence line of over 1,000, 40 containers or 24 inline elements inside one another.
 *
 * For the stylesheet: a list without `.loose` is tight (its items still hold <p>) · li.task · a.image-link ·
 * .table-scroll > table, cells .align-left .align-center .align-right · figure.code-block > .code-head (span, button.copy)
 * + pre > code; every <code> in a <pre> needs `display: block`, for long blocks have several · .tok-keyword .tok-string
 * .tok-comment .tok-number .tok-name. A block at the top level gets dir="ltr" or "rtl" by its first letter, a code block dir="ltr".
 */
import { Blocks } from "./markdown_blocks.js";

/** Draws one growing text into a container. Call append once a frame with what came since: each call draws. */
export class MarkdownView {
  text = ""; // everything appended so far
  #blocks;
  #half = ""; // half of a line end or of a surrogate pair

  constructor(container) {
    this.#blocks = new Blocks(container);
  }

  /** Adds `delta` to the text. What half-written syntax at the end of it will be is guessed, and may be drawn again. */
  append(delta) {
    this.text += delta;
    const text = this.#half + delta;
    this.#half = /[\r\ud800-\udbff]$/.exec(text)?.[0] ?? "";
    this.#write(text.slice(0, text.length - this.#half.length));
  }

  /** The text is complete: half-written syntax is literal. Nothing may be appended any more. */
  end() {
    this.#write(this.#half);
    this.#blocks.end();
  }

  #write(text) {
    if (text) this.#blocks.write(text.replace(/\r\n?/g, "\n").replaceAll("\0", "\ufffd"));
  }
}

/** A whole text as a DocumentFragment, equal to what a MarkdownView holds in the end (neighbouring text nodes aside). */
export function renderMarkdown(text) {
  const fragment = new DocumentFragment();
  const view = new MarkdownView(fragment);
  view.append(text);
  view.end();
  return fragment;
}
