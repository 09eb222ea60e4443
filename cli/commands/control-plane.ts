// `meridian control-plane`: one replica of the control plane, configured by flags and environment.
import path from 'node:path';
import { makeFolders } from '../../infra/runtime/folders.ts';
import { createLog } from '../../infra/runtime/log.ts';
import { loadConfig } from '../config/load.ts';
import { describeProblems } from './apply.ts';
import { type Arguments, type Command, EXIT, Failure, UsageError } from './command.ts';
import { LOG_LEVELS, LOG_OPTION, serve } from './serve.ts';
import { tlsFilesWithPair, tlsOptions } from './tls.ts';
import { choiceOption, endpoint, given, noMore } from './values.ts';

export const command: Command = {
  name: 'control-plane',
  summary: 'Run a control plane',
  usage: ['control-plane'],
  description: [
    'Keeps the desired state, sends it to the edges that connect, and answers this command. With --store etcd any number of ' +
      'equal replicas run over one etcd cluster; with --store embedded there is one, and a file.',
    'Every option may be given by environment variable instead. SIGTERM and SIGINT stop it in order.',
  ],
  options: {
    store: {
      type: 'string',
      value: 'embedded|etcd',
      default: 'embedded',
      env: 'MERIDIAN_STORE',
      doc: 'Where the state is kept.',
    },
    etcd: {
      type: 'string',
      multiple: true,
      value: 'ENDPOINTS',
      env: 'MERIDIAN_ETCD',
      doc: 'Addresses of the etcd servers such as http://127.0.0.1:2379, separated by commas. With --store etcd.',
    },
    data: {
      type: 'string',
      value: 'DIR',
      default: '.meridian/control-plane',
      env: 'MERIDIAN_DATA',
      doc: 'Folder of the embedded store; made when it does not exist.',
    },
    listen: {
      type: 'string',
      value: 'HOST:PORT',
      default: '127.0.0.1:7400',
      env: 'MERIDIAN_LISTEN',
      doc: 'Where edges connect.',
    },
    'admin-listen': {
      type: 'string',
      value: 'HOST:PORT',
      default: '127.0.0.1:7401',
      env: 'MERIDIAN_ADMIN_LISTEN',
      doc: 'Where this command connects.',
    },
    'http-listen': {
      type: 'string',
      value: 'HOST:PORT',
      env: 'MERIDIAN_HTTP_LISTEN',
      doc: 'Where /healthz, /readyz and /metrics are served; not at all when absent.',
    },
    bootstrap: {
      type: 'string',
      value: 'FILE',
      env: 'MERIDIAN_BOOTSTRAP',
      doc: 'A configuration file that is applied when the store is empty, and ignored otherwise.',
    },
    ...tlsOptions('MERIDIAN_', 'edges and those who administer', 'Certificate that edges and this command are shown'),
    insecure: {
      type: 'boolean',
      env: 'MERIDIAN_INSECURE',
      doc: 'Listen beyond loopback although nothing on these ports is encrypted or authenticated, without certificates.',
    },
    'log-level': LOG_OPTION,
  },
  examples: [
    { line: 'meridian control-plane --data /var/lib/meridian', doc: 'One machine, the state in a file.' },
    {
      line: 'meridian control-plane --store etcd --etcd http://10.0.0.1:2379,http://10.0.0.2:2379',
      doc: 'A replica over etcd.',
    },
    {
      line: 'meridian control-plane --listen 0.0.0.0:7400 --ca ca.crt --cert tls.crt --key tls.key',
      doc: 'For edges elsewhere, with certificates as "meridian certs" makes them.',
    },
  ],

  async run(args, io) {
    noMore(args.positionals);
    const log = createLog('control-plane', choiceOption(args, 'log-level', LOG_LEVELS));
    const store = storeOptions(args);
    const listen = (name: string) => endpoint(args, name, given(args, name), 'listen');
    const httpListen = args.text('http-listen') === undefined ? undefined : listen('http-listen');
    const edgeListen = listen('listen');
    const adminListen = listen('admin-listen');
    const insecure = args.flag('insecure');
    const tls = tlsFilesWithPair(args);
    if (insecure && tls) throw new UsageError(`${args.label('insecure')} is for a control plane without certificates`);
    const file = args.text('bootstrap');
    const bootstrap = file === undefined ? undefined : await loadConfig([file], { complete: true, stdin: io.stdin });
    if (bootstrap?.kind === 'problems') {
      io.stderr.write(describeProblems(bootstrap, 'not started'));
      return EXIT.failed;
    }
    if (store.kind === 'embedded') makeFolder(path.dirname(store.file));
    const { startControlPlane } = await import('../../control-plane/main.ts');
    return serve('control plane', io, log, async () => {
      const plane = await startControlPlane({
        store,
        edgeListen,
        adminListen,
        ...(httpListen !== undefined && { httpListen }),
        ...(bootstrap && { bootstrap: bootstrap.resources }),
        ...(tls && { tls }),
        insecure,
        log,
        clock: io.clock,
        random: io.random,
      });
      const { edgePort, adminPort, httpPort } = plane;
      return {
        ports: { edgePort, adminPort, ...(httpPort !== undefined && { httpPort }) },
        stop: () => plane.stop(),
      };
    });
  },
};

type StoreOptions =
  | { readonly kind: 'embedded'; readonly file: string }
  | { readonly kind: 'etcd'; readonly endpoints: string[] };

function storeOptions(args: Arguments): StoreOptions {
  const endpoints = args.list('etcd').flatMap((listed) => listed.split(','));
  if (choiceOption(args, 'store', ['embedded', 'etcd']) === 'embedded') {
    if (endpoints.length > 0) throw new UsageError(`${args.label('etcd')} needs --store etcd`);
    return { kind: 'embedded', file: path.join(given(args, 'data'), 'control-plane.db') };
  }
  if (endpoints.length === 0) throw new UsageError('--store etcd needs --etcd ENDPOINTS');
  const wrong = endpoints.find((text) => !/^https?:\/\/[^/?#@\s]+\/?$/.test(text));
  if (wrong !== undefined) {
    throw new UsageError(`${args.label('etcd')}: expected addresses such as http://127.0.0.1:2379, found "${wrong}"`);
  }
  return { kind: 'etcd', endpoints };
}

/** Throws Failure when the folder cannot be made. */
export function makeFolder(folder: string): void {
  try {
    makeFolders(folder);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Failure(`cannot make the folder ${folder}: ${reason}; --data names another`, { cause: error });
  }
}
