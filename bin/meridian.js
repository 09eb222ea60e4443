#!/usr/bin/env node
// The `meridian` command: cli/main.ts on the pinned Node.js.
import { fileURLToPath } from 'node:url';
import { runPinned } from './pinned-node.js';

runPinned([fileURLToPath(new URL('../cli/main.ts', import.meta.url)), ...process.argv.slice(2)]);
