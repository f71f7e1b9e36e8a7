// Every state that a card ever had, and whether it is what happened.

/** From now on window.seen has every state of the card of a game, in order, from inside the page. */
export async function record(page, id) {
  await page.evaluate((id) => {
    window.seen = [];
    const look = () => {
      const card = document.querySelector(`.card[data-game="${id}"]`);
      if (!card) return;
      const state = `${card.dataset.operation}/${card.dataset.availability}`;
      if (window.seen.at(-1) !== state) window.seen.push(state);
    };
    look();
    new MutationObserver(look).observe(document.body, {
      subtree: true,
      childList: true,
      attributes: true,
      attributeFilter: ["data-operation", "data-availability"],
    });
  }, id);
}

/** Whether what was seen is what happened, with nothing but omissions. */
export function isSubsequence(seen, happened) {
  let at = 0;
  for (const state of seen) {
    while (at < happened.length && happened[at] !== state) at++;
    if (at === happened.length) return false;
    at++;
  }
  return true;
}

/** Numbers below a bound, the same ones for the same seed. */
export function numbers(seed) {
  let value = seed >>> 0;
  return (bound) => {
    value = (Math.imul(value, 1103515245) + 12345) >>> 0;
    return (value >>> 16) % bound;
  };
}
