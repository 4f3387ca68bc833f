// The panel that shows one visitor. Whatever strangers have sent is text in it, and no link.
"use strict";

window.trackingPanel = (dialog, { url, ask, texts, onClose, fallback }) => {
  const part = (name) => dialog.querySelector(`[data-part="${name}"]`);
  let open = ""; // the id of the visitor that is shown
  let seen = "";
  let opener = null;

  function element(name, className, text) {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
  }

  function link(to, text, className = "") {
    const made = element("a", className, text);
    made.href = to; // made by the site, from its own patterns of URLs
    return made;
  }

  function list(name, items, make) {
    part(name).replaceChildren(...(items ?? []).map(make));
    part(`no-${name}`).hidden = items === null || items.length > 0;
    part(`hidden-${name}`).hidden = items !== null;
  }

  function page({ time, page: path }) {
    const row = document.createElement("li");
    row.append(element("span", "tracking-when", time), element("span", "", path));
    return row;
  }

  function mail({ time, kind, source, entity, led_to: target, url: to }) {
    const row = document.createElement("li");
    const what = document.createElement("span");
    what.append(element("span", "tracking-label", kind), " ");
    what.append([source, entity, target].filter(Boolean).join(" · "));
    const when = element("span", "tracking-when", "");
    when.append(to ? link(to, time) : time);
    row.append(when, what);
    return row;
  }

  function ban({ text, network, hits, objections, url: to }) {
    const row = document.createElement("li");
    const what = document.createElement("p");
    what.append(element("strong", "", network));
    what.append([...objections, ...(to ? [hits] : [])].join(" "));
    row.append(what);
    if (to) {
      row.append(link(to, text, "tracking-button"));
    }
    return row;
  }

  function fact({ name, text, label, url: to }) {
    const value = document.createElement("dd");
    if (label) {
      value.append(element("span", "tracking-label", label), " ");
    }
    value.append(to ? link(to, text) : text);
    return [element("dt", "", name), value];
  }

  function fill(visitor) {
    part("name").textContent = visitor.name;
    part("bans").replaceChildren(...visitor.bans.map(ban));
    part("bans-section").hidden = visitor.bans.length === 0;
    list("pages", visitor.pages, page);
    list("mails", visitor.mails, mail);
    part("facts").replaceChildren(...visitor.facts.flatMap(fact));
    part("links").replaceChildren(...visitor.links.map(({ text, url: to }) => link(to, text)));
    part("known").hidden = false;
    complain("");
  }

  function complain(text) {
    part("panel-notice").textContent = text;
    part("panel-notice").hidden = !text;
  }

  async function load(id) {
    try {
      const { status, response } = await ask(url.replace(/\/0\/$/, `/${encodeURIComponent(id)}/`));
      const visitor = response.ok ? await response.json() : null;
      if (id !== open) {
        return;
      }
      if (visitor) {
        fill(visitor);
      } else {
        const reasons = { 401: texts.log_in_to_see, 404: texts.gone };
        complain(reasons[status] ?? texts.not_loaded);
      }
    } catch {
      if (id === open) {
        complain(texts.not_loaded);
      }
    }
  }

  dialog.addEventListener("close", () => {
    open = "";
    onClose();
    (opener?.isConnected ? opener : fallback).focus({ preventScroll: true });
  });
  // A click beside the panel closes it.
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog && event.clientX < dialog.getBoundingClientRect().left) {
      dialog.close();
    }
  });

  return {
    // Shows a visitor, or closes the panel for "".
    show(id) {
      if (id === open) {
        return;
      }
      open = id;
      if (!id) {
        dialog.close();
        return;
      }
      seen = "";
      part("known").hidden = true;
      part("name").textContent = "…";
      complain("");
      if (!dialog.open) {
        opener = document.activeElement;
        dialog.showModal();
        part("name").focus();
      }
      load(id);
    },
    // Loads it anew when it has seen another page.
    refresh(visitors) {
      const row = visitors.find((visitor) => String(visitor.id) === open);
      const now = row ? `${row.page}\n${row.seen}` : seen;
      if (open && seen && now !== seen) {
        load(open);
      }
      seen = now;
    },
  };
};
