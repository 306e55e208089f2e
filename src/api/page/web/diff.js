// What differs between two texts, line by line.

/** Beyond so many lines on a side, what differs in the middle is shown as replaced whole. */
const LINES_MAX = 2_000;

/** A schema's text as lines that can be compared: JSON is laid out, anything else stays as it is. */
export function linesOf(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2).split('\n');
  } catch {
    return text.split('\n');
  }
}

/** The lines of both: `{ sign: ' ' | '-' | '+', left, right, text }`, with their numbers from 1. */
export function diff(left, right) {
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start += 1;
  let end = 0;
  while (end < left.length - start && end < right.length - start && left.at(-1 - end) === right.at(-1 - end)) end += 1;
  const [a, b] = [left.slice(start, left.length - end), right.slice(start, right.length - end)];
  const middle = a.length > LINES_MAX || b.length > LINES_MAX ? replaced(a, b) : compared(a, b);
  const signs = [...left.slice(0, start).map((text) => [' ', text]), ...middle, ...left.slice(left.length - end).map((text) => [' ', text])];
  let [l, r] = [0, 0];
  return signs.map(([sign, text]) => {
    if (sign !== '+') l += 1;
    if (sign !== '-') r += 1;
    return { sign, text, left: sign === '+' ? null : l, right: sign === '-' ? null : r };
  });
}

function replaced(a, b) {
  return [...a.map((text) => ['-', text]), ...b.map((text) => ['+', text])];
}

/** By the longest common subsequence. */
function compared(a, b) {
  const width = b.length + 1;
  const common = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      common[i * width + j] = a[i] === b[j] ? common[(i + 1) * width + j + 1] + 1
        : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  const signs = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      signs.push([' ', a[i]]);
      i += 1;
      j += 1;
    } else if (j === b.length || (i < a.length && common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      signs.push(['-', a[i]]);
      i += 1;
    } else {
      signs.push(['+', b[j]]);
      j += 1;
    }
  }
  return signs;
}

/** Lines that didn't change and are far from any that did are folded: `{ folded: n }`. */
export function folded(lines, around = 3) {
  if (lines.every((line) => line.sign === ' ')) return lines;
  const near = lines.map(() => false);
  lines.forEach((line, at) => {
    if (line.sign === ' ') return;
    for (let i = Math.max(0, at - around); i <= Math.min(lines.length - 1, at + around); i += 1) near[i] = true;
  });
  const shown = [];
  for (const [at, line] of lines.entries()) {
    if (near[at]) shown.push(line);
    else if (shown.at(-1)?.folded) shown.at(-1).folded += 1;
    else shown.push({ folded: 1 });
  }
  return shown;
}
