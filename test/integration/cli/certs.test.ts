// `meridian certs`, and what the commands do with what it makes: against a control plane of this process, over TLS.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { startControlPlane } from '../../../control-plane/main.ts';
import { startEdge } from '../../../edge-node/main.ts';
import { systemClock } from '../../../infra/runtime/clock.ts';
import { silentLog } from '../../../infra/runtime/log.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';
import { configuration } from '../../support/plane.ts';
import { tempFolder } from '../../support/temp.ts';
import { until } from '../../support/until.ts';
import { meridian } from './harness.ts';

const DAY_MS = 24 * 3_600_000;
const read = (...file: string[]): X509Certificate => new X509Certificate(readFileSync(path.join(...file)));

function holder(dir: string, name: string) {
  const file = (base: string): string => path.join(dir, name, base);
  return { ca: file('ca.crt'), pair: { cert: file('tls.crt'), key: file('tls.key') } };
}

/** What is in each file under a folder. */
function contents(dir: string): string {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  return files
    .map((each) => path.join(each.parentPath, each.name))
    .toSorted()
    .map((file) => `${file}\n${readFileSync(file, 'utf8')}`)
    .join('\n');
}

test('an authority, and a folder for each holder with a key that its owner alone can read', async (t) => {
  const dir = path.join(tempFolder(t), 'certs');
  const argv = ['certs', '--dir', dir, '--edge', 'london', '--client', 'ci=purge', '--host', 'cp.example,127.0.0.1'];
  const { code, stdout, stderr } = await meridian([...argv, '--days', '30']);
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(readdirSync(dir).toSorted(), ['ca', 'client-ci', 'control-plane', 'edge-london']);
  const authority = read(dir, 'ca', 'ca.crt');
  assert.ok(authority.ca && authority.verify(authority.publicKey));
  const names = {
    'control-plane': 'DNS:cp.example, IP Address:127.0.0.1',
    'edge-london': 'URI:meridian://edge/london',
    'client-ci': 'URI:meridian://purge/ci',
  };
  const usages = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' };
  for (const [name, subjectAltName] of Object.entries(names)) {
    const leaf = read(dir, name, 'tls.crt');
    assert.equal(leaf.subjectAltName, subjectAltName);
    assert.ok(!leaf.ca && leaf.verify(authority.publicKey) && leaf.checkIssued(authority));
    assert.deepEqual(leaf.keyUsage, [name === 'control-plane' ? usages.server : usages.client]);
    const days = (Date.parse(leaf.validTo) - Date.now()) / DAY_MS;
    assert.ok(days > 29.9 && days < 30.1, `${days} days`);
    assert.equal(statSync(path.join(dir, name, 'tls.key')).mode & 0o777, 0o600);
    assert.match(stdout, new RegExp(`${name}/tls\\.crt +made +20\\d\\d-\\d\\d-\\d\\d +${subjectAltName}`));
  }
  assert.equal(statSync(path.join(dir, 'ca', 'ca.key')).mode & 0o777, 0o600);
});

test('what is there is kept; --force makes what is named anew, and the authority never', async (t) => {
  const dir = tempFolder(t);
  const certs = (...rest: string[]) => meridian(['certs', '--dir', dir, ...rest]);
  await certs('--edge', 'london');
  const before = contents(dir);
  assert.equal((await certs('--edge', 'london')).code, 0);
  assert.equal(contents(dir), before);
  // One more edge, on a folder whose control plane is for other hosts than the default ones.
  await certs('--host', 'cp.example', '--force');
  const json = JSON.parse((await certs('--edge', 'london', '--edge', 'tokyo', '--json')).stdout);
  const outcomes = json.certificates.map((each: { file: string; outcome: string }) => {
    return `${path.relative(dir, each.file)} ${each.outcome}`;
  });
  assert.deepEqual(outcomes, [
    'ca/ca.crt kept',
    'control-plane/tls.crt kept',
    'edge-london/tls.crt kept',
    'edge-tokyo/tls.crt made',
    'client-admin/tls.crt kept',
  ]);
  const authority = readFileSync(path.join(dir, 'ca', 'ca.crt'), 'utf8');
  const [london, tokyo] = [read(dir, 'edge-london', 'tls.crt'), read(dir, 'edge-tokyo', 'tls.crt')];
  assert.equal((await certs('--edge', 'london', '--force')).code, 0);
  assert.notEqual(read(dir, 'edge-london', 'tls.crt').serialNumber, london.serialNumber);
  assert.equal(read(dir, 'edge-tokyo', 'tls.crt').serialNumber, tokyo.serialNumber);
  assert.equal(readFileSync(path.join(dir, 'ca', 'ca.crt'), 'utf8'), authority);
});

test('what is there but not as asked for is an error, and nothing is written', async (t) => {
  const dir = tempFolder(t);
  const certs = (...rest: string[]) => meridian(['certs', '--dir', dir, ...rest]);
  await certs('--edge', 'london', '--client', 'ci=purge');
  const before = contents(dir);
  const later = { io: { clock: { ...systemClock, now: () => Date.now() + 400 * DAY_MS } } };
  const cases: [string[], RegExp, object?][] = [
    [
      ['--edge', 'tokyo', '--client', 'ci=read'],
      /but for URI:meridian:\/\/purge\/ci, not for URI:meridian:\/\/read\/ci; --force/,
    ],
    [['--host', 'cp.example'], /but for DNS:localhost, .*, not for DNS:cp\.example; --force replaces it/],
    [['--edge', 'tokyo', '--edge', 'london'], /edge-london\/tls\.crt is there, but has expired; --force/, later],
  ];
  for (const [argv, message, around] of cases) {
    const ended = await meridian(['certs', '--dir', dir, ...argv], around);
    assert.deepEqual([ended.code, ended.stdout], [1, '']);
    assert.match(ended.stderr, message);
    assert.equal(contents(dir), before);
  }
  const tenYears = { io: { clock: { ...systemClock, now: () => Date.now() + 4000 * DAY_MS } } };
  const expired = await meridian(['certs', '--dir', dir, '--edge', 'lima'], tenYears);
  assert.match(expired.stderr, /ca\.crt has expired; begin anew in another folder/);
  writeFileSync(path.join(dir, 'ca', 'ca.key'), readFileSync(path.join(dir, 'edge-london', 'tls.key')));
  assert.match(
    (await certs('--edge', 'lima')).stderr,
    /nothing can be signed with .*ca\.key: .*not that of its certificate/,
  );
  writeFileSync(path.join(dir, 'edge-london', 'tls.crt'), 'torn');
  assert.match((await certs('--edge', 'london')).stderr, /edge-london\/tls\.crt is there, but is no certificate/);
});

test('what cannot be meant is a usage error that shows what is expected', async () => {
  const cases: [string[], RegExp][] = [
    [['--edge', 'London'], /--edge: expected the name of an edge .* found "London"/],
    [['--edge', '../x'], /--edge: expected the name of an edge/],
    [['--client', 'ci'], /--client: expected NAME=ROLE, the role one of read, purge, operate, administer, found "ci"/],
    [['--client', 'ci=root'], /--client: expected NAME=ROLE/],
    [['--client', '../x=read'], /--client: expected NAME=ROLE/],
    [['--host', 'CP.example'], /--host: expected a lower-case hostname or an address/],
    [['--host', 'cp:7400'], /--host: expected/],
    [['--days', '0'], /--days: expected a whole number from 1 to 3650, found "0"/],
    [['--force'], /--force needs --host, --edge or --client/],
    [['london'], /unexpected argument "london"/],
  ];
  for (const [argv, message] of cases) {
    const { code, stderr } = await meridian(['certs', '--dir', '/nonexistent/certs', ...argv]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
  }
});

interface Running {
  readonly dir: string;
  readonly edgeAddress: string;
  /** HOST:PORT, and the options of a command that say who asks. */
  readonly address: string;
  as(who: string): string[];
}

async function startTls(t: TestContext): Promise<Running> {
  const dir = tempFolder(t);
  const clients = ['--client', 'ann=administer', '--client', 'bob=purge'];
  await meridian(['certs', '--dir', dir, '--edge', 'lon', ...clients]);
  const plane = await startControlPlane({
    store: { kind: 'embedded', file: path.join(tempFolder(t), 'db') },
    edgeListen: '127.0.0.1:0',
    adminListen: '127.0.0.1:0',
    tls: holder(dir, 'control-plane'),
    bootstrap: configuration('lon'),
    log: silentLog,
  });
  t.after(() => plane.stop());
  const address = `127.0.0.1:${plane.adminPort}`;
  const as = (who: string): string[] => {
    const { ca, pair } = holder(dir, who);
    return ['--control-plane', address, '--ca', ca, '--cert', pair.cert, '--key', pair.key];
  };
  return { dir, edgeAddress: `127.0.0.1:${plane.edgePort}`, address, as };
}

test('a token is printed once and used from a file or the environment; the audit log tells who did what', async (t) => {
  const { dir, address, as } = await startTls(t);
  const ann = as('client-ann');
  const created = await meridian(['token', 'create', 'ci', '--role', 'purge', ...ann]);
  assert.match(created.stdout, /^mrd_[0-9a-f]{16}_[A-Za-z0-9_-]{43}\n$/);
  const [, id] = /^token ([0-9a-f]{16}) of "ci", until 20.*; it is not shown again\n$/.exec(created.stderr) ?? [];
  assert.ok(id, created.stderr);
  const file = path.join(dir, 'token');
  writeFileSync(file, created.stdout);

  const anyone = ['--control-plane', address, '--ca', path.join(dir, 'ca', 'ca.crt')];
  const purge = ['purge', 'all', '--timeout', '10ms', ...anyone];
  assert.equal((await meridian([...purge, '--token-file', file])).code, 3);
  const env = { MERIDIAN_TOKEN: created.stdout };
  assert.equal((await meridian(purge, { env })).code, 3);
  const denied = await meridian(['token', 'list', ...anyone], { env });
  assert.deepEqual(denied, {
    code: 1,
    stdout: '',
    stderr: `meridian: listTokens needs the role administer, but "ci" (token ${id}) has the role purge\n`,
  });
  assert.match((await meridian(['token', 'list', ...ann])).stdout, new RegExp(`^${id} +ci +purge +20`, 'm'));
  assert.equal((await meridian(['token', 'revoke', id, ...ann])).stdout, `token ${id} of "ci" is revoked\n`);
  assert.match((await meridian(purge, { env })).stderr, /^meridian: the token is not known here, or was revoked\n$/);

  const audit = await meridian(['audit', '--json', ...as('client-bob')]);
  const { records } = JSON.parse(audit.stdout);
  const lines = records.map((each: Record<string, string>) => `${each.actor} (${each.role}): ${each.action}`);
  assert.deepEqual(lines, [
    'ann (administer): revoke-token',
    'ci (purge): purge',
    'ci (purge): purge',
    'ann (administer): create-token',
    'control-plane (administer): apply',
  ]);
  const table = await meridian(['audit', '--limit', '1', '--before', String(records[0].revision), ...ann]);
  assert.match(table.stdout, new RegExp(`^20\\S+Z +ci +token ${id} +\\d+ +purge +purge 2: all$`, 'm'));
});

test('each way in which a command and a control plane do not come together has its sentence', async (t) => {
  const { dir, address, as } = await startTls(t);
  const other = tempFolder(t);
  await meridian(['certs', '--dir', other]);
  const wrongCa = path.join(other, 'ca', 'ca.crt');
  const ca = path.join(dir, 'ca', 'ca.crt');
  const at = ['--control-plane', address];
  const plain = await startControlPlane({
    store: { kind: 'embedded', file: path.join(tempFolder(t), 'db') },
    edgeListen: '127.0.0.1:0',
    adminListen: '127.0.0.1:0',
    log: silentLog,
  });
  t.after(() => plain.stop());
  const garbage = path.join(other, 'garbage');
  writeFileSync(garbage, 'two lines\nof text');
  const cases: [number, string[], RegExp, Record<string, string>?][] = [
    [1, at, /ends the connection at once: if it uses TLS, give --ca with --cert and --key or a token/],
    [1, [...at, '--ca', ca], /the client is not known: show a client certificate \(--cert, --key\) or a token/],
    [1, [...at, '--ca', wrongCa], /shows a certificate that is not from the authority in --ca/],
    [1, ['--control-plane', `127.0.0.1:${plain.adminPort}`, '--ca', ca], /does not speak TLS; leave --ca/],
    [1, as('edge-lon'), /the certificate is of the edge "lon", which has no role in the admin API/],
    [1, [...at, '--ca', '/nonexistent'], /\/nonexistent: cannot be read \(ENOENT\); "meridian certs" makes/],
    [1, [...at, '--ca', garbage], /garbage: not a certificate in PEM form/],
    [1, [...as('client-ann').slice(0, -1), garbage], /garbage: not an unencrypted private key in PEM form/],
    [1, [...as('client-ann').slice(0, -1), path.join(dir, 'edge-lon', 'tls.key')], /is not the key of .*make|together/],
    [1, [...at, '--ca', ca, '--token-file', garbage], /garbage holds no token: expected one line such as mrd_/],
    [1, [...at, '--ca', ca, '--token-file', '/nonexistent'], /--token-file: \/nonexistent cannot be read \(ENOENT\)/],
    [2, [...at, '--cert', 'x'], /--cert needs --key/],
    [2, [...at, '--cert', 'x', '--key', 'y'], /--cert needs --ca: whom to trust/],
    [2, at, /a token needs --ca: without TLS anyone on the way could read it/, { MERIDIAN_TOKEN: 'mrd_secret' }],
    [2, as('client-ann'), /a certificate \(--cert\) or a token .*, not both/, { MERIDIAN_TOKEN: 'mrd_secret' }],
  ];
  for (const [code, argv, message, env = {}] of cases) {
    const ended = await meridian(['status', ...argv], { env });
    assert.match(ended.stderr, message);
    assert.equal(ended.code, code, ended.stderr);
    assert.ok(!ended.stderr.includes('mrd_secret'), 'the token is shown');
  }
  const unnamed = await meridian([
    'status',
    ...as('client-ann'),
    '--control-plane',
    address.replace('127.0.0.1', 'localhost'),
  ]);
  assert.equal(unnamed.code, 0, unnamed.stderr);
});

test('a control plane and an edge say what is missing among their certificates', async () => {
  const edge = ['edge', '--name', 'lon', '--data', '/nonexistent/x'];
  const cases: [string[], RegExp, Record<string, string>?][] = [
    [['control-plane', '--ca', 'x'], /--ca needs --cert and --key/],
    [['control-plane', '--key', 'x', '--ca', 'x'], /--key needs --cert/],
    [
      ['control-plane', '--ca', 'a', '--cert', 'b', '--key', 'c', '--insecure'],
      /--insecure is for a control plane without/,
    ],
    [
      ['control-plane', '--ca', 'a', '--cert', 'b', '--key', 'c'],
      /MERIDIAN_INSECURE is for/,
      { MERIDIAN_INSECURE: '1' },
    ],
    [[...edge, '--cert', 'x'], /--cert needs --key/],
    [edge, /MERIDIAN_CA needs --cert and --key/, { MERIDIAN_CA: 'x' }],
  ];
  for (const [argv, message, env = {}] of cases) {
    const { code, stderr } = await meridian(argv, { env });
    assert.match(stderr, message);
    assert.equal(code, 2);
  }
});

test('an edge joins with its certificate, and does not start with that of another', async (t) => {
  const { dir, edgeAddress, as } = await startTls(t);
  const options = {
    control: [edgeAddress],
    listen: '127.0.0.1:0',
    adminListen: '127.0.0.1:0',
    cacheBytes: 1_000_000,
    accessLog: 'off',
    log: silentLog,
    clock: systemClock,
    random: seededRandom(1),
  };
  const starting = startEdge({ ...options, name: 'par', dataDir: tempFolder(t), controlTls: holder(dir, 'edge-lon') });
  await assert.rejects(
    starting,
    /tls\.crt is not for the edge "par" but for URI:meridian:\/\/edge\/lon: expected .*"meridian certs --edge par"/,
  );

  const edge = await startEdge({
    ...options,
    name: 'lon',
    dataDir: tempFolder(t),
    controlTls: holder(dir, 'edge-lon'),
  });
  t.after(() => edge.stop());
  const state = async () =>
    JSON.parse((await meridian(['edges', '--json', ...as('client-ann')])).stdout).edges[0].state;
  await until('the edge is up to date', async () => (await state()) === 'current');
});
