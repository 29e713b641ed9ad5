// The page works without this. With it: what is chosen is shown at once, and what is shown stays up to date.
"use strict";

const policy = window.trustedTypes ? trustedTypes.createPolicy("page", { createHTML: (text) => text }) : { createHTML: (text) => text };
const main = () => document.getElementById("main");

// What is chosen in the filter bar is shown at once; days only when they are left, for they are typed digit by digit.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form.filters");
  if (!form || event.target.type === "date") return;
  submit(form);
});
document.addEventListener("focusout", (event) => {
  const field = event.target;
  const form = field.closest && field.closest("form.filters");
  if (form && field.type === "date" && field.value !== field.defaultValue) submit(form);
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form.filters")) return;
  event.preventDefault();
  submit(event.target);
});

// Fields that say nothing are left out of the URL.
function submit(form) {
  const url = new URL(form.action);
  for (const [name, value] of new FormData(form)) if (value !== "") url.searchParams.append(name, value);
  location.assign(url);
}

// Live: a server-sent event tells a new position; the same URL is asked for again, and what is shown takes its place.
let source = null;
let busy = false;
let again = false;

function tell(state) {
  const place = document.querySelector(".live");
  if (!place || place.dataset.state === state) return;
  place.dataset.state = state;
  place.textContent = place.dataset[state] || "";
}

function listen() {
  const path = document.body.dataset.live;
  const stand = document.querySelector("[data-stand]");
  if (!path || !stand || !stand.dataset.stand || document.hidden) return;
  source = new EventSource(`${path}?seen=${encodeURIComponent(stand.dataset.stand)}`);
  source.addEventListener("open", () => tell("live"));
  source.addEventListener("error", () => tell("away"));
  source.addEventListener("position", () => refresh());
}

function hush() {
  if (source) source.close();
  source = null;
}

async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-cache" });
    if (answer.ok) replace(await answer.text());
  } catch {
    tell("away");
  } finally {
    busy = false;
    lookAgain();
    if (again) { again = false; refresh(); }
  }
}

function replace(text) {
  const fresh = new DOMParser().parseFromString(policy.createHTML(text), "text/html").getElementById("main");
  const old = main();
  if (!fresh || !old) return;
  const typing = document.activeElement && document.activeElement.closest("form") && old.contains(document.activeElement);
  if (typing) { setTimeout(refresh, 3000); return; }
  const place = where(old, document.activeElement);
  const open = [...old.querySelectorAll("details")].map((one) => one.open);
  const before = new Map([...old.querySelectorAll("td data, .large")].map((one) => [path(old, one), one.textContent]));
  const scroll = [scrollX, scrollY];
  const made = document.importNode(fresh, true);
  made.querySelectorAll("details").forEach((one, number) => { one.open = Boolean(open[number]); });
  old.replaceWith(made);
  for (const one of made.querySelectorAll("td data, .large")) {
    const was = before.get(path(made, one));
    if (was !== undefined && was !== one.textContent) (one.closest("td") || one).classList.add("fresh");
  }
  scrollTo(...scroll);
  if (place) { const found = at(made, place); if (found) found.focus({ preventScroll: true }); }
}

// Where something is, told so that it can be found in the page that takes this one's place: by its link, else by its place.
function where(root, element) {
  if (!element || !root.contains(element) || element === root) return null;
  return { href: element.getAttribute("href"), path: path(root, element) };
}
function path(root, element) {
  const steps = [];
  for (let one = element; one !== root; one = one.parentElement) steps.unshift([...one.parentElement.children].indexOf(one));
  return steps.join(".");
}
function at(root, place) {
  if (place.href) {
    const same = [...root.querySelectorAll("a[href]")].find((one) => one.getAttribute("href") === place.href);
    if (same) return same;
  }
  return place.path.split(".").reduce((one, step) => one && one.children[step], root);
}

// What goes on elsewhere than in the log – a rebuild, an import, a delivery – is looked at again after the seconds that it names.
let looking = 0;
function lookAgain() {
  clearTimeout(looking);
  const place = main() && main().querySelector("[data-again]");
  if (place && !document.hidden) looking = setTimeout(refresh, 1000 * Number(place.dataset.again));
}

document.addEventListener("visibilitychange", () => {
  hush();
  lookAgain();
  if (!document.hidden) listen();
});
addEventListener("pagehide", hush);
addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
listen();
lookAgain();
