// Keeps the list of who is in the shop up to date, by the feed of django-beacons.
"use strict";

(() => {
  const INTERVAL = 5_000; // milliseconds
  const PATIENCE = 10_000;

  const section = document.querySelector("[data-feed]");
  const part = (name) => section.querySelector(`[data-${name}]`);
  const known = new Map(); // the rows, by the id of their visitor
  let timer;
  let asking = false;
  let succeededAt = "";

  const numbers = new Intl.NumberFormat("en");
  const minutes = new Intl.DateTimeFormat("en", { timeStyle: "short", hourCycle: "h23" });
  const seconds = new Intl.DateTimeFormat("en", { timeStyle: "medium", hourCycle: "h23" });

  const DEVICES = { desktop: "desktop", mobile: "phone", tablet: "tablet" };
  const VERDICTS = { bot: "Bot", proxy: "Mail proxy", prefetch: "Prefetch" };

  // The feed escapes its texts for pages that take them as HTML. Here they are text, so that
  // has to be undone, by exactly what Django's escape() does.
  const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#x27;": "'" };
  const text = (escaped) => (escaped ?? "").replace(/&(amp|lt|gt|quot|#x27);/g, (e) => ENTITIES[e]);

  function duration(total) {
    const parts = [
      [Math.floor(total / 3600), "h"],
      [Math.floor(total / 60) % 60, "min"],
      [total % 60, "s"],
    ];
    return (
      parts
        .filter(([n]) => n)
        .map(([n, unit]) => `${n} ${unit}`)
        .slice(0, 2)
        .join(" ") || "0 s"
    );
  }

  function host(url) {
    try {
      return new URL(url).hostname.replace(/^www\./, "");
    } catch {
      return url;
    }
  }

  // Each returns what stands in a cell, what stands under it, and what explains it.

  function place({ geoip, network }) {
    const from = network ? `An address of the network ${network}` : "No address is known";
    if (!geoip.country_code) {
      return ["–", "", `${from}, whose place is not known`];
    }
    const city = text(geoip.city);
    const country = text(geoip.country_name);
    return city ? [city, country === city ? "" : country, from] : [country, "", from];
  }

  function since(user) {
    const began = new Date(Date.now() - 1000 * (user.last_update + user.time_on_site));
    const ago = user.last_update < 5 ? "just now" : `${duration(user.last_update)} ago`;
    return [
      minutes.format(began),
      ago,
      `Read for ${duration(user.time_on_site)}; last page ${ago}`,
    ];
  }

  function origin({ referrer }) {
    const url = text(referrer);
    return url ? [host(url), "", url] : ["Direct", "", "No page of another site led here"];
  }

  function program({ browser, os, device, user_agent: agent }) {
    const under = [text(os), DEVICES[device]].filter(Boolean).join(", ");
    return [text(browser) || "–", under, text(agent)];
  }

  const COLUMNS = [
    ["Place", place],
    ["Page", (user) => [text(user.url), "", ""]],
    ["Since", since],
    ["Pages", (user) => [numbers.format(user.page_views), "", ""]],
    ["Came from", origin],
    ["Browser", program],
    [
      "User",
      (user) => (user.user === null ? ["–", "", "Not logged in"] : [text(user.user), "", ""]),
    ],
  ];

  function element(name, className, content) {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = content;
    return made;
  }

  function fill(row, user) {
    row.classList.toggle("machine", user.verdict !== "human");
    row.classList.toggle("direct", !user.referrer);
    row.classList.toggle("anonymous", user.user === null);
    COLUMNS.forEach(([name, describe], index) => {
      const cell = row.cells[index];
      const [main, under, title] = describe(user);
      const label = name === "Browser" ? VERDICTS[user.verdict] : undefined;
      const shown = [main, under, title, label].join("\n");
      if (cell.shown === shown) {
        return; // what is selected stays selected
      }
      cell.shown = shown;
      cell.title = title;
      const lines = [element("span", "main", main)];
      if (name === "Pages") {
        lines[0].dataset.unit = user.page_views === 1 ? "page" : "pages"; // said on cards only
      }
      if (label) {
        lines.push(" ", element("span", "label", label));
      }
      if (under) {
        lines.push(" ", element("span", "under", under));
      }
      cell.replaceChildren(...lines);
    });
  }

  function row(isNew) {
    const made = document.createElement("tr");
    made.setAttribute("role", "row");
    made.classList.toggle("new", isNew);
    for (const [name] of COLUMNS) {
      const cell = made.insertCell();
      // A narrow page shows rows as cards; there the roles would be lost with the layout.
      cell.setAttribute("role", "cell");
      cell.dataset.name = name;
      cell.className = name === "Pages" ? "number" : "";
    }
    return made;
  }

  function show({ users, total }) {
    const here = new Set(users.map((user) => user.id));
    for (const [id, old] of known) {
      old.classList.remove("new");
      if (!here.has(id)) {
        old.remove();
        known.delete(id);
      }
    }
    let before = null;
    for (const user of users) {
      if (!known.has(user.id)) {
        known.set(user.id, row(succeededAt !== ""));
      }
      const current = known.get(user.id);
      fill(current, user);
      // Moved only if it is elsewhere: what stays in place keeps its selection.
      const wanted = before ? before.nextSibling : part("rows").firstChild;
      if (wanted !== current) {
        part("rows").insertBefore(current, wanted);
      }
      before = current;
    }
    const bots = users.filter((user) => user.verdict !== "human").length;
    part("total").textContent = numbers.format(total);
    part("machines").textContent = bots
      ? `${numbers.format(bots)} of them ${bots === 1 ? "a bot" : "bots"}`
      : "";
    part("table").hidden = total === 0;
    part("empty").hidden = total > 0;
    part("more").hidden = total === users.length;
    part("more").textContent = `The latest ${numbers.format(users.length)} are shown.`;
  }

  function say(state) {
    part("state").textContent = state;
  }

  function complain(message) {
    const notice = part("notice");
    if (notice.textContent !== message) {
      notice.textContent = message;
    }
    notice.hidden = !message;
  }

  async function feed() {
    const response = await fetch(section.dataset.feed, {
      cache: "no-store",
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (response.status === 403) {
      return null;
    }
    if (!response.ok) {
      throw new Error(`status ${response.status}`);
    }
    return response.json();
  }

  function loggedOut() {
    const link = element("a", "", "Log in again");
    link.href = section.dataset.login;
    complain("You are no longer logged in. ");
    part("notice").append(link);
    say(`Last updated ${succeededAt || "never"}`);
  }

  async function update() {
    if (asking) {
      return;
    }
    asking = true;
    clearTimeout(timer);
    let goesOn = true;
    try {
      const answer = await feed();
      if (answer === null) {
        goesOn = false;
        loggedOut();
      } else {
        show(answer);
        succeededAt = seconds.format();
        complain("");
        say(`Updated ${succeededAt}`);
      }
    } catch {
      const shown = succeededAt ? ` The list is as it was at ${succeededAt}.` : "";
      complain(`No answer from the shop.${shown} Retrying every five seconds.`);
      say(`Last updated ${succeededAt || "never"}`);
    } finally {
      asking = false;
    }
    if (goesOn && !document.hidden) {
      timer = setTimeout(update, INTERVAL);
    }
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(timer);
      say("Paused while this tab is hidden");
    } else {
      update();
    }
  });
  update();
})();
