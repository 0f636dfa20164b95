// The inbox's page. Nothing of a mail is ever parsed as HTML here: text goes into text nodes, and the mail's own HTML
// into a frame without scripts, forms or requests.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const token = $("meta[name=token]").content;
  const PAGE = 60;
  const state = { items: [], query: "", total: 0, unread: 0, found: 0, dropped: 0, id: "", tab: "", width: "wide", remote: new Set(), loading: false, news: 0, info: {}, tags: [] };
  const IMAGES = /^image\/(png|jpeg|gif|webp|avif|bmp|x-icon)$/;

  // ------------------------------------------------------------------ helpers

  function h(tag, props = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(props)) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name === "class") node.className = value;
      else if (name === "style") for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat().filter(child => child !== undefined && child !== null && child !== false));
    return node;
  }
  function icon(name) {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg"), use = document.createElementNS(space, "use");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    use.setAttribute("href", "#i-" + name);
    svg.append(use);
    return svg;
  }
  async function api(path, method = "GET", body) {
    const options = { method, headers: {} };
    if (token) options.headers["X-Inbox-Token"] = token;
    if (body !== undefined) { options.body = JSON.stringify(body); options.headers["Content-Type"] = "application/json"; }
    const response = await fetch("api/v1/" + path, options);
    const text = await response.text();
    let value = text;
    try { value = JSON.parse(text); } catch { /* "ok", or a text */ }
    if (!response.ok) throw new Error(value.Error || text || response.statusText);
    return value;
  }
  const name = box => box.Name || box.Address || "(nobody)";
  const full = box => box.Name && box.Address ? `${box.Name} <${box.Address}>` : box.Address || box.Name;
  const many = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
  const octets = n => n < 1000 ? `${n} B` : n < 1e6 ? `${(n / 1e3).toFixed(n < 1e4 ? 1 : 0)} kB` : `${(n / 1e6).toFixed(1)} MB`;
  function hue(text) {
    let sum = 7;
    for (const char of text.toLowerCase()) sum = (sum * 31 + char.codePointAt(0)) % 3600;
    return sum % 360;
  }
  function avatar(box) {
    const words = name(box).replace(/@.*/, "").split(/[\s._+-]+/).filter(word => /[\p{L}\p{N}]/u.test(word));
    const letters = words.length > 1 ? [...words[0]][0] + [...words.at(-1)][0] : [...(words[0] || "?")][0];
    return h("span", { class: "avatar", "aria-hidden": "true", style: { "--hue": hue(box.Address || name(box)) } }, letters.toUpperCase());
  }
  const dayKey = date => `${date.getFullYear()}-${date.getMonth()}-${date.getDate()}`;
  function dayOf(date) {
    const now = new Date(), yesterday = new Date(now - 864e5);
    if (dayKey(date) === dayKey(now)) return "Today";
    if (dayKey(date) === dayKey(yesterday)) return "Yesterday";
    return date.toLocaleDateString("en", { weekday: "short", day: "numeric", month: "long", year: date.getFullYear() === now.getFullYear() ? undefined : "numeric" });
  }
  const clock = date => date.toLocaleTimeString("en", { hour: "2-digit", minute: "2-digit", hour12: false });
  function announce(text) { $("#announce").textContent = text; }
  async function copy(text, button) {
    try { await navigator.clipboard.writeText(text); announce("Copied"); } catch { return; }
    const label = button.getAttribute("aria-label");
    button.classList.add("on");
    button.setAttribute("aria-label", "Copied");
    setTimeout(() => { button.classList.remove("on"); if (label) button.setAttribute("aria-label", label); else button.removeAttribute("aria-label"); }, 1200);
  }
  const tool = (label, symbol, onclick, extra = {}) => h("button", { type: "button", class: "tool", "aria-label": label, title: label, onclick, ...extra }, icon(symbol));

  // ------------------------------------------------------------------ the list

  function rowOf(item, isNew) {
    const date = new Date(item.Created);
    const marks = [item.Attachments ? [icon("clip"), h("span", {}, String(item.Attachments))] : null, ...item.Tags.slice(0, 4).map(tag => h("span", { class: "tag" }, tag))];
    return h("li", { "data-id": item.ID },
      h("a", { class: `row${item.Read ? "" : " unread"}${isNew ? " new" : ""}`, href: "#" + item.ID, "aria-current": item.ID === state.id ? "true" : null },
        avatar(item.From),
        h("span", {},
          item.Read ? null : h("span", { class: "sr unread-word" }, "Unread. "),
          h("span", { class: "top" }, h("span", { class: "who" }, name(item.From)), h("time", { datetime: item.Created, title: date.toLocaleString("en") }, clock(date))),
          h("div", { class: "subject" }, item.Subject || "(no subject)"),
          h("div", { class: "snippet" }, item.Snippet || "\u00a0"),
          h("div", { class: "marks" }, marks.flat()))));
  }
  const dayRow = date => h("li", { class: "day", "data-day": dayKey(date) }, dayOf(date));
  function appendRows(items) {
    const rows = $("#rows"), fragment = document.createDocumentFragment();
    let day = rows.dataset.last || "";
    for (const item of items) {
      const date = new Date(item.Created);
      if (dayKey(date) !== day) fragment.append(dayRow(date));
      day = dayKey(date);
      fragment.append(rowOf(item));
    }
    rows.dataset.last = day;
    rows.append(fragment);
  }
  function drawRows() {
    const rows = $("#rows");
    rows.replaceChildren();
    rows.dataset.last = "";
    appendRows(state.items);
  }
  function drawCounts() {
    const filtered = state.query && state.found !== state.total;
    const count = $("#count");
    count.replaceChildren();
    if (state.query) count.append(h("b", {}, many(state.found, "match").replace("matchs", "matches")), filtered ? ` of ${state.total.toLocaleString("en")}` : "");
    else if (state.total) count.append(h("b", {}, many(state.total, "message")), state.unread ? ` · ${state.unread.toLocaleString("en")} unread` : "");
    $("#read-all").hidden = !state.unread;
    $("#delete-all").hidden = !state.total;
    document.title = state.unread ? `(${state.unread}) Inbox` : "Inbox";
    const note = $("#note"), words = [];
    if (state.query && !state.found) words.push("Nothing fits. Try fewer words.");
    if (state.dropped && !state.query) words.push(`${many(state.dropped, "older message")} deleted to make room: the inbox keeps ${Number(state.info.Limits?.Messages || 0).toLocaleString("en")} messages, or ${octets(state.info.Limits?.Octets || 0)}.`);
    note.hidden = !words.length;
    note.textContent = words.join(" ");
    $("#tags").replaceChildren(...state.tags.slice(0, 12).map(tag => h("button", { type: "button", class: "tag", "aria-pressed": String(state.query === tagQuery(tag)), onclick: () => search(state.query === tagQuery(tag) ? "" : tagQuery(tag)) }, tag)));
    if (!state.id) drawEmpty();
  }
  const tagQuery = tag => `tag:${/\s/.test(tag) ? `"${tag}"` : tag}`;
  function adopt(page) {
    Object.assign(state, { total: page.total, unread: page.unread, found: page.messages_count, dropped: page.dropped, tags: page.tags });
  }
  const pagePath = (start, limit) => (state.query ? `search?query=${encodeURIComponent(state.query)}&` : "messages?") + `start=${start}&limit=${limit}`;
  async function load() {
    const { query, news } = state;
    const page = await api(pagePath(0, Math.min(1000, Math.max(PAGE, state.items.length))));
    if (query !== state.query) return;
    if (news !== state.news) return load(); // something came while the answer was on its way
    state.items = page.messages;
    adopt(page);
    drawRows();
    drawCounts();
  }
  async function more() {
    if (state.loading || !state.items.length || state.items.length >= state.found) return;
    state.loading = true;
    try {
      const page = await api(pagePath(state.items.length, PAGE));
      const known = new Set(state.items.map(item => item.ID));
      const fresh = page.messages.filter(item => !known.has(item.ID));
      state.items.push(...fresh);
      appendRows(fresh);
    } finally { state.loading = false; }
  }
  function search(query) {
    state.query = query.trim();
    if ($("#search").value.trim() !== state.query) $("#search").value = query;
    state.items = [];
    $(".list").scrollTop = 0;
    return load();
  }
  function arrived(told) {
    state.news++;
    Object.assign(state, { total: told.total, unread: told.unread, dropped: told.dropped });
    const item = told.message;
    announce(`New mail from ${name(item.From)}: ${item.Subject}`);
    if (state.query || item.Tags.some(tag => !state.tags.includes(tag))) return load();
    if (state.items.some(one => one.ID === item.ID)) return;
    state.found = told.total;
    state.items.unshift(item);
    const rows = $("#rows"), date = new Date(item.Created), first = rows.firstElementChild;
    const list = $(".list"), before = list.scrollTop;
    if (!first || first.dataset.day !== dayKey(date)) rows.prepend(dayRow(date));
    rows.firstElementChild.after(rowOf(item, true));
    if (!rows.dataset.last) rows.dataset.last = dayKey(date);
    if (before > 60) list.scrollTop = before + rows.children[1].offsetHeight;
    drawCounts();
  }
  function listen() {
    const live = $("#live"), source = new EventSource("api/v1/events");
    const show = (kind, text) => { live.className = "live " + kind; live.lastChild.textContent = text; };
    source.addEventListener("ready", () => { show("on", "Live"); load().catch(failed); });
    source.addEventListener("message", event => arrived(JSON.parse(event.data)));
    source.addEventListener("changed", () => load().catch(failed));
    source.onerror = () => show("off", "Reconnecting");
  }
  function failed(error) { const note = $("#note"); note.hidden = false; note.textContent = error.message; }

  // ------------------------------------------------------------------ one message

  function drawEmpty() {
    if (state.items.length || state.total) {
      $("#reader").replaceChildren(h("div", { class: "empty" }, h("img", { src: "page/icon.svg", alt: "" }), h("h2", {}, "Choose a message"), h("p", {}, "Or press ", h("kbd", {}, "j"), " for the next one.")));
      return;
    }
    const url = state.info.SMTP || "inbox:";
    const code = `from wlsmtp import Message, SMTPSession\n\nwith SMTPSession.from_url("${url}") as session:\n    session.send(Message("ann@example.com", "bob@example.org", subject="Hello", text="It works!"))`;
    $("#reader").replaceChildren(h("div", { class: "empty" },
      h("img", { src: "page/icon.svg", alt: "" }),
      h("h2", {}, "Waiting for your first mail"),
      h("p", {}, state.info.SMTP ? ["Send to ", h("span", { class: "mono" }, url.replace(/^\w+(\+\w+)?:\/\//, "")), ". It appears here at once, and goes no further."] : "What is sent to inbox: appears here at once, and goes no further."),
      h("div", { class: "snippet-box" }, tool("Copy", "copy", event => copy(code, event.currentTarget)), h("pre", {}, code))));
  }
  async function open(id, tab) {
    const isSame = id === state.id && state.mail;
    state.id = id;
    document.body.classList.toggle("has-message", Boolean(id));
    for (const row of document.querySelectorAll(".row[aria-current]")) row.removeAttribute("aria-current");
    if (!id) { state.mail = null; drawEmpty(); return; }
    const row = $(`li[data-id="${CSS.escape(id)}"] .row`);
    if (row) { row.setAttribute("aria-current", "true"); row.scrollIntoView({ block: "nearest" }); }
    if (!isSame) {
      try {
        const [mail, more, checks] = await Promise.all(["", "/details", "/checks"].map(part => api(`message/${id}${part}`)));
        if (state.id !== id) return;
        Object.assign(state, { mail, more, checks });
        markRead(id);
      } catch (error) {
        if (state.id !== id) return;
        $("#reader").replaceChildren(h("div", { class: "empty" }, h("h2", {}, "This message is not here any more"), h("p", {}, error.message)));
        return;
      }
    }
    const tabs = tabsOf();
    state.tab = tabs.some(one => one.id === tab) ? tab : tabs.some(one => one.id === state.tab) ? state.tab : tabs[0].id;
    drawMessage(tabs);
  }
  function markRead(id) {
    const item = state.items.find(one => one.ID === id);
    if (!item || item.Read) return;
    item.Read = true;
    state.unread = Math.max(0, state.unread - 1);
    $(`li[data-id="${CSS.escape(id)}"] .row`)?.classList.remove("unread");
    $(`li[data-id="${CSS.escape(id)}"] .unread-word`)?.remove();
    drawCounts();
  }
  function tabsOf() {
    const { mail, more, checks } = state, wrong = checks.filter(one => one.Level !== "good" && one.Level !== "info").length;
    return [
      mail.HTML && { id: "html", title: "HTML" },
      (mail.Text || !mail.HTML) && { id: "text", title: "Text" },
      { id: "checks", title: "Checks", n: wrong, warns: true },
      more.Links.length && { id: "links", title: "Links", n: more.Links.length },
      { id: "headers", title: "Headers" }, { id: "parts", title: "Parts" }, { id: "source", title: "Source" },
    ].filter(Boolean);
  }
  function drawMessage(tabs) {
    const { mail, more } = state, date = new Date(mail.Date), files = [...mail.Attachments, ...mail.Inline.filter(one => !IMAGES.test(one.ContentType))];
    const bar = h("div", { class: "tabs" },
      h("div", { role: "tablist", "aria-label": "Views of the message" }, tabs.map(one => h("button", { type: "button", class: "tab", role: "tab", id: "tab-" + one.id, "aria-selected": String(one.id === state.tab), "aria-controls": "pane", tabindex: one.id === state.tab ? "0" : "-1", onclick: () => go(state.id, one.id) }, one.title, one.n ? h("span", { class: "n" + (one.warns ? " warn" : "") }, String(one.n)) : null))),
      state.tab === "html" ? h("div", { class: "widths", role: "group", "aria-label": "Width" }, [["wide", "Full width"], ["tablet", "Tablet width"], ["phone", "Phone width"]].map(([id, label]) => tool(label, id, () => { state.width = id; drawMessage(tabsOf()); $(`[aria-label="${label}"]`).focus(); }, { "aria-pressed": String(state.width === id) }))) : null);
    bar.addEventListener("keydown", event => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key], at = tabs.findIndex(one => one.id === state.tab);
      if (!step || !event.target.matches(".tab")) return;
      event.preventDefault();
      go(state.id, tabs[(at + step + tabs.length) % tabs.length].id).then(() => $("#tab-" + state.tab).focus());
    });
    const to = [...mail.To, ...mail.Cc].map(name), hidden = mail.Bcc.map(box => box.Address);
    $("#reader").replaceChildren(
      h("div", { class: "head" },
        h("div", { class: "head-top" },
          tool("Back to the list", "back", () => go(""), { class: "tool back" }),
          h("h1", {}, mail.Subject || "(no subject)"),
          h("div", { class: "actions" },
            state.info.CanRelease ? tool("Release: send on", "send", releaseDialog) : null,
            tool("Mark as unread", "dot", unread),
            h("a", { class: "tool", href: `api/v1/message/${mail.ID}/raw?dl=1`, "aria-label": "Download .eml", title: "Download .eml" }, icon("save")),
            tool("Delete (#)", "trash", remove, { class: "tool danger" }))),
        h("div", { class: "from" }, avatar(mail.From),
          h("div", {},
            h("div", { class: "line", title: full(mail.From) }, h("b", {}, name(mail.From)), mail.From.Name ? h("span", {}, ` ${mail.From.Address}`) : null),
            h("div", { class: "line to", title: [...mail.To, ...mail.Cc, ...mail.Bcc].map(full).join(", ") }, `to ${to.join(", ") || "nobody by name"}${hidden.length ? `, bcc ${hidden.join(", ")}` : ""}`)),
          h("time", { datetime: mail.Date }, date.toLocaleString("en", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hour12: false }))),
        h("div", { class: "chips" },
          more.Codes.slice(0, 3).map(code => h("button", { type: "button", class: "chip code", title: "Copy this code", onclick: event => copy(code, event.currentTarget) }, icon("copy"), code)),
          more.TLS ? h("span", { class: "chip ok" }, icon("lock"), more.TLS) : null,
          more.Username ? h("span", { class: "chip" }, `as ${more.Username}`) : null,
          h("button", { type: "button", class: "chip", onclick: envelopeDialog, title: "The envelope" }, `${more.Envelope.From || "<>"} → ${many(more.Envelope.To.length, "recipient")}`),
          h("span", { class: "chip" }, octets(mail.Size)),
          mail.Tags.map(tag => h("button", { type: "button", class: "tag", onclick: () => search(tagQuery(tag)) }, tag))),
        files.length ? h("div", { class: "files", role: "group", "aria-label": "Attachments" }, files.map(fileOf)) : null),
      bar, ...paneOf());
    $("#reader").scrollTop = 0;
  }
  function fileOf(part) {
    const url = `api/v1/message/${state.id}/part/${part.PartID}`;
    return h("button", { type: "button", class: "file", title: part.FileName, onclick: () => previewDialog(part, url) },
      h("span", { class: "thumb" }, IMAGES.test(part.ContentType) ? h("img", { src: url, alt: "", loading: "lazy" }) : icon("file")),
      h("span", {}, h("b", {}, part.FileName), h("small", {}, `${octets(part.Size)} · ${part.ContentType}`)));
  }
  const pane = (kind, ...children) => h("div", { class: "pane " + kind, id: "pane", role: "tabpanel", "aria-labelledby": "tab-" + state.tab, tabindex: "0" }, ...children);
  const paper = (...children) => h("div", { class: "paper" }, ...children);
  function paneOf() {
    const { mail, more, checks } = state, id = state.id;
    switch (state.tab) {
      case "html": return [...banners(), htmlPane()];
      case "text": return [pane("scroll", paper(h("pre", {}, mail.Text ? textNodes(mail.Text.trimEnd()) : "This message has no text.")))];
      case "links": return [pane("scroll", paper(h("ul", { class: "items" }, more.Links.map(link => h("li", {}, h("div", {}, h("a", { href: link, target: "_blank", rel: "noopener noreferrer" }, link)))))))];
      case "checks": return [lazy(`message/${id}/sa-check`, spam => h("div", {}, remarks(checks), spam.Rules.length ? paper(h("h2", {}, `Spam filter: ${spam.Score} points${spam.IsSpam ? ", taken for spam" : ""}`), remarkList(spam.Rules.map(rule => ({ Level: rule.Score > 1 ? "warn" : "info", Title: `${rule.Score} ${rule.Name}`, Detail: rule.Description })))) : null))];
      case "headers": return [lazy(`message/${id}/headers`, fields => paper(h("dl", { class: "fields" }, Object.entries(fields).flatMap(([field, values]) => values.map(value => [h("dt", {}, field), h("dd", {}, value)])).flat())))];
      case "parts": return [pane("scroll", paper(h("ul", { class: "tree" }, nodeOf(more.Tree))))];
      default: return [lazy(`message/${id}/raw`, text => h("div", { class: "paper source" }, h("pre", {}, String(text).slice(0, 5e5) + (text.length > 5e5 ? "\n…" : ""))), true)];
    }
  }
  const remarkList = found => h("ul", { class: "items" }, found.map(one => h("li", {}, h("span", { class: "dotted " + one.Level, role: "img", "aria-label": one.Level }), h("div", {}, one.Title, one.Detail ? h("small", {}, one.Detail) : null))));
  const remarks = found => paper(found.length ? remarkList(found) : h("p", {}, "Nothing to remark."));
  function lazy(path, draw, isText) {
    const box = pane("scroll"), id = state.id;
    const get = isText ? fetch("api/v1/" + path).then(response => response.text()) : api(path);
    get.then(value => { if (state.id === id) box.append(draw(value)); }, error => box.append(h("p", { class: "error" }, error.message)));
    return box;
  }
  function banners() {
    const { more } = state, found = [], blocked = more.Blocked.length;
    if (blocked && !state.remote.has(state.id)) {
      const load = () => { state.remote.add(state.id); drawMessage(tabsOf()); };
      found.push(h("div", { class: "banner", role: "note" }, icon("shield"), h("span", {}, `${many(blocked, "remote address")} blocked`.replace("addresss", "addresses"), ": nothing was fetched."), h("button", { type: "button", class: "button", id: "load-remote", onclick: load, title: more.Blocked.slice(0, 10).join("\n") }, "Load images")));
    } else if (blocked) found.push(h("div", { class: "banner calm", role: "note" }, icon("shield"), h("span", {}, "Your browser loads the remote images of this message.")));
    const removed = Object.keys(more.Removed);
    if (removed.length) found.push(h("div", { class: "banner calm", role: "note" }, icon("shield"), h("span", {}, `Left out because mail programs do so too: ${removed.slice(0, 8).join(", ")}${removed.length > 8 ? " …" : ""}`)));
    if (more.IsCut) found.push(h("div", { class: "banner calm", role: "note" }, h("span", {}, "This HTML is very large; its beginning is shown.")));
    return found;
  }
  function htmlPane() {
    const source = `view/${state.id}.html${state.remote.has(state.id) ? "?remote=1" : ""}`;
    return pane("frame " + state.width, h("iframe", { sandbox: "allow-popups allow-popups-to-escape-sandbox", referrerpolicy: "no-referrer", title: "The message's HTML", src: source }));
  }
  function textNodes(text) {
    const nodes = [];
    for (const line of text.split("\n")) {
      const parts = line.split(/(https?:\/\/[^\s<>"']{1,2000})/).map((part, at) => at % 2 ? h("a", { href: part, target: "_blank", rel: "noopener noreferrer" }, part) : part);
      nodes.push(...(line.startsWith(">") ? [h("span", { class: "quote" }, ...parts)] : parts), "\n");
    }
    return nodes;
  }
  function nodeOf(node) {
    const facts = [node.Charset, node.Encoding, node.Disposition].filter(Boolean).join(" · ");
    const isLeaf = !node.Parts.length;
    return h("li", {}, h("div", { class: "node" }, h("b", {}, node.ContentType), h("span", {}, facts), isLeaf ? h("span", {}, octets(node.Size)) : null, isLeaf ? h("a", { href: `api/v1/message/${state.id}/part/${node.PartID}`, download: true }, node.FileName || "download") : null), node.Parts.length ? h("ul", {}, node.Parts.map(nodeOf)) : null);
  }

  // ------------------------------------------------------------------ changes and dialogs

  async function remove() {
    const id = state.id, at = state.items.findIndex(one => one.ID === id), next = state.items[at + 1] || state.items[at - 1];
    await api("messages", "DELETE", { IDs: [id] });
    go(next ? next.ID : "");
    announce("Deleted");
  }
  async function unread() {
    await api("messages", "PUT", { IDs: [state.id], Read: false });
    go("");
  }
  function dialog(title, isLarge, ...children) {
    const box = $("#dialog"), from = document.activeElement;
    box.className = isLarge ? "large" : "";
    box.replaceChildren(h("h2", { id: "dialog-title" }, title), ...children.filter(Boolean));
    box.onclose = () => from?.focus?.();
    box.onclick = event => { if (event.target === box) box.close(); };
    if (!box.open) box.showModal();
    return box;
  }
  const close = () => $("#dialog").close();
  const foot = (...buttons) => h("div", { class: "foot" }, h("button", { type: "button", class: "button", onclick: close }, "Close"), ...buttons);
  function form(submit, ...children) {
    const wrong = h("p", { class: "error", role: "alert" });
    return h("form", { onsubmit: event => { event.preventDefault(); submit(event.target).catch(error => { wrong.textContent = error.message; }); } }, ...children.slice(0, -1), wrong, children.at(-1));
  }
  function deleteAllDialog() {
    dialog(`Delete ${many(state.total, "message")}?`, false, h("p", {}, "This cannot be undone."),
      form(async () => { await api("messages", "DELETE", {}); close(); go(""); }, foot(h("button", { class: "button danger" }, "Delete all"))));
  }
  function envelopeDialog() {
    const { more } = state, rows = [["MAIL FROM", more.Envelope.From || "<>"], ...more.Envelope.To.map(one => ["RCPT TO", one]), ["Came by", more.Via + (more.TLS ? ` over ${more.TLS}` : ", not encrypted")], ["Logged in", more.Username || "no"], ["Received", new Date(more.Received).toLocaleString("en")]];
    const { RCPT = {}, ...parameters } = more.Envelope.Parameters;
    for (const [key, value] of Object.entries(parameters)) rows.push([`MAIL ${key}`, String(value)]);
    for (const [who, set] of Object.entries(RCPT)) for (const [key, value] of Object.entries(set)) rows.push([`RCPT ${key}`, `${value} (${who})`]);
    dialog("The envelope", false, h("div", { class: "body" }, h("dl", { class: "fields" }, rows.flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, value)])), foot()));
  }
  function previewDialog(part, url) {
    const body = h("div", { class: "body" }), isText = /^text\/(plain|csv|calendar|markdown)$|json$/.test(part.ContentType);
    if (IMAGES.test(part.ContentType)) body.append(h("img", { class: "preview", src: url, alt: part.FileName }));
    else if (isText) { const box = h("pre", {}); body.append(box); fetch(url + "?text=1").then(response => response.text()).then(text => { box.textContent = text.slice(0, 1e5); }); }
    else body.append(h("p", {}, "There is no preview for this kind of file."));
    body.append(foot(h("a", { class: "button main", href: url, download: part.FileName }, "Download")));
    dialog(part.FileName, isText || IMAGES.test(part.ContentType), h("p", {}, `${part.ContentType} · ${octets(part.Size)}`), body);
  }
  function releaseDialog() {
    dialog("Send this message on", false, h("p", {}, "It goes by the server that you configured, to these addresses and to nobody else."),
      form(async target => { await api(`message/${state.id}/release`, "POST", { To: target.elements.to.value.split(/[\s,]+/).filter(Boolean) }); close(); announce("Sent on"); },
        h("label", {}, "Recipients", h("input", { name: "to", type: "text", required: true, placeholder: "you@example.com", autocomplete: "email" })), foot(h("button", { class: "button main" }, "Send on"))));
  }
  function showFaults(found) {
    $("#faults").classList.toggle("on", found.Ordered.length > 0);
    return found;
  }
  async function faultsDialog() {
    const found = showFaults(await api("faults"));
    const ordered = found.Ordered.map(one => h("li", {}, h("span", { class: "dotted warn" }), h("div", {}, one.Title, h("small", {}, one.Times === null ? "every message" : `the next ${many(one.Times, "message")}`))));
    dialog("Make the next mail fail", false, h("p", {}, "To see how your program copes."),
      ordered.length ? h("ul", { class: "items" }, ordered) : null,
      form(async target => {
        const set = target.elements, times = set.times.value === "" ? null : Number(set.times.value);
        await api("faults", "POST", { Kind: set.kind.value, Times: times, Seconds: Number(set.seconds.value) });
        await faultsDialog();
      },
        h("label", {}, "What goes wrong", h("select", { name: "kind" }, Object.entries(found.Kinds).map(([id, title]) => h("option", { value: id }, title)))),
        h("div", { class: "pair" }, h("label", {}, "For how many messages", h("input", { name: "times", type: "number", min: 1, value: 1, placeholder: "all" })), h("label", {}, "Seconds (answer late)", h("input", { name: "seconds", type: "number", min: 0, max: 600, value: 5 }))),
        foot(ordered.length ? h("button", { type: "button", class: "button", onclick: async () => { await api("faults", "DELETE"); await faultsDialog(); } }, "Cancel all") : null, h("button", { class: "button main" }, "Make it so"))));
  }
  function helpDialog() {
    const keys = [["j k", "next, previous message"], ["/", "search"], ["#", "delete"], ["u", "mark as unread"], ["1 … 7", "views of the message"], ["Esc", "back to the list"], ["?", "this help"]];
    const words = ["from:ann", "to:bob@example.org", "subject:\"reset your password\"", "has:attachment", "is:unread", "tag:signup", "larger:1M", "after:2026-01-31", "-word"];
    dialog("Keys and search words", false, h("div", { class: "body" },
      h("div", { class: "keys" }, keys.flatMap(([key, what]) => [h("span", {}, key.split(" ").map(one => one === "…" ? one : h("kbd", {}, one))), h("span", {}, what)])),
      h("div", { class: "chips" }, words.map(word => h("button", { type: "button", class: "chip mono", onclick: () => { close(); search(word); } }, word))),
      h("p", {}, `Mail is deleted when there are more than ${Number(state.info.Limits?.Messages || 0).toLocaleString("en")} messages or ${octets(state.info.Limits?.Octets || 0)}, the oldest first. ${state.info.Database === "memory" ? "It is kept in memory." : `It is kept in ${state.info.Database}.`}`), foot()));
  }
  const THEMES = ["auto", "light", "dark"];
  const system = matchMedia("(prefers-color-scheme: dark)");
  function theme(next) {
    const kept = next || localStorage.getItem("theme") || "auto";
    if (next) localStorage.setItem("theme", next);
    document.documentElement.dataset.theme = kept === "auto" ? (system.matches ? "dark" : "light") : kept;
    const button = $("#theme");
    button.dataset.kept = kept;
    button.title = `Colours: ${kept === "auto" ? "as the system" : kept}`;
    button.setAttribute("aria-label", button.title);
    $("use", button).setAttribute("href", { auto: "#i-auto", light: "#i-sun", dark: "#i-moon" }[kept]);
  }
  function go(id, tab) {
    history.replaceState(null, "", id ? `#${id}${tab ? "/" + tab : ""}` : "#");
    return open(id, tab);
  }
  function step(by) {
    const at = state.items.findIndex(one => one.ID === state.id), next = state.items[at < 0 ? 0 : at + by];
    if (next) go(next.ID);
    if (by > 0 && at + 5 > state.items.length) more();
  }
  function fromHash() {
    const [id, tab] = location.hash.slice(1).split("/");
    return open(/^[0-9a-f]{22}$/.test(id) ? id : "", tab);
  }

  // ------------------------------------------------------------------ beginning

  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("#dialog").open) return;
    if (event.target.matches("input, select, textarea")) {
      if (event.key === "Escape") { if (event.target.value) search(""); event.target.blur(); }
      return;
    }
    const keys = { j: () => step(1), k: () => step(-1), "/": () => $("#search").focus(), "?": helpDialog, Escape: () => go("") };
    if (state.id) Object.assign(keys, { "#": remove, Delete: remove, u: unread });
    const number = Number(event.key);
    if (state.id && state.mail && number >= 1 && tabsOf()[number - 1]) keys[event.key] = () => go(state.id, tabsOf()[number - 1].id);
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });
  let typing = 0;
  $("#search").addEventListener("input", event => { clearTimeout(typing); typing = setTimeout(() => search(event.target.value).catch(failed), 120); });
  $("#search-form").addEventListener("submit", event => { event.preventDefault(); clearTimeout(typing); search($("#search").value).catch(failed); });
  $("#read-all").addEventListener("click", () => api("messages", "PUT", { Read: true }));
  $("#delete-all").addEventListener("click", deleteAllDialog);
  $("#faults").addEventListener("click", () => faultsDialog());
  $("#help").addEventListener("click", helpDialog);
  $("#theme").addEventListener("click", event => theme(THEMES[(THEMES.indexOf(event.currentTarget.dataset.kept) + 1) % 3]));
  system.addEventListener("change", () => theme());
  addEventListener("hashchange", fromHash);
  $(".brand").addEventListener("click", event => { event.preventDefault(); go(""); search(""); });
  new IntersectionObserver(entries => { if (entries[0].isIntersecting) more().catch(failed); }, { root: $(".list"), rootMargin: "600px" }).observe($("#end"));
  theme();
  api("info").then(info => { state.info = info; if (!state.id) drawEmpty(); drawCounts(); }).catch(failed);
  api("faults").then(showFaults, failed);
  listen();
  fromHash();
})();
