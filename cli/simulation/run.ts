// Sends what the schedule says when it falls due, lets the scenario's events happen, and counts what comes back.
import { type Clock, sleep } from '../../infra/runtime/clock.ts';
import { type Answer, readAnswer } from './answer.ts';
import { eventWords, type Scenario, type ScenarioEvent } from './scenario.ts';
import { type Planned, schedule } from './schedule.ts';
import { type Outcome, Statistics } from './statistics.ts';

export interface Happened {
  readonly atMs: number;
  readonly what: string;
  /** What came of it: `3 of 3 edges in 12 ms`, or why nothing did. */
  readonly result: string;
  readonly done: boolean;
}

export interface RunPorts {
  readonly clock: Clock;
  /** Rejects with a short reason. `client`: an index. */
  send(client: number, path: string, address: string): Promise<Answer>;
  /** What came of it, in words; rejects with the reason why nothing did. */
  act(event: ScenarioEvent): Promise<string>;
  /** Told as it happens. */
  happened(event: Happened): void;
  /** Resolves when it is to end early. */
  readonly interrupted: Promise<void>;
}

export interface Ran {
  readonly statistics: Statistics;
  readonly events: readonly Happened[];
  /** How long requests were sent for, milliseconds. */
  readonly elapsedMs: number;
  readonly interrupted: boolean;
}

/** Ends when every request is answered or has failed, or at once when interrupted. Never rejects. */
export async function run(scenario: Scenario, ports: RunPorts): Promise<Ran> {
  const { clock } = ports;
  const { clients, connections, durationMs } = scenario;
  const originField = scenario.originField.toLowerCase();
  const statistics = new Statistics(clients.length);
  const inFlight = clients.map(() => 0);
  /** By planned request, so that those without an answer can be counted in the end. */
  const open = new Set<Planned>();
  const running = new Set<Promise<void>>();
  const events: Happened[] = [];
  let interrupted = false;
  const interruption = ports.interrupted.then(() => {
    interrupted = true;
  });
  const began = clock.monotonic();

  function track(work: Promise<void>): void {
    running.add(work);
    void work.finally(() => running.delete(work));
  }

  function ask(planned: Planned): void {
    const { client, address, path, atMs } = planned;
    if ((inFlight[client] ?? 0) >= connections) {
      statistics.add(client, atMs, { kind: 'unsent' });
      return;
    }
    inFlight[client] = (inFlight[client] ?? 0) + 1;
    open.add(planned);
    const settle = (outcome: Outcome): void => {
      inFlight[client] = (inFlight[client] ?? 0) - 1;
      if (open.delete(planned)) statistics.add(client, atMs, outcome);
    };
    const from = clients[client]?.addresses[address] ?? '';
    track(
      ports.send(client, path, from).then(
        (answer) => settle(outcomeOf(answer, originField)),
        (error: unknown) => settle({ kind: 'failed', reason: reasonOf(error) }),
      ),
    );
  }

  function happen(event: ScenarioEvent): void {
    const note = (result: string, done: boolean): void => {
      const happened = { atMs: event.atMs, what: eventWords(event), result, done };
      events.push(happened);
      ports.happened(happened);
    };
    track(
      ports.act(event).then(
        (result) => note(result, true),
        (error: unknown) => note(reasonOf(error), false),
      ),
    );
  }

  const requests = schedule(scenario);
  const waiting = scenario.events.filter(({ atMs }) => atMs <= durationMs).toSorted((a, b) => a.atMs - b.atMs);
  let next = requests.next();
  while (!interrupted) {
    const elapsed = clock.monotonic() - began;
    for (let event = waiting[0]; event && event.atMs <= elapsed; event = waiting[0]) {
      waiting.shift();
      happen(event);
    }
    while (!next.done && next.value.atMs <= elapsed) {
      ask(next.value);
      next = requests.next();
    }
    const dueMs = Math.min(next.done ? durationMs : next.value.atMs, waiting[0]?.atMs ?? durationMs);
    if (elapsed >= durationMs && next.done && waiting.length === 0) break;
    await Promise.race([sleep(clock, Math.max(1, Math.ceil(dueMs - elapsed))), interruption]);
  }
  const elapsedMs = Math.min(clock.monotonic() - began, durationMs);
  while (running.size > 0 && !interrupted) await Promise.race([Promise.all(running), interruption]);
  for (const planned of open) statistics.add(planned.client, planned.atMs, { kind: 'unanswered' });
  open.clear();
  return { statistics, events: events.toSorted((a, b) => a.atMs - b.atMs), elapsedMs, interrupted };
}

function outcomeOf(answer: Answer, originField: string): Outcome {
  const { failure, hit, origin } = readAnswer(answer, originField);
  if (failure !== undefined) return { kind: 'failed', reason: failure };
  return { kind: 'answered', hit, origin, elapsedMs: answer.elapsedMs };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
