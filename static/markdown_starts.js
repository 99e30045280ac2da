/** What a line begins with: the marks of open containers, of new ones, and of the blocks that hold text. */
import { alignments, splitRow } from "./markdown_leaves.js";

const MAX_MARKER_LINE = 1000; // characters; a longer line is no rule, underline, fence or table delimiter row

const RULE = /^(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const UNDERLINE = /^(?:=+|-+)[ \t]*$/;
const HEADING = /^(#{1,6})(?:[ \t]|$)/;
const FENCE = /^(`{3,}(?=[^`]*$)|~{3,})(.*)$/;
const ITEM = /^(?:([*+-])|(\d{1,9})([.)]))(?=[ \t]|$)/;
const TASK = /^\[([ xX])\][ \t]+(?=[^ \t])/;

// Beginnings of lines that more text could still turn into something else: always, in runs, after text, in an item.
const UNDECIDED = /^(?:>|#{1,6}[ \t]*|(?:[*+-]|\d{1,9}[.)])[ \t]*|\d{1,9}|`{1,2}|~{1,2})$/;
const UNDECIDED_RUN = /^(?:(?:\*[ \t]*)+|(?:-[ \t]*)+|(?:_[ \t]*)+)$/;
const UNDECIDED_AFTER_TEXT = /^(?:=+[ \t]*|[|:\- \t]+)$/;
const UNDECIDED_TASK = /^\[(?:[ xX](?:\][ \t]*)?)?$/;

const mayBeMarkerLine = (line) => line.length <= MAX_MARKER_LINE;

/** Takes the mark of an open container off `line`; false if the line does not continue it. */
export function continues(container, line) {
  if (container.type === "list") return true;
  if (container.type === "quote") return takeQuoteMark(line);
  if (line.blank) return container.filled;
  if (line.indent < container.indent) return false;
  line.skip(container.indent);
  return true;
}

function takeQuoteMark(line) {
  if (line.indent >= 4 || line.text[0] !== ">") return false;
  line.take(1);
  line.skip(1);
  return true;
}

/** Takes an item's marker, matched by ITEM, off `line`; returns the new item. */
function takeItemMark(line, [marker, bullet, number, delimiter]) {
  const before = line.indent;
  line.take(marker.length);
  const spaces = line.blank || line.indent > 4 ? 1 : line.indent;
  line.skip(spaces);
  return { type: "item", indent: before + marker.length + spaces, kind: bullet ?? delimiter, start: number };
}

/** The quote or item that `line` opens, its mark taken off; null if none. An empty item cannot interrupt text. */
export function containerAt(line, afterText) {
  if (line.indent >= 4) return null;
  if (takeQuoteMark(line)) return { type: "quote" };
  const marker = ITEM.exec(line.text);
  const empty = marker && line.text.slice(marker[0].length).trim() === "";
  const interrupts = !afterText || (!empty && (marker?.[2] ?? "1") === "1");
  return marker && interrupts ? takeItemMark(line, marker) : null;
}

/** The block that `line` opens, besides a paragraph: {type, …}, or null. `paragraph`: the open one that it may end. */
export function leafAt(line, paragraph) {
  const { text, indent } = line;
  if (indent >= 4) return { type: "indented" };
  const heading = HEADING.exec(text);
  if (heading) return { type: "heading", level: heading[1].length };
  if (!mayBeMarkerLine(line)) return null;
  const fence = FENCE.exec(text);
  if (fence) return { type: "fence", mark: fence[1], info: fence[2], indent };
  if (paragraph && UNDERLINE.test(text)) return { type: "underline", level: text[0] === "=" ? 1 : 2 };
  if (RULE.test(text)) return { type: "rule" };
  return paragraph && !paragraph.isTask ? tableAt(text, paragraph.lastLine) : null;
}

function tableAt(text, headerLine) {
  const aligns = alignments(text);
  const header = aligns && splitRow(headerLine);
  return aligns && header.length === aligns.length ? { type: "table", header, aligns } : null;
}

/** The checkbox at the beginning of an item's text: {done, length in characters}, or null. */
export function taskAt({ text }) {
  const task = TASK.exec(text);
  return task && { done: task[1] !== " ", length: task[0].length };
}

/** Whether `line` closes the fence {mark}; null if it does not but more of it could. */
export function endsFence(line, { mark }) {
  const run = /^(?:`+|~+)(?=[ \t]*$)/.exec(line.text)?.[0] ?? "";
  if (line.indent >= 4 || run[0] !== mark[0] || !mayBeMarkerLine(line)) return false;
  return run.length >= mark.length || null;
}

/** Whether more of an unfinished `line` could make something else of it. */
export function isUndecided(line, afterText, beginsItem) {
  const { text } = line;
  if (line.blank || UNDECIDED.test(text) || (beginsItem && UNDECIDED_TASK.test(text))) return true;
  return mayBeMarkerLine(line) && (UNDECIDED_RUN.test(text) || (afterText && UNDECIDED_AFTER_TEXT.test(text)));
}
