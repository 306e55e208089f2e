// One link: what it is doing, what is set aside, what was written, and what an admin can do.

import { h } from './dom.js';
import { address, live, now, perMinute } from './live.js';
import { lastHour, mark } from './picture.js';
import { count, duration, lagWords, linkHref, many, moment, rankOf, rateWords, remedy, stateWords } from './words.js';

const TABS = [['', 'Now'], ['incidents', 'Set aside'], ['subjects', 'Subjects'], ['writes', 'Writes'], ['verify', 'Verify']];
/** What becomes of a record, as the counts call it. */
const OUTCOMES = { written: 'written', in_sync: 'right already', not_selected: 'not chosen', held: 'held', incident: 'incidents' };

/** Asked for and answered, by path: `undefined` while it is under way. */
const answers = new Map();
/** Answers that are kept; the oldest goes first. */
const ANSWERS_MAX = 40;
/** A refusal is asked about again after this long. */
const REFUSED_FRESH_MS = 4_000;

/** What the server answered, if it did; asks again when that is older than `freshMs`. */
export function answerOf(path, freshMs, changed) {
  const held = answers.get(path);
  const fresh = held?.answer?.fault ? Math.min(freshMs, REFUSED_FRESH_MS) : freshMs;
  if (!held?.asking && (!held || Date.now() - held.at > fresh)) {
    const asked = { asking: true, at: Date.now(), answer: held?.answer };
    answers.set(path, asked);
    if (answers.size > ANSWERS_MAX) answers.delete(answers.keys().next().value);
    ask(path).then((answer) => Object.assign(asked, { asking: false, at: Date.now(), answer }), (fault) =>
      Object.assign(asked, { asking: false, at: Date.now(), answer: { fault: fault.message } })).then(changed);
  }
  return answers.get(path)?.answer;
}

/** Asks the server; a refusal is thrown in its own words. */
export async function ask(path, method = 'GET') {
  let answer;
  try {
    answer = await fetch(address(path), { method });
  } catch {
    throw new Error('the server does not answer');
  }
  const text = await answer.text();
  let told;
  try {
    told = text === '' ? {} : JSON.parse(text);
  } catch {
    told = { message: text.slice(0, 200) };
  }
  if (!answer.ok) throw new Error(told.message ?? `the server answers ${answer.status}`);
  return told;
}

export function forget(path) {
  answers.delete(path);
}

export function path(link, what) {
  return `/ui/links/${encodeURIComponent(link.source)}/${encodeURIComponent(link.link)}/${what}`;
}

/** The head of every view of a link. */
export function head(link, tab) {
  const at = now();
  const rank = rankOf(link, at);
  const amiss = link.incidents + link.held;
  return h('header', { class: 'link-head' },
    h('p', { class: 'crumb' }, h('a', { href: '#/' }, 'All links')),
    h('h1', {}, link.link),
    h('p', { class: 'route-line' }, h('span', { class: 'cluster' }, link.source), ' → ', h('span', { class: 'cluster' }, link.target),
      link.scope && h('span', { class: 'scope' }, 'owns ', h('code', {}, link.scope))),
    h('p', { class: `state-line ${rank}` }, mark(rank, link.state),
      h('strong', {}, stateWords(link.state)), `${link.since_ms === null ? '' : ` for ${duration(at - link.since_ms)}`} · ${lagWords(link, at)} · ${rateWords(perMinute(link))}`),
    link.reason && h('p', { class: `reason-box ${rank}` }, link.reason, h('span', { class: 'remedy' }, remedy(link))),
    h('nav', { class: 'tabs', 'aria-label': `Views of ${link.link}` }, TABS.map(([name, title]) =>
      h('a', { href: name === '' ? linkHref(link) : linkHref(link, name), 'aria-current': name === tab ? 'page' : undefined },
        title, name === 'incidents' && amiss > 0 && h('span', { class: 'count' }, count(amiss))))));
}

function actions(link) {
  if (!live.mayChange) return h('p', { class: 'note' }, 'This login may look; changes take one with role admin.');
  if (!link.changeable) {
    return h('p', { class: 'note' }, 'This link stands in the file of the process and is changed there: pause, resume and reset are for links that were made over REST.');
  }
  const button = (act, label, title, off) => h('button', {
    type: 'button', 'data-act': act, 'data-source': link.source, 'data-link': link.link, disabled: off, title,
  }, label);
  const stands = link.state === 'paused' || link.state === 'halted';
  return h('div', { class: 'actions' },
    button('pause', 'Pause', 'What is on its way is waited for; then nothing is written.', link.state === 'paused'),
    button('resume', 'Resume', 'It reads both sides and goes on.', !stands),
    button('reset', 'Reset', 'When it is resumed, everything is compared again; nothing is written that is right.', !stands),
    h('p', { class: 'note' }, stands
      ? 'Reset has the link forget how far it was: when it goes on, everything is compared again, and nothing is written that is right.'
      : 'Reset takes a link that is paused.'));
}

export function nowView(link) {
  const at = now();
  const facts = [
    ['Source', `read to offset ${count(link.source_next)} of ${count(link.source_end)}`],
    ['In the target', link.state === 'purging' ? 'its copy is being taken away' : link.lag_records === null ? 'whoever writes knows; this instance stands by' : `everything before offset ${count(link.done_before)}`],
    ['Lag', link.lag_records === null ? 'not known here' : `${many(link.lag_records, 'offset')}, ${lagWords(link, at)}`],
    ['Writes', `${count(link.puts)} puts, ${count(link.deletions)} deletions; ${count(link.writes_in_flight)} on their way`],
    ['Records of the source', Object.entries(link.records).map(([outcome, number]) => `${count(number)} ${OUTCOMES[outcome] ?? outcome}`).join(', ')],
    ['Drift', link.drifted === 0 && link.repairs === 0 ? 'nobody else wrote here' : `${many(link.drifted, 'key')} changed by someone else, ${many(link.repairs, 'repair')}`],
    ['Checkpoint', link.checkpoint_ms === null ? 'none kept yet' : `kept ${duration(at - link.checkpoint_ms)} ago`],
    ['Lives', `${count(link.lives)}: one, and one more for each time that something ended one`],
    ['Made', link.changeable ? 'over REST' : 'in the file of the process'],
  ];
  return [
    h('section', {}, h('h2', {}, 'The last hour'), lastHour(link, at, { width: 720, height: 96 }),
      h('p', { class: 'note' }, 'The line is lag, the bars are writes; the stroke below is when it did not follow.')),
    h('section', {}, h('h2', {}, 'In numbers'), h('dl', { class: 'facts' }, facts.map(([name, fact]) => [h('dt', {}, name), h('dd', {}, fact)]))),
    h('section', {}, h('h2', {}, 'For admins'), actions(link)),
  ];
}

/** What of a link's incidents someone lets stand. */
function acknowledgedWords(told) {
  return told.acknowledged === 0 ? '' : `, ${many(told.acknowledged, 'acknowledged incident')}`;
}

export function incidentsView(link, changed) {
  const told = answerOf(path(link, 'incidents'), 2_000, changed);
  if (!told) return [h('p', { class: 'lead' }, 'Asking…')];
  if (told.fault) return [h('p', { class: 'fault' }, told.fault)];
  if (told.set_aside.length === 0) {
    return [h('section', {}, h('h2', {}, 'Nothing is set aside'), h('p', { class: 'note' }, 'Every record that the link chooses is copied, or is on its way.'))];
  }
  return [h('section', {}, h('h2', {}, `${many(link.incidents, 'incident')}, ${many(link.held, 'held key')}${acknowledgedWords(link)}`),
    h('p', { class: 'note' }, 'They are not copied; everything else is. A held key waits for something and goes on by itself when that comes. An incident that is acknowledged stands, and counts no more.'),
    h('ul', { class: 'set-asides' }, told.set_aside.map((one) => h('li', { 'data-key': `${one.word} ${one.key} ${one.offset}` },
      h('p', { class: 'what' }, h('span', { class: `tag ${one.word}` }, one.word), h('code', {}, one.key)),
      h('p', {}, one.reason),
      one.acknowledged && h('p', { class: 'remedy' }, `Acknowledged by ${one.acknowledged.by}, ${moment(one.acknowledged.at_ms)}: ${one.acknowledged.why}`),
      one.remedy && !one.acknowledged && h('p', { class: 'remedy' }, `What to do: ${one.remedy}.`),
      one.offset === null ? h('p', { class: 'note' }, 'The cause stands in the target; no record of the source is behind it.')
        : h('details', { 'data-record': path(link, `record?offset=${one.offset}`) },
          h('summary', {}, `The record, at offset ${count(one.offset)} of the source`), record(path(link, `record?offset=${one.offset}`)))))),
    told.left_off > 0 && h('p', { class: 'note' }, `${count(told.left_off)} more are in the log, and in what verify prints.`))];
}

/** Records that were asked for are shown as they came: they don't change. */
function record(of) {
  const told = answers.get(of)?.answer;
  if (!told) return h('p', { class: 'note' }, 'Open to read it.');
  if (told.fault) return h('p', { class: 'fault' }, told.fault);
  return h('dl', { class: 'facts record' },
    h('dt', {}, 'Written'), h('dd', {}, told.timestamp_ms === null ? 'unknown' : moment(told.timestamp_ms)),
    h('dt', {}, 'Key'), h('dd', {}, h('pre', {}, told.key ?? 'none')),
    h('dt', {}, 'Value'), h('dd', {}, h('pre', {}, told.value ?? 'none'), told.value_bytes_left_off > 0 && h('p', { class: 'note' }, `${count(told.value_bytes_left_off)} bytes more`)));
}

export function writesView(link, changed) {
  const told = answerOf(path(link, 'writes'), 2_000, changed);
  if (!told) return [h('p', { class: 'lead' }, 'Asking…')];
  if (told.fault) return [h('p', { class: 'fault' }, told.fault)];
  const writes = told.writes;
  if (writes.length === 0) {
    return [h('section', {}, h('h2', {}, 'Nothing written yet'), h('p', { class: 'note' }, 'Since this process started, the link has written nothing: either all was right, or another instance writes.'))];
  }
  return [h('section', {}, h('h2', {}, `The last ${many(writes.length, 'write')}`),
    h('p', { class: 'note' }, `Newest first, by when they were sent. ${told.in_flight > 0 ? `${many(told.in_flight, 'write')} not acknowledged yet.` : 'All are acknowledged.'} What was written before the process started is in the topic.`),
    h('div', { class: 'scroll' }, h('table', { class: 'writes' },
      h('thead', {}, h('tr', {}, ['Sent', 'What', 'Subject or key', 'Version', 'Id', 'Because'].map((name) => h('th', { scope: 'col' }, name)))),
      h('tbody', {}, writes.map((write) => h('tr', { 'data-key': write.number },
        h('td', { class: 'number' }, h('time', { datetime: new Date(write.at_ms).toISOString() }, moment(write.at_ms))),
        h('td', {}, h('span', { class: `what-${write.what}` }, write.what)),
        h('td', {}, write.version === null ? h('code', {}, write.key) : h('a', { href: linkHref(link, 'subjects', write.subject) }, h('code', {}, write.subject))),
        h('td', { class: 'number' }, write.version ?? ''), h('td', { class: 'number' }, write.id ?? ''),
        h('td', {}, write.reason)))))))];
}

/** What verify told of links, by key. */
const verified = new Map();

export function verifying(link, told) {
  verified.set(JSON.stringify([link.source, link.link]), told);
}

export function verifyView(link) {
  const told = verified.get(JSON.stringify([link.source, link.link]));
  const busy = told?.busy === true;
  const button = live.mayChange
    ? h('button', { type: 'button', 'data-act': 'verify', 'data-source': link.source, 'data-link': link.link, disabled: busy }, busy ? 'Reading both sides…' : 'Verify now')
    : h('p', { class: 'note' }, 'This login may look; verifying takes one with role admin.');
  return [h('section', {}, h('h2', {}, 'Are both sides equal?'),
    h('p', { class: 'note' }, 'Both topics are read afresh to the ends that they have, and compared key by key. Nothing is written. What is on its way just then shows as a difference: verify again.'),
    button, told && !busy && verdictOf(told))];
}

function verdictOf(told) {
  if (told.fault) return h('p', { class: 'fault', role: 'status' }, told.fault);
  const words = {
    equal: `Equal${told.acknowledged === 0 ? '' : ' but for what is acknowledged'}: ${many(told.in_sync, 'key')} of the target say what the source says.`,
    different: `Different: ${told.differences.length + told.left_off > 0 ? `${many(told.differences.length + told.left_off, 'key')} ${told.differences.length + told.left_off === 1 ? 'differs' : 'differ'}` : 'no key differs, but not everything is copied'}; ${many(told.in_sync, 'key')} are right.`,
  };
  return h('div', { class: `verified ${told.result}` },
    h('p', { class: 'answer', role: 'status' }, mark(told.result === 'equal' ? 'calm' : 'attention', 'running'), words[told.result]),
    h('p', { class: 'note' }, `At ${moment(told.at_ms)}: source to offset ${count(told.source_end)}, target to offset ${count(told.target_end)}. ${many(told.incidents, 'incident')}, ${many(told.held, 'held key')}${acknowledgedWords(told)}.`),
    told.halts.map((halt) => h('p', { class: 'fault' }, `A start would halt: ${halt}`)),
    told.differences.length > 0 && h('div', { class: 'scroll' }, h('table', {},
      h('thead', {}, h('tr', {}, ['Key of the target', 'How', 'In what', 'Source offset'].map((name) => h('th', { scope: 'col' }, name)))),
      h('tbody', {}, told.differences.map((one) => h('tr', {}, h('td', {}, h('code', {}, one.key)), h('td', {}, one.kind),
        h('td', {}, one.fields.map((field) => h('p', { class: 'field' }, h('strong', {}, field.field), ': wanted ', h('code', {}, field.wanted ?? 'nothing'), ', found ', h('code', {}, field.found ?? 'nothing')))),
        h('td', { class: 'number' }, one.source_offset ?? '')))))),
    told.left_off > 0 && h('p', { class: 'note' }, `${count(told.left_off)} more; \`schema-mirror verify\` prints all.`));
}
