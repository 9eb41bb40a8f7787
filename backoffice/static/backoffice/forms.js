// What is seen is what is true, also after Back and after a reload: the browser brings back what was typed, and the
// address, and tells neither the script that shows the fields of the chosen type nor the one that shows the open tab.
(() => {
  const isChanged = (field) => {
    if (field.type === "checkbox" || field.type === "radio") {
      return field.checked !== field.defaultChecked;
    }
    if (field.options) {
      return [...field.options].some((option) => option.selected !== option.defaultSelected);
    }
    return field.type !== "hidden" && field.type !== "file" && field.value !== field.defaultValue;
  };

  // After what the browser brings back is there, and after Alpine has begun.
  window.addEventListener("pageshow", () => {
    // What a list is filtered by is what its address says, not what was typed before the page was left.
    document.querySelectorAll("form[method=get]").forEach((form) => form.reset());
    for (const field of document.querySelectorAll("form [x-model\\.fill]")) {
      if (isChanged(field)) {
        field.dispatchEvent(new Event(field.options ? "change" : "input", { bubbles: true }));
        if (field.type === "checkbox" || field.type === "radio") {
          field.dispatchEvent(new Event("change", { bubbles: true }));
        }
      }
    }
  });

  window.addEventListener("hashchange", () => {
    const page = window.Alpine ? Alpine.$data(document.body) : {};
    if ("activeTab" in page) {
      page.activeTab = getCurrentTab() || "general";
    }
  });
})();
