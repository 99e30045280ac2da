// Work put off until its element comes near the screen: a long conversation opens without drawing all of it.

const waiting = new Map();
let observer = null;

/** Calls `draw` once, when `element` is within three screens of what is seen, or when the page is printed. */
export function whenNear(element, draw) {
  observer ??= new IntersectionObserver(seen, { root: document.getElementById("scroller"), rootMargin: "300% 0px" });
  waiting.set(element, draw);
  observer.observe(element);
}

function seen(entries) {
  for (const { target, isIntersecting } of entries) if (isIntersecting) run(target);
}

function run(element) {
  observer.unobserve(element);
  const draw = waiting.get(element);
  waiting.delete(element);
  draw?.();
}

addEventListener("beforeprint", () => [...waiting.keys()].forEach(run));
