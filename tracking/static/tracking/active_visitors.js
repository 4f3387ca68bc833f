// Keeps the page of active visitors up to date. All texts come ready from the site, and go into
// the page as text: none of them is ever taken for HTML.
"use strict";

(() => {
  const INTERVAL = 5_000; // milliseconds
  const PATIENCE = 10_000;
  const FEW_PLACES = 10;
  const MANY_AT_ONCE = 20; // more arrivals than that do not slide: the whole list would

  const root = document.querySelector("[data-tracking-active]");
  const texts = JSON.parse(document.getElementById("tracking-texts").textContent);
  const part = (name, within = root) => within.querySelector(`[data-part="${name}"]`);
  const made = (name) =>
    root.querySelector(`[data-template="${name}"]`).content.firstElementChild.cloneNode(true);
  const say = (name, text) => {
    if (part(name).textContent !== text) {
      part(name).textContent = text;
    }
    part(name).hidden = !text;
  };

  let succeededAt = "";
  let answer = null;
  let timer;
  let current = 0; // the request whose answer counts
  let showsAllPlaces = false;

  // --- What the URL says: the place that is chosen, the visitor that is open ---------------

  const chosen = (name) => new URLSearchParams(location.search).get(name) ?? "";

  function urlWith(changes) {
    const query = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(changes)) {
      value ? query.set(name, value) : query.delete(name);
    }
    return query.size ? `?${query}` : location.pathname;
  }

  function go(changes) {
    history.pushState(null, "", urlWith(changes));
    follow();
  }

  function follow() {
    panel.show(chosen("visitor"));
    if (chosen("place") !== (answer.chosen?.key ?? "")) {
      update();
    }
  }

  // A click that is meant for a new tab or window is left to the browser.
  const isPlain = (event) =>
    event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;

  function leadTo(link, changes, then = () => {}) {
    link.href = urlWith(changes);
    link.onclick = (event) => {
      if (isPlain(event)) {
        event.preventDefault();
        go(changes);
        then();
      }
    };
  }

  // --- Rows that come, stay and go ---------------------------------------------------------

  // Returns what shows items in a container. What stays keeps its element, and so its focus.
  function keeper(container, make, fill) {
    const known = new Map();
    return (items, keyOf) => {
      const isFirst = !container.dataset.filled;
      container.dataset.filled = "yes";
      const focused = container.contains(document.activeElement) ? document.activeElement : null;
      const keys = new Set(items.map(keyOf));
      for (const [key, element] of known) {
        element.classList.remove("tracking-new");
        if (!keys.has(key)) {
          element.remove();
          known.delete(key);
        }
      }
      const arrived = items.filter((item) => !known.has(keyOf(item)));
      const slides = !isFirst && arrived.length <= MANY_AT_ONCE;
      let next = container.firstElementChild;
      for (const item of items) {
        let element = known.get(keyOf(item));
        if (!element) {
          element = make();
          element.classList.toggle("tracking-new", slides);
          known.set(keyOf(item), element);
        }
        fill(element, item);
        if (element === next) {
          next = next.nextElementSibling;
        } else {
          container.insertBefore(element, next);
        }
      }
      if (focused && document.activeElement !== focused) {
        (focused.isConnected ? focused : part("who")).focus({ preventScroll: true });
      }
    };
  }

  function write(element, name, text) {
    const line = part(name, element);
    if (line.textContent !== text) {
      line.textContent = text; // what is selected stays selected
    }
    line.hidden = !text;
    return line;
  }

  const VISITOR_PARTS = ["place", "label", "page", "since", "seen", "origin", "agent", "user"];

  const showVisitors = keeper(
    part("visitors"),
    () => made("visitor"),
    (element, visitor) => {
      for (const name of VISITOR_PARTS) {
        write(element, name, visitor[name]);
      }
      leadTo(element.querySelector("a"), { visitor: visitor.id });
    },
  );

  let most = 1;

  const showPlaces = keeper(
    part("places"),
    () => made("place"),
    (element, place) => {
      const isChosen = place.key === chosen("place");
      const link = write(element, "name", place.name);
      write(element, "number", place.number);
      part("bar", element).style.inlineSize = `calc((100% - 80px) * ${place.visitors / most})`;
      element.classList.toggle("tracking-chosen", isChosen);
      isChosen ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
      leadTo(link, { place: place.key }, lookAtList);
    },
  );

  function lookAtList() {
    part("who").focus();
  }

  // --- All of it ---------------------------------------------------------------------------

  function show(newest) {
    answer = newest;
    part("people").textContent = answer.people;
    part("machines").textContent = answer.machines;
    part("empty").hidden = !answer.is_empty;
    part("columns").hidden = answer.is_empty;
    most = Math.max(1, ...answer.places.map((place) => place.visitors));
    const few = answer.places.slice(0, FEW_PLACES);
    showPlaces(showsAllPlaces ? answer.places : few, (place) => place.key);
    const number = answer.places.length;
    const text = showsAllPlaces ? texts.fewer_places : texts.more_places.replace("%s", number);
    say("more-places", number > FEW_PLACES ? text : "");
    showVisitors(answer.visitors, (visitor) => visitor.id);
    const place = answer.chosen;
    say("who", place ? texts.at_place.replace("%s", () => place.name) : texts.all);
    part("all").hidden = !place;
    leadTo(part("all"), { place: "" }, lookAtList);
    say("nobody", answer.visitors.length ? "" : texts.nobody_there);
    say("more", answer.more);
    map?.show(answer.places, place?.key);
    panel.refresh(answer.visitors);
  }

  function shownAt(newest) {
    succeededAt = newest.time;
    show(newest);
    complain("");
    say("state", texts.updated.replace("%s", succeededAt));
  }

  function complain(text, link) {
    say("notice", text);
    if (text && link) {
      part("notice").append(" ", link);
    }
  }

  function logIn() {
    const link = document.createElement("a");
    link.href = `${root.dataset.login}?next=${encodeURIComponent(location.pathname + location.search)}`;
    link.textContent = texts.log_in;
    return link;
  }

  async function ask(url) {
    const response = await fetch(url, {
      cache: "no-store",
      redirect: "manual", // who is logged out would be led to the page for that
      signal: AbortSignal.timeout(PATIENCE),
    });
    return { status: response.type === "opaqueredirect" ? 401 : response.status, response };
  }

  async function update() {
    const mine = ++current;
    clearTimeout(timer);
    let goesOn = true;
    try {
      const { status, response } = await ask(
        `${root.dataset.now}?${new URLSearchParams({ place: chosen("place") })}`,
      );
      const newest = response.ok ? await response.json() : null;
      if (mine !== current) {
        return; // a later one was sent meanwhile
      }
      if (newest) {
        shownAt(newest);
      } else if (status === 401 || status === 403) {
        goesOn = false;
        const text = status === 401 ? texts.logged_out : texts.forbidden;
        complain(text.replace("%s", succeededAt), status === 401 ? logIn() : null);
        say("state", texts.last_updated.replace("%s", succeededAt));
      } else {
        throw new Error(`status ${status}`);
      }
    } catch {
      if (mine !== current) {
        return;
      }
      complain(texts.failed.replace("%s", succeededAt));
      say("state", texts.last_updated.replace("%s", succeededAt));
    }
    if (goesOn && !document.hidden) {
      timer = setTimeout(update, INTERVAL);
    }
  }

  part("more-places").addEventListener("click", () => {
    showsAllPlaces = !showsAllPlaces;
    part("more-places").setAttribute("aria-expanded", String(showsAllPlaces));
    show(answer);
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      current += 1;
      clearTimeout(timer);
      say("state", texts.paused);
    } else {
      update();
    }
  });
  window.addEventListener("popstate", follow);
  window.addEventListener("pageshow", (event) => event.persisted && update());

  const panel = window.trackingPanel(part("panel"), {
    url: root.dataset.visitor,
    ask,
    texts,
    onClose: () => chosen("visitor") && go({ visitor: "" }),
    fallback: part("who"),
  });

  let map = null;
  const box = root.querySelector("[data-tracking-map]");
  const first = JSON.parse(document.getElementById("tracking-answer").textContent);
  if (box) {
    part("columns").hidden = first.is_empty; // Leaflet measures what is there to be seen
    try {
      map = window.trackingMap(box, part("map-name"), texts, {
        choose: (key) => {
          go({ place: key });
          lookAtList();
        },
        complain: (text) => say("map-notice", text),
      });
    } catch {
      box.parentElement.hidden = true;
      say("map-notice", texts.no_script);
    }
  }
  shownAt(first);
  panel.show(chosen("visitor"));
  if (!document.hidden) {
    timer = setTimeout(update, INTERVAL);
  }
})();
