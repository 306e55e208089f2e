// A subject on both sides: its versions, a schema's text, and what differs.

import { diff, folded, linesOf } from './diff.js';
import { h } from './dom.js';
import { answerOf, path } from './link.js';
import { count, linkHref } from './words.js';

/** A text of this version is not asked for again while the page is open, or not soon. */
const TEXT_FRESH_MS = 60_000;
const FRESH_MS = 5_000;

/** What is chosen to be compared: `source 3` or `target 1`, by subject. */
export const chosen = { subject: '', one: '', other: '' };

function latest(held) {
  return held.findLast(([, , deleted]) => !deleted) ?? held.at(-1);
}

function options(row) {
  const side = (name, held) => held.map(([version, id, deleted]) => ({ value: `${name} ${version}`, side: name, version, id, deleted: Boolean(deleted) }));
  return [...side('source', row[2]), ...side('target', row[4])];
}

function defaults(subject, row) {
  if (chosen.subject === subject && chosen.one !== '') return;
  const [ofSource, ofTarget] = [latest(row[2]), latest(row[4])];
  const one = ofSource ? `source ${ofSource[0]}` : `target ${(row[4].at(-2) ?? row[4].at(-1))[0]}`;
  const other = ofTarget ? `target ${ofTarget[0]}` : `source ${(row[2].at(-2) ?? row[2].at(-1))[0]}`;
  Object.assign(chosen, { subject, one, other });
}

function textPath(link, row, option) {
  const [cluster, subject] = option.side === 'source' ? [link.source, row[1]] : [link.target, row[3]];
  return `/${encodeURIComponent(cluster)}/subjects/${encodeURIComponent(subject)}/versions/${option.version}?deleted=true`;
}

function versionsTable(link, row) {
  const numbers = [...new Set([...row[2], ...row[4]].map(([version]) => version))].sort((one, other) => one - other);
  const cell = (held, version) => {
    const found = held.find(([number]) => number === version);
    return h('td', {}, found ? [`id ${found[1]}`, found[2] ? h('span', { class: 'gone' }, ' deleted softly') : ''] : h('span', { class: 'none' }, 'none'));
  };
  return h('div', { class: 'scroll' }, h('table', { class: 'version-table' },
    h('thead', {}, h('tr', {}, ['Version', `In ${link.source}`, `In ${link.target}`].map((name) => h('th', { scope: 'col' }, name)))),
    h('tbody', {}, numbers.map((version) => h('tr', {}, h('th', { scope: 'row' }, version), cell(row[2], version), cell(row[4], version))))));
}

function picker(name, label, all, value, link) {
  return h('label', { class: 'pick' }, h('span', {}, label), h('select', { 'data-pick': name }, all.map((option) =>
    h('option', { value: option.value, selected: option.value === value },
      `${option.side === 'source' ? link.source : link.target} · version ${option.version} · id ${option.id}${option.deleted ? ' · deleted' : ''}`))));
}

function about(told, name) {
  const facts = [told.schemaType ?? 'AVRO'];
  if (told.references?.length) facts.push(`references ${told.references.map((one) => `${one.subject} v${one.version}`).join(', ')}`);
  if (told.metadata) facts.push('has metadata');
  if (told.ruleSet) facts.push('has rules');
  return `${name}: ${facts.join('; ')}.`;
}

function line(one) {
  if (one.folded) return h('div', { class: 'fold' }, `${count(one.folded)} lines that are the same`);
  const said = { '-': 'removed', '+': 'added', ' ': '' }[one.sign];
  return h('div', { class: `code ${said}` }, h('span', { class: 'at' }, one.left ?? ''), h('span', { class: 'at' }, one.right ?? ''),
    h('span', { class: 'sign', 'aria-label': said || undefined }, one.sign), h('span', { class: 'text' }, one.text));
}

/** The parts besides the text in which two versions differ. */
function otherParts(one, other) {
  const parts = [['schemaType', 'type'], ['references', 'references'], ['metadata', 'metadata'], ['ruleSet', 'rules']];
  return parts.filter(([part]) => JSON.stringify(one[part]) !== JSON.stringify(other[part])).map(([, word]) => word);
}

function comparison(one, other) {
  const [left, right] = [linesOf(one.schema), linesOf(other.schema)];
  const lines = diff(left, right);
  const changed = lines.filter((each) => each.sign !== ' ').length;
  const parts = otherParts(one, other);
  const besides = parts.length > 0 ? ` Their ${parts.join(' and ')} differ.` : '';
  const exact = one.schema === other.schema;
  const said = changed > 0 ? `${count(lines.filter((each) => each.sign === '-').length)} lines removed, ${count(lines.filter((each) => each.sign === '+').length)} added.`
    : exact ? 'The texts are the same, byte by byte.' : 'The texts differ in blanks and escapes only.';
  return [h('p', { class: `answer ${changed > 0 || !exact ? 'differs' : 'equal'}`, role: 'status' }, said + besides),
    h('div', { class: 'text-box', tabindex: 0, role: 'region', 'aria-label': changed > 0 ? 'What differs' : 'The text' }, folded(lines).map(line))];
}

export function subjectView(link, target, changed) {
  const told = answerOf(path(link, `subjects?${new URLSearchParams({ exactly: target })}`), FRESH_MS, changed);
  const crumb = h('p', { class: 'crumb' }, h('a', { href: linkHref(link, 'subjects') }, 'All subjects'));
  if (!told) return [h('section', {}, crumb, h('p', { class: 'lead' }, 'Asking…'))];
  if (told.fault) return [h('section', {}, crumb, h('p', { class: 'fault' }, told.fault))];
  const row = told.subjects[0];
  if (!row) return [h('section', {}, crumb, h('h2', {}, target), h('p', { class: 'lead' }, 'Neither side has this subject now.'))];
  const all = options(row);
  const title = h('h2', { class: 'subject' }, h('code', {}, row[1] ?? '—'), ' → ', h('code', {}, target));
  if (all.length === 0) return [h('section', {}, crumb, title, h('p', { class: 'lead' }, 'It has settings and no versions.'))];
  defaults(target, row);
  const find = (value) => all.find((option) => option.value === value) ?? all[0];
  const [one, other] = [find(chosen.one), find(chosen.other)];
  const texts = [one, other].map((option) => answerOf(textPath(link, row, option), TEXT_FRESH_MS, changed));
  const fault = texts.find((text) => text?.fault);
  const named = (option) => `${option.side === 'source' ? link.source : link.target} version ${option.version}`;
  const body = fault ? h('p', { class: 'fault' }, fault.fault)
    : texts.includes(undefined) ? h('p', { class: 'lead' }, 'Reading the texts…')
      : [h('p', { class: 'note' }, `${about(texts[0], named(one))} ${about(texts[1], named(other))}`), comparison(texts[0], texts[1])];
  return [h('section', {}, crumb, title, versionsTable(link, row)),
    h('section', {}, h('h2', {}, 'Text, and what differs'),
      h('div', { class: 'picks' }, picker('one', 'From', all, one.value, link), picker('other', 'To', all, other.value, link)), body)];
}
