// `meridian edge`: one edge node, configured by flags and environment.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createLog } from '../../infra/runtime/log.ts';
import { loadConfig } from '../config/load.ts';
import { describeProblems } from './apply.ts';
import { type Arguments, type Command, EXIT, Failure, type Io, type Option, UsageError } from './command.ts';
import { makeFolder } from './control-plane.ts';
import { LIMIT_OPTION, limitValues } from './limits.ts';
import { LOG_LEVELS, LOG_OPTION, serve } from './serve.ts';
import { tlsFilesWithPair, tlsOptions } from './tls.ts';
import { choiceOption, countOption, endpoint, given, noMore, shareOption, sizeOption } from './values.ts';

const CONNECTIONS = { min: 1, max: 10_000_000 };

export const SAMPLE_OPTION: Option = {
  type: 'string',
  value: 'SHARE',
  default: '1',
  env: 'MERIDIAN_ACCESS_LOG_SAMPLE',
  doc:
    'Log this share of the requests, drawn at random: from 0 to 1, or such as 1/100. Those that an edge or an origin failed ' +
    'are always logged. Lines that were drawn say of which share ("sample").',
};

export const command: Command = {
  name: 'edge',
  summary: 'Run an edge node',
  usage: ['edge --name NAME'],
  description: [
    'Serves HTTP from its cache and from the nearest healthy origin. What it serves comes from a control plane, where an edge ' +
      'of this name must be declared; its last good configuration is kept on disk, so that it starts without one too.',
    'Every option may be given by environment variable instead. SIGTERM and SIGINT stop it in order.',
  ],
  options: {
    name: {
      type: 'string',
      value: 'NAME',
      env: 'MERIDIAN_NAME',
      doc: 'The name under which the configuration declares this edge. Required.',
    },
    control: {
      type: 'string',
      multiple: true,
      value: 'HOST:PORT',
      default: '127.0.0.1:7400',
      env: 'MERIDIAN_CONTROL',
      doc: 'Control planes to connect to, separated by commas; any one will do.',
    },
    ...tlsOptions('MERIDIAN_', 'control planes', 'Certificate of this edge for control planes, meridian://edge/NAME'),
    listen: {
      type: 'string',
      value: 'HOST:PORT',
      default: '127.0.0.1:8080',
      env: 'MERIDIAN_LISTEN',
      doc: 'Where clients connect.',
    },
    'tls-listen': {
      type: 'string',
      value: 'HOST:PORT',
      env: 'MERIDIAN_TLS_LISTEN',
      doc: 'Where clients connect for https, by HTTP/2 or HTTP/1.1. Needs --certificates.',
    },
    certificates: {
      type: 'string',
      value: 'DIR',
      env: 'MERIDIAN_CERTIFICATES',
      doc:
        'Folder of NAME.crt (the chain, leaf first) and NAME.key files, both PEM; each connection gets the certificate that ' +
        'covers the name it asks for. Read at the start.',
    },
    'admin-listen': {
      type: 'string',
      value: 'HOST:PORT',
      default: '127.0.0.1:8090',
      env: 'MERIDIAN_ADMIN_LISTEN',
      doc: 'Where /healthz, /readyz and /metrics are served.',
    },
    data: {
      type: 'string',
      value: 'DIR',
      env: 'MERIDIAN_DATA',
      doc: 'Folder for what must survive a restart; made when it does not exist. Default: .meridian/edge-NAME.',
    },
    'geo-db': {
      type: 'string',
      multiple: true,
      value: 'FILE',
      env: 'MERIDIAN_GEO_DB',
      doc:
        'A location database in MaxMind format (GeoIP2 or GeoLite2 City, DB-IP City); may be repeated, for IPv4 and IPv6 in ' +
        'separate files. Read again when it is replaced. Default: the DB-IP City Lite files that come along.',
    },
    'cache-bytes': {
      type: 'string',
      value: 'SIZE',
      default: '256MiB',
      env: 'MERIDIAN_CACHE_BYTES',
      doc: 'Memory for cached answers: bytes, or with KiB, MiB or GiB.',
    },
    threads: {
      type: 'string',
      value: 'N',
      env: 'MERIDIAN_THREADS',
      doc: 'Threads that serve requests, 1 to 256, over one cache. Default: as many as there are processors.',
    },
    'max-connections': {
      type: 'string',
      value: 'N',
      default: '20000',
      env: 'MERIDIAN_MAX_CONNECTIONS',
      doc: 'Connections of clients at once; more are closed as they come.',
    },
    'max-client-connections': {
      type: 'string',
      value: 'N',
      default: '1000',
      env: 'MERIDIAN_MAX_CLIENT_CONNECTIONS',
      doc:
        'Connections at once of one IPv4 address, or of one IPv6 network of 64 bits. Addresses that the configuration declares ' +
        'as trustedProxies of this edge may have any number.',
    },
    'cache-dir': {
      type: 'string',
      value: 'DIR',
      env: 'MERIDIAN_CACHE_DIR',
      doc:
        'Keep cached answers on disk as well, in this folder: more than memory holds, and there after a restart. Made when it ' +
        'does not exist; each edge needs its own. A disk that fails turns this off, and serving goes on. After --take-over it ' +
        'is there again when the replaced process has ended. See cache-on-disk.md.',
    },
    'cache-disk-bytes': {
      type: 'string',
      value: 'SIZE',
      default: '10GiB',
      env: 'MERIDIAN_CACHE_DISK_BYTES',
      doc: 'Room for them on disk. When it is changed, the cache on disk begins empty.',
    },
    limit: LIMIT_OPTION,
    'access-log': {
      type: 'string',
      value: 'FILE|-|off',
      default: '-',
      env: 'MERIDIAN_ACCESS_LOG',
      doc:
        'Where each request is logged as a line of JSON; "-" is standard output. SIGHUP opens a file anew, after it was moved ' +
        'away.',
    },
    'access-log-sample': SAMPLE_OPTION,
    'debug-token-file': {
      type: 'string',
      value: 'FILE',
      env: 'MERIDIAN_DEBUG_TOKEN_FILE',
      doc:
        'File of a secret of 32 to 256 characters. A request that has it in a Meridian-Debug field is answered with a field of ' +
        'that name, which tells key, age, tier, origin and version. Default: none, and nobody is told.',
    },
    'take-over': {
      type: 'boolean',
      doc:
        'Replace the edge that runs on the same data folder, without a request lost: it starts a new process, with these options ' +
        'and as itself, hands its ports over to it, and ends when its last answers are sent. This command ends when that is done.',
    },
    snapshot: {
      type: 'string',
      value: 'FILE',
      env: 'MERIDIAN_SNAPSHOT',
      doc: 'Serve what this configuration file declares, and connect to no control plane.',
    },
    'log-level': LOG_OPTION,
  },
  examples: [
    { line: 'meridian edge --name lon', doc: 'With a control plane on this machine.' },
    { line: 'meridian edge --name lon --snapshot meridian.yaml', doc: 'By itself.' },
    {
      line: 'meridian edge --name lon --take-over',
      doc: 'After an upgrade: the running edge makes way for the new version.',
    },
    {
      line: 'meridian edge --name lon --control cp1:7400,cp2:7400 --listen 0.0.0.0:80 --data /var/lib/meridian',
      doc: 'In the world.',
    },
  ],

  async run(args, io) {
    noMore(args.positionals);
    const name = args.text('name');
    if (name === undefined) throw new UsageError('--name is missing: the name under which this edge is declared');
    const log = createLog('edge', choiceOption(args, 'log-level', LOG_LEVELS), { edge: name });
    const file = args.text('snapshot');
    const control =
      file === undefined
        ? args
            .list('control')
            .flatMap((listed) => listed.split(','))
            .map((text) => endpoint(args, 'control', text, 'dial'))
        : [];
    const listen = endpoint(args, 'listen', given(args, 'listen'), 'listen');
    const https = httpsOptions(args);
    const controlTls = tlsFilesWithPair(args);
    const adminListen = endpoint(args, 'admin-listen', given(args, 'admin-listen'), 'listen');
    const cacheBytes = sizeOption(args, 'cache-bytes');
    const threads = args.text('threads') === undefined ? undefined : countOption(args, 'threads', { min: 1, max: 256 });
    const maxConnections = countOption(args, 'max-connections', CONNECTIONS);
    const maxClientConnections = countOption(args, 'max-client-connections', CONNECTIONS);
    const cacheDir = args.text('cache-dir');
    const diskBytes = sizeOption(args, 'cache-disk-bytes');
    const accessLog = given(args, 'access-log');
    const accessLogSample = shareOption(args, 'access-log-sample');
    const geoFiles = [...args.list('geo-db')];
    const dataDir = args.text('data') ?? path.join('.meridian', `edge-${path.basename(name)}`);
    const config = file === undefined ? undefined : await loadConfig([file], { complete: true, stdin: io.stdin });
    if (config?.kind === 'problems') {
      io.stderr.write(describeProblems(config, 'not started'));
      return EXIT.failed;
    }
    makeFolder(dataDir);
    const { askForTakeOver, debugTokenProblem, edgeLimits, INHERITED, LIMITS, startEdge } = await import(
      '../../edge-node/main.ts'
    );
    const limits = edgeLimits(limitValues(args, LIMITS));
    const debugToken = await debugTokenOf(args, debugTokenProblem);
    if (args.flag('take-over')) {
      const pid = await askForTakeOver(dataDir, thisCommand(io)).catch((error: Error) => {
        throw new Failure(`nothing is taken over: ${error.message}`, { cause: error });
      });
      io.stdout.write(`edge ${name} is served by process ${pid} now\n`);
      return EXIT.done;
    }
    return serve('edge', io, log, async () => {
      const edge = await startEdge({
        name,
        control,
        listen,
        adminListen,
        ...(controlTls && { controlTls }),
        ...(https && { tls: https }),
        dataDir,
        ...(geoFiles.length > 0 && { geoFiles }),
        cacheBytes,
        ...(threads !== undefined && { threads }),
        maxConnections,
        maxClientConnections,
        limits,
        inherited: io.env[INHERITED],
        tied: io.process.send && 'it was started by another process, which would start it again (meridian up)',
        ...(cacheDir !== undefined && { diskCache: { folder: cacheDir, maxBytes: diskBytes } }),
        accessLog,
        accessLogSample,
        ...(debugToken !== undefined && { debugToken }),
        ...(config && { snapshot: { version: { epoch: 0, revision: 0 }, ...config.resources, drained: [] } }),
        log,
        clock: io.clock,
        random: io.random,
      });
      const { port, adminPort, tlsPort } = edge;
      const isFile = accessLog !== '-' && accessLog !== 'off';
      return {
        ports: { port, adminPort, ...(tlsPort !== undefined && { tlsPort }) },
        ended: edge.handedOver.then(() => 'the ports are handed over'),
        ...(isFile && { reopen: () => edge.reopenLog() }),
        stop: () => edge.stop(),
      };
    });
  },
};

/** How this very command was started, but for what asks for the take-over. */
function thisCommand(io: Io): { program: string; args: string[]; cwd: string; env: Record<string, string> } {
  const args = [...process.execArgv, ...process.argv.slice(1)].filter((arg) => arg !== '--take-over');
  const env = Object.entries(io.env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]));
  return { program: process.execPath, args, cwd: process.cwd(), env: Object.fromEntries(env) };
}

/** A file is read by whoever can: its own protection is the operator's. */
async function debugTokenOf(
  args: Arguments,
  problemOf: (token: string) => string | undefined,
): Promise<string | undefined> {
  const file = args.text('debug-token-file');
  if (file === undefined) return undefined;
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Failure(`${args.label('debug-token-file')}: ${file} cannot be read (${error.code})`, { cause: error });
  });
  const problem = problemOf(text.trim());
  if (problem !== undefined)
    throw new Failure(`${args.label('debug-token-file')}: ${file} holds no secret: ${problem}`);
  return text.trim();
}

function httpsOptions(args: Arguments): { listen: string; certificates: string } | undefined {
  const listen = args.text('tls-listen');
  const certificates = args.text('certificates');
  if (listen !== undefined && certificates !== undefined) {
    return { listen: endpoint(args, 'tls-listen', listen, 'listen'), certificates };
  }
  if (listen !== undefined)
    throw new UsageError('--tls-listen needs --certificates: a folder of NAME.crt and NAME.key');
  if (certificates !== undefined) throw new UsageError('--certificates needs --tls-listen: where to serve https');
  return undefined;
}
