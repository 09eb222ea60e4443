// What replicas ask each other about edges, written and read back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLiveKey } from '../../../control-plane/decide/peers.ts';
import {
  answerKey,
  askKey,
  decodeAnswers,
  decodeQuestion,
  encodeAnswers,
  encodeQuestion,
  parseQuestionKey,
  type Question,
} from '../../../control-plane/decide/questions.ts';
import { Explanation } from '../../../proto/gen/meridian/v1/explain.ts';

test('keys are read as they are written, and a release that knows no questions leaves them alone', () => {
  const ask = { asker: 'a1', id: 7 };
  assert.deepEqual(parseQuestionKey(askKey(ask)), { kind: 'ask', ...ask });
  assert.deepEqual(parseQuestionKey(answerKey('b2', ask)), { kind: 'answer', replica: 'b2', ...ask });
  for (const key of [askKey(ask), answerKey('b2', ask)]) assert.equal(parseLiveKey(key), undefined);
  const others = ['a1/ask/x', 'a1/ask/1/2', 'a1/answer/b2', '/ask/1', 'a1/roster', 'a1/answer/b-2-1'];
  for (const key of ['/meridian/head', ...others.map((rest) => `/meridian-live/${rest}`)]) {
    assert.equal(parseQuestionKey(key), undefined, key);
  }
});

test('questions come as they were asked', () => {
  const questions: Question[] = [
    { kind: 'explain', url: 'http://demo.example/"', ip: '::1', edge: '' },
    { kind: 'count', targets: [{ target: { $case: 'tag', value: { tag: 'a', hosts: ['*.example'] } } }] },
  ];
  for (const question of questions)
    assert.deepEqual(decodeQuestion(encodeQuestion(question, 3000)), { question, ms: 3000 });
  for (const text of [
    '',
    '[]',
    '{}',
    '{"ms":5}',
    '{"count":[]}',
    '{"explain":{"url":1},"ms":5}',
    '{"count":[],"ms":-1}',
  ]) {
    assert.equal(decodeQuestion(text), undefined, text);
  }
});

test('answers come as they were given; of explanations that are too long together the first', () => {
  const counts = new Map([['london', { objects: 3, bytes: 300 }]]);
  assert.deepEqual(decodeAnswers(encodeAnswers({ kind: 'count', counts }, 0)), { kind: 'count', counts });
  const explanations = ['london', 'tokyo'].map((edge) => Explanation.fromPartial({ edge, site: 'x'.repeat(100) }));
  const told = (characters: number) => {
    const answers = decodeAnswers(encodeAnswers({ kind: 'explain', explanations }, characters));
    return answers?.kind === 'explain' && answers.explanations;
  };
  assert.deepEqual(told(10_000), explanations);
  assert.deepEqual(told(200), explanations.slice(0, 1));
  for (const text of ['', '[]', '{}', '{"counts":[]}'.slice(0, 5)]) assert.equal(decodeAnswers(text), undefined);
});
