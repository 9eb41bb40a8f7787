/* Whatever is cut because it does not fit says the whole where it is pointed at. */
"use strict";

// Text can be cut only in an element of its own, where its cell is a line of a card.
document.addEventListener("DOMContentLoaded", () => {
  for (const cell of document.querySelectorAll("td[data-label], th[data-label]")) {
    if (!cell.children.length && cell.textContent.trim()) {
      const text = document.createElement("span");
      text.className = "cell-text";
      text.append(...cell.childNodes);
      cell.append(text);
    }
  }
});

document.addEventListener("mouseover", (event) => {
  for (let element = event.target; element instanceof HTMLElement && element !== document.body; element = element.parentElement) {
    if (element.title) {
      return;
    }
    const isCut = element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight;
    if (isCut && getComputedStyle(element).textOverflow === "ellipsis") {
      element.title = element.textContent.trim().replace(/\s+/g, " ");
      return;
    }
  }
});
