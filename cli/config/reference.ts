// docs/configuration.md, from the schema: every field with its type, default and meaning.
import { stringify } from 'yaml';
import { configuration } from './schema.ts';
import type { FieldShape, Shape, Type } from './types.ts';

type Message = Extract<Shape, { kind: 'message' }>;

/** The page; `example` is a configuration file to begin with. */
export function configurationReference(example: string): string {
  return `<!-- Generated from cli/config/schema.ts by "npm run generate"; do not edit. -->
# Configuration

\`meridian apply -f FILE\` makes YAML files like this one the desired state, whole or not at all; \`meridian get\` prints that
state in the same form. What is wrong in a file is named by line and column, and nothing is changed.

\`\`\`yaml
${example.trimEnd()}
\`\`\`

Durations are whole numbers with a unit: \`250ms\`, \`2s\`, \`1m\`, \`1h\`. Files are YAML 1.2 in UTF-8, at most 8 MiB each. Anchors
and aliases may be used, at most 100 times in a document. Unknown fields, repeated names and unknown tags are errors.

${fieldTables(configuration)}`;
}

/** A section for each message that there is in what `root` describes, outermost first, with a table of its fields. */
export function fieldTables(root: Type<unknown>): string {
  const sections = messagesIn(root).map(
    (message) => `## ${message.title}

${message.doc}

| Field | Value | Default | |
|---|---|---|---|
${message.fields.map(row).join('\n')}
`,
  );
  return sections.join('\n');
}

/** Every message once, outermost first. */
function messagesIn(root: Type<unknown>): Message[] {
  const found = new Map<string, Message>();
  const walk = ({ shape }: Type<unknown>): void => {
    if (shape.kind === 'list') walk(shape.item);
    if (shape.kind === 'named') walk(shape.entry);
    if (shape.kind !== 'message' || found.has(shape.title)) return;
    found.set(shape.title, shape);
    for (const field of shape.fields) walk(field.type);
  };
  walk(root);
  return [...found.values()];
}

function row(field: FieldShape): string {
  const fallback = field.required ? '*required*' : defaultText(field);
  return `| \`${field.name}\` | ${typeText(field.type)} | ${fallback} | ${field.doc} |`;
}

function typeText(type: Type<unknown>): string {
  const { shape } = type;
  if (shape.kind === 'message') return link(shape);
  if (shape.kind === 'list' && shape.item.shape.kind === 'message') return `list of ${link(shape.item.shape, 's')}`;
  if (shape.kind === 'named' && shape.entry.shape.kind === 'message') return `${link(shape.entry.shape, 's')} by name`;
  return type.expected;
}

function link({ title }: Message, plural = ''): string {
  const anchor = title.toLowerCase().replaceAll(' ', '-');
  return `[${title.toLowerCase()}${plural}](#${anchor})`;
}

function defaultText({ type, fallback }: FieldShape): string {
  // A message's defaults stand at its own fields.
  if (fallback === undefined) return 'none';
  if (type.shape.kind === 'message') return 'its defaults';
  if (fallback instanceof Map || (Array.isArray(fallback) && fallback.length === 0)) return 'none';
  return `\`${stringify(fallback).trim()}\``;
}
