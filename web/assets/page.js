// Makes a page live: moments in the reader's own time zone, countdowns, and the
// present state every half minute. Without it the page says the same, from the
// time when it was opened.
"use strict";

(() => {
  const REFRESH_MS = 30000;
  const language = document.documentElement.lang || undefined;
  // Texts of the catalogue without their values: what stands between day and time, and units.
  const { moment: dayAndTime, hours: hourUnit, minutes: minuteUnit } = document.body.dataset;
  const between = (dayAndTime ?? " :").split(":")[0];
  // The server's clock counts, not that of this device.
  let ahead = 0;
  const now = () => Date.now() + ahead;

  const written = (date, form) => new Intl.DateTimeFormat(language, form).format(date);
  const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());

  function moment(date) {
    const today = new Date(now());
    const days = Math.round((midnight(date) - midnight(today)) / 86400000);
    const time = written(date, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    if (days === 0) return time;
    if (Math.abs(days) < 7) return `${written(date, { weekday: "long" })}${between}${time}`;
    const year = date.getFullYear() === today.getFullYear() ? {} : { year: "numeric" };
    return `${written(date, { day: "numeric", month: "long", ...year })}${between}${time}`;
  }

  function span(ms) {
    const minutes = Math.ceil(ms / 60000);
    if (ms < 60000) return `${Math.max(0, Math.ceil(ms / 1000))} s`;
    const hours = minutes < 60 ? "" : `${Math.floor(minutes / 60)}${hourUnit ?? " h"}`;
    return `${hours} ${minutes % 60 ? `${minutes % 60}${minuteUnit ?? " min"}` : ""}`.trim();
  }

  function localize(root) {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    // The page says its moments in that zone already, in the words that dialogs and mails have too.
    const zones = [...root.querySelectorAll(".zone")];
    if (zones.length > 0 && zones.every((name) => name.textContent === zone)) return;
    for (const time of root.querySelectorAll("time[datetime]")) {
      const date = new Date(time.dateTime);
      // Nothing is free before its moment: what is to come goes up to the full minute.
      if (!isNaN(date)) time.textContent = moment(date > now() + 1000 ? new Date(Math.ceil(date / 60000) * 60000) : date);
    }
    for (const name of zones) if (zone) name.textContent = zone;
  }

  function count() {
    for (const left of document.querySelectorAll("[data-until]")) {
      const ms = new Date(left.dataset.until) - now();
      if (ms > 0 && ms < 172800000) left.textContent = document.body.dataset.in.replace("{span}", span(ms));
      if (ms <= 0 && !left.dataset.over) {
        left.dataset.over = "yes";
        refresh();
      }
    }
  }

  // Never under somebody's hands: not while a form is open or in use.
  function inUse(main) {
    const at = document.activeElement;
    return document.hidden || main.querySelector("details[open] form, [data-busy]") ||
      (at && at !== main && main.contains(at) && at.matches("input, select, textarea, button")) ||
      !getSelection().isCollapsed;
  }

  async function refresh() {
    const main = document.querySelector("main[data-live]");
    if (!main || inUse(main)) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store", headers: { Accept: "text/html" } });
      if (answer.status >= 500) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("main");
      if (!fresh || inUse(main)) return;
      show(main, document.importNode(fresh, true), page.title);
    } catch { /* no network: what is shown stays, the next turn asks again */ }
  }

  function show(main, fresh, title) {
    const at = document.activeElement;
    const id = at && main.contains(at) ? at.id : "";
    const changed = fresh.dataset.live !== main.dataset.live;
    setClock(fresh);
    localize(fresh);
    main.replaceWith(fresh);
    if (id) document.getElementById(id)?.focus({ preventScroll: true });
    document.title = title;
    if (changed) voice.textContent = fresh.querySelector("h1")?.textContent ?? "";
    count();
  }

  function setClock(main) {
    const told = new Date(main?.dataset.now ?? NaN);
    if (!isNaN(told)) ahead = told - Date.now();
  }

  // What is more than a request may have is told before it is sent: behind an error it would be lost.
  for (const area of document.querySelectorAll("textarea[data-most-bytes]")) {
    const check = () => {
      const sent = new URLSearchParams({ [area.name]: area.value.replaceAll("\n", "\r\n") });
      area.setCustomValidity(String(sent).length > area.dataset.mostBytes ? area.dataset.tooMuch : "");
    };
    area.addEventListener("input", check);
    check();
  }

  // A field of one line joins the lines of what is pasted, and so the words at their ends.
  for (const field of document.querySelectorAll("input[data-paste]")) {
    field.addEventListener("paste", (event) => {
      const text = event.clipboardData?.getData("text") ?? "";
      if (!text.includes("\n")) return;
      event.preventDefault();
      field.setRangeText(text.replace(/\s+/g, " "), field.selectionStart, field.selectionEnd, "end");
    });
  }

  // Times that are typed are those of the clock that the page shows.
  for (const field of document.querySelectorAll("input[data-zone]")) {
    field.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? field.value;
  }

  // One box for all of a list.
  for (const all of document.querySelectorAll("input[data-boxes]")) {
    const boxes = all.form.querySelectorAll("tbody input[type=checkbox]");
    all.hidden = false;
    all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; });
  }

  const voice = document.createElement("div");
  voice.className = "voice";
  voice.setAttribute("role", "status");
  document.body.append(voice);

  setClock(document.querySelector("main"));
  localize(document);
  count();
  setInterval(count, 1000);
  if (document.querySelector("main[data-live]")) setInterval(refresh, REFRESH_MS);
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
})();
