// Keeps the end in view while the reader is there, and never moves someone who has scrolled away.

const NEAR_END = 32;

/** button appears while the reader is away from the end. Returns {toEnd()}. */
export function followEnd(scroller, content, button) {
  let following = true, lastTop = 0;

  const distance = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
  const follow = (on) => {
    following = on;
    button.hidden = on;
    if (on) button.dataset.fresh = "";
  };
  const toEnd = () => {
    follow(true);
    scroller.scrollTop = scroller.scrollHeight;
  };

  scroller.addEventListener("scroll", () => {
    const up = scroller.scrollTop < lastTop - 1;
    lastTop = scroller.scrollTop;
    if (distance() < NEAR_END) follow(true);
    else if (up) follow(false);
  }, { passive: true });
  // Before the first scroll event comes, a frame of new text could pull the reader back.
  scroller.addEventListener("wheel", ({ deltaY }) => {
    if (deltaY < 0 && scroller.scrollTop > 0) follow(false);
  }, { passive: true });

  const resized = new ResizeObserver(() => {
    if (following) scroller.scrollTop = scroller.scrollHeight;
    else button.dataset.fresh = "yes";
  });
  resized.observe(content);
  resized.observe(scroller);
  button.addEventListener("click", toEnd);
  jumpByKeys(scroller, toEnd);
  return { toEnd };
}

// A glide through much that is drawn on the way ends somewhere else; a jump ends where it was meant to.
function jumpByKeys(scroller, toEnd) {
  scroller.addEventListener("keydown", (event) => {
    if (event.target !== scroller || !["Home", "End"].includes(event.key)) return;
    event.preventDefault();
    if (event.key === "End") toEnd();
    else scroller.scrollTop = 0;
  });
}
