// SPDX-License-Identifier: GPL-2.0-or-later
// checks.js - what holds of every page: it reads well in light and dark, fits a telephone, and everything in it is
// reached by the keyboard, visibly.
'use strict';

// Runs in the page.  Texts whose contrast with what is behind them is less than WCAG 2 AA asks for.
function lowContrast() {
  const parse = (text) => {
    const m = text.match(/rgba?\(([^)]+)\)/);
    if (!m) return null;
    const n = m[1].split(/[ ,/]+/).filter(Boolean).map(Number);
    return {r: n[0], g: n[1], b: n[2], a: n.length > 3 ? n[3] : 1};
  };
  const over = (top, below) => ({
    r: top.r * top.a + below.r * (1 - top.a),
    g: top.g * top.a + below.g * (1 - top.a),
    b: top.b * top.a + below.b * (1 - top.a),
    a: 1,
  });
  const channel = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = (c) => 0.2126 * channel(c.r) + 0.7152 * channel(c.g) + 0.0722 * channel(c.b);
  const ratio = (a, b) => {
    const x = luminance(a), y = luminance(b);
    return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
  };
  const canvas = parse(getComputedStyle(document.documentElement).backgroundColor);
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const base = canvas && canvas.a > 0 ? canvas : dark ? {r: 0, g: 0, b: 0, a: 1} : {r: 255, g: 255, b: 255, a: 1};
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c && c.a > 0) layers.push(c);
      if (c && c.a === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), base);
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    const style = getComputedStyle(e);
    const box = e.getBoundingClientRect();
    if (!node.data.trim() || !e.checkVisibility({checkVisibilityCSS: true}) || box.width < 2 || box.height < 2 ||
        e.closest(':disabled')) {
      continue;
    }
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const back = behind(e);
    const svg = e.namespaceURI === 'http://www.w3.org/2000/svg';
    const colour = parse(svg ? style.fill : style.color);
    if (!colour) continue;
    const r = ratio(over(colour, back), back);
    if (r < (large ? 3 : 4.5)) {
      found.push(`${r.toFixed(2)} "${node.data.trim().slice(0, 40)}" in <${e.localName} class="${e.className}">`);
    }
  }
  return found;
}

// Runs in the page.  Numbers what the keyboard has to reach; says how many there are.
function numberFocusable() {
  const all = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]';
  let n = 0;
  for (const e of document.querySelectorAll(all)) {
    if (e.disabled || !e.checkVisibility({checkVisibilityCSS: true})) continue;
    if (e.type === 'radio' && !e.checked && e.name) continue;
    e.dataset.walked = String(n++);
  }
  return n;
}

// Runs in the page.  Where the focus is, and whether that can be seen.
function focused() {
  const e = document.activeElement;
  if (!e || e === document.body || e === document.documentElement) return null;
  const style = getComputedStyle(e);
  const box = e.getBoundingClientRect();
  const shown = (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1) || style.boxShadow !== 'none';
  return {
    number: e.dataset.walked === undefined ? -1 : Number(e.dataset.walked),
    visible: shown && box.width > 0 && box.height > 0,
    what: `<${e.localName}> ${(e.textContent || e.name || '').trim().slice(0, 40)}`,
  };
}

async function keyboard(page) {
  const problems = [];
  const count = await page.evaluate(numberFocusable);
  const reached = new Set();
  let last = -1;
  for (let i = 0; i <= count + 5; i++) {
    await page.keyboard.press('Tab');
    const f = await page.evaluate(focused);
    if (!f || (f.number >= 0 && reached.has(f.number))) break;
    if (!f.visible) problems.push(`the focus is not seen on ${f.what}`);
    if (f.number < last && f.number >= 0) problems.push(`the order goes back at ${f.what}`);
    reached.add(f.number);
    last = Math.max(last, f.number);
  }
  for (let i = 0; i < count; i++) {
    if (reached.has(i)) continue;
    const what = await page.evaluate((n) => document.querySelector(`[data-walked="${n}"]`).outerHTML.slice(0, 120), i);
    problems.push(`the keyboard does not reach ${what}`);
  }
  return problems;
}

async function contrast(page) {
  const problems = [];
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({colorScheme: scheme});
    for (const words of await page.evaluate(lowContrast)) problems.push(`${scheme}: contrast ${words}`);
  }
  await page.emulateMedia({colorScheme: 'light'});
  return problems;
}

async function narrow(page) {
  const problems = [];
  const size = page.viewportSize();
  for (const width of [320, 390]) {
    await page.setViewportSize({width, height: 780});
    const scroll = await page.evaluate(() => document.documentElement.scrollWidth);
    if (scroll > width) problems.push(`at ${width} pixels the page is ${scroll} wide`);
  }
  await page.setViewportSize(size);
  return problems;
}

// Runs in the page.
function structure() {
  const problems = [];
  if (!document.documentElement.lang) problems.push('no language is said');
  if (!document.title.trim()) problems.push('it has no title');
  if (document.querySelectorAll('h1').length !== 1) problems.push('it has not one <h1>');
  if (document.querySelectorAll('main').length !== 1) problems.push('it has not one <main>');
  for (const e of document.querySelectorAll('input:not([type=hidden]):not([type=submit]), select, textarea')) {
    if (!e.labels.length && !e.getAttribute('aria-label')) problems.push(`a field without label: ${e.name}`);
  }
  for (const e of document.querySelectorAll('img, svg[role=img]')) {
    const title = e.getAttribute('alt') || e.getAttribute('aria-label') || e.querySelector(':scope > title');
    if (!title) problems.push('a picture without words');
  }
  const ids = new Set();
  for (const e of document.querySelectorAll('[id]')) {
    if (ids.has(e.id)) problems.push(`the id ${e.id} is there twice`);
    ids.add(e.id);
  }
  for (const e of document.querySelectorAll('[style], script, style, [onclick], [onload]')) {
    problems.push(`something inline: <${e.localName}>`);
  }
  return problems;
}

module.exports = {contrast, keyboard, narrow, structure};
