// What the Markdown tests call in the page, as window.markdown.
import { MarkdownView, renderMarkdown } from "/static/markdown.js";

const main = document.querySelector("main");
const BLOCKS = "P,UL,OL,LI,BLOCKQUOTE,PRE,HR,DIV,H1,H2,H3,H4,H5,H6,BR,INPUT";

function element(text) {
  const root = document.createElement("main");
  root.append(renderMarkdown(text));
  return root;
}

function normalized(root) {
  root.normalize();
  return root.innerHTML;
}

/** The DOM after each of `chunks`, after the end, and of the whole text rendered at once; the last two must be equal. */
function stream(chunks) {
  const root = document.createElement("main"), view = new MarkdownView(root);
  for (const chunk of chunks) view.append(chunk);
  view.end();
  return { streamed: normalized(root), whole: normalized(element(chunks.join(""))), text: view.text };
}

/** What a reader sees after each character: texts. */
function glimpses(text) {
  const view = new MarkdownView(main);
  main.replaceChildren();
  const seen = [...text].map((char) => (view.append(char), main.innerText));
  view.end();
  return [...seen, main.innerText];
}

/** The first prefix of `text` that, streamed by characters, does not end as it is rendered whole; or null. */
function firstUnequalPrefix(text) {
  for (let length = 0; length <= text.length; length++) {
    const root = document.createElement("main"), view = new MarkdownView(root), prefix = text.slice(0, length);
    view.append(prefix.slice(0, length / 2));
    view.append(prefix.slice(length / 2));
    view.end();
    if (normalized(root) !== normalized(element(prefix))) return prefix;
  }
  return null;
}

/** How often something inside the top-level blocks before the last two changed while `text` streamed. */
function touchedFinished(text) {
  const root = document.createElement("main"), view = new MarkdownView(root);
  const observer = new MutationObserver(() => {});
  observer.observe(root, { subtree: true, childList: true, attributes: true, characterData: true });
  let touched = 0;
  for (const char of text) {
    const finished = [...root.children].slice(0, -2);
    view.append(char);
    const changed = observer.takeRecords().filter(({ target }) => finished.some((block) => block.contains(target)));
    touched += changed.length;
  }
  return touched;
}

/** Milliseconds that appending the first and the second half of `text` took, `size` characters a frame, on a laid-out page. */
function halves(text, size) {
  main.replaceChildren();
  const view = new MarkdownView(main), times = [0, 0];
  for (let at = 0; at < text.length; at += size) {
    const start = performance.now();
    view.append(text.slice(at, at + size));
    times[at < text.length / 2 ? 0 : 1] += performance.now() - start;
    if (at % (20 * size) === 0) main.offsetHeight; // lays out: the browser's own work is not ours to bound
  }
  view.end();
  main.replaceChildren();
  return times;
}

/** Milliseconds that rendering about `length` characters of `piece` again and again took. */
function milliseconds(piece, length) {
  const text = piece.repeat(length / piece.length), start = performance.now();
  renderMarkdown(text);
  return performance.now() - start;
}

/** Our DOM, or the specification's with reference = true, reduced to what both can say. */
function reduced(root, reference) {
  const replace = (node, ...nodes) => node.replaceWith(...nodes);
  for (const figure of root.querySelectorAll("figure")) {
    const label = figure.querySelector(".code-head span").textContent, code = document.createElement("code");
    if (label !== "code") code.className = `language-${label}`;
    code.textContent = figure.querySelector("pre").textContent;
    const pre = document.createElement("pre");
    pre.append(code);
    replace(figure, pre);
  }
  for (const image of root.querySelectorAll("img")) {
    const link = Object.assign(document.createElement("a"), { title: image.title });
    link.setAttribute("href", image.getAttribute("src"));
    link.append(image.alt || image.getAttribute("src"));
    replace(image, link);
  }
  for (const inner of root.querySelectorAll("a a, a span, span")) replace(inner, ...inner.childNodes);
  for (const link of root.querySelectorAll("a")) {
    const { title } = link, href = link.getAttribute("href");
    const kept = document.createElement("a");
    kept.append(...link.childNodes);
    kept.setAttribute("href", link.href.replaceAll("%5D", "]").replaceAll("%5B", "["));
    if (title) kept.title = title;
    replace(link, ...(/^(?:https?:\/\/|mailto:)/i.test(href) ? [kept] : kept.childNodes));
  }
  if (!reference) for (const p of root.querySelectorAll(":is(ul, ol):not(.loose) > li > p")) replace(p, ...p.childNodes);
  for (const node of root.querySelectorAll("*")) {
    for (const name of ["dir", "class", "hidden"]) if (node.tagName !== "CODE") node.removeAttribute(name);
  }
  root.normalize();
  trimBlocks(root);
  return root.innerHTML;
}

/** Drops white space that no reader sees: at the edges of blocks. */
function trimBlocks(root) {
  const edge = (node) => !node || node.matches?.(BLOCKS);
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (const text of nodes(walker)) {
    if (text.parentElement.closest("pre")) continue;
    if (edge(text.previousSibling)) text.data = text.data.trimStart();
    if (edge(text.nextSibling)) text.data = text.data.trimEnd();
  }
}

function nodes(walker) {
  const found = [];
  while (walker.nextNode()) found.push(walker.currentNode);
  return found;
}

/** Indexes of `examples` ({markdown, html}) that come out differently. */
function differing(examples) {
  return examples.flatMap(({ markdown, html }, index) => {
    const reference = document.implementation.createHTMLDocument().createElement("main");
    reference.innerHTML = html;
    return reduced(element(markdown), false) === reduced(reference, true) ? [] : [index];
  });
}

/** Every element and attribute that `text` leads to, as "name" and "name@attribute"; and all hrefs. Puts it on the page. */
function inventory(text) {
  main.replaceChildren(renderMarkdown(text));
  const all = [...main.querySelectorAll("*")];
  const names = all.flatMap((node) => [node.localName, ...[...node.attributes].map((a) => `${node.localName}@${a.name}`)]);
  return { names: [...new Set(names)], links: [...main.querySelectorAll("a")].map((a) => a.protocol) };
}

window.markdown = {
  stream, glimpses, firstUnequalPrefix, touchedFinished, halves, milliseconds, differing, inventory,
  html: (text) => normalized(element(text)),
};
