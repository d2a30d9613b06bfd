// What the console's pages need beyond unfold: parts that refresh themselves, charts in them, and the keyboard.
(() => {
  const utc = () => new Date().toISOString().slice(11, 19);

  // Parts that refresh themselves: what cannot be refreshed says since when, and why.

  function failed(part, why) {
    part.classList.add("is-stale");
    let notice = part.querySelector(":scope > .cannot-refresh");
    if (!notice) {
      notice = document.createElement("p");
      notice.className = "cannot-refresh";
      notice.setAttribute("role", "alert");
      notice.dataset.since = utc();
      part.prepend(notice);
    }
    const text = `Cannot refresh since ${notice.dataset.since} UTC: ${why}`;
    // An alert that says the same again would be read aloud again.
    if (notice.textContent !== text) notice.textContent = text;
  }

  function why(status) {
    if (status === 503) return "the database is away";
    if (status === 504) return "the database took too long";
    if (status === 429) return "too many requests";
    return `the service answered ${status}`;
  }

  document.addEventListener("htmx:responseError", (event) => failed(event.detail.target, why(event.detail.xhr.status)));
  document.addEventListener("htmx:sendError", (event) => failed(event.detail.target, "the service does not answer"));
  document.addEventListener("htmx:timeout", (event) => failed(event.detail.target, "no answer in time"));
  document.addEventListener("htmx:beforeSwap", (event) => {
    // Whoever is signed out meanwhile would find the sign-in page inside a card.
    if (new URL(event.detail.xhr.responseURL || location.href).pathname.endsWith("/login/")) {
      event.detail.shouldSwap = false;
      location.reload();
      return;
    }
    if (event.detail.shouldSwap) {
      const part = event.detail.target;
      part.classList.remove("is-stale");
      part.dataset.focused = focusable(part).indexOf(document.activeElement);
      part.querySelectorAll("canvas").forEach((canvas) => Chart.getChart(canvas)?.destroy());
    }
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const part = event.detail.target;
    part.querySelectorAll("canvas.chart").forEach(draw);
    // Whoever has tabbed to a button stays there.
    focusable(part)[part.dataset.focused]?.focus({ preventScroll: true });
  });

  const focusable = (part) => [...part.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary")];

  // Charts: unfold draws those that are in the page from the beginning, and no others.

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function draw(canvas) {
    // A part may come before unfold looks for charts to draw, and one canvas holds one.
    canvas.classList.remove("chart");
    const data = JSON.parse(canvas.dataset.value);
    const ticks = color(document.documentElement.classList.contains("dark") ? "--color-base-400" : "--color-base-500");
    for (const set of data.datasets) set.backgroundColor = set.borderColor = color("--color-primary-500");
    new Chart(canvas, {
      type: canvas.dataset.type,
      data,
      options: {
        animation: false,
        maintainAspectRatio: false,
        borderWidth: 1.5,
        pointRadius: 0,
        spanGaps: false,
        interaction: { mode: "index", intersect: false },
        plugins: { legend: { display: false } },
        scales: {
          x: { grid: { display: false }, ticks: { color: ticks, maxTicksLimit: 5, maxRotation: 0 } },
          y: { beginAtZero: true, border: { display: false }, ticks: { color: ticks, maxTicksLimit: 4 } },
        },
      },
    });
  }

  // The keyboard: unfold's menus and toggles are texts that hear clicks alone, and its icons are words in a font.

  const NAMES = { dock_to_right: "Navigation", close: "Close", unfold_more: "Your account", water_drop: "Dashboard", arrow_back: "Back", add: "Add" };

  function named(icon) {
    const control = icon.closest("a, button, [role=button]");
    const name = icon.textContent.trim();
    icon.setAttribute("aria-hidden", "true");
    if (control && !control.hasAttribute("aria-label") && control.textContent.trim() === name)
      control.setAttribute("aria-label", control.title || (NAMES[name] ?? name.replaceAll("_", " ")));
  }

  function reachable(element) {
    element.setAttribute("tabindex", "0");
    element.setAttribute("role", "button");
    element.addEventListener("keydown", (event) => {
      if (event.target !== element || (event.key !== "Enter" && event.key !== " ")) return;
      event.preventDefault();
      element.click();
    });
  }

  function prepare() {
    const controls = "a[href], button, input, select, textarea, label, summary";
    for (const element of document.querySelectorAll("[x-on\\:click]"))
      if (!element.matches(controls) && !element.querySelector(controls)) reachable(element);
    // What can be clicked is named after its icon; that it is a picture comes second.
    document.querySelectorAll(".material-symbols-outlined[role=button]").forEach((icon) =>
      icon.setAttribute("aria-label", NAMES[icon.textContent.trim()] ?? icon.textContent.trim().replaceAll("_", " "))
    );
    document.querySelectorAll(".material-symbols-outlined:not([role=button])").forEach(named);
    (document.getElementById("main") ?? document.getElementById("page"))?.setAttribute("role", "main");
    document.getElementById("content")?.setAttribute("tabindex", "-1");
    document.getElementById("nav-sidebar-apps")?.setAttribute("data-simplebar-aria-label", "Pages");
  }

  // A secret that is shown once.

  async function copy(button) {
    const field = document.getElementById(button.dataset.copies);
    field.select();
    // Without HTTPS a page may not write to the clipboard by itself.
    const done = await (navigator.clipboard?.writeText(field.value).then(() => true, () => false) ?? document.execCommand("copy"));
    document.getElementById(button.dataset.says).textContent = done ? "Copied." : "Press Ctrl+C to copy.";
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copies]");
    if (button) copy(button);
  });
  document.addEventListener("DOMContentLoaded", prepare);
})();
