'use strict';
// Everything a peer supplied reaches the page through textContent or a text node, never as markup.
// The only markup set is the server's own fragments (map, calls), escaped by its templates.

const $ = (id) => document.getElementById(id);
const rows = new Map();
const shown = new Map();
const limit = Number(document.body.dataset.history) || 5000;
const SHOWN = 1500;
const filter = { interface: '', call: '', text: '', media: true };
const interfaces = new Set();
const calls = new Map();
let chosen = null;
let paused = false;
let dirty = false;
let view = 'list';

const put = (tag, text, kind) => {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text;
  if (kind) element.className = kind;
  return element;
};

const two = (n, width = 2) => String(n).padStart(width, '0');
const clock = (us) => {
  const t = new Date(Math.floor(us / 1000));
  return `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}.${two(Math.floor(us / 1000) % 1000, 3)}`;
};

// ---- the list

const passes = (row) =>
  (!filter.interface || row.interface === filter.interface) &&
  (!filter.call || row.call_id === filter.call) &&
  (filter.media || !row.media) &&
  (!filter.text || `${row.from} ${row.to} ${row.name} ${row.summary} ${row.call_id || ''}`.toLowerCase().includes(filter.text));

const rowElement = (row) => {
  const line = put('tr');
  line.tabIndex = -1;
  line.dataset.id = row.id;
  fill(line, row);
  return line;
};

const fill = (line, row) => {
  line.className = ['failed', 'local', 'media'].filter((kind) => row[kind]).join(' ');
  line.setAttribute('aria-selected', String(row.id === chosen));
  const place = put('td');
  place.append(put('span', row.interface, 'tag'));
  const summary = put('td', row.summary);
  summary.title = row.name;
  if (row.count > 1) summary.append(put('span', `× ${row.count}`, 'times'));
  line.replaceChildren(put('td', clock(row.time_us)), put('td', row.from), put('td', row.local ? '' : row.to), place, summary);
};

const take = (row) => {
  const known = rows.get(row.id);
  rows.set(row.id, row);
  if (!known) {
    if (!interfaces.has(row.interface)) {
      interfaces.add(row.interface);
      options($('by-interface'), [...interfaces].sort().map((name) => [name, name]), filter.interface);
    }
    if (row.call_id && !calls.has(row.call_id) && calls.size < 200) {
      calls.set(row.call_id, `${clock(row.time_us)} ${row.summary}`.slice(0, 60));
      options($('by-call'), [...calls], filter.call);
    }
    if (rows.size > limit) rows.delete(rows.keys().next().value);
  }
  draw();
};

const options = (select, entries, value) => {
  const all = put('option', 'all');
  all.value = '';
  select.replaceChildren(all, ...entries.map(([key, label]) => {
    const option = put('option', label);
    option.value = key;
    return option;
  }));
  select.value = value;
};

const draw = () => {
  if (dirty) return;
  dirty = true;
  requestAnimationFrame(() => {
    dirty = false;
    if (!paused) redraw();
  });
};

const redraw = () => {
  const passing = [...rows.values()].filter(passes);
  const visible = passing.slice(-SHOWN);
  const hidden = rows.size - passing.length;
  $('count').textContent = rows.size === 0 ? 'no messages'
    : `${passing.length} message${passing.length === 1 ? '' : 's'}${hidden ? `, ${hidden} filtered out` : ''}`;
  $('empty').hidden = passing.length > 0;
  $('empty').textContent = rows.size ? 'No message passes the filters.' : $('empty').dataset.text;
  if (view === 'ladder') drawLadder(visible.slice(-250));
  else drawList(visible);
};

const drawList = (visible) => {
  const box = $('list');
  const follow = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  const body = $('rows');
  const wanted = new Set(visible.map((row) => row.id));
  for (const [id, entry] of shown) {
    if (!wanted.has(id)) {
      entry.line.remove();
      shown.delete(id);
    }
  }
  let next = body.firstChild;
  for (const row of visible) {
    let entry = shown.get(row.id);
    if (!entry) {
      entry = { row, line: rowElement(row) };
      shown.set(row.id, entry);
    } else if (entry.row !== row) {
      entry.row = row;
      fill(entry.line, row);
    }
    if (entry.line === next) next = next.nextSibling;
    else body.insertBefore(entry.line, next);
  }
  if (!body.querySelector('tr[tabindex="0"]') && body.lastChild) body.lastChild.tabIndex = 0;
  if (follow && chosen === null) box.scrollTop = box.scrollHeight;
};

// ---- the ladder

const NS = 'http://www.w3.org/2000/svg';
const svg = (tag, attributes, text) => {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
};
const ORDER = ['idms', 'kms', 'gms', 'mcptt-server', 'segy', 'lmr-sim'];
const rank = (name) => (ORDER.includes(name) ? ORDER.indexOf(name) : -1);

const drawLadder = (visible) => {
  const box = $('ladder');
  const follow = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  const lanes = [...new Set(visible.flatMap((row) => [row.from, row.to]))]
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  const gap = Math.max(150, Math.floor((box.clientWidth - 130) / Math.max(1, lanes.length)));
  const x = new Map(lanes.map((name, n) => [name, 100 + gap / 2 + n * gap]));
  const height = 24 + visible.length * 30;
  const width = 100 + lanes.length * gap;
  const picture = svg('svg', { width, height, viewBox: `0 0 ${width} ${height}` });
  const heads = svg('svg', { class: 'heads', width, height: 44, viewBox: `0 0 ${width} 44` });
  for (const name of lanes) {
    picture.append(svg('line', { class: 'lane', x1: x.get(name), x2: x.get(name), y1: 0, y2: height }));
    const head = svg('g', { class: 'head' });
    head.append(svg('rect', { x: x.get(name) - 64, y: 10, width: 128, height: 28, rx: 8 }));
    head.append(svg('text', { x: x.get(name), y: 28, 'text-anchor': 'middle' }, name.length > 18 ? `${name.slice(0, 17)}…` : name));
    heads.append(head);
  }
  visible.forEach((row, n) => picture.append(rung(row, 24 + n * 30, x)));
  box.replaceChildren(heads, picture);
  if (follow) box.scrollTop = box.scrollHeight;
};

const rung = (row, y, x) => {
  const kinds = ['failed', 'local', 'media'].filter((kind) => row[kind]).join(' ');
  const step = svg('g', { class: `step ${kinds}`, 'data-id': row.id });
  const [a, b] = [x.get(row.from), x.get(row.to)];
  const label = `${row.summary}${row.count > 1 ? ` × ${row.count}` : ''}`;
  step.append(svg('text', { class: 'when', x: 0, y: y + 4 }, clock(row.time_us)));
  if (a === b) {
    step.append(svg('circle', { cx: a, cy: y, r: 4 }));
    step.append(svg('text', { x: a + 10, y: y + 4 }, label.slice(0, 60)));
    return step;
  }
  const right = b > a ? 1 : -1;
  const room = Math.max(10, Math.floor(Math.abs(b - a) / 6.2));
  step.append(svg('line', { x1: a, x2: b, y1: y, y2: y }));
  step.append(svg('polygon', { points: `${b},${y} ${b - 8 * right},${y - 4} ${b - 8 * right},${y + 4}` }));
  step.append(svg('text', { x: (a + b) / 2, y: y - 5, 'text-anchor': 'middle' }, label.length > room ? `${label.slice(0, room - 1)}…` : label));
  return step;
};

// ---- the detail

const choose = async (id, focus) => {
  chosen = id;
  for (const [other, entry] of shown) entry.line.setAttribute('aria-selected', String(other === id));
  const answer = await fetch(`/api/messages/${id}`).catch(() => null);
  if (chosen !== id) return;
  const box = $('detail');
  box.hidden = false;
  const close = put('button', '×', 'close');
  close.type = 'button';
  close.setAttribute('aria-label', 'Close detail');
  close.addEventListener('click', unchoose);
  if (!answer || !answer.ok) {
    box.replaceChildren(close, put('p', answer ? await answer.text() : 'The console does not answer.'));
    return;
  }
  const m = await answer.json();
  const facts = put('dl');
  const fact = (name, value) => {
    if (value) facts.append(put('dt', name), put('dd', value));
  };
  const end = (name, address) => (address && address !== name ? `${name} (${address})` : name);
  fact('Time', `${clock(m.time_us)} (${new Date(m.time_us / 1000).toISOString()})`);
  fact('From', end(m.from, m.from_address));
  if (!m.local) fact('To', end(m.to, m.to_address));
  fact('Interface', m.interface);
  fact('Event', m.name);
  fact('Clause', m.clause);
  fact('Carried by', m.transport === 'none' ? '' : `${m.protocol} over ${m.transport}, ${m.octets} octets`);
  fact('Call', m.call_id);
  fact('Correlation', m.correlation_id);
  fact('Keys', m.key_ids.join(', '));
  fact('Seen by', m.seen_by.join(', '));
  fact('Packets', m.count > 1 ? String(m.count) : '');
  fact('Masked', m.redacted ? 'secrets in this message are masked' : '');
  const parts = [close, put('h3', m.summary), facts];
  const block = (title, text, kind) => {
    if (text) parts.push(put('h4', title), put('pre', text, kind));
  };
  block('Decoded', m.decoded === null ? '' : JSON.stringify(m.decoded, null, 2));
  block('Message', m.text);
  block('Octets', m.hex, 'hex');
  block('Without protection', m.clear_hex, 'hex');
  box.replaceChildren(...parts);
  box.scrollTop = 0;
  if (focus) close.focus();
};

const unchoose = () => {
  const line = shown.get(chosen)?.line;
  chosen = null;
  $('detail').hidden = true;
  $('detail').replaceChildren();
  for (const entry of shown.values()) entry.line.setAttribute('aria-selected', 'false');
  if (line) line.focus();
};

// ---- what the user does

const rowOf = (event) => event.target.closest('[data-id]');
const focusRow = (line) => {
  if (!line) return;
  for (const other of $('rows').querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
  line.tabIndex = 0;
  line.focus();
};
for (const id of ['rows', 'ladder']) {
  $(id).addEventListener('click', (event) => {
    const line = rowOf(event);
    if (line) choose(Number(line.dataset.id), false);
  });
}
$('rows').addEventListener('keydown', (event) => {
  const line = rowOf(event);
  if (!line) return;
  const go = { ArrowDown: line.nextSibling, ArrowUp: line.previousSibling, Home: $('rows').firstChild, End: $('rows').lastChild };
  if (event.key in go) focusRow(go[event.key]);
  else if (event.key === 'Enter' || event.key === ' ') choose(Number(line.dataset.id), true);
  else return;
  event.preventDefault();
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && chosen !== null) unchoose();
});
const filters = [['by-interface', 'interface'], ['by-call', 'call']];
for (const [id, key] of filters) $(id).addEventListener('change', () => { filter[key] = $(id).value; redraw(); });
$('by-text').addEventListener('input', () => { filter.text = $('by-text').value.toLowerCase(); redraw(); });
$('with-media').addEventListener('change', () => { filter.media = $('with-media').checked; redraw(); });
$('pause').addEventListener('click', () => {
  paused = !paused;
  $('pause').setAttribute('aria-pressed', String(paused));
  $('pause').textContent = paused ? 'Resume' : 'Pause';
  if (!paused) redraw();
});
const own = { 'X-Mcbox-Console': '1' };
$('clear').addEventListener('click', async () => {
  await fetch('/api/messages', { method: 'DELETE', headers: own });
  restart();
});
const select = (which) => {
  view = which;
  for (const name of ['list', 'ladder']) {
    const tab = $(`tab-${name}`);
    tab.setAttribute('aria-selected', String(name === which));
    tab.tabIndex = name === which ? 0 : -1;
    $(name).hidden = name !== which;
  }
  redraw();
};
for (const name of ['list', 'ladder']) {
  $(`tab-${name}`).addEventListener('click', () => select(name));
  $(`tab-${name}`).addEventListener('keydown', (event) => {
    if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
    const other = name === 'list' ? 'ladder' : 'list';
    select(other);
    $(`tab-${other}`).focus();
  });
}
$('calls').addEventListener('click', async (event) => {
  const button = event.target.closest('button[data-call]');
  if (!button) return;
  button.disabled = true;
  const answer = await fetch(`/api/calls/${button.dataset.call}`, { method: 'POST', headers: own }).catch(() => null);
  $('notice').textContent = answer ? await answer.text() : 'The console does not answer.';
});

// ---- what the server sends

const restart = () => {
  rows.clear();
  interfaces.clear();
  calls.clear();
  unchoose();
  draw();
};
const link = (kind, text) => {
  $('link').className = `pill ${kind}`;
  $('link').lastChild.textContent = text;
};
const fragments = new Map();
const replace = (box, html) => {
  // Unchanged markup stays: a button must not vanish between press and release.
  if (fragments.get(box) === html) return;
  fragments.set(box, html);
  const call = box.contains(document.activeElement) ? document.activeElement.dataset.call : undefined;
  box.innerHTML = html;
  if (call) box.querySelector(`[data-call="${CSS.escape(call)}"]`)?.focus();
};
const listen = () => {
  const source = new EventSource('/api/stream');
  source.addEventListener('open', () => link('green', 'live'));
  source.addEventListener('error', () => link('red', 'connection lost, trying again'));
  source.addEventListener('row', (event) => take(JSON.parse(event.data)));
  source.addEventListener('map', (event) => replace($('map'), event.data));
  source.addEventListener('calls', (event) => replace($('calls'), event.data));
  source.addEventListener('reset', () => {
    source.close();
    restart();
    listen();
  });
};
$('empty').dataset.text = $('empty').textContent;
$('insecure').hidden = window.isSecureContext;
listen();
