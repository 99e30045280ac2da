/** A line of Markdown while its beginning is taken off, piece by piece; tabs count to the next multiple of four columns. */
export class Line {
  rest;   // what is left
  indent; // columns of white space at its beginning
  text;   // what is left without that white space
  length; // of the whole line, in characters
  #column = 0;

  constructor(text) {
    this.length = text.length;
    this.#set(text);
  }

  get blank() {
    return this.text === "";
  }

  #set(rest) {
    let at = 0, column = this.#column;
    for (; rest[at] === " " || rest[at] === "\t"; at++) column += rest[at] === "\t" ? 4 - (column % 4) : 1;
    this.rest = rest;
    this.indent = column - this.#column;
    this.text = rest.slice(at);
  }

  /** Takes off `columns` of white space, at most what there is; what is left of a tab becomes spaces. */
  skip(columns) {
    const end = this.#column + Math.min(columns, this.indent);
    let at = 0;
    while (this.#column < end) this.#column += this.rest[at++] === "\t" ? 4 - (this.#column % 4) : 1;
    const left = this.#column - end;
    this.#column = end;
    this.#set(" ".repeat(left) + this.rest.slice(at));
  }

  /** Takes off the indent and `count` characters behind it. */
  take(count) {
    this.#column += this.indent + count;
    this.#set(this.text.slice(count));
  }
}
