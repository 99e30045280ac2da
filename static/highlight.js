/**
 * Light syntax colouring, one line at a time: `colour(language, line, state)` returns the line as DOM nodes, spans of
 * class tok-keyword, tok-string, tok-comment, tok-number and tok-name among text, and the state in which the next
 * line begins (null, or what a comment or string that spans lines still waits for).
 */

/** Characters of a line that are coloured; the rest of a longer one is plain. */
export const LONGEST = 1000;

const STRING = String.raw`"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?`;
const NUMBER = String.raw`\b(?:0[xXbBoO][\da-fA-F_]+|\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)\w*`;
const BLOCK_COMMENT = { "/*": { close: "*/", kind: "comment" } };

/** `spans`: what may go over several lines, by its opening. `name`: besides a word before "(", what is coloured as a name. */
function language({ keywords = "", comment, string = STRING, spans = {}, number = NUMBER, name, word = "[A-Za-z_$][\\w$]*" }) {
  const escape = (text) => text.replace(/[^\w\s]/g, "\\$&");
  const part = (kind, source) => (source ? [`(?<${kind}>${source})`] : []);
  const sources = [
    ...part("span", Object.keys(spans).map(escape).join("|")), ...part("comment", comment), ...part("name", name),
    ...part("string", string), ...part("number", number), ...part("word", word),
  ];
  return { pattern: new RegExp(sources.join("|"), "g"), spans, keywords: new Set(keywords.split(" ")) };
}

const PYTHON = language({
  keywords: "False None True and as assert async await break case class continue def del elif else except finally for "
    + "from global if import in is lambda match nonlocal not or pass raise return self try while with yield",
  comment: "#.*",
  spans: { '"""': { close: '"""', kind: "string" }, "'''": { close: "'''", kind: "string" } },
  name: String.raw`@[\w.]+`,
});
const JAVASCRIPT = language({
  keywords: "abstract as async await break case catch class const continue debugger declare default delete do else enum "
    + "export extends false finally for from function get if implements import in instanceof interface let new null of "
    + "private protected public readonly return set static super switch this throw true try type typeof undefined var "
    + "void while with yield",
  comment: String.raw`\/\/.*`,
  spans: { ...BLOCK_COMMENT, "`": { close: "`", kind: "string" } },
});
const JSON_ = language({ keywords: "true false null", name: String.raw`"(?:[^"\\]|\\.)*"(?=\s*:)` });
const BASH = language({
  keywords: "case do done elif else esac exit export fi for function if in local readonly return set shift source then "
    + "unset until while",
  comment: String.raw`(?<=^|\s)#.*`,
  name: String.raw`\$\{?\w+\}?|(?<=^|\s)--?[A-Za-z][\w-]*`,
  word: String.raw`[A-Za-z_][\w-]*`,
});
const HTML = language({
  spans: { "<!--": { close: "-->", kind: "comment" } },
  number: "",
  string: String.raw`(?<==)(?:"[^"]*"?|'[^']*'?)`,
  name: String.raw`<\/?[A-Za-z][\w:-]*|\/?>|&#?\w+;`,
  word: "",
});
const CSS = language({
  spans: BLOCK_COMMENT,
  name: String.raw`[\w-]+(?=\s*:)|@[\w-]+`,
  number: String.raw`#[\da-fA-F]{3,8}\b|(?<![\w-])-?\d*\.?\d+(?:[a-z]+|%)?`,
  word: "[A-Za-z_-][\\w-]*",
});
const SQL = language({
  keywords: "add all alter and as asc begin between by case check commit constraint create cross default delete desc "
    + "distinct drop else end exists false foreign from full group having if in index inner insert into is join key "
    + "left like limit not null offset on or order outer primary references returning right rollback select set table "
    + "then true union unique update using values view when where with",
  comment: "--.*",
  string: "'(?:[^']|'')*'?",
  spans: BLOCK_COMMENT,
});

const LANGUAGES = {
  python: PYTHON, py: PYTHON, python3: PYTHON,
  javascript: JAVASCRIPT, js: JAVASCRIPT, jsx: JAVASCRIPT, mjs: JAVASCRIPT, typescript: JAVASCRIPT, ts: JAVASCRIPT,
  tsx: JAVASCRIPT,
  json: JSON_, jsonl: JSON_,
  bash: BASH, sh: BASH, shell: BASH, zsh: BASH, console: BASH,
  html: HTML, xml: HTML, svg: HTML,
  css: CSS,
  sql: SQL,
};

/** Where `close` stands unescaped at or after `from`, as the index behind it; -1 if it does not. */
function endOf(line, close, from) {
  let at = line.indexOf(close, from);
  while (at > from && line[at - 1] === "\\" && line[at - 2] !== "\\") at = line.indexOf(close, at + 1);
  return at < 0 ? -1 : at + close.length;
}

function span(kind, text) {
  const element = document.createElement("span");
  element.className = `tok-${kind}`;
  element.textContent = text;
  return element;
}

/** The kind of a match of a language's pattern, or null where it has no colour. */
function kindOf({ keywords }, { groups, 0: text, index }, line) {
  if (groups.word === undefined) return ["comment", "name", "string", "number"].find((kind) => groups[kind] !== undefined);
  if (keywords.has(text) || (keywords.has("select") && keywords.has(text.toLowerCase()))) return "keyword";
  return line[index + text.length] === "(" ? "name" : null;
}

/** Colours `line` (no line end) into {nodes, state}; see the module. An unknown language is plain text. */
export function colour(name, line, state) {
  const rules = Object.hasOwn(LANGUAGES, name) ? LANGUAGES[name] : null;
  if (!rules) return { nodes: [line], state: null };
  const text = line.slice(0, LONGEST), nodes = [];
  let at = 0;
  const put = (kind, end) => {
    if (end > at) nodes.push(kind ? span(kind, text.slice(at, end)) : text.slice(at, end));
    at = Math.max(at, end);
  };
  const putSpan = (open, from) => {
    const end = endOf(text, open.close, from);
    put(open.kind, end < 0 ? text.length : end);
    state = end < 0 ? open : null;
  };
  if (state) putSpan(state, 0);
  while (at < text.length) {
    rules.pattern.lastIndex = at;
    const found = rules.pattern.exec(text);
    put(null, found?.index ?? text.length);
    if (!found) break;
    if (found.groups.span) putSpan(rules.spans[found[0]], at + found[0].length);
    else put(kindOf(rules, found, text), at + found[0].length);
  }
  if (line.length > LONGEST) nodes.push(line.slice(LONGEST));
  return { nodes, state };
}
