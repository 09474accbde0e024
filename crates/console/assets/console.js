// Keeps a page current: fragments come as server-sent events and are merged into the page, so
// that focus, scroll position, typed text and opened details stay as they are.

const live = document.getElementById("live");

function show(state, words) {
  if (!live) return;
  live.dataset.state = state;
  live.querySelector(".words").textContent = words;
}

// Makes `now` equal to `next` and keeps every node that can be kept.
function merge(now, next) {
  if (now.isEqualNode(next)) return;
  if (now.nodeName !== next.nodeName || now.id !== next.id) {
    now.replaceWith(next);
    return;
  }
  if (now.nodeType !== Node.ELEMENT_NODE) {
    now.nodeValue = next.nodeValue;
    return;
  }
  mergeAttributes(now, next);
  mergeChildren(now, next);
}

function mergeAttributes(now, next) {
  // What a person opened or closed stays so.
  const kept = (name) => name === "open" && now.nodeName === "DETAILS";
  for (const { name } of [...now.attributes]) {
    if (!next.hasAttribute(name) && !kept(name)) now.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (now.getAttribute(name) !== value && !kept(name)) now.setAttribute(name, value);
  }
}

function mergeChildren(now, next) {
  let at = now.firstChild;
  for (const wanted of [...next.childNodes]) {
    const same = wanted.id && [...now.children].find((child) => child.id === wanted.id);
    if (same) {
      if (same === at) at = at.nextSibling;
      else now.insertBefore(same, at);
      merge(same, wanted);
    } else if (at && !at.id && !wanted.id && at.nodeName === wanted.nodeName) {
      const after = at.nextSibling;
      merge(at, wanted);
      at = after;
    } else {
      now.insertBefore(wanted, at);
    }
  }
  while (at) {
    const after = at.nextSibling;
    at.remove();
    at = after;
  }
}

function apply(message) {
  const { id, html } = JSON.parse(message.data);
  const now = document.getElementById(id);
  const template = document.createElement("template");
  template.innerHTML = html;
  const next = template.content.firstElementChild;
  if (now && next) merge(now, next);
}

function listen(address) {
  const source = new EventSource(address);
  source.addEventListener("open", () => show("on", "Live"));
  source.addEventListener("fragment", apply);
  source.addEventListener("error", () => {
    show("lost", "Connection lost, trying again");
    // The browser tries again by itself unless the server refused; then a slow retry is ours.
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(() => listen(address), 5000);
    }
  });
  // A page that is left must not hold one of the few connections a browser allows.
  addEventListener("pagehide", () => source.close(), { once: true });
}

const address = document.body.dataset.events;
if (address) {
  show("off", "Connecting");
  listen(address);
  addEventListener("pageshow", (event) => event.persisted && listen(address));
}
