// The client's end of an exchange behind which there is no client: it has left, or never was, and the answer is for the store
// and for others.
import type { RequestHead } from '../decide/admit.ts';
import type { ClientPort } from '../ports.ts';

export class Unattended implements ClientPort {
  readonly request: RequestHead;
  readonly body = undefined;
  readonly retains = false;
  onDrain: (() => void) | undefined = undefined;
  onGone: (() => void) | undefined = undefined;

  constructor(request: RequestHead) {
    this.request = request;
  }

  answer(): void {}

  inform(): void {}

  begin(): void {}

  write(): boolean {
    return true;
  }

  end(): void {}

  abort(): void {}
}
