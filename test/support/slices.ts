// Large answers in slices of ten bytes, for tests of the pipeline: one object of a hundred bytes, and requests for parts of it.
import assert from 'node:assert/strict';
import type { FakeClient } from './fake-ports.ts';
import { demoSnapshot, pipelineTest, type World, type WorldOptions } from './pipeline.ts';
import { type RangeObject, serve } from './range-origin.ts';

export const KEY = 'http://demo.example/';
export const BODY = Array.from({ length: 100 }, (_, i) => String(i % 10)).join('');
export const OBJECT: RangeObject = { body: BODY, etag: '"v1"' };
export const CHANGED: RangeObject = { body: BODY.replaceAll('5', 'x'), etag: '"v2"' };

const SLICED: WorldOptions = { snapshot: demoSnapshot(1, { sliceBytes: 10 }) };

export const sliceTest = (name: string, run: (world: World) => void, options: WorldOptions = {}): void =>
  pipelineTest(name, run, { ...SLICED, ...options });

export const ask = (world: World, range: string, ...more: string[]): FakeClient =>
  world.request({ fields: ['range', range, ...more] });

/** A request for `range`, each request to an origin answered with `object`. What the client got, and what the origin was asked for. */
export function get(
  world: World,
  range: string | undefined,
  object = OBJECT,
): { readonly client: FakeClient; readonly asked: string[] } {
  const before = world.calls.length;
  const client = world.request({ fields: range === undefined ? [] : ['range', range] });
  for (let i = before; i < world.calls.length; i += 1) serve(world.call(), object);
  return { client, asked: world.calls.slice(before).map((call) => call.field('range') ?? 'all') };
}

export function assertPart({ status, text, length, state }: FakeClient, from: number, to: number, body = BODY): void {
  assert.deepEqual([status, text, length, state], [206, body.slice(from, to), to - from, 'ended']);
}

/** The key under which slice `index` is stored. */
export function keyOf(world: World, index: number): string {
  const [entry] = world.cache.find(KEY);
  return `${KEY}#${entry?.head.slices?.generation}/${index}`;
}
