// Which view is shown, and what people do in it.

import { show, h } from './dom.js';
import { ask, answerOf, forget, head, incidentsView, nowView, path, verifyView, verifying, writesView } from './link.js';
import { linkOf, listen, live } from './live.js';
import { mark } from './picture.js';
import { chosen, subjectView } from './schema.js';
import { asked, drawRows, moveInRows, subjectsView } from './subjects.js';
import { overview, seek, verdict } from './overview.js';
import { moment } from './words.js';

/** Typing rests so long before it is searched. */
const TYPED_MS = 200;
/** So long a word about what was done stays. */
const SAID_MS = 8_000;
/** Below this the page is laid out for a phone. */
const NARROW_PX = 720;
/** Ages on the page are told anew so often. */
const TICK_MS = 1_000;
/** What is asked before something is done that can't be taken back by a click. */
const SURE = {
  pause: (name) => `Pause ${name}? Nothing is copied until it is resumed.`,
  reset: (name) => `Reset ${name}? When it is resumed, everything is compared again. Nothing is written that is right.`,
};
const DONE = { pause: 'is told to pause', resume: 'is told to go on', reset: 'is reset; resume it' };

const view = document.getElementById('view');
/** The address of the view that is drawn. */
let shown = null;

function place() {
  const [source, link, tab, subject] = location.hash.replace(/^#\//, '').split('/').map(decoded);
  return { source, link, tab: tab ?? '', subject };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const isNarrow = () => document.documentElement.clientWidth < NARROW_PX;

function views({ source, link: name, tab, subject }) {
  if (!name) return overview(view.clientWidth - 2 * parseFloat(getComputedStyle(view).paddingLeft));
  const link = linkOf(source, name);
  if (!link) {
    return [h('p', { class: 'crumb' }, h('a', { href: '#/' }, 'All links')), h('h1', {}, name),
      h('p', { class: 'lead' }, live.told ? `There is no link of this name from ${source} now.` : 'Asking what the links are doing…')];
  }
  const of = {
    '': () => nowView(link),
    incidents: () => incidentsView(link, draw),
    subjects: () => subject ? subjectView(link, subject, draw) : subjectsView(link, draw, isNarrow()),
    writes: () => writesView(link, draw),
    verify: () => verifyView(link),
  }[tab];
  return [head(link, tab), of ? of() : h('p', { class: 'lead' }, 'There is no such view.')];
}

let drawn = false;

/** Brings the page to what it should be, once a frame at most. */
function draw() {
  if (drawn) return;
  drawn = true;
  requestAnimationFrame(() => {
    drawn = false;
    drawNow();
  });
}

function drawNow() {
  const at = place();
  const isFirst = shown === null;
  const name = location.hash.startsWith('#/') || location.hash === '' ? location.hash : shown ?? '';
  const isOther = name !== shown;
  if (isOther) view.replaceChildren();
  shown = name;
  show(view, views(at));
  const link = at.link ? linkOf(at.source, at.link) : undefined;
  if (link && at.tab === 'subjects' && !at.subject) {
    const field = view.querySelector('[data-input="subjects"]');
    if (field && document.activeElement !== field && field.value !== asked.search) field.value = asked.search;
    const only = view.querySelector('[data-input="only"]');
    if (only) only.checked = asked.only !== '';
    drawRows(link, isNarrow());
  }
  for (const select of view.querySelectorAll('[data-pick]')) select.value = chosen[select.dataset.pick];
  const { rank, words } = verdict();
  show(document.getElementById('verdict'), words && mark(rank, 'running'), words);
  const connection = document.getElementById('connection');
  connection.classList.toggle('lost', !live.connected && (live.told || live.refused !== ''));
  show(connection, live.connected ? 'Live' : live.refused !== '' ? `Not connected: ${live.refused}` : live.heardAt === 0 ? 'Connecting'
    : `Not connected: this is what was so at ${moment(live.heardAt)}`);
  document.title = `${rank === 'calm' ? '' : '! '}${link ? `${link.link} · ` : ''}schema-mirror`;
  // What had the focus is gone: whoever listens or types goes on at the new view.
  if (isOther && !isFirst && document.activeElement === document.body) view.focus({ preventScroll: true });
}

let silence = 0;

function say(words) {
  const said = document.getElementById('said');
  said.textContent = words;
  clearTimeout(silence);
  silence = setTimeout(() => { said.textContent = ''; }, SAID_MS);
}

async function act(button) {
  const { act: what, source, link: name } = button.dataset;
  const link = linkOf(source, name);
  if (!link) return;
  if (what === 'verify') {
    verifying(link, { busy: true });
    draw();
    verifying(link, await ask(path(link, 'verify'), 'POST').catch((fault) => ({ fault: fault.message })));
    draw();
    return;
  }
  if (SURE[what] && !confirm(SURE[what](name))) return;
  button.disabled = true;
  try {
    await ask(`/${encodeURIComponent(source)}/exporters/${encodeURIComponent(name)}/${what}`, 'PUT');
    say(`${name} ${DONE[what]}.`);
  } catch (fault) {
    say(`${name} could not be told to ${what}: ${fault.message}`);
  }
  button.disabled = false;
  draw();
}

document.addEventListener('click', (event) => {
  const button = event.target.closest?.('[data-act]');
  if (button) act(button);
});

view.addEventListener('toggle', (event) => {
  const of = event.target.dataset?.record;
  if (!of || !event.target.open) return;
  forget(of);
  answerOf(of, Infinity, draw);
}, true);

let typed = 0;

view.addEventListener('input', (event) => {
  const { input, pick } = event.target.dataset;
  if (pick) {
    chosen[pick] = event.target.value;
    return draw();
  }
  clearTimeout(typed);
  typed = setTimeout(() => {
    if (input === 'links') seek(event.target.value);
    if (input === 'subjects') asked.search = event.target.value.trim();
    if (input === 'only') asked.only = event.target.checked ? 'different' : '';
    const list = view.querySelector('[data-window]');
    if (list) list.scrollTop = 0;
    draw();
  }, TYPED_MS);
});

view.addEventListener('scroll', (event) => {
  const { source, link: name } = place();
  const link = linkOf(source, name);
  if (link && event.target.dataset?.window === 'subjects') drawRows(link, isNarrow());
}, true);

view.addEventListener('keydown', (event) => {
  const list = event.target.closest?.('[data-window="subjects"]');
  const { source, link: name } = place();
  const link = linkOf(source, name);
  if (list && link && !event.altKey && !event.ctrlKey && !event.metaKey && moveInRows(list, event.key, link, isNarrow())) event.preventDefault();
});

window.addEventListener('hashchange', () => {
  if (location.hash !== '' && !location.hash.startsWith('#/')) return;
  window.scrollTo(0, 0);
  draw();
});
window.addEventListener('resize', draw);
setInterval(draw, TICK_MS);
listen(draw);
draw();
