// All commands, in the order in which help lists them. Each is loaded when it is asked for: `meridian status` does not pay for
// what an edge needs.
import type { Command } from './command.ts';

export interface Entry {
  readonly name: string;
  load(): Promise<Command>;
}

export const COMMANDS: readonly Entry[] = [
  { name: 'up', load: async () => (await import('./up.ts')).command },
  { name: 'control-plane', load: async () => (await import('./control-plane.ts')).command },
  { name: 'edge', load: async () => (await import('./edge.ts')).command },
  { name: 'demo-origin', load: async () => (await import('./demo-origin.ts')).command },
  { name: 'apply', load: async () => (await import('./apply.ts')).command },
  { name: 'get', load: async () => (await import('./get.ts')).command },
  { name: 'diff', load: async () => (await import('./diff.ts')).command },
  { name: 'history', load: async () => (await import('./history.ts')).command },
  { name: 'rollback', load: async () => (await import('./rollback.ts')).command },
  { name: 'status', load: async () => (await import('./status.ts')).statusView },
  { name: 'edges', load: async () => (await import('./status.ts')).edgesView },
  { name: 'origins', load: async () => (await import('./status.ts')).originsView },
  { name: 'drain', load: async () => (await import('./drain.ts')).drain },
  { name: 'undrain', load: async () => (await import('./drain.ts')).undrain },
  { name: 'purge', load: async () => (await import('./purge.ts')).command },
  { name: 'watch', load: async () => (await import('./watch.ts')).command },
  { name: 'explain', load: async () => (await import('./explain.ts')).command },
  { name: 'simulate', load: async () => (await import('./simulate.ts')).command },
  { name: 'certs', load: async () => (await import('./certs.ts')).command },
  { name: 'token', load: async () => (await import('./token.ts')).command },
  { name: 'audit', load: async () => (await import('./audit.ts')).command },
];

export function loadAll(): Promise<Command[]> {
  return Promise.all(COMMANDS.map((entry) => entry.load()));
}
