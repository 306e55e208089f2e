// What the server tells as it happens, and what was told before.

/** The pause before the connection is tried again. */
const AGAIN_AFTER_MS = 3_000;
/** Nothing for so long, and the connection counts as broken: the server says something every 5 s. */
const SILENT_MS = 20_000;
/** Samples of a link that are kept: those of an hour, as the server keeps them. */
const SAMPLES_MAX = 360;
/** The writes of this long make the rate that is shown. */
const RATE_OVER_MS = 60_000;

/** Fields of a sample, as the server sends them. */
export const AT = 0, STATE = 1, LAG_RECORDS = 2, LAG_MS = 3, WRITTEN = 4;

export const live = {
  links: new Map(),
  /** Keys of links, in the order of the server. */
  order: [],
  samples: new Map(),
  mayChange: false,
  version: '',
  isComplete: false,
  /** The first event came. */
  told: false,
  connected: false,
  /** Why the server does not tell, in its words. */
  refused: '',
  /** When something was heard last, in ms since 1970. */
  heardAt: 0,
  /** The server's clock less ours. */
  skewMs: 0,
};

/** Where a path is. Browsers ask at no address with a login in it, such as this page may have been
 *  opened at; they send the login by themselves. */
export function address(path) {
  return new URL(path, location.origin);
}

/** The server's time, in ms since 1970. */
export function now() {
  return Date.now() + live.skewMs;
}

export function keyOf(source, name) {
  return JSON.stringify([source, name]);
}

export function linkOf(source, name) {
  return live.links.get(keyOf(source, name));
}

export function allLinks() {
  return live.order.map((key) => live.links.get(key)).filter(Boolean);
}

export function samplesOf(link) {
  return live.samples.get(keyOf(link.source, link.link)) ?? [];
}

/** Writes a minute over the last minute that was sampled; `null` before two samples. */
export function perMinute(link) {
  const samples = samplesOf(link);
  const last = samples.at(-1);
  if (samples.length < 2) return null;
  const first = samples.find((sample) => sample[AT] >= last[AT] - RATE_OVER_MS) ?? samples[0];
  const from = first === last ? samples.at(-2) : first;
  return Math.max(0, (last[WRITTEN] - from[WRITTEN]) * 60_000 / (last[AT] - from[AT]));
}

/** Listens for good; `changed` is called whenever there is something new. */
export function listen(changed) {
  let source = null;
  const heard = (event) => {
    live.connected = true;
    live.refused = '';
    live.heardAt = Date.now();
    return event.data ? JSON.parse(event.data) : null;
  };
  const connect = () => {
    source = new EventSource('/ui/events');
    source.addEventListener('hello', (event) => {
      const told = heard(event);
      live.mayChange = told.may_change;
      live.version = told.version;
      live.skewMs = told.now_ms - Date.now();
      live.samples = new Map(told.histories.map(([name, from, samples]) => [keyOf(from, name), samples]));
      changed();
    });
    source.addEventListener('links', (event) => {
      takeLinks(heard(event));
      changed();
    });
    source.addEventListener('sample', (event) => {
      takeSample(heard(event));
      changed();
    });
    source.addEventListener('alive', (event) => {
      heard(event);
      changed();
    });
    source.onerror = () => {
      live.connected = false;
      source.close();
      changed();
      whyNot().then((words) => {
        live.refused = words;
        changed();
      });
      setTimeout(connect, AGAIN_AFTER_MS);
    };
  };
  connect();
  setInterval(() => {
    if (live.connected && Date.now() - live.heardAt > SILENT_MS) source.onerror();
  }, 5_000);
}

/** What the server says to whoever wants to listen; an event source does not tell. */
async function whyNot() {
  const ended = new AbortController();
  try {
    const answer = await fetch(address('/ui/events'), { signal: ended.signal });
    if (answer.ok) return '';
    return (await answer.json()).message ?? '';
  } catch {
    return '';
  } finally {
    ended.abort();
  }
}

function takeLinks(told) {
  const order = told.order.map(([source, name]) => keyOf(source, name));
  for (const link of told.links) live.links.set(keyOf(link.source, link.link), link);
  const standing = new Set(order);
  for (const key of live.links.keys()) if (!standing.has(key)) live.links.delete(key);
  live.order = order;
  live.isComplete = told.is_complete;
  live.told = true;
}

function takeSample(told) {
  for (const [name, source, sample] of told.samples) {
    const key = keyOf(source, name);
    const samples = live.samples.get(key) ?? [];
    samples.push(sample);
    if (samples.length > SAMPLES_MAX) samples.shift();
    live.samples.set(key, samples);
  }
}
