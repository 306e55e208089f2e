// States, times and numbers in words.

/** Less than this is no lag to speak of: a checkpoint and a look at the source lie between. */
const BEHIND_MS = 30_000;

const STATES = {
  preflight: 'looking at its clusters',
  standby: 'standing by',
  reading_target: 'reading the target',
  reading_source: 'reading the source',
  reconciling: 'comparing both sides',
  catching_up: 'catching up',
  running: 'following',
  waiting: 'waiting',
  paused: 'paused',
  purging: 'being purged',
  halted: 'halted',
  done: 'ended',
  unknown: 'not running here',
};

/** How bad it is, worst first, and the shape and word for it. Colour alone says nothing. */
export const RANKS = ['halted', 'waiting', 'attention', 'calm'];

export function stateWords(state) {
  return STATES[state] ?? state;
}

/** What is wrong with a link, if anything: `halted`, `waiting`, `attention` or `calm`. */
export function rankOf(link, now) {
  if (link.state === 'halted' || link.state === 'unknown') return 'halted';
  if (link.state === 'waiting') return 'waiting';
  if (link.incidents > 0 || link.held > 0 || lagMs(link, now) >= BEHIND_MS) return 'attention';
  return 'calm';
}

/** How long the oldest record of the source that is not in the target has been known; `null`: unknown. */
export function lagMs(link, now) {
  if (link.lag_records === null) return null;
  return link.behind_since_ms === null ? 0 : Math.max(0, now - link.behind_since_ms);
}

export function lagWords(link, now) {
  const lag = lagMs(link, now);
  if (lag === null) return 'lag unknown here';
  if (link.lag_records === 0) return ['waiting', 'halted', 'paused'].includes(link.state) ? 'was up to date' : 'up to date';
  return `${duration(lag)} behind`;
}

export function rateWords(perMinute) {
  if (perMinute === null) return 'rate not known yet';
  if (perMinute === 0) return 'no writes';
  if (perMinute >= 600) return `${count(Math.round(perMinute / 60))} writes/s`;
  return perMinute < 1.5 ? '1 write/min' : `${count(Math.round(perMinute))} writes/min`;
}

/** A number with its noun: `1 link`, `2 links`. */
export function many(number, noun, plural = `${noun}s`) {
  return `${count(number)} ${number === 1 ? noun : plural}`;
}

export function count(number) {
  return Number(number).toLocaleString('en');
}

/** A time span, to a precision that can be acted upon. */
export function duration(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return `${Math.max(0, Math.round(ms))} ms`;
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

/** A moment, with its date where that is not today's. */
export function moment(ms) {
  const then = new Date(ms);
  const time = then.toLocaleTimeString('en-GB');
  const isToday = then.toDateString() === new Date().toDateString();
  return isToday ? time : `${then.toLocaleDateString('en-CA')} ${time}`;
}

export function linkHref(link, ...rest) {
  return `#/${[link.source, link.link, ...rest].map(encodeURIComponent).join('/')}`;
}

/** What an operator does about a link, where its reason does not say it. */
export function remedy(link) {
  switch (link.state) {
    case 'halted':
      return link.changeable
        ? 'It stands still until someone decides. Do what the reason says, then resume it.'
        : 'It stands still until someone decides. Do what the reason says, then have the process read its file again (SIGHUP) or start it anew.';
    case 'waiting':
      return 'It tries again by itself, at least every 30 s, and goes on where it was. Nothing of what is copied is lost; look at the cluster that the reason names.';
    case 'unknown':
      return 'Look at what this process has as its configuration.';
    default:
      return link.incidents > 0 || link.held > 0
        ? 'Everything else is copied. What is set aside has its reason and what ends it below.'
        : 'It works through what it has not copied yet. If that does not shrink, look at the target: how long writes take is in /metrics.';
  }
}
