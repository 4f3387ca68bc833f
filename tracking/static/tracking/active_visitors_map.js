// The map of active visitors: a button for each place, drawn as a dot over outlines of countries.
"use strict";

window.trackingMap = (box, nameLine, texts, { choose, complain }) => {
  const WORLD = [
    [-54, -168],
    [74, 180],
  ]; // degrees: where people are
  const LARGEST = 22; // pixels, the radius of a dot
  const SMALLEST = 3;
  const OF_ONE = 5; // that of one visitor, as long as the largest has room
  const MINUTE = 60; // seconds
  const HIT = 24; // pixels, the least size of a button

  const map = L.map(box, {
    attributionControl: false,
    zoomControl: false,
    trackResize: false, // fit() follows the box, not the window
    scrollWheelZoom: false, // it would take the wheel from the page
    zoomSnap: 0.1,
    zoomDelta: 1,
    maxZoom: 9,
    maxBounds: [
      [-85, -220],
      [85, 220],
    ],
    zoomAnimation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
  });
  L.control.zoom({ zoomInTitle: texts.zoom_in, zoomOutTitle: texts.zoom_out }).addTo(map);

  const dots = new Map(); // by the key of their place
  let order = []; // the keys, the largest first
  let stop = ""; // the one that the tab key reaches

  function fit() {
    map.invalidateSize({ animate: false, pan: false });
    map.setMinZoom(0).fitBounds(WORLD, { animate: false, reset: true }).setMinZoom(map.getZoom());
  }

  fit();
  let width = box.clientWidth;
  new ResizeObserver(() => {
    if (box.clientWidth && box.clientWidth !== width) {
      width = box.clientWidth;
      fit();
    }
  }).observe(box);

  if (box.dataset.tiles) {
    L.tileLayer(box.dataset.tiles, { maxZoom: 19 }).addTo(map);
  } else {
    fetch(box.dataset.world)
      .then((response) => (response.ok ? response.json() : Promise.reject(response.status)))
      .then((world) =>
        L.geoJSON(world, { interactive: false, className: "tracking-land", weight: 0.5 }).addTo(
          map,
        ),
      )
      .catch(() => complain(texts.no_world));
  }

  function dot(key) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "tracking-dot";
    const area = button.appendChild(document.createElement("span"));
    area.className = "tracking-dot-area";
    const ring = button.appendChild(document.createElement("span"));
    ring.className = "tracking-ring";
    const tell = () => (nameLine.textContent = button.getAttribute("aria-label"));
    const silence = () => (nameLine.textContent = "");
    button.addEventListener("mouseenter", tell);
    button.addEventListener("mouseleave", silence);
    button.addEventListener("focus", () => {
      stopAt(key);
      tell();
    });
    button.addEventListener("blur", silence);
    button.addEventListener("click", () => choose(key));
    button.addEventListener("keydown", (event) => walk(event, key));
    const icon = L.divIcon({ className: "tracking-dot-box", html: button, iconSize: [0, 0] });
    const marker = L.marker([0, 0], { icon, keyboard: false }).addTo(map);
    return { marker, button, area, ring };
  }

  function stopAt(key) {
    dots.get(stop)?.button.setAttribute("tabindex", "-1");
    stop = key;
    dots.get(stop)?.button.setAttribute("tabindex", "0");
  }

  const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

  function walk(event, key) {
    const last = order.length - 1;
    const at = order.indexOf(key) + (STEPS[event.key] ?? 0);
    const to = { Home: 0, End: last }[event.key] ?? Math.min(last, Math.max(0, at));
    if (event.key in STEPS || event.key === "Home" || event.key === "End") {
      event.preventDefault();
      event.stopPropagation(); // the map would move along
      const next = dots.get(order[to]);
      map.panInside(next.marker.getLatLng(), { padding: [LARGEST, LARGEST] });
      next.button.focus({ preventScroll: true });
    }
  }

  function fill({ marker, button, area, ring }, place, radius, isChosen) {
    const size = `${Math.round(2 * radius)}px`;
    marker.setLatLng([place.latitude, place.longitude]);
    marker.setZIndexOffset(-Math.round(1000 * radius)); // the small ones lie on the large ones
    button.style.width = button.style.height = `${Math.max(HIT, Math.round(2 * radius))}px`;
    area.style.width = area.style.height = size;
    ring.style.width = ring.style.height = `calc(${size} + 10px)`;
    ring.style.opacity = String(Math.max(0, 1 - place.age / MINUTE));
    button.setAttribute("aria-label", place.text);
    button.setAttribute("aria-pressed", String(isChosen));
    if (button === document.activeElement) {
      nameLine.textContent = place.text;
    }
  }

  function remove(key) {
    const gone = dots.get(key);
    const wasFocused = gone.button === document.activeElement;
    gone.marker.remove();
    dots.delete(key);
    if (wasFocused) {
      nameLine.textContent = "";
      box.focus({ preventScroll: true });
    }
  }

  return {
    // Shows places, the largest first; chosen is the key of one of them, or undefined.
    show(places, chosen) {
      const located = places.filter((place) => place.latitude !== null);
      const most = Math.max(1, ...located.map((place) => place.visitors));
      const unit = Math.min(OF_ONE, LARGEST / Math.sqrt(most)); // the area tells the number
      order = located.map((place) => place.key);
      const here = new Set(order);
      [...dots.keys()].filter((key) => !here.has(key)).forEach(remove);
      for (const place of located) {
        if (!dots.has(place.key)) {
          dots.set(place.key, dot(place.key));
        }
        const radius = Math.max(SMALLEST, unit * Math.sqrt(place.visitors));
        fill(dots.get(place.key), place, radius, place.key === chosen);
      }
      stopAt(here.has(stop) ? stop : order[0]);
      for (const key of order) {
        dots.get(key).button.tabIndex = key === stop ? 0 : -1;
      }
    },
  };
};
