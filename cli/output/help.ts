// Help for people at a terminal, and docs/cli.md, both from the commands' own descriptions.
import { COMMON_OPTIONS } from '../commands/arguments.ts';
import type { Command, Option } from '../commands/command.ts';

const WIDTH = 100;

const EXIT_CODES = [
  '0  done',
  '1  failed',
  '2  usage: what was typed cannot be meant',
  '3  done in part: an edge did not confirm',
];

export function overviewHelp(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  const list = commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}\n`).join('');
  return `meridian: a self-hosted edge network. A control plane keeps what should be; edges cache, and
send each request to the nearest healthy origin.

Usage: meridian COMMAND [OPTIONS]

${list}
To begin: "meridian up" runs everything on this machine and says what to try next.
"meridian help COMMAND" explains a command, with examples. "meridian --version" prints the version.

Exit codes:
${EXIT_CODES.map((line) => `  ${line}\n`).join('')}
Data goes to stdout, messages to stderr. Reading commands, apply and purge take --json.
Colours are left out where stdout is not a terminal or NO_COLOR is set. MERIDIAN_DEBUG=1 adds stack traces.
`;
}

export function commandHelp(command: Command): string {
  const options = Object.entries(allOptions(command));
  const heads = options.map(([name, option]) => optionHead(name, option));
  const column = Math.min(34, Math.max(...heads.map((head) => head.length)) + 4);
  const lines = options.map(([, option], index) => {
    const head = `  ${heads[index] ?? ''}`;
    const doc = wrap(optionDoc(option), WIDTH - column, ' '.repeat(column));
    return head.length + 2 > column ? `${head}\n${' '.repeat(column)}${doc}\n` : `${head.padEnd(column)}${doc}\n`;
  });
  return `${command.summary}.

Usage: ${command.usage.map((usage) => `meridian ${usage} [OPTIONS]`).join('\n       ')}

${command.description.map((paragraph) => `${wrap(paragraph, WIDTH, '')}\n`).join('\n')}
Options:
${lines.join('')}
Examples:
${command.examples.map(({ line, doc }) => `  ${line}\n      ${doc}\n`).join('')}`;
}

function allOptions(command: Command): Readonly<Record<string, Option>> {
  return { ...command.options, ...COMMON_OPTIONS };
}

function optionHead(name: string, { short, value }: Option): string {
  return `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
}

function optionDoc({ doc, default: fallback, env, multiple }: Option): string {
  const notes: string[] = [];
  if (multiple) notes.push('may be repeated');
  if (fallback !== undefined) notes.push(`default ${fallback}`);
  if (env !== undefined) notes.push(`environment ${env}`);
  return notes.length === 0 ? doc : `${doc} [${notes.join('; ')}]`;
}

/** Lines of at most `width` characters, all but the first behind `indent`. */
function wrap(text: string, width: number, indent: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].join(`\n${indent}`);
}

/** docs/cli.md. */
export function commandReference(commands: readonly Command[]): string {
  const sections = commands.map((command) => {
    const rows = Object.entries(allOptions(command)).map(([name, option]) => {
      const cells = [
        code(optionHead(name, option)),
        code(option.default),
        code(option.env),
        `${option.doc}${option.multiple ? ' May be repeated.' : ''}`,
      ];
      return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
    });
    return `## meridian ${command.name}

${command.summary}.

\`\`\`
${command.usage.map((usage) => `meridian ${usage} [OPTIONS]`).join('\n')}
\`\`\`

${command.description.map(markdown).join('\n\n')}

| Option | Default | Environment | |
|---|---|---|---|
${rows.join('\n')}

\`\`\`sh
${command.examples.map(({ line, doc }) => `${line}   # ${doc}`).join('\n')}
\`\`\`
`;
  });
  return `<!-- Generated from cli/commands by "npm run generate"; do not edit. -->
# The command

\`meridian COMMAND [OPTIONS]\`: a client of the control plane's admin API, and what starts the processes. \`meridian help
COMMAND\` shows the same as this page. Data goes to stdout, messages to stderr.

Exit codes:

\`\`\`
${EXIT_CODES.join('\n')}
\`\`\`

${sections.join('\n')}`;
}

function code(text: string | undefined): string {
  return text === undefined ? '' : `\`${text}\``;
}

/** JSON in running text is shown as code. */
function markdown(paragraph: string): string {
  let text = '';
  let depth = 0;
  for (const character of paragraph) {
    if (character === '{' && depth === 0) text += '`';
    if (character === '{') depth += 1;
    text += character;
    if (character === '}') depth -= 1;
    if (character === '}' && depth === 0) text += '`';
  }
  return text;
}
