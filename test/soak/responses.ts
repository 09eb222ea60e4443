// What is stored to be purged.
import { makeHead, type StoredHead } from '../../edge-node/decide/cache/entry.ts';
import { decideStore } from '../../edge-node/decide/cache/storable.ts';

/** Of a 200 with these fields, received now. Throws when it may not be stored. */
export function headOf(...fields: string[]): StoredHead {
  const now = Date.now();
  const at = { requestedAt: now, receivedAt: now };
  const policy = { enabled: true, defaultTtlMs: 0 };
  const decision = decideStore({
    method: 'GET',
    requestFields: [],
    status: 200,
    responseFields: fields,
    policy,
    ...at,
  });
  if (decision.kind === 'skip') throw new Error(decision.reason);
  return makeHead({ status: 200, fields, requestFields: [], barrier: 0, ...at, ...decision });
}

export function named(target: string): { key: string; host: string; purgeTarget: string } {
  return { key: `http://example.com${target}`, host: 'example.com', purgeTarget: `example.com${target}` };
}
