// Help and what is typed: every command explains itself from its one description, and a slip is met with a suggestion.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadAll } from '../../../cli/commands/registry.ts';
import { meridian } from '../../integration/cli/harness.ts';

const commands = await loadAll();

test('without a command there is the overview, on stderr, and exit code 2', async () => {
  const ended = await meridian([]);
  assert.deepEqual([ended.code, ended.stdout], [2, '']);
  assert.match(ended.stderr, /^Usage: meridian COMMAND/m);
});

for (const argv of [['help'], ['--help'], ['-h'], ['help', '--help']]) {
  test(`"meridian ${argv.join(' ')}" lists every command and the exit codes`, async () => {
    const { code, stdout, stderr } = await meridian(argv);
    assert.deepEqual([code, stderr], [0, '']);
    for (const { name, summary } of commands)
      assert.ok(stdout.includes(`  ${name} `) && stdout.includes(summary), name);
    for (const line of ['0  done', '1  failed', '2  usage', '3  done in part']) assert.ok(stdout.includes(line));
  });
}

for (const command of commands) {
  test(`"meridian help ${command.name}" teaches usage, every option and examples`, async () => {
    const { code, stdout, stderr } = await meridian(['help', command.name]);
    assert.deepEqual([code, stderr], [0, '']);
    for (const usage of command.usage) assert.ok(stdout.includes(`meridian ${usage}`));
    for (const name of [...Object.keys(command.options), 'help']) assert.ok(stdout.includes(`--${name}`), name);
    assert.ok(command.examples.length > 0);
    for (const { line, doc } of command.examples) assert.ok(stdout.includes(line) && stdout.includes(doc));
    const [short] = stdout.split('\n').filter((line) => line.length > 110);
    assert.equal(short, undefined, 'a line is too long for a terminal');
    assert.equal((await meridian([command.name, '--help'])).stdout, stdout);
  });
}

test('the version is that of the package', async () => {
  assert.match((await meridian(['--version'])).stdout, /^meridian \d+\.\d+\.\d+\n$/);
});

test('an unknown command or option is met with the nearest known one', async () => {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [['aply'], 'unknown command "aply" (did you mean "apply"?)'],
    [['controlplane'], 'unknown command "controlplane" (did you mean "control-plane"?)'],
    [['help', 'origns'], 'unknown command "origns" (did you mean "origins"?)'],
    [['zzzzzz'], 'unknown command "zzzzzz"'],
    [['\u001b[31m'], 'unknown command "\\u001b[31m"'],
    [['status', '--jsn'], 'unknown option --jsn (did you mean "--json"?)'],
    [['status', '-x'], 'unknown option -x'],
    [['status', '--json=yes'], '--json takes no value'],
    [['status', 'now'], 'unexpected argument "now"'],
  ];
  for (const [argv, message] of cases) {
    const { code, stdout, stderr } = await meridian(argv);
    assert.deepEqual([code, stdout, stderr.split('\n')[0]], [2, '', `meridian: ${message}`]);
  }
});
