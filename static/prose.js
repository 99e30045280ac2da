// A message's markdown in its element, only ever handed what is new.
// The markdown modules are the largest part of the page, and the first message is written without them: they are read
// when there is an answer to draw.

import { whenNear } from "./near.js";
import { textAfter } from "./reducer.js";

let MarkdownView = null, arriving = null;

function whenThere(draw, instead) {
  arriving ??= import("./markdown.js").then((module) => { MarkdownView = module.MarkdownView; });
  arriving.then(draw, (error) => {
    arriving = null;
    console.warn("The markdown modules could not be read; the text is shown as it is.", error);
    instead();
  });
}

/** → draw(message, far): draws what is new of a message; one that is far from the screen stays plain until it is near. */
export function growingProse(body) {
  let view = null, length = 0, ended = true, latest = null;

  function draw(message, far) {
    const waits = latest !== null && view === null;
    latest = message;
    if (far && !view) body.textContent = message.content;
    if (view) drawNew(message);
    else if (!waits && far) whenNear(body.parentElement, begin);
    else if (!waits) begin();
  }

  function begin() {
    if (MarkdownView) drawNew(latest);
    else whenThere(begin, () => { body.textContent = latest.content; });
  }

  function drawNew(message) {
    const replaced = ended ? view && view.text !== message.content : message.content.length < length;
    if (!view || replaced) {
      body.replaceChildren();
      [view, length, ended] = [new MarkdownView(body), 0, false];
    }
    const fresh = textAfter(message, length);
    if (fresh) view.append(fresh);
    length += fresh.length;
    if (!message.streaming && !ended) {
      ended = true;
      view.end();
    }
  }

  return draw;
}
