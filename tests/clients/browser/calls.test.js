// gRPC-Web as @connectrpc/connect-web speaks it in Chromium.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { launch } from './browser.js';
import { becomes, serve, simulate, site, startBackup } from './servers.js';

let allowed, other, cloud, gateway, browser, page;

before(async () => {
  [allowed, other, cloud, browser] = await Promise.all([site(), site(), simulate(), launch()]);
  gateway = await serve(cloud, '--grpc-web-allow-origin', allowed.origin);
  page = await open(allowed);
});

after(async () => {
  await browser?.close();
  await Promise.all([allowed, other, gateway, cloud].map((it) => it?.stop()));
});

async function open({ origin }) {
  const page = await browser.newPage({ ignoreHTTPSErrors: true });
  await page.goto(`${origin}/calls.html`);
  await page.waitForFunction(() => window.ready);
  return page;
}

const call = (page, method, job, more = {}, { grpc } = gateway) => page.evaluate(
  ([method, ...args]) => window[method](...args),
  [method, grpc, { projectId: 'p', jobId: job }, more]);

test('a page gets a job, whole', async () => {
  const job = await call(page, 'getJob', 'whole');
  assert.equal(job.status, 'JOB_STATUS_SUCCESS');
  assert.equal(job.entities.size, '40');
  assert.equal(job.subJobs[1].subJobs[1].jobId, 'step-2-2');
  assert.equal(job.endTime, '2026-01-28T10:10:00Z');
});

test('a page watches a job to its end', async () => {
  const { events } = await call(page, 'watchJob', await startBackup(cloud));
  const statuses = events.filter(({ job }) => job).map(({ job }) => job.status);
  assert.equal(statuses.at(-1), 'JOB_STATUS_SUCCESS');
  assert.ok(statuses.length > 2, statuses);
  assert.ok(events.every(({ resumeToken }) => resumeToken));
});

test('an error has its details', async () => {
  for (const method of ['getJob', 'watchJob']) {
    // A token of its own: what is throttled is held back for a while.
    const { error, message, reason, metadata, retry, request } =
      await call(page, method, 'throttled', { token: `of ${method}` });
    assert.deepEqual([error, reason, retry], ['ResourceExhausted', 'UPSTREAM_THROTTLED', 7]);
    assert.match(message, /limit:200 ü 备份 %/);
    assert.deepEqual(metadata, { upstream_http_status: '429', upstream_code: 'APIGW.0308' });
    assert.ok(request);
  }
  const { error, reason } = await call(page, 'getJob', 'nobody');
  assert.deepEqual([error, reason], ['NotFound', 'JOB_NOT_FOUND']);
});

test('a call without a token is told so', async () => {
  const { error, reason } = await call(page, 'getJob', 'whole', { token: '' });
  assert.deepEqual([error, reason], ['Unauthenticated', 'CREDENTIALS_MISSING']);
});

test('a deadline is kept, and the gateway knows it', async () => {
  const { error } = await call(page, 'getJob', 'slow', { timeoutMs: 300 });
  assert.equal(error, 'DeadlineExceeded');
  await becomes(() => gateway.log.some((line) => /"code":"(DEADLINE_EXCEEDED|CANCELLED)"/.test(line)));
  await becomes(async () => await gateway.metric('jobgate_streams') === 0);
});

test('a watch that a page leaves is over', async () => {
  const { error } = await call(page, 'watchJob', 'endless', { goAfter: 1 });
  assert.equal(error, 'Canceled');
  for (const name of ['jobgate_watchers', 'jobgate_pollers', 'jobgate_streams']) {
    await becomes(async () => await gateway.metric(name) === 0, name);
  }
});

test('with TLS a page speaks HTTP/2, and watches are not six at most', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'jobgate-'));
  t.after(() => rm(folder, { recursive: true }));
  const [cert, key] = ['cert.pem', 'key.pem'].map((name) => path.join(folder, name));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
    '-nodes', '-days', '1', '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1',
    '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const secure = await serve(cloud, '--grpc-web-allow-origin', allowed.origin,
    '--tls-cert', cert, '--tls-key', key);
  t.after(() => secure.stop());
  const grpc = secure.grpc.replace('http:', 'https:');
  const watches = Promise.all(Array.from({ length: 10 }, () =>
    call(page, 'watchJob', 'endless', { timeoutMs: 60_000 }, { grpc })));
  await becomes(async () => await secure.metric('jobgate_watchers') === 10);
  assert.equal((await call(page, 'getJob', 'whole', {}, { grpc })).jobId, 'whole');
  await secure.stop();
  for (const { error, reason } of await watches) {
    assert.deepEqual([error, reason], ['Unavailable', 'SERVER_DRAINING']);
  }
});

test('pages of other origins get nothing', async () => {
  const stranger = await open(other);
  for (const method of ['getJob', 'watchJob']) {
    const { error, message } = await call(stranger, method, 'whole');
    assert.equal(error, 'Unknown');
    assert.match(message, /fetch/);
  }
  await becomes(() => gateway.log.some((line) => line.includes(other.origin) && /refused/.test(line)));
});

test('without allowed origins no page gets anything', async () => {
  const plain = await serve(cloud);
  try {
    const { error, message } = await call(page, 'getJob', 'whole', {}, plain);
    assert.equal(error, 'Unknown');
    assert.match(message, /fetch/);
  } finally {
    await plain.stop();
  }
});
