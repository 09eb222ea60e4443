// Folders are made with all those above them, or it is said which cannot be; nothing takes for ever.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { makeFolders } from '../../../infra/runtime/folders.ts';
import { tempFolder } from '../../support/temp.ts';

test('what is missing is made, what is there stays', (t) => {
  const root = tempFolder(t);
  mkdirSync(path.join(root, 'a'));
  writeFileSync(path.join(root, 'a', 'file'), 'kept');
  const deep = path.join(root, 'a', 'b', '..', 'c', 'd');
  makeFolders(deep, 0o700);
  makeFolders(deep);
  makeFolders('/');
  makeFolders('.');
  assert.equal(statSync(path.join(root, 'a', 'c', 'd')).mode & 0o777, 0o700);
  assert.ok(existsSync(path.join(root, 'a', 'file')) && !existsSync(path.join(root, 'a', 'b')));
});

test('a file in the way is named', (t) => {
  const file = path.join(tempFolder(t), 'file');
  writeFileSync(file, '');
  for (const folder of [file, path.join(file, 'a'), path.join(file, 'a', 'b')]) {
    assert.throws(() => makeFolders(folder), { message: `${file} is not a folder`, code: 'ENOTDIR' });
  }
});

test('a file system that takes no folders is named', { skip: process.platform !== 'linux' && 'has no /proc' }, () => {
  for (const folder of ['/proc/meridian', '/proc/meridian/a/b']) {
    assert.throws(() => makeFolders(folder), { message: '/proc: nothing can be made there', code: 'ENOENT' });
  }
});
