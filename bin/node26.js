// `node`, but the pinned one: what the npm scripts run TypeScript with.
import { runPinned } from './pinned-node.js';

runPinned(process.argv.slice(2));
