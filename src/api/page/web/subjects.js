// Contexts and subjects of both sides beside each other. Of a long list only the rows that are seen
// are drawn.

import { h, show } from './dom.js';
import { answerOf, path } from './link.js';
import { count, linkHref, many } from './words.js';

/** The height of a row; what is drawn beside those that are seen. */
const ROW_PX = 34, ROW_NARROW_PX = 62, AROUND = 12;
/** Versions that are named in a row. */
const NAMED = 3;
/** How long an answer counts as fresh: while the link writes or reads, and while it does not. */
const FRESH_BUSY_MS = 2_000, FRESH_MS = 30_000;

export const asked = { search: '', only: '' };

const WORDS = {
  same: 'same', missing: 'not in target', extra: 'only in target', different: 'differs', held: 'held', incident: 'incident', unknown: 'unknown',
};

function versions(held) {
  if (held.length === 0) return h('span', { class: 'none' }, 'none');
  const named = held.slice(-NAMED).map(([version, id, deleted]) => h('span', { class: deleted ? 'version deleted' : 'version' },
    `v${version}`, h('span', { class: 'id' }, ` id ${id}`), deleted ? h('span', { class: 'gone' }, ' deleted') : ''));
  const before = held.length - named.length;
  return h('span', { class: 'versions' }, before > 0 && h('span', { class: 'none' }, `${count(before)} more, `), named);
}

function row(link, [state, source, ofSource, target, ofTarget], at, height) {
  return h('div', { class: `row ${state}`, role: 'row', 'aria-rowindex': at + 2, 'data-key': target, styles: { top: `${at * height}px`, height: `${height}px` } },
    h('span', { role: 'cell', class: 'verdict' }, WORDS[state] ?? state),
    h('span', { role: 'cell', class: 'subject-name' }, h('a', { href: linkHref(link, 'subjects', target), title: source ?? target }, source ?? '—')),
    h('span', { role: 'cell' }, versions(ofSource)),
    h('span', { role: 'cell', class: 'subject-name target', title: target }, target),
    h('span', { role: 'cell' }, versions(ofTarget)));
}

function contexts(told) {
  return h('div', { class: 'scroll' }, h('table', { class: 'contexts' },
    h('thead', {}, h('tr', {}, ['Context of the source', 'Subjects', 'Context of the target', 'Subjects', 'Mode there'].map((name) => h('th', { scope: 'col' }, name)))),
    h('tbody', {}, told.contexts.map((one) => h('tr', {},
      h('td', {}, one.source === null ? '—' : h('code', {}, one.source)), h('td', { class: 'number' }, count(one.source_subjects)),
      h('td', {}, h('code', {}, one.target)), h('td', { class: 'number' }, count(one.target_subjects)),
      h('td', {}, one.target_mode ?? 'unknown'))))));
}

function away(told, link) {
  return [['source', link.source, told.source_away], ['target', link.target, told.target_away]]
    .filter(([, , reason]) => reason !== null)
    .map(([side, cluster, reason]) => h('p', { class: 'fault', role: 'status' },
      `${cluster}, the ${side}, can't be read now; what is shown of it may be old or missing. ${reason}`));
}

function differing(told) {
  if (told.differing === null) return 'Whether they say the same is not known now.';
  if (told.differing === 0) return 'All say the same on both sides.';
  return `${count(told.differing)} of all ${told.differing === 1 ? 'differs' : 'differ'}.`;
}

export function subjectsPath(link) {
  const parts = new URLSearchParams();
  if (asked.search !== '') parts.set('search', asked.search);
  if (asked.only !== '') parts.set('only', asked.only);
  return path(link, `subjects?${parts}`);
}

let last = null;

export function subjectsView(link, changed, isNarrow) {
  const stamp = [link.source_end, link.puts, link.deletions, link.state].join();
  const fresh = last?.link === link.link && last.stamp === stamp && !last.told.source_away && !last.told.target_away ? FRESH_MS : FRESH_BUSY_MS;
  const held = answerOf(subjectsPath(link), fresh, changed);
  const told = held ?? (last?.link === link.link ? last.told : undefined);
  const field = h('div', { class: 'section-head' }, h('h2', {}, 'Subjects of both sides'),
    h('label', { class: 'search' }, h('span', {}, 'Search'),
      h('input', { type: 'search', 'data-input': 'subjects', placeholder: 'part of a name', autocomplete: 'off' })),
    h('label', { class: 'check' }, h('input', { type: 'checkbox', 'data-input': 'only' }), 'only what differs'));
  if (!told) return [h('section', {}, field, h('p', { class: 'lead' }, 'Reading the registries of both clusters; the first time takes a moment…'))];
  if (told.fault) return [h('section', {}, field, h('p', { class: 'fault' }, told.fault))];
  // What was answered while it stood still is as new as what would be answered now.
  last = { link: link.link, told, stamp: held === last?.told ? last?.stamp : stamp };
  const height = isNarrow ? ROW_NARROW_PX : ROW_PX;
  const rows = told.subjects;
  const more = told.left_off > 0 ? `; ${count(told.left_off)} more, search for them` : '';
  const said = `${many(rows.length, 'subject')}${asked.search !== '' ? ` with “${asked.search}”` : ''}${asked.only !== '' ? ' that differ' : ''}${more}. ${differing(told)}`;
  return [h('section', { class: 'both' }, away(told, link), contexts(told), field,
    h('p', { class: 'note', role: 'status' }, said),
    h('div', { class: 'grid', role: 'table', 'aria-label': 'Subjects of both sides', 'aria-rowcount': rows.length + 1 },
      h('div', { class: 'row head', role: 'row', 'aria-rowindex': 1 },
        ['', `In ${link.source}`, 'versions', `In ${link.target}`, 'versions'].map((name) => h('span', { role: 'columnheader' }, name))),
      h('div', { class: 'window', tabindex: 0, 'data-window': 'subjects', 'aria-label': 'Rows; arrow keys move', role: 'rowgroup' },
        h('div', { class: 'space', 'data-keep': true, role: 'presentation', styles: { height: `${rows.length * height}px` } }))))];
}

/** Draws the rows that are seen. Called after the page was brought up to date, and at scrolling. */
export function drawRows(link, isNarrow) {
  const place = document.querySelector('[data-window="subjects"]');
  const space = place?.firstElementChild;
  if (!space || !last || last.link !== link.link) return;
  const height = isNarrow ? ROW_NARROW_PX : ROW_PX;
  const rows = last.told.subjects;
  space.style.height = `${rows.length * height}px`;
  const first = Math.max(0, Math.floor(place.scrollTop / height) - AROUND);
  const end = Math.min(rows.length, Math.ceil((place.scrollTop + place.clientHeight) / height) + AROUND);
  show(space, rows.slice(first, end).map((one, at) => row(link, one, first + at, height)));
}

/** Moves the focus between rows; gives whether the key was one that does. */
export function moveInRows(place, key, link, isNarrow) {
  const height = isNarrow ? ROW_NARROW_PX : ROW_PX;
  const page = Math.max(1, Math.floor(place.clientHeight / height) - 1);
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
  const rows = last?.told.subjects.length ?? 0;
  if (!(key in steps) || rows === 0) return false;
  const focused = document.activeElement?.closest?.('.row');
  const at = focused ? Number(focused.getAttribute('aria-rowindex')) - 2 : Math.floor(place.scrollTop / height) - 1;
  const next = Math.min(rows - 1, Math.max(0, at + steps[key]));
  const top = next * height;
  if (top < place.scrollTop) place.scrollTop = top;
  else if (top + height > place.scrollTop + place.clientHeight) place.scrollTop = top + height - place.clientHeight;
  drawRows(link, isNarrow);
  place.querySelector(`[aria-rowindex="${next + 2}"] a`)?.focus({ preventScroll: true });
  return true;
}
