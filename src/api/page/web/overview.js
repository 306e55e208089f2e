// What is wrong, the picture, and all links.

import { h } from './dom.js';
import { allLinks, live, now, perMinute } from './live.js';
import { lastHour, mark, picture } from './picture.js';
import { RANKS, count, duration, lagWords, linkHref, many, rankOf, rateWords, remedy, stateWords } from './words.js';

/** More links than this get a field to search them. */
const SEARCH_FROM = 9;
/** Rows that are drawn; a search finds the others. */
const ROWS_MAX = 200;
/** Troubles that are told in full. */
const TROUBLES_MAX = 20;

let sought = '';

export function seek(text) {
  sought = text.trim().toLowerCase();
}

function byRank(at) {
  return (one, other) => RANKS.indexOf(rankOf(one, at)) - RANKS.indexOf(rankOf(other, at));
}

/** The whole in one sentence. */
export function verdict() {
  if (!live.told) return { rank: 'calm', words: '' };
  const [links, at] = [allLinks(), now()];
  if (links.length === 0) return { rank: 'calm', words: live.isComplete ? 'No links' : 'Links are still being read' };
  const bad = links.filter((link) => rankOf(link, at) !== 'calm').sort(byRank(at));
  if (bad.length === 0) {
    const all = links.length === 1 ? 'The link is' : `All ${links.length} links are`;
    const following = links.filter((link) => link.state === 'running').length;
    const words = following === links.length ? `${all} following` : `Nothing is wrong; ${following} of ${many(links.length, 'link')} following`;
    return { rank: 'calm', words };
  }
  const rank = rankOf(bad[0], at);
  const counts = RANKS.slice(0, 3).map((rank) => [rank, bad.filter((link) => rankOf(link, at) === rank).length]);
  const said = { halted: 'stands still', waiting: 'waits', attention: 'needs a look' };
  const saidOfMany = { halted: 'stand still', waiting: 'wait', attention: 'need a look' };
  const words = counts.filter(([, number]) => number > 0)
    .map(([rank, number]) => `${count(number)} ${number === 1 ? said[rank] : saidOfMany[rank]}`).join(', ');
  return { rank, words: `Of ${many(links.length, 'link')}, ${words}` };
}

function headline(link, at) {
  switch (rankOf(link, at)) {
    case 'halted': return `${link.link} ${link.state === 'unknown' ? 'does not run here' : `has stood still for ${duration(at - link.since_ms)}`}`;
    case 'waiting': return `${link.link} has waited for ${duration(at - link.since_ms)}`;
    default: return link.incidents > 0 || link.held > 0
      ? `${link.link} copies all but ${many(link.incidents + link.held, 'key')}`
      : `${link.link} is ${lagWords(link, at)}`;
  }
}

function trouble(link, at) {
  const rank = rankOf(link, at);
  const open = link.set_aside.filter((one) => one.acknowledged === null);
  const first = open.map((one) => h('li', {},
    h('code', {}, one.key), ' ', h('span', { class: 'reason' }, one.reason)));
  const more = link.incidents + link.held - open.length;
  return h('li', { class: `trouble ${rank}`, 'data-key': `${link.source}/${link.link}` },
    h('h3', {}, mark(rank, link.state), h('a', { href: linkHref(link) }, headline(link, at))),
    link.reason && h('p', { class: 'reason' }, link.reason),
    rank === 'attention' && first.length > 0 && h('ul', { class: 'set-aside' }, first),
    rank === 'attention' && more > 0 && h('p', {}, h('a', { href: linkHref(link, 'incidents') }, `and ${count(more)} more`)),
    h('p', { class: 'remedy' }, remedy(link)));
}

function troubles(links, at) {
  const bad = links.filter((link) => rankOf(link, at) !== 'calm').sort(byRank(at));
  if (bad.length === 0) {
    const most = links.filter((link) => link.lag_records > 0)
      .sort((one, other) => (one.behind_since_ms ?? at) - (other.behind_since_ms ?? at))[0];
    const furthest = most ? `${most.link} is furthest from its source, ${lagWords(most, at)}.` : links.length === 1 ? 'Everything its source holds is in its target.' : 'Everything their sources hold is in their targets.';
    return h('p', { class: 'all-well' }, mark('calm', 'running'), `Nothing is wrong. ${furthest}`);
  }
  return [
    h('ul', { class: 'troubles' }, bad.slice(0, TROUBLES_MAX).map((link) => trouble(link, at))),
    bad.length > TROUBLES_MAX && h('p', { class: 'note' }, `${many(bad.length - TROUBLES_MAX, 'more link')} below.`),
  ];
}

function row(link, at) {
  const rank = rankOf(link, at);
  return h('tr', { class: rank, 'data-key': `${link.source}/${link.link}` },
    h('th', { scope: 'row' }, h('a', { href: linkHref(link) }, link.link),
      h('span', { class: 'route' }, `${link.source} → ${link.target}`)),
    h('td', {}, h('span', { class: 'state' }, mark(rank, link.state), stateWords(link.state))),
    h('td', { class: 'number' }, lagWords(link, at)),
    h('td', { class: 'number' }, rateWords(perMinute(link))),
    h('td', { class: 'number' }, link.incidents + link.held === 0 ? 'none' : count(link.incidents + link.held)),
    h('td', { class: 'hour-cell' }, lastHour(link, at, { width: 180, height: 28 })));
}

function table(links, at) {
  const found = links.filter((link) => [link.link, link.source, link.target, stateWords(link.state)]
    .some((text) => text.toLowerCase().includes(sought))).sort(byRank(at));
  return [
    h('div', { class: 'section-head', id: 'links' }, h('h2', {}, 'Links'),
      links.length >= SEARCH_FROM && h('label', { class: 'search' }, h('span', {}, 'Search'),
        h('input', { type: 'search', 'data-input': 'links', placeholder: 'name, cluster or state', autocomplete: 'off' }))),
    h('div', { class: 'scroll' }, h('table', { class: 'links' },
      h('thead', {}, h('tr', {}, ['Link', 'State', 'Lag', 'Rate', 'Set aside', 'Last hour'].map((name) => h('th', { scope: 'col' }, name)))),
      h('tbody', {}, found.slice(0, ROWS_MAX).map((link) => row(link, at))))),
    found.length > ROWS_MAX && h('p', { class: 'note' }, `${many(found.length - ROWS_MAX, 'more link')}: search for them.`),
    found.length === 0 && h('p', { class: 'note' }, 'No link is like that.'),
  ];
}

export function overview(width) {
  if (!live.told) return [h('p', { class: 'lead' }, 'Asking what the links are doing…')];
  const [links, at] = [allLinks(), now()];
  if (links.length === 0) {
    return [h('section', {}, h('h1', {}, 'No links'), h('p', { class: 'lead' }, live.isComplete
      ? 'This process has no links yet. They are made in its file, or over REST under /{cluster}/exporters.'
      : 'Clusters are still being asked which links they keep.'))];
  }
  return [
    h('section', { class: 'wrong' }, h('h1', {}, 'What is wrong'), troubles(links, at)),
    h('section', { class: 'pictured' }, h('h2', {}, 'Between clusters'), picture(links, at, width, perMinute)),
    h('section', {}, table(links, at)),
  ];
}
