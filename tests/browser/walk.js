// SPDX-License-Identifier: GPL-2.0-or-later
// walk.js PLAN - walks the pages of a served archive in Chromium, with and without scripts, and says what is wrong with
// them.  PLAN is a file of JSON: base, user, password, expect ([{path, text...}]: texts that a page has to have) and
// shots (null, or {folder, pages: [{name, path, width, height, scheme}]}).  Status 1: something is wrong.
'use strict';

const fs = require('fs');
const path = require('path');
const {chromium} = require('playwright-core');
const checks = require('./checks.js');

const MOST = 250; // pages of one walk

const plan = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const problems = [];

function complain(where, words) {
  problems.push(`${where}: ${words}`);
  console.log(`FAIL: ${where}: ${words}`);
}

// What a browser says by itself: errors, and requests to elsewhere.
function listen(page, mode) {
  page.on('pageerror', (e) => complain(mode, `a script failed: ${e}`));
  page.on('console', (m) => {
    if (m.type() === 'error' && !page.expectsError) complain(`${mode} ${page.url()}`, `the console says: ${m.text()}`);
  });
  page.on('request', (r) => {
    if (!r.url().startsWith(plan.base) && !r.url().startsWith('data:')) complain(mode, `a request to ${r.url()}`);
  });
}

// A form is sent, and its answer is there.
async function send(page) {
  await Promise.all([page.waitForNavigation(), page.click('main form button, main form input[type=submit]')]);
}

async function login(page, mode) {
  await page.goto(plan.base + '/hosts/' + '0'.repeat(32));
  if (!new URL(page.url()).pathname.startsWith('/login')) complain(mode, 'without a login no login is asked for');
  await page.fill('input[name=user]', plan.user);
  page.expectsError = true; // the answer's status comes to the console, some time
  const said = page.waitForEvent('console', (m) => m.type() === 'error');
  await page.fill('input[name=password]', 'not the password');
  await send(page);
  if (!(await page.$('input[name=password]'))) complain(mode, 'a wrong password is taken');
  await said;
  await page.goto(plan.base + '/login');
  page.expectsError = false;
  await page.fill('input[name=user]', plan.user);
  await page.fill('input[name=password]', plan.password);
  await send(page);
  if (await page.$('input[name=password]')) complain(mode, 'the right password is not taken');
}

// What browsers are told of each page.
function checkHeaders(where, headers) {
  const policy = headers['content-security-policy'] || '';
  for (const part of ["default-src 'none'", "frame-ancestors 'none'"]) {
    if (!policy.includes(part)) complain(where, `its Content-Security-Policy has no ${part}`);
  }
  if (/unsafe-inline|unsafe-eval|\*/.test(policy)) complain(where, `its Content-Security-Policy is weak: ${policy}`);
  if (headers['x-content-type-options'] !== 'nosniff') complain(where, 'it may be sniffed');
}

// One address of each kind is looked at closely: two rows of a list have the same page behind them.
function kindOf(url) {
  const u = new URL(url);
  const names = [...u.searchParams.keys()].filter((k) => k !== 'offset').sort().join();
  const view = ['view', 'in', 'sort', 'kind'].map((k) => u.searchParams.get(k) || '').join();
  return u.pathname.replace(/[0-9a-f]{32}(~\d+)?/g, 'H').replace(/\/\d+/g, '/N') + '?' + names + ' ' + view;
}

async function look(page, url, mode, close) {
  const where = `${mode} ${url.slice(plan.base.length)}`;
  const response = await page.goto(url);
  const type = (response.headers()['content-type'] || '').split(';')[0];
  if (response.status() !== 200) complain(where, `status ${response.status()}`);
  if (type !== 'text/html') return [];
  checkHeaders(where, response.headers());
  for (const words of await page.evaluate(() => document.body.innerText.match(/\(null\)|undefined|%[sdz]\b/g) || [])) {
    complain(where, `it says ${words}`);
  }
  if (close) {
    const found = [...(await page.evaluate(checks.structure)), ...(await checks.narrow(page)),
      ...(await checks.contrast(page)), ...(await checks.keyboard(page))];
    for (const words of found) complain(where, words);
  }
  return page.evaluate(() => [...document.querySelectorAll('a[href]')].map((a) => a.href));
}

// From the first page along every link, each kind of page closely and often enough.
async function crawl(page, mode) {
  const seen = new Map(), queue = [plan.base + '/', ...plan.expect.map((e) => plan.base + e.path)];
  const known = new Set(queue);
  let visited = 0;
  while (queue.length > 0 && visited < MOST) {
    const url = queue.shift();
    const kind = kindOf(url), times = seen.get(kind) || 0;
    if (times >= 4 || /\/logout|\/content|\/style/.test(url)) continue;
    seen.set(kind, times + 1);
    visited++;
    for (const link of await look(page, url, mode, times === 0)) {
      const to = link.split('#')[0];
      if (!link.startsWith(plan.base)) complain(`${mode} ${url}`, `it links to elsewhere: ${link}`);
      else if (!known.has(to)) {
        known.add(to);
        queue.push(to);
      }
    }
  }
  console.log(`${mode}: ${visited} pages of ${seen.size} kinds`);
  if (seen.size < 10) complain(mode, 'too few pages were found');
}

async function expectTexts(page, mode) {
  for (const e of plan.expect) {
    await page.goto(plan.base + e.path);
    const text = (await page.evaluate(() => document.querySelector('main').innerText)).replace(/[ \u00a0\t]+/g, ' ');
    for (const t of e.text || []) if (!text.includes(t)) complain(`${mode} ${e.path}`, `it does not say "${t}"`);
    for (const t of e.lacks || []) {
      if ((await page.content()).includes(t)) complain(`${mode} ${e.path}`, `it says "${t}"`);
    }
  }
}

async function walk(browser, scripts) {
  const mode = scripts ? 'with scripts' : 'without scripts';
  const context = await browser.newContext({javaScriptEnabled: scripts, ignoreHTTPSErrors: true,
    viewport: {width: 1280, height: 800}, colorScheme: 'light'});
  context.setDefaultTimeout(180000); // a machine may have much else to do
  const page = await context.newPage();
  listen(page, mode);
  await login(page, mode);
  await crawl(page, mode);
  await expectTexts(page, mode);
  await context.close();
}

async function takeShots(browser) {
  for (const shot of plan.shots.pages) {
    const context = await browser.newContext({ignoreHTTPSErrors: true, colorScheme: shot.scheme || 'light',
      viewport: {width: shot.width || 1100, height: shot.height || 700}});
    const page = await context.newPage();
    if (shot.path !== '/login') await login(page, 'screenshots');
    await page.goto(plan.base + shot.path);
    await page.screenshot({path: path.join(plan.shots.folder, shot.name + '.png')});
    console.log(`wrote ${shot.name}.png`);
    await context.close();
  }
}

(async () => {
  const browser = await chromium.launch({executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage']});
  try {
    if (plan.shots) await takeShots(browser);
    else for (const scripts of [true, false]) await walk(browser, scripts);
  } finally {
    await browser.close();
  }
  if (problems.length > 0) console.log(`${problems.length} things are wrong`);
  process.exit(problems.length > 0 ? 1 : 0);
})().catch((e) => {
  console.error(e);
  process.exit(2);
});
