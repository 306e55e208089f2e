// Clusters and the arrows between them, and the last hour of a link.

import { h, s } from './dom.js';
import { AT, LAG_MS, STATE, WRITTEN, samplesOf } from './live.js';
import { RANKS, duration, lagWords, linkHref, many, rankOf, rateWords, stateWords } from './words.js';

const HOUR_MS = 3_600_000;
/** More arrows than this are no picture any more; the worst are drawn. */
const PAIRS_MAX = 16;
const CLUSTER_WIDTH = [116, 168], CARD_WIDTH = [192, 248], RUN = [22, 48];
const CARD_HEIGHT = 104, GAP = 16;
/** Writes are shown by the minute. */
const BARS = 60;

/** The shape that goes with a state's word. */
export function mark(rank, state) {
  const shapes = {
    halted: [s('rect', { x: 1, y: 1, width: 10, height: 10, rx: 1.5 })],
    waiting: [s('path', { d: 'M6 .8 11.6 11H.4Z' })],
    attention: [s('path', { d: 'M6 0 12 6 6 12 0 6Z' })],
    calm: [s('circle', { cx: 6, cy: 6, r: 4.5 })],
  };
  const idle = [s('circle', { cx: 6, cy: 6, r: 4, class: 'hollow' })];
  const bars = [s('rect', { x: 2, y: 1.5, width: 3, height: 9 }), s('rect', { x: 7, y: 1.5, width: 3, height: 9 })];
  const shape = rank !== 'calm' ? shapes[rank] : state === 'paused' ? bars : state === 'running' ? shapes.calm : idle;
  return s('svg', { class: `mark ${rank}`, viewBox: '0 0 12 12', width: 12, height: 12, 'aria-hidden': 'true' }, shape);
}

/** The last hour: how far behind, how much was written, and when it did not follow. */
export function lastHour(link, at, { width = 216, height = 34 } = {}) {
  const samples = samplesOf(link).filter((sample) => sample[AT] >= at - HOUR_MS);
  const x = (ms) => (width * (1 - (at - ms) / HOUR_MS)).toFixed(1);
  const top = Math.max(1_000, ...samples.map((sample) => sample[LAG_MS] ?? 0));
  const written = new Array(BARS).fill(0);
  samples.slice(1).forEach((sample, i) => {
    const bar = Math.min(BARS - 1, Math.max(0, Math.floor(BARS * (1 - (at - sample[AT]) / HOUR_MS))));
    written[bar] += Math.max(0, sample[WRITTEN] - samples[i][WRITTEN]);
  });
  const most = Math.max(1, ...written);
  const base = height - 6;
  const y = (lag) => (base - 2 - (base - 6) * Math.sqrt((lag ?? 0) / top)).toFixed(1);
  const line = samples.map((sample) => `${x(sample[AT])},${y(sample[LAG_MS])}`).join(' ');
  const heights = written.map((writes) => (base - 8) * 0.7 * Math.sqrt(writes / most) + 1);
  const bars = written.map((writes, i) => writes > 0 ? `M${((i + 0.5) * width / BARS).toFixed(1)} ${base}v-${heights[i].toFixed(1)}` : '').join('');
  const stood = samples.map((sample, i) => sample[STATE] === 'running' ? ''
    : `M${x(sample[AT])} ${height - 2}H${x(samples[i + 1]?.[AT] ?? at)}`).join('');
  const said = samples.length === 0 ? 'nothing sampled yet'
    : `at most ${top > 1_000 ? duration(top) : '1 s'} behind, ${many(written.reduce((sum, one) => sum + one, 0), 'write')}`;
  return s('svg', { class: 'hour', viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': `Last hour: ${said}` },
    s('title', {}, `Last hour: ${said}. Bars are writes, the line is lag; the stroke below is when it did not follow.`),
    s('line', { class: 'axis', x1: 0, x2: width, y1: base, y2: base }),
    bars && s('path', { class: 'wrote', d: bars }), stood && s('path', { class: 'stood', d: stood }),
    line && s('polyline', { class: 'lag', points: line }));
}

function pairsOf(links, at) {
  const pairs = new Map();
  for (const link of links) {
    const key = JSON.stringify([link.source, link.target]);
    const pair = pairs.get(key) ?? { key, source: link.source, target: link.target, links: [] };
    pair.links.push(link);
    pairs.set(key, pair);
  }
  for (const pair of pairs.values()) {
    pair.links.sort((one, other) => RANKS.indexOf(rankOf(one, at)) - RANKS.indexOf(rankOf(other, at)));
    pair.rank = rankOf(pair.links[0], at);
    pair.state = pair.links[0].state;
  }
  return [...pairs.values()];
}

function card(pair, at, rateOf, width) {
  const [first, ...others] = pair.links;
  const name = others.length === 0 ? first.link : many(pair.links.length, 'link');
  const calm = others.length > 0 && pair.rank === 'calm';
  const said = calm ? 'nothing is wrong' : others.length > 0 ? `${first.link}: ${stateWords(first.state)}` : stateWords(first.state);
  const rates = pair.links.map(rateOf);
  const rate = rates.includes(null) ? null : rates.reduce((sum, one) => sum + one, 0);
  return h('a', { class: `card ${pair.rank}`, href: others.length === 0 ? linkHref(first) : '#links', tabindex: -1 },
    h('span', { class: 'card-name' }, name),
    h('span', { class: 'card-state' }, mark(pair.rank, pair.state), said),
    h('span', { class: 'card-numbers' }, `${lagWords(first, at)} · ${rateWords(rate)}`),
    lastHour(first, at, { width: width - 26 }));
}

/** The column of each cluster: sources before their targets, as far as there is no circle. */
function columnsOf(pairs) {
  const names = [...new Set(pairs.flatMap((pair) => [pair.source, pair.target]))];
  const targets = (name) => pairs.filter((pair) => pair.source === name).map((pair) => pair.target);
  const column = new Map();
  const place = (name, at, way) => {
    if (way.includes(name) || (column.get(name) ?? -1) >= at) return;
    column.set(name, at);
    for (const target of targets(name)) place(target, at + 1, [...way, name]);
  };
  const isTarget = (name) => pairs.some((pair) => pair.target === name);
  for (const name of names.filter((name) => !isTarget(name))) place(name, 0, []);
  for (const name of names) if (!column.has(name)) place(name, 0, []);
  return column;
}

/** Where clusters and cards stand, and the lines between them. */
function layOut(pairs, width) {
  const column = columnsOf(pairs);
  const columns = Math.max(...column.values()) + 1;
  // Between the least that can be read and the most that looks good, by the room that there is.
  const need = (size) => columns * CLUSTER_WIDTH[size] + (columns - 1) * (CARD_WIDTH[size] + 2 * RUN[size]);
  const share = Math.min(1, Math.max(0, (width - need(0)) / Math.max(1, need(1) - need(0))));
  const between = ([least, most]) => Math.floor(least + (most - least) * share);
  const box = between(CLUSTER_WIDTH), wide = between(CARD_WIDTH);
  const run = Math.max(wide + 2 * between(RUN), (width - columns * box) / Math.max(1, columns - 1));
  const left = (at) => at * (box + run);
  const cardLeft = (gap) => left(gap) + box + (run - wide) / 2;
  const cards = [];
  for (const pair of pairs) {
    const [from, to] = [column.get(pair.source), column.get(pair.target)];
    cards.push({ pair, gap: Math.min(from, to), forward: from < to, from, to });
  }
  // Cards of a gap stand one below the other; a cluster is as high as what reaches it.
  const fill = new Map();
  for (const card of cards) {
    const at = fill.get(card.gap) ?? 0;
    card.y = at + CARD_HEIGHT / 2;
    fill.set(card.gap, at + CARD_HEIGHT + GAP);
  }
  const height = Math.max(...fill.values()) - GAP;
  const boxes = [...column].map(([name, at]) => {
    const ys = cards.filter(({ pair }) => pair.source === name || pair.target === name).map((card) => card.y);
    return { name, at, top: Math.min(...ys) - 34, bottom: Math.max(...ys) + 34 };
  });
  // Boxes of a column that would overlap are pushed down.
  let deepest = height;
  for (let at = 0; at < columns; at += 1) {
    let free = 0;
    for (const box of boxes.filter((box) => box.at === at).sort((one, other) => one.top - other.top)) {
      const push = Math.max(0, free - box.top);
      box.top += push;
      if (push > 0) box.bottom = Math.max(box.top + 56, box.bottom);
      free = box.bottom + GAP;
      deepest = Math.max(deepest, box.bottom);
    }
  }
  return { cards, boxes, left, cardLeft, box, wide, height: deepest, width: left(columns - 1) + box };
}

function lines({ cards, boxes, left, cardLeft, box, wide, width, height }) {
  const found = (name) => boxes.find((one) => one.name === name);
  const port = (name, y) => Math.min(Math.max(y, found(name).top + 14), found(name).bottom - 14);
  const drawn = cards.map((card) => {
    const ends = { left: Math.min(card.from, card.to), right: Math.max(card.from, card.to) };
    const [leftName, rightName] = card.forward ? [card.pair.source, card.pair.target] : [card.pair.target, card.pair.source];
    const near = { x: left(ends.left) + box, y: port(leftName, card.y) };
    const far = { x: left(ends.right), y: port(rightName, card.y) };
    const one = { x: cardLeft(card.gap), y: card.y }, two = { x: cardLeft(card.gap) + wide, y: card.y };
    const curve = (a, b) => `M${a.x} ${a.y}C${(a.x + b.x) / 2} ${a.y} ${(a.x + b.x) / 2} ${b.y} ${b.x} ${b.y}`;
    const [out, into] = card.forward ? [curve(near, one), curve(two, { x: far.x - 7, y: far.y })]
      : [curve(far, two), curve(one, { x: near.x + 7, y: near.y })];
    const tip = card.forward ? far : near;
    const back = card.forward ? -9 : 9;
    return s('g', { class: `line ${card.pair.rank} ${card.pair.state}` },
      s('path', { d: out, class: 'way' }), s('path', { d: into, class: 'way' }),
      card.pair.rank === 'halted'
        ? s('path', { class: 'stop', d: `M${tip.x + 1.6 * back} ${tip.y - 7}v14` })
        : s('path', { class: 'tip', d: `M${tip.x} ${tip.y}l${back} -5v10z` }));
  });
  return s('svg', { class: 'lines', viewBox: `0 0 ${width} ${height}`, width, height, 'aria-hidden': 'true' }, drawn);
}

/** The picture for a place so wide; on a narrow one, pair by pair. */
export function picture(links, at, width, rateOf) {
  const all = pairsOf(links, at);
  const pairs = all.length <= PAIRS_MAX ? all
    : [...all].sort((one, other) => RANKS.indexOf(one.rank) - RANKS.indexOf(other.rank)).slice(0, PAIRS_MAX);
  const rest = all.length > pairs.length &&
    h('p', { class: 'note' }, `${many(all.length - pairs.length, 'more pair')} of clusters are in the list below.`);
  if (pairs.length === 0) return [];
  const said = `${many(new Set(pairs.flatMap((pair) => [pair.source, pair.target])).size, 'cluster')}, ${many(links.length, 'link')}: the list below says the same in words`;
  if (width < 640) {
    const rows = pairs.map((pair) => h('div', { class: 'pair' },
      h('div', { class: 'way-words' }, h('span', { class: 'cluster' }, pair.source),
        s('svg', { class: `lines line ${pair.rank} ${pair.state}`, viewBox: '0 0 64 14', width: 64, height: 14 },
          s('path', { class: 'way', d: 'M2 7h52' }),
          pair.rank === 'halted' ? s('path', { class: 'stop', d: 'M58 0v14' }) : s('path', { class: 'tip', d: 'M62 7l-9 -5v10z' })),
        h('span', { class: 'cluster' }, pair.target)),
      card(pair, at, rateOf, width)));
    return [h('div', { class: 'picture narrow', role: 'img', 'aria-label': said }, rows), rest];
  }
  const laid = layOut(pairs, width);
  const boxes = laid.boxes.map((box) => h('div', {
    class: 'cluster box',
    styles: { left: `${laid.left(box.at)}px`, top: `${box.top}px`, width: `${laid.box}px`, height: `${box.bottom - box.top}px` },
  }, h('span', {}, box.name)));
  const cards = laid.cards.map(({ pair, gap, y }) => h('div', {
    class: 'card-place',
    styles: {
      left: `${laid.cardLeft(gap)}px`, top: `${y - CARD_HEIGHT / 2}px`,
      width: `${laid.wide}px`, height: `${CARD_HEIGHT}px`,
    },
  }, card(pair, at, rateOf, laid.wide)));
  return [h('div', { class: 'picture', role: 'img', 'aria-label': said },
    h('div', { class: 'sheet', styles: { width: `${laid.width}px`, height: `${laid.height}px` } },
      lines(laid), boxes, cards)), rest];
}
