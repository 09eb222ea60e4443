#!/usr/bin/env node
// The `meridian` command: cli/main.ts on the pinned Node.js.
import { fileURLToPath } from 'node:url';
import { runPinned } from './pinned-node.js';

// V8 comes to allocate objects among the old ones where many of a kind have survived, as those of requests do in a burst. Of a
// server's requests that is a mistake which costs a seventh of the CPU time: each then has to be collected by the large collector.
const FLAGS = ['--no-allocation-site-pretenuring'];

runPinned([...FLAGS, fileURLToPath(new URL('../cli/main.ts', import.meta.url)), ...process.argv.slice(2)]);
