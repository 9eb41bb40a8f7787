// What was typed into a form is back after its saving was refused: the session had expired, the database was away, or
// the page was too old. What is sent is kept in the tab until the answer is there. If that is the login or a page that
// says no, the next load of the form's address brings it back, for the same operator alone; any other answer drops it.
(() => {
  const PREFIX = "typed-before:";
  const KEPT_MS = 24 * 60 * 60 * 1000;
  // They belong to the values: what the page showed when they were typed, and that the form is to be counted once.
  // Other hidden fields are what the page says now, such as the effect that it shows.
  const KEPT_HIDDEN = ["_shown", "_submission", "token"];
  const NEVER_KEPT = ["submit", "button", "reset", "image", "file", "password", "fieldset", "output"];
  const ROW = /^(.+)-(\d+)-(\w+)$/;

  // --- The store ------------------------------------------------------------------------------------------------------
  const write = (address, entry) => {
    try {
      sessionStorage.setItem(PREFIX + address, JSON.stringify(entry));
    } catch {
      // The browser keeps nothing, or not as much.
    }
  };

  const entries = () => {
    try {
      const keys = Object.keys(sessionStorage).filter((key) => key.startsWith(PREFIX));
      return keys.map((key) => [key.slice(PREFIX.length), JSON.parse(sessionStorage.getItem(key))]);
    } catch {
      return [];
    }
  };

  const dropWhere = (isUnwanted) => {
    for (const [address, entry] of entries()) {
      if (isUnwanted(entry, address)) {
        sessionStorage.removeItem(PREFIX + address);
      }
    }
  };

  // --- Keeping --------------------------------------------------------------------------------------------------------
  const isBox = (field) => field.type === "checkbox" || field.type === "radio";

  const isSecret = (field) =>
    field.type === "password" || /password/.test(field.autocomplete) || /password|secret/i.test(field.name);

  const isKept = (field) =>
    field.name &&
    !field.disabled &&
    !NEVER_KEPT.includes(field.type) &&
    !isSecret(field) &&
    field.name !== "csrfmiddlewaretoken" &&
    !field.name.includes("__prefix__");

  const stateOf = (field) => ({
    name: field.name,
    value: field.value,
    isHidden: field.type === "hidden",
    checked: isBox(field) ? field.checked : undefined,
    chosen: field.options ? [...field.selectedOptions].map((option) => [option.value, option.text]) : undefined,
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    const mark = form.querySelector("[data-operator]");
    if (form.id === "logout-form") {
      dropWhere(() => true);
    } else if (mark && !event.defaultPrevented) {
      const { pathname, search } = new URL(form.getAttribute("action") || "", location.href);
      const fields = [...form.elements];
      write(pathname + search, {
        operator: mark.dataset.operator,
        at: Date.now(),
        fields: fields.filter(isKept).map(stateOf),
        isPartial: fields.some((field) => field.files?.length || (isSecret(field) && !isBox(field) && field.value)),
      });
    }
  });

  // --- The answer -----------------------------------------------------------------------------------------------------
  // The address of the form that this page refused to save, if it did. The answer to what was saved leads on to another
  // page: if that one is refused, there was one redirect more.
  const interruptedAddress = () => {
    const redirects = performance.getEntriesByType("navigation")[0]?.redirectCount ?? 0;
    if (document.getElementById("login-form")) {
      return redirects <= 1 ? new URLSearchParams(location.search).get("next") : null;
    }
    return document.getElementById("refused") && redirects === 0 ? location.pathname + location.search : null;
  };

  document.addEventListener("DOMContentLoaded", () => {
    const interrupted = interruptedAddress();
    for (const [address, entry] of entries()) {
      if (address === interrupted) {
        write(address, { ...entry, isInterrupted: true });
      }
    }
    dropWhere((entry) => !entry.isInterrupted || Date.now() - entry.at > KEPT_MS);
  });

  // --- Bringing back --------------------------------------------------------------------------------------------------
  const addRow = (form, prefix) => {
    const total = form.elements[`${prefix}-TOTAL_FORMS`];
    const number = total?.value;
    total?.closest(".formset-wrapper")?.querySelector(".add-row")?.click();
    return total && total.value !== number ? `${prefix}-${number}` : null;
  };

  const rowOf = (form, prefix, id) => {
    const isOfRow = (field) => ROW.exec(field.name)?.[1] === prefix && field.name.endsWith("-id") && field.value === id;
    return [...form.elements].find(isOfRow)?.name.slice(0, -"-id".length) ?? null;
  };

  // Others may have added rows, or removed some: a stored row is found by its id, and one that is new is added.
  const findRows = (form, fields) => {
    const values = new Map(fields.map((field) => [field.name, field.value]));
    const rows = new Map();
    for (const { name } of fields) {
      const [, prefix, number] = ROW.exec(name) ?? [];
      const row = `${prefix}-${number}`;
      if (prefix && values.has(`${prefix}-TOTAL_FORMS`) && !rows.has(row)) {
        const id = values.get(`${row}-id`);
        rows.set(row, id ? rowOf(form, prefix, id) : addRow(form, prefix));
      }
    }
    return rows;
  };

  const nameNow = (name, rows) => {
    const [, prefix, number, part] = ROW.exec(name) ?? [];
    const row = `${prefix}-${number}`;
    return rows.has(row) ? `${rows.get(row)}-${part}` : name;
  };

  const put = (field, state) => {
    if (isBox(field)) {
      field.checked = state.checked;
    } else if (!field.options) {
      field.value = state.value;
    } else if (!choose(field, state.chosen ?? [[state.value, state.value]])) {
      return false;
    }
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
    return true;
  };

  const choose = (field, chosen) => {
    const missing = chosen.filter(([value]) => ![...field.options].some((option) => option.value === value));
    if (missing.length && !field.classList.contains("admin-autocomplete")) {
      return false;
    }
    // A field that completes what is typed has as options only what was chosen.
    missing.forEach(([value, text]) => field.add(new Option(text, value)));
    for (const option of field.options) {
      option.selected = chosen.some(([value]) => value === option.value);
    }
    return true;
  };

  // Returns whether all is back.
  const bringBack = (form, fields) => {
    const rows = findRows(form, fields);
    let isWhole = true;
    for (const state of fields) {
      const name = nameNow(state.name, rows);
      const field = [...form.elements].find(
        (each) =>
          each.name === name &&
          isKept(each) &&
          (each.type !== "hidden" || KEPT_HIDDEN.includes(name)) &&
          (!isBox(each) || each.value === state.value),
      );
      isWhole = (field ? put(field, state) : state.isHidden) && isWhole;
    }
    return isWhole;
  };

  const warnBeforeLeaving = (form) => {
    const warn = (event) => event.preventDefault();
    window.addEventListener("beforeunload", warn);
    form.addEventListener("submit", () => window.removeEventListener("beforeunload", warn));
  };

  // After the scripts of the form have begun, which add rows and complete what is typed.
  window.addEventListener("pageshow", (event) => {
    const notice = document.querySelector("form [data-operator]");
    if (!notice || event.persisted) {
      return;
    }
    dropWhere((entry) => entry.operator !== notice.dataset.operator);
    const address = location.pathname + location.search;
    const entry = entries().find(([of]) => of === address)?.[1];
    if (!entry || "confirms" in notice.dataset) {
      return;
    }
    dropWhere((_, of) => of === address);
    const form = notice.closest("form");
    const isWhole = bringBack(form, entry.fields);
    notice.hidden = false;
    notice.querySelector("[data-left-out]").hidden = isWhole && !entry.isPartial;
    warnBeforeLeaving(form);
  });
})();
