// The list of every message: unpacked, sorted, filtered and shown 200 lines at
// a time. Message text reaches the page through textContent alone.
(async () => {
  "use strict";
  const page = 200;
  const $ = id => document.getElementById(id);
  const list = $("list"), body = $("list-rows"), status = $("list-status"), search = $("list-search"), pick = $("list-verdict");
  const say = (key, values) => list.dataset[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const comma = n => String(n).replace(/\B(?=(\d{3})+$)/g, ",");
  const two = n => String(n).padStart(2, "0");
  const date = s => {
    if (s === null) return "";
    const d = new Date(s * 1000);
    return d.getUTCFullYear() + "-" + two(d.getUTCMonth() + 1) + "-" + two(d.getUTCDate()) + " " + two(d.getUTCHours()) + ":" + two(d.getUTCMinutes());
  };
  // The columns of a line, as they are packed.
  const [number, account, folder, uid, verdict, tier, size, when, subject, reasons, counterpart] = [...Array(11).keys()];
  const verdicts = new Map([...pick.options].filter(o => o.value !== "").map(o => [Number(o.value), { word: o.textContent, mark: o.dataset.mark }]));

  let rows, needles, shown = [], at = 0, by = -1, down = false;

  const unpack = async () => {
    const packed = Uint8Array.from(atob($("list-data").content.textContent.trim()), c => c.charCodeAt(0));
    const text = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
    return JSON.parse(text);
  };

  const span = (parent, text, name) => {
    const e = parent.appendChild(document.createElement(name || "bdi"));
    e.textContent = text;
    return e;
  };

  const mark = id => {
    const ns = document.querySelector("svg").namespaceURI, svg = document.createElementNS(ns, "svg"), use = document.createElementNS(ns, "use");
    svg.setAttribute("class", "sw");
    svg.setAttribute("viewBox", "0 0 12 12");
    svg.setAttribute("aria-hidden", "true");
    use.setAttribute("href", "#" + id);
    use.setAttribute("width", "12");
    use.setAttribute("height", "12");
    svg.append(use);
    return svg;
  };

  const line = r => {
    const tr = document.createElement("tr");
    const cell = name => { const td = tr.appendChild(document.createElement("td")); if (name) td.className = name; return td; };
    const first = tr.appendChild(document.createElement("th"));
    first.scope = "row";
    if (r[number] && $("x-" + r[number])) {
      const a = span(first, r[number], "a");
      a.href = "#x-" + r[number];
    } else first.textContent = r[number] || "–";
    span(cell(), r[account]);
    const place = cell();
    span(place, r[folder]);
    place.append(", " + comma(r[uid]));
    const v = verdicts.get(r[verdict]) || { word: "?", mark: "" }, said = cell();
    if (v.mark) said.append(mark(v.mark));
    said.append(v.word + (r[tier] ? ", " + r[tier] : ""));
    cell("r").textContent = comma(r[size]);
    cell("w").textContent = date(r[when]);
    const text = cell();
    span(text, r[subject]);
    for (const more of [r[counterpart] && "→ " + r[counterpart], r[reasons]])
      if (more) { const s = text.appendChild(document.createElement("div")); s.className = "s"; span(s, more); }
    return tr;
  };

  const show = () => {
    const last = Math.min(at + page, shown.length), part = document.createDocumentFragment();
    for (let i = at; i < last; i++) part.append(line(rows[shown[i]]));
    body.replaceChildren(part);
    const values = { from: comma(shown.length ? at + 1 : 0), to: comma(last), of: comma(shown.length), all: comma(rows.length) };
    status.textContent = say(shown.length === rows.length ? "all" : "some", values);
    $("list-first").disabled = $("list-back").disabled = at === 0;
    $("list-next").disabled = $("list-last").disabled = last >= shown.length;
  };

  const compare = (a, b) => {
    const x = rows[a][by], y = rows[b][by];
    const order = x === y ? a - b : x === null || x === "" ? 1 : y === null || y === "" ? -1 : x < y ? -1 : 1;
    return down && x !== y && x !== null && y !== null && x !== "" && y !== "" ? -order : order;
  };

  const select = () => {
    const words = search.value.normalize().toLowerCase().split(/\s+/).filter(Boolean), only = pick.value === "" ? -1 : Number(pick.value);
    shown = [];
    for (let i = 0; i < rows.length; i++)
      if ((only < 0 || rows[i][verdict] === only) && words.every(w => needles[i].includes(w))) shown.push(i);
    if (by >= 0) shown.sort(compare);
    at = 0;
    show();
  };

  const head = button => {
    const column = Number(button.dataset.column);
    down = by === column ? !down : false;
    by = column;
    for (const b of list.querySelectorAll("th button"))
      b.closest("th").setAttribute("aria-sort", b !== button ? "none" : down ? "descending" : "ascending");
    shown.sort(compare);
    at = 0;
    show();
  };

  try {
    rows = await unpack();
  } catch (e) {
    status.textContent = list.dataset.failed + " " + e.message;
    return;
  }
  needles = rows.map(r => (r[number] + " " + r[account] + " " + r[folder] + " " + r[uid] + " " + r[subject] + " " + r[reasons] + " " + r[counterpart]).normalize().toLowerCase());
  let wait = 0;
  search.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(select, 120); });
  pick.addEventListener("change", select);
  for (const b of list.querySelectorAll("th button")) b.addEventListener("click", () => head(b));
  const turn = (id, to) => $(id).addEventListener("click", () => { at = to(); show(); });
  turn("list-first", () => 0);
  turn("list-back", () => Math.max(0, at - page));
  turn("list-next", () => at + page < shown.length ? at + page : at);
  turn("list-last", () => Math.max(0, Math.floor((shown.length - 1) / page) * page));
  select();
  list.hidden = false;
  list.dataset.ready = "true";
})();
