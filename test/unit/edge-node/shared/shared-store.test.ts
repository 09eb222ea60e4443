// The shared store in one thread: the contract of every store.
import { allocateSharedStore } from '../../../../edge-node/io/shared/handles.ts';
import { SharedStore } from '../../../../edge-node/io/shared/shared-store.ts';
import { storeContract } from '../cache/store-contract.ts';
import type { ContractLimits } from '../cache/store-support.ts';

const KEY = { k0: 1, k1: 2 };

function make(limits: ContractLimits = {}): SharedStore {
  return new SharedStore(allocateSharedStore({ maxBytes: 8 * 1024 * 1024, ...limits }, 1, KEY), 0);
}

storeContract('shared', make, { paths: 1, around: 100 });
