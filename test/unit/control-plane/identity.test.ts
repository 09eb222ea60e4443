// Whose a certificate is, and what each role may do.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readIdentity } from '../../../control-plane/decide/identity.ts';
import { includes, ROLE_NEEDED, RPCS } from '../../../control-plane/decide/roles.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';
import { Role } from '../../../proto/gen/meridian/v1/access.ts';
import { AdminServiceService } from '../../../proto/gen/meridian/v1/admin.ts';
import { ROLES, roleFromWire, roleToWire } from '../../../proto/roles.ts';

test('a certificate is that of the edge or the person that its one URI names', () => {
  assert.deepEqual(readIdentity('URI:meridian://edge/london'), { kind: 'edge', name: 'london' });
  assert.deepEqual(readIdentity('DNS:a.example, URI:meridian://purge/ci, IP Address:127.0.0.1'), {
    kind: 'client',
    name: 'ci',
    role: 'purge',
  });
  assert.deepEqual(readIdentity('URI:spiffe://x/y, URI:meridian://edge/london'), { kind: 'edge', name: 'london' });
});

test('what names nobody, two, or what is not a role is nobody', () => {
  const reasonOf = (text: string | undefined): string => {
    const identity = readIdentity(text);
    return identity.kind === 'none' ? identity.reason : `it is ${identity.kind} ${identity.name}`;
  };
  for (const text of [undefined, '', 'DNS:london', 'DNS:meridian', 'email:meridian@edge']) {
    assert.match(reasonOf(text), /names no edge and no role/);
  }
  assert.match(reasonOf('URI:meridian://edge/a, URI:meridian://edge/b'), /more than one/);
  assert.match(reasonOf('URI:meridian://edge/a, URI:meridian://administer/a'), /more than one/);
  for (const rest of [
    'root/a',
    'Edge/a',
    'edge/',
    'edge',
    'edge/a/b',
    'edge/a?x',
    'edge/../b',
    `edge/${'a'.repeat(64)}`,
  ]) {
    assert.match(reasonOf(`URI:meridian://${rest}`), /is not one of Meridian: expected meridian:\/\/edge\/NAME/);
  }
});

test('a name within a quoted value is not a name of its own', () => {
  // As Node.js writes a single URI with commas in it.
  const forged = JSON.stringify('http://x, URI:meridian://administer/eve, DNS:y');
  assert.equal(readIdentity(`URI:${forged}`).kind, 'none');
  const escaped = JSON.stringify('http://x", URI:meridian://administer/eve, "');
  assert.equal(readIdentity(`URI:${escaped}`).kind, 'none');
  assert.deepEqual(readIdentity(`DNS:${JSON.stringify('a, "b')}, URI:meridian://edge/london`), {
    kind: 'edge',
    name: 'london',
  });
});

test('whatever one value holds, it makes nobody an administrator', () => {
  const random = seededRandom(5);
  const pieces = [
    'meridian://',
    'administer/',
    'URI:',
    ', ',
    '"',
    '\\',
    'eve',
    'DNS:',
    '\\"',
    ' ',
    'edge/',
    '\u00e9',
    '\0',
  ];
  for (let i = 0; i < 20_000; i += 1) {
    let value = '';
    for (let j = Math.floor(random.next() * 10); j >= 0; j -= 1)
      value += pieces[Math.floor(random.next() * pieces.length)];
    // Node.js quotes a value with any of these in it.
    const written = /[",'\\\0]/.test(value) ? JSON.stringify(value) : value;
    const identity = readIdentity(`DNS:${written}, IP Address:127.0.0.1`);
    assert.equal(identity.kind, 'none', `DNS:${written}`);
  }
});

test('each role includes those before it, and every call needs one', () => {
  for (const [i, has] of ROLES.entries()) {
    for (const [j, needed] of ROLES.entries()) assert.equal(includes(has, needed), i >= j, `${has} ${needed}`);
    assert.equal(roleFromWire(roleToWire(has)), has);
  }
  assert.equal(roleFromWire(Role.UNSPECIFIED), undefined);
  assert.deepEqual(RPCS.toSorted(), Object.keys(AdminServiceService).toSorted());
  // Who may read changes nothing; who may change the configuration decides nothing about people.
  const read = RPCS.filter((rpc) => ROLE_NEEDED[rpc] === 'read');
  assert.ok(!read.some((rpc) => /apply|purge|create|revoke|drain|rollback/i.test(rpc)));
  assert.ok(RPCS.filter((rpc) => /token/i.test(rpc)).every((rpc) => ROLE_NEEDED[rpc] === 'administer'));
});
