/**
 * Where a link may lead, and the small grammar around it: destinations, titles, bare URLs, escapes and entities.
 * Everything here is a pure function of strings.
 */

/** Longest bare or angle-bracketed URL, in characters; the rest of a longer one is text. */
export const URL_MAX = 2000;

const ENTITIES = {
  amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "\u00a9", reg: "\u00ae", trade: "\u2122",
  hellip: "\u2026", mdash: "\u2014", ndash: "\u2013", lsquo: "\u2018", rsquo: "\u2019", ldquo: "\u201c", rdquo: "\u201d",
  laquo: "\u00ab", raquo: "\u00bb", bull: "\u2022", middot: "\u00b7", times: "\u00d7", divide: "\u00f7", deg: "\u00b0",
  plusmn: "\u00b1", micro: "\u00b5", le: "\u2264", ge: "\u2265", ne: "\u2260", larr: "\u2190", rarr: "\u2192",
  uarr: "\u2191", darr: "\u2193", euro: "\u20ac", pound: "\u00a3", yen: "\u00a5", cent: "\u00a2", sect: "\u00a7",
  para: "\u00b6", auml: "\u00e4", Auml: "\u00c4", ouml: "\u00f6", Ouml: "\u00d6", uuml: "\u00fc", Uuml: "\u00dc",
  szlig: "\u00df", eacute: "\u00e9", egrave: "\u00e8", agrave: "\u00e0", ccedil: "\u00e7", ntilde: "\u00f1",
};
const ENTITY = /&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([A-Za-z]{1,8}));/;
const ESCAPE_OR_ENTITY = new RegExp(`\\\\([!-/:-@[-\`{-~])|${ENTITY.source}`, "g");

function codePoint(number) {
  const valid = number > 0 && number <= 0x10ffff && (number < 0xd800 || number > 0xdfff);
  return String.fromCodePoint(valid ? number : 0xfffd);
}

/** The character an entity stands for, or null where the name is not one we know. `match` is a match of ENTITY. */
function entityText([, decimal, hex, name]) {
  if (name) return Object.hasOwn(ENTITIES, name) ? ENTITIES[name] : null;
  return codePoint(decimal ? Number(decimal) : parseInt(hex, 16));
}

/** The entity at `at` as {text, end}, or null. */
export function entityAt(text, at) {
  const match = text.slice(at, at + 12).match(ENTITY);
  const meaning = match?.index === 0 ? entityText(match) : null;
  return meaning === null ? null : { text: meaning, end: at + match[0].length };
}

/** `text` with backslash escapes and entities replaced by what they stand for. */
export function unescaped(text) {
  return text.replace(ESCAPE_OR_ENTITY, (all, escaped, ...groups) => escaped ?? entityText([all, ...groups]) ?? all);
}

/** `url` if it may be followed (http, https, mailto), else null. The scheme is compared before any browser may repair it. */
export function safeUrl(url) {
  return /^(?:https?:\/\/|mailto:)/i.test(url) && URL.canParse(url) ? url : null;
}

/** A link element with `children`, opened in a new tab that learns nothing about this one. `url` is from safeUrl. */
export function link(url, children, title = "") {
  const a = document.createElement("a");
  a.setAttribute("href", url.replaceAll("\\", "%5C")); // a browser would take it for a slash
  a.target = "_blank";
  a.rel = "noopener noreferrer";
  if (title) a.title = title;
  a.append(...children);
  return a;
}

function matchAt(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? "";
}

const SPACE = /[ \t]*\n?[ \t]*/y;
const ANGLE_DESTINATION = /<(?:[^<>\n\\]|\\[^\n]?)*/y;
const TITLES = { '"': /"(?:[^"\\]|\\[^]?)*/y, "'": /'(?:[^'\\]|\\[^]?)*/y, "(": /\((?:[^()\\]|\\[^]?)*/y };

/** End of a destination without angle brackets: parentheses must balance, white space and control characters end it. */
function destinationEnd(text, at) {
  let depth = 0;
  for (; at < text.length; at++) {
    const char = text[at];
    if (char <= " " || char === "\x7f") return at;
    if (char === "\\") at++;
    else if (char === "(" && ++depth > 32) return at;
    else if (char === ")" && --depth < 0) return at;
  }
  return text.length;
}

/** The destination at `at` as {url, end}; null if there is none; "partial" if the text ends inside it. */
function destination(text, at) {
  if (text[at] !== "<") {
    const end = destinationEnd(text, at);
    return end >= text.length ? "partial" : { url: text.slice(at, end), end };
  }
  const body = matchAt(ANGLE_DESTINATION, text, at);
  const end = at + body.length;
  if (end >= text.length) return "partial";
  return text[end] === ">" ? { url: body.slice(1), end: end + 1 } : null;
}

/**
 * What follows a link's `]`: `(destination "title")` at `at`.
 * Returns {url, title, end}, null if this is no link, "partial" if the text ends before one could tell.
 */
export function linkTail(text, at) {
  if (at >= text.length) return "partial";
  if (text[at] !== "(") return null;
  at += 1 + matchAt(SPACE, text, at + 1).length;
  const target = destination(text, at);
  if (target === null || target === "partial") return target;
  const spaced = target.end + matchAt(SPACE, text, target.end).length;
  let title = "", end = spaced;
  if (spaced > target.end && TITLES[text[spaced]]) {
    title = matchAt(TITLES[text[spaced]], text, spaced);
    const close = text[spaced] === "(" ? ")" : text[spaced];
    end = spaced + title.length;
    if (end < text.length && text[end] !== close) return null;
    end += 1 + matchAt(SPACE, text, end + 1).length;
  }
  if (end >= text.length) return "partial";
  return text[end] === ")" ? { url: unescaped(target.url), title: unescaped(title.slice(1)), end: end + 1 } : null;
}

const BARE = new RegExp(`https?://[^\\s<>\`\\[\\]"\\u3000-\\u303f\\uff00-\\uffef]{1,${URL_MAX}}`, "iy");

/** The bare URL at `at`, without the punctuation that belongs to the sentence: {url, end, rawEnd}, or null. */
export function bareUrl(text, at) {
  const raw = matchAt(BARE, text, at);
  let surplus = raw.split(")").length - raw.split("(").length;
  let length = raw.length;
  while (length && ("?!.,:;*_~'|".includes(raw[length - 1]) || (raw[length - 1] === ")" && surplus-- > 0))) length--;
  const url = safeUrl(raw.slice(0, length));
  return url && { url, end: at + length, rawEnd: at + raw.length };
}

const ANGLE_LINK = new RegExp(`<((?:https?://|mailto:)[^\\s<>\\x00-\\x20]{1,${URL_MAX}}|[\\w.!#$%&'*+/=?^{|}~-]{1,64}@[\\w-]+(?:\\.[\\w-]+)+)>`, "iy");
const ANGLE_OPEN = new RegExp(`<([a-z][^\\s<>]{0,${URL_MAX}})$`, "iy");

/** `<https://…>` or `<name@host>` at `at`: {url, text, end} or null. */
export function angleLink(text, at) {
  const match = matchAt(ANGLE_LINK, text, at);
  const inner = match.slice(1, -1);
  const url = inner && safeUrl(/^(?:https?:|mailto:)/i.test(inner) ? inner : `mailto:${inner}`);
  return url ? { url, text: inner, end: at + match.length } : null;
}

/** Whether the text ends inside what may yet become an angle link to a scheme we follow. */
export function angleLinkBegins(text, at) {
  const inner = matchAt(ANGLE_OPEN, text, at).slice(1).toLowerCase();
  return inner !== "" && ["http://", "https://", "mailto:"].some((s) => s.startsWith(inner) || inner.startsWith(s));
}
