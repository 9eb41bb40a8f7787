// Charts have the colours of the page: Chart.js draws texts in one colour, which is too faint on one of the two.
document.addEventListener("DOMContentLoaded", () => {
  const root = document.documentElement;
  const follow = () => {
    if (window.Chart) {
      Chart.defaults.color = root.classList.contains("dark") ? "#cbd5e1" : "#475569";
    }
  };
  follow();
  // Before the look's own observer, which draws the charts anew: it begins after this script.
  new MutationObserver(follow).observe(root, { attributes: true, attributeFilter: ["class"] });
});
