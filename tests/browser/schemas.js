// SPDX-License-Identifier: GPL-2.0-or-later
// schemas.js OPENAPI ANSWERS - checks answers of the server against the description.  ANSWERS is a file of JSON lines:
// {"method", "path" (as the description has it), "status", "type", "body" (JSON; absent where it is none)}.
'use strict';

const fs = require('fs');
const Ajv = require('ajv/dist/2020.js').default;
const YAML = require('yaml');

const text = fs.readFileSync(process.argv[2], 'utf8');
const description = YAML.parse(text, {merge: true});
const ajv = new Ajv({strict: false, allErrors: true});
ajv.addSchema({$id: 'https://openapi.invalid/', ...description});
let wrong = 0;

function complain(words) {
  wrong++;
  console.log(`FAIL: ${words}`);
}

// "#/components/..." followed; the pointer of where it stands.
function find(pointer) {
  let at = description;
  for (const part of pointer.slice(2).split('/')) {
    at = at[decodeURIComponent(part).replace(/~1/g, '/').replace(/~0/g, '~')];
  }
  if (at && at.$ref) return find(at.$ref);
  return {pointer, value: at};
}

const escape = (part) => encodeURIComponent(part.replace(/~/g, '~0').replace(/\//g, '~1'));

function checkAnswer(a) {
  const what = `${a.method} ${a.path} ${a.status}`;
  const operation = (description.paths[a.path] || {})[a.method.toLowerCase()];
  if (!operation) return complain(`${what}: it is not described`);
  if (!operation.responses[a.status]) return complain(`${what}: the status is not described`);
  const base = `#/paths/${escape(a.path)}/${a.method.toLowerCase()}/responses/${a.status}`;
  const response = find(base);
  const content = response.value.content || {};
  if (!content[a.type]) return complain(`${what}: the type ${a.type} is not described`);
  if (a.type !== 'application/json') return undefined;
  const validate = ajv.compile({$ref: `https://openapi.invalid/${response.pointer}/content/application~1json/schema`});
  if (validate(a.body)) return undefined;
  complain(`${what}: ${ajv.errorsText(validate.errors, {separator: '\n  '})}\n  ${JSON.stringify(a.body).slice(0, 600)}`);
  return undefined;
}

// Every reference leads somewhere, every operation has a name of its own and answers.
function checkDescription() {
  for (const m of text.matchAll(/\$ref: "(#[^"]+)"/g)) {
    try {
      if (find(m[1]).value === undefined) complain(`nothing is at ${m[1]}`);
    } catch (e) {
      complain(`nothing is at ${m[1]}`);
    }
  }
  const names = new Set();
  for (const [path, item] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      if (method === 'parameters') continue;
      if (!operation.operationId || names.has(operation.operationId)) complain(`${method} ${path} has no name of its own`);
      names.add(operation.operationId);
      if (!Object.keys(operation.responses || {}).some((s) => s[0] === '2')) complain(`${method} ${path} never succeeds`);
      const all = [...(item.parameters || []), ...(operation.parameters || [])];
      const known = all.map((p) => (p.$ref ? find(p.$ref).value : p)).filter((p) => p.in === 'path').map((p) => p.name);
      for (const m of path.matchAll(/\{(\w+)\}/g)) {
        if (!known.includes(m[1])) complain(`${method} ${path}: {${m[1]}} is not described`);
      }
    }
  }
  return names.size;
}

const operations = checkDescription();
const answers = fs.readFileSync(process.argv[3], 'utf8').split('\n').filter(Boolean).map((l) => JSON.parse(l));
answers.forEach(checkAnswer);
console.log(`${operations} operations, ${answers.length} answers, ${wrong} wrong`);
process.exit(wrong > 0 ? 1 : 0);
