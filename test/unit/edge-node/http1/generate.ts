// Requests to try parsers with: from a grammar that is mostly right and often nearly right, then with octets changed.
import type { Random } from '../../../../infra/runtime/random.ts';

/** Octets that parsers have tripped over. */
const OCTETS = '\r\n\0 \t:;,/?#"%_-+0159aAfgxXHTP\x0b\x0c\x1b\x7f\x80\xa0\xff';

export class RequestGenerator {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** One connection's octets: one to three requests, some changed in up to three places. */
  connection(): Buffer {
    let text = '';
    for (let i = this.#below(3); i >= 0; i -= 1) text += this.#request();
    if (this.#chance(0.6)) return Buffer.from(text, 'latin1');
    for (let i = this.#below(3); i >= 0; i -= 1) text = this.#mutate(text);
    return Buffer.from(text, 'latin1');
  }

  /** Octets without any meaning, of a length below `max`. */
  noise(max: number): Buffer {
    return Buffer.from(Array.from({ length: this.#below(max) }, () => this.#below(256)));
  }

  #request(): string {
    const fields: string[] = [];
    if (!this.#chance(0.02)) fields.push(`${this.#case('Host')}:${this.#blank()}${this.#host()}`);
    if (this.#chance(0.02)) fields.push('Host: b.example');
    for (let i = this.#below(5); i > 0; i -= 1) fields.push(this.#field());
    const version = this.#version();
    const body = this.#body(fields, version);
    this.#shuffle(fields);
    const end = this.#chance(0.97) ? '\r\n' : this.#pick(['\n', '\r', '\r\r\n', '\r\n\r\n', '']);
    const lead = this.#chance(0.03) ? this.#pick(['\r\n', '\r\n', '\n', '\r', '\r\n\r\n', ' ']) : '';
    return `${lead}${this.#line(version)}${end}${fields.map((field) => `${field}${this.#chance(0.99) ? '\r\n' : this.#pick(['\n', '\r', '\r\n ', ' \r\n'])}`).join('')}\r\n${body}`;
  }

  #line(version: string): string {
    const method = this.#chance(0.98)
      ? this.#pick(['GET', 'GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS', 'PATCH'])
      : this.#pick(['get', 'TRACE', 'CONNECT', 'PROPFIND', 'PRI', 'X', '', 'GET,POST', 'SOURCE']);
    const target = this.#chance(0.96)
      ? this.#pick(['/', '/a/b?c=d', '/%2e%2e/x', '/a//b', '/?', '/a?b?c'])
      : this.#pick([
          '*',
          'http://b.example/x',
          'HTTPS://b.example',
          'b.example:80',
          '/a#b',
          '/a b',
          '/a\\b',
          '',
          '/\xe9',
          '/"<>',
        ]);
    const gap = () => (this.#chance(0.99) ? ' ' : this.#pick(['  ', '\t', '']));
    return `${method}${gap()}${target}${gap()}${version}`;
  }

  #version(): string {
    return this.#chance(0.98)
      ? this.#pick(['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0'])
      : this.#pick([
          'HTTP/1.2',
          'HTTP/2.0',
          'HTTP/0.9',
          'http/1.1',
          'HTTP/1.1 ',
          'HTTP/11',
          'ICE/1.0',
          'RTSP/1.0',
          '',
          'HTTP/1.',
        ]);
  }

  #host(): string {
    return this.#chance(0.95) ? 'a.example' : this.#pick(['', 'a b', 'a,b', '[::1]:80', 'a:80', 'a@b', 'a/b', '\xe9']);
  }

  #field(): string {
    if (this.#chance(0.15))
      return `Connection: ${this.#pick(['keep-alive', 'Keep-Alive', 'upgrade', 'close', 'TE, x'])}`;
    if (this.#chance(0.03)) return `Expect: ${this.#pick(['100-continue', '100-Continue', '200-ok'])}`;
    const name = this.#chance(0.97)
      ? this.#case(this.#pick(['Accept', 'X-A', 'User-Agent', 'Cookie', 'TE', 'Trailer', 'If-None-Match', 'Upgrade']))
      : this.#pick(['X A', 'X_A', 'X-A ', ' X-A', '', 'X\x00', 'Content_Length', '\xe9', 'X(', 'Keep-Alive']);
    const value = this.#chance(0.97)
      ? this.#pick([
          '1',
          'close',
          'keep-alive',
          'Keep-Alive, close',
          'upgrade',
          'a, b',
          '100-continue',
          '',
          'caf\xe9',
          'websocket',
        ])
      : this.#pick(['a\x00', 'a\tb', '\x7f', '"q, close"', 'h2c', 'x\r\n y', 'x\ny', 'x\ry', ', ,close', 'clos']);
    const colon = this.#chance(0.98) ? ':' : this.#pick([' :', '', '::', '\t:']);
    return `${name}${colon}${this.#blank()}${value}${this.#tail()}`;
  }

  /** Adds what frames the body, and returns the body. */
  #body(fields: string[], version: string): string {
    const data = 'x'.repeat(this.#below(20));
    const kind = this.#below(10);
    if (kind < 4 || (version === 'HTTP/1.0' && this.#chance(0.9))) return '';
    if (kind < 6 || this.#chance(0.05)) {
      const length = this.#chance(0.95)
        ? String(data.length)
        : this.#pick([
            `+${data.length}`,
            `0${data.length}`,
            `${data.length}, ${data.length}`,
            `${data.length} `,
            '-1',
            '0x5',
            '',
            '1e1',
            '99999999999999999999',
          ]);
      fields.push(`${this.#case('Content-Length')}:${this.#blank()}${length}${this.#tail()}`);
      if (this.#chance(0.05)) fields.push(`Content-Length: ${this.#pick([length, '3'])}`);
      if (kind < 6) return data;
    }
    const coding = this.#chance(0.95)
      ? 'chunked'
      : this.#pick([
          'Chunked',
          'identity',
          'gzip, chunked',
          'chunked, gzip',
          'chunked,',
          'xchunked',
          '"chunked"',
          'chunked;a',
          '',
        ]);
    fields.push(`${this.#case('Transfer-Encoding')}:${this.#blank()}${coding}${this.#tail()}`);
    if (this.#chance(0.03)) fields.push('Transfer-Encoding: chunked');
    let body = '';
    for (let i = this.#below(4); i > 0; i -= 1) {
      const chunk = 'c'.repeat(1 + this.#below(18));
      const size = this.#chance(0.98)
        ? chunk.length.toString(16)
        : this.#pick([
            `0${chunk.length.toString(16)}`,
            `${chunk.length.toString(16)} `,
            `0x${chunk.length}`,
            '',
            '-1',
            'fffffffffffffffff',
            'A',
          ]);
      const extension = this.#chance(0.98) ? '' : this.#pick([';', ';a=b', ' ;a', ';a="\r\n"', ';\n']);
      body += `${size}${extension}${this.#chance(0.98) ? '\r\n' : '\n'}${chunk}${this.#chance(0.98) ? '\r\n' : this.#pick(['\n', '', 'x', '\r'])}`;
    }
    const trailers = this.#chance(0.85)
      ? ''
      : this.#pick(['X-T: 1\r\n', 'Content-Length: 5\r\n', ' x: 1\r\n', 'X_T: 1\r\n', 'x\r\n']);
    return `${body}${this.#chance(0.98) ? '0' : this.#pick(['00', '000000', '0;x', '0 '])}\r\n${trailers}\r\n`;
  }

  #mutate(text: string): string {
    const at = this.#below(text.length + 1);
    const octet = this.#chance(0.8)
      ? (OCTETS[this.#below(OCTETS.length)] ?? '')
      : String.fromCharCode(this.#below(256));
    switch (this.#below(6)) {
      case 0:
        return text.slice(0, at) + octet + text.slice(at);
      case 1:
        return text.slice(0, at) + text.slice(at + 1);
      case 2:
        return text.slice(0, at) + octet + text.slice(at + 1);
      case 3:
        return text.slice(0, at) + text.slice(at, at + this.#below(30)) + text.slice(at);
      case 4:
        return text.slice(0, at);
      default: {
        const other = this.#below(text.length + 1);
        return text.slice(0, at) + text.slice(other, other + this.#below(10)) + text.slice(at);
      }
    }
  }

  #case(name: string): string {
    return this.#chance(0.7) ? name : this.#chance(0.5) ? name.toLowerCase() : name.toUpperCase();
  }

  #blank(): string {
    return this.#chance(0.8) ? ' ' : this.#pick(['', '\t', '  ', ' \t ']);
  }

  #tail(): string {
    return this.#chance(0.1) ? this.#blank() : '';
  }

  #shuffle(list: string[]): void {
    for (let i = list.length - 1; i > 0; i -= 1) {
      const j = this.#below(i + 1);
      [list[i], list[j]] = [list[j] ?? '', list[i] ?? ''];
    }
  }

  #pick(list: readonly string[]): string {
    return list[this.#below(list.length)] ?? '';
  }

  #chance(probability: number): boolean {
    return this.#random.next() < probability;
  }

  #below(limit: number): number {
    return Math.floor(this.#random.next() * limit);
  }
}
