// The page's own reader of messages against protobuf-es, for all that the gateway sends.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';

import { create, toBinary } from '@bufbuild/protobuf';
import { anyPack, timestampFromDate } from '@bufbuild/protobuf/wkt';

import {
  BadRequestSchema, ErrorInfoSchema, RequestInfoSchema, RetryInfoSchema,
} from './generated/google/rpc/error_details_pb.js';
import { StatusSchema } from './generated/google/rpc/status_pb.js';
import { ErrorReason } from './generated/jobgate/v1/errors_pb.js';
import {
  JobSchema, JobStatus, WatchJobRequestSchema, WatchJobResponseSchema,
} from './generated/jobgate/v1/jobs_pb.js';

const UI = path.join(import.meta.dirname, '../../../src/server/ui');
// They import nothing, and node would not know them for modules where they are.
const [messages, words] = await Promise.all(['messages.js', 'words.js'].map(async (name) => {
  const text = await readFile(path.join(UI, name), 'utf8');
  return import(`data:text/javascript,${encodeURIComponent(text)}`);
}));

const time = (ms) => timestampFromDate(new Date(ms));

const JOB = {
  jobId: 'j', jobType: 'bksCreateBackup', status: JobStatus.FAIL, statusText: 'FAIL 备份',
  entities: { volume_id: 'v', empty: '', 'ü': '备份' },
  beginTime: time(1_700_000_000_123), endTime: time(-1),
  errorCode: '', failReason: 'no room',
  subJobs: [{ jobId: 'a', subJobs: [{ jobId: 'a1' }, { jobId: 'a2' }] }, { jobId: 'b' }],
};
const READ = {
  jobId: 'j', jobType: 'bksCreateBackup', status: 4, statusText: 'FAIL 备份',
  entities: new Map([['volume_id', 'v'], ['empty', ''], ['ü', '备份']]),
  beginTime: 1_700_000_000_123, endTime: -1,
  errorCode: '', failReason: 'no room',
  subJobs: [{ jobId: 'a', subJobs: [{ jobId: 'a1' }, { jobId: 'a2' }] }, { jobId: 'b' }],
};

const STATUS = create(StatusSchema, {
  code: 8, message: 'the upstream throttles',
  details: [
    anyPack(ErrorInfoSchema, create(ErrorInfoSchema,
      { reason: 'UPSTREAM_THROTTLED', domain: 'jobgate', metadata: { upstream_code: 'x' } })),
    anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay: { seconds: 7n, nanos: 5e8 } })),
    anyPack(RequestInfoSchema, create(RequestInfoSchema, { requestId: 'r', servingData: 's' })),
    anyPack(BadRequestSchema, create(BadRequestSchema,
      { fieldViolations: [{ field: 'job_id', description: 'too long' }] })),
    anyPack(JobSchema, create(JobSchema, JOB)),
  ],
});
const STATUS_READ = {
  code: 8, message: 'the upstream throttles',
  info: {
    reason: 'UPSTREAM_THROTTLED', domain: 'jobgate', metadata: new Map([['upstream_code', 'x']]),
  },
  retry: { delay: 7500 },
  request: { id: 'r' },
  bad: { violations: [{ field: 'job_id', description: 'too long' }] },
};

test('every field of every message is read', () => {
  const job = toBinary(JobSchema, create(JobSchema, JOB));
  assert.deepEqual(messages.job(job), READ);
  assert.deepEqual(messages.status(toBinary(StatusSchema, STATUS)), STATUS_READ);
  for (const [event, read] of [
    [{ case: 'job', value: create(JobSchema, JOB) }, { job: READ }],
    [{ case: 'heartbeat', value: { upstreamError: STATUS } }, { heartbeat: { upstreamError: STATUS_READ } }],
    [{ case: 'heartbeat', value: {} }, { heartbeat: {} }],
  ]) {
    const response = create(WatchJobResponseSchema, { event, resumeToken: 't', observeTime: time(5) });
    assert.deepEqual(messages.watchJobResponse(toBinary(WatchJobResponseSchema, response)),
      { ...read, resumeToken: 't', observeTime: 5 });
  }
  assert.deepEqual(messages.job(new Uint8Array()), {});
});

test('all fields of the contract are known', () => {
  // A field that is new here has to be read, or left out on purpose.
  const count = (schema) => schema.fields.length;
  assert.deepEqual([JobSchema, WatchJobResponseSchema, WatchJobRequestSchema].map(count), [10, 4, 3]);
  assert.equal(Object.keys(READ).length, count(JobSchema));
  for (const [number, name] of messages.JobStatus.entries()) assert.equal(JobStatus[number], name);
  assert.equal(JobStatus[messages.JobStatus.length], undefined);
});

test('requests are written as protobuf writes them', () => {
  for (const fields of [['p', 'j', ''], ['', '', ''], ['p'.repeat(128), 'j', 't'], ['ü', '备', 'x'.repeat(300)]]) {
    const [projectId, jobId, resumeToken] = fields;
    const request = create(WatchJobRequestSchema, { projectId, jobId, resumeToken });
    assert.deepEqual(messages.texts(...fields), toBinary(WatchJobRequestSchema, request));
  }
});

test('what is cut or strange is an error and no endless loop, and the unknown is skipped', () => {
  const whole = toBinary(JobSchema, create(JobSchema, JOB));
  for (let length = 0; length < whole.length; length++) {
    try {
      messages.job(whole.subarray(0, length));
    } catch (error) {
      assert.ok(error instanceof RangeError, error);
    }
  }
  for (const strange of [[0x0b], [0x0a, 0xff], Array(20).fill(0xff)]) {
    assert.throws(() => messages.job(new Uint8Array(strange)), RangeError);
  }
  const unknown = [0xf8, 0x07, 0x96, 0x01, 0xfd, 0x07, 1, 2, 3, 4, 0xf9, 0x07, 1, 2, 3, 4, 5, 6, 7, 8];
  assert.deepEqual(messages.job(new Uint8Array([...unknown, 0x0a, 1, 0x6a])), { jobId: 'j' });
});

test('every reason of the contract has its words', () => {
  const reasons = Object.values(ErrorReason).filter((name) => typeof name === 'string');
  const known = Object.keys(words.REASONS).sort();
  assert.deepEqual(known, reasons.filter((name) => name !== 'UNSPECIFIED').sort());
});

test('durations are told as people tell them', () => {
  for (const [ms, expected] of [
    [0, '0.0 s'], [1449, '1.4 s'], [9999, '9.9 s'], [59_999, '59 s'], [90_000, '1 min 30 s'], [120_000, '2 min'],
    [3_660_000, '1 h 1 min'], [90_000_000, '1 d 1 h'],
  ]) {
    assert.equal(words.took(ms), expected);
  }
});
