/* Whatever is cut because it does not fit says the whole where it is pointed at. */
"use strict";

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
