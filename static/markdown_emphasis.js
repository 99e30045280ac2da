/** Emphasis, strong emphasis and strikethrough: CommonMark's delimiter stack. `~~` follows the rules of `*`. */

const SPACE_END = /\s$/, SPACE_START = /^\s/;
const PUNCTUATION_END = /[\p{P}\p{S}]$/u, PUNCTUATION_START = /^[\p{P}\p{S}]/u;

/** What a run of `char` can do between the text `before` and `after` it: {open, close, inWord}. */
function flanking(char, before, after) {
  const spaceBefore = SPACE_END.test(before), spaceAfter = SPACE_START.test(after);
  const punctuationBefore = PUNCTUATION_END.test(before), punctuationAfter = PUNCTUATION_START.test(after);
  const left = !spaceAfter && (!punctuationAfter || spaceBefore || punctuationBefore);
  const right = !spaceBefore && (!punctuationBefore || spaceAfter || punctuationAfter);
  return {
    open: left && (char !== "_" || !right || punctuationBefore),
    close: right && (char !== "_" || !left || punctuationAfter),
    inWord: left && right,
  };
}

/** How many times `char` stands in a row at `at`. */
export function runLength(text, at, char) {
  let end = at;
  while (text[end] === char) end++;
  return end - at;
}

export class Emphasis {
  // {node, place, char, from, run: its length, left: of it not yet used, open, close, inWord}; what it closes is taken
  // from its beginning: place.from is where the rest of it stands.
  #stack = [];
  #begun = []; // those that have closed something
  #wrap; #reach;

  /** `wrap(after, until, element, from)` moves the nodes between two nodes into `element`; `reach`: the longest span. */
  constructor(wrap, reach) {
    this.#wrap = wrap;
    this.#reach = reach;
  }

  get depth() {
    return this.#stack.length;
  }

  /** A run of `run` delimiters, drawn as the text `node`; `place.from` says where, and is kept up to date. */
  add(node, place, run, before, after) {
    const char = node.data[0], can = flanking(char, before, after);
    const means = char !== "~" || run === 2;
    if (means && (can.open || can.close)) this.#stack.push({ node, place, char, from: place.from, run, left: run, ...can });
  }

  /** The rest of a run whose beginning an earlier scanner has settled; `begun` is from begunAt. */
  resume(node, place, begun) {
    this.#stack.push({ ...begun, node, place, from: place.from - (begun.run - begun.left) });
  }

  /** The run whose rest stands at `position`, if something has been closed with its beginning. */
  begunAt(position) {
    const begun = this.#begun.find(({ place, from, run }) => place.from === position && position < from + run);
    return begun && { ...begun, left: begun.run - (position - begun.from) };
  }

  /** Pairs the delimiters from stack index `bottom` on. */
  pairFrom(bottom) {
    const stack = this.#stack, searched = {};
    for (let at = bottom; at < stack.length; ) {
      const closer = stack[at];
      const kind = `${closer.char}${closer.open}${closer.run % 3}`;
      const opener = closer.close ? this.#openerFor(at, bottom, searched[kind] ?? -Infinity) : -1;
      if (opener < 0) {
        if (closer.close) searched[kind] = closer.from;
        at++;
      } else {
        this.#pair(stack[opener], closer);
        const keep = [stack[opener], closer].filter((delimiter) => delimiter.left > 0);
        stack.splice(opener, at - opener + 1, ...keep);
        at = closer.left > 0 ? opener + keep.length - 1 : opener + keep.length;
      }
    }
  }

  #openerFor(at, bottom, searched) {
    const closer = this.#stack[at];
    for (let i = at - 1; i >= bottom; i--) {
      const opener = this.#stack[i];
      if (opener.from < searched || closer.from - opener.from > this.#reach) return -1;
      const odd = (closer.open || opener.close) && closer.run % 3 !== 0 && (opener.run + closer.run) % 3 === 0;
      if (opener.open && opener.char === closer.char && !odd) return i;
    }
    return -1;
  }

  /** Forgets the delimiters from stack index `bottom` on. */
  dropFrom(bottom) {
    this.#stack.length = bottom;
  }

  /** Closes at the end of the text what is open and `isLive(from)`; returns where the first such delimiter stands. */
  closeOpen(isLive) {
    const open = this.#stack.filter((delimiter) => delimiter.open && isLive(delimiter.from));
    for (const opener of open.toReversed()) while (!opener.inWord && opener.left > 0) this.#pair(opener, null);
    return open[0]?.place.from ?? Infinity;
  }

  #pair(opener, closer) {
    const size = opener.left >= 2 && (closer?.left ?? 2) >= 2 ? 2 : 1;
    const name = opener.char === "~" ? "del" : size === 2 ? "strong" : "em";
    opener.left -= size;
    this.#wrap(opener.node, closer?.node ?? null, document.createElement(name), opener.place.from);
    if (closer) {
      closer.left -= size;
      closer.place.from += size;
      this.#begun.push(closer);
    }
    for (const { node, char, left } of closer ? [opener, closer] : [opener]) {
      node.data = char.repeat(left);
      if (left === 0) node.remove();
    }
  }
}
