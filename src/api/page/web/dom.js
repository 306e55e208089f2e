// Elements, and bringing the ones on the page to what they should be. Whoever has the focus keeps it,
// and a screen reader hears what changed and nothing else.

const SVG = 'http://www.w3.org/2000/svg';

/** An element of HTML. `styles` is applied without a style attribute, which the page's policy refuses. */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An element of SVG. */
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'styles') Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === '') continue;
    element.append(child);
  }
  return element;
}

/** Makes the children of `place` what `wanted` is. */
export function show(place, ...wanted) {
  const fresh = document.createDocumentFragment();
  fresh.append(...wanted.flat(Infinity).filter(Boolean));
  patchChildren(place, fresh);
}

function patchChildren(place, wanted) {
  const fresh = [...wanted.childNodes];
  for (const [at, node] of fresh.entries()) {
    const key = node.dataset?.key;
    // A keyed child is found wherever it stands, so that a list may be sorted anew.
    let old = place.childNodes[at];
    if (key !== undefined && old?.dataset?.key !== key) {
      const found = [...place.children].slice(at).find((child) => child.dataset.key === key);
      if (found) {
        place.insertBefore(found, old ?? null);
        old = found;
      }
    }
    if (!old) place.append(node);
    else if (isAlike(old, node)) patch(old, node);
    else place.replaceChild(node, old);
  }
  while (place.childNodes.length > fresh.length) place.lastChild.remove();
}

function isAlike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName &&
    one.dataset?.key === other.dataset?.key;
}

function patch(old, wanted) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== wanted.data) old.data = wanted.data;
    return;
  }
  // What is inside belongs to somebody else.
  if (wanted.hasAttribute('data-keep')) return;
  for (const { name } of [...old.attributes]) {
    if (name !== 'style' && name !== 'open' && !wanted.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (name !== 'style' && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (old.style.cssText !== wanted.style.cssText) old.style.cssText = wanted.style.cssText;
  patchChildren(old, wanted);
}
