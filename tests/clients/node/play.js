// Plays the scenarios with @grpc/grpc-js; see ../interop/scenarios.md.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');

const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const protobuf = require('protobufjs');

const { JobService, PROTO, SERVICE_CONFIG, details, plaintext, reason, tls } = require('./snippet');

const {
  JOBGATE_ADDRESS: ADDRESS, JOBGATE_AGING_ADDRESS: AGING, JOBGATE_TOKEN: TOKEN, ...env
} = process.env;
const EXAMPLE = '4010b39b5281d3590152874bfa3b1604';

const table = (name) =>
  fs.readFileSync(path.join(env.JOBGATE_TABLES, name), 'utf8').replace(/\n$/, '').split('\n');

/** A watch that goes on after what the runner is asked to do. */
async function takenUp(client, line) {
  const watch = client.watch('p', 'endless');
  const { value: first } = await watch.next();
  assert.equal(first.event, 'job');
  await ask(line);
  const begun = Date.now();
  for await (const response of watch) {
    assert.equal(response.event, 'heartbeat');
    assert.equal(response.resume_token, first.resume_token);
    const { seconds, nanos } = response.observe_time;
    if (seconds * 1000 + nanos / 1e6 > begun) break;
  }
}

let lines;

/** Asks the runner something. */
async function ask(line) {
  lines ??= readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  console.log(line);
  return (await lines.next()).value;
}

/** A client that repeats nothing. */
const plain = (token = TOKEN, address = ADDRESS) => plaintext(address, token, {});

function watchOnce(client, job_id, resume_token = '', options = {}) {
  const call = client.stub.WatchJob({ project_id: 'p', job_id, resume_token }, client.metadata, options);
  call.on('error', () => {}); // The loop gets it as well.
  return call;
}

async function read(responses) {
  const all = [];
  for await (const response of responses) all.push(response);
  return all;
}

/** No watch is left at the gateway, although the channel lives. */
const noneLeft = async () => assert.equal(await ask('watchers'), '0', 'watchers are left');

/** The error that the call ends with. */
async function fails(code, call) {
  const error = await call.then(() => assert.fail('no error'), (error) => error);
  assert.equal(grpc.status[error.code], code, error);
  return error;
}

const time = ({ seconds, nanos }) => Number(seconds) * 1e3 + nanos / 1e6;

function checkExample(job) {
  assert.equal(job.job_id, EXAMPLE);
  assert.equal(job.job_type, 'bksCreateBackup');
  assert.equal(job.status, 'JOB_STATUS_SUCCESS');
  assert.equal(job.status_text, 'SUCCESS');
  assert.deepEqual({ ...job.entities }, {
    bks_create_volume_name: 'autobk_volume',
    backup_id: 'ba5401a2-7cd2-4c01-8c0d-c936ab412d6d',
    volume_id: '7e5fdc5a-5e36-4b22-8bcc-7f17037290cc',
    snapshot_id: 'a77a96bf-dd18-40bf-a446-fdcefc1719ec',
  });
  assert.equal(time(job.begin_time), Date.parse('2016-01-28T16:14:09.466Z'));
  assert.equal(time(job.end_time), Date.parse('2016-01-28T16:25:27.690Z'));
  assert.ok(!('error_code' in job) && !('fail_reason' in job));
  assert.deepEqual(job.sub_jobs, []);
}

function checkLarge({ entities: { length, text } }) {
  assert.ok(Number(length) > 4_000_000);
  assert.ok(text === 'x'.repeat(Number(length)), 'another text');
}

function checkError(error, line) {
  const [job, code, why, http, others] = line.split(' ');
  assert.equal(grpc.status[error.code], code, job);
  const { ErrorInfo, ...found } = details(error);
  assert.deepEqual([ErrorInfo.domain, ErrorInfo.reason], ['jobgate', why], job);
  assert.equal(ErrorInfo.metadata.upstream_http_status ?? '-', http, job);
  assert.equal(Object.keys(found).sort().join(','), others, job);
  if (found.BadRequest) assert.equal(found.BadRequest.field_violations[0].field, 'job_id');
  if (found.ResourceInfo) assert.equal(found.ResourceInfo.resource_name, `projects/p/jobs/${job}`);
  if (found.RequestInfo) assert.ok(found.RequestInfo.request_id);
  if (found.RetryInfo) assert.ok(found.RetryInfo.retry_delay.seconds > 5);
}

const unknown = (method) =>
  fails('UNIMPLEMENTED', new Promise((resolve, reject) => {
    const { stub, metadata } = plain();
    const nothing = () => Buffer.alloc(0);
    stub.makeUnaryRequest(method, nothing, nothing, {}, metadata,
      (error) => (error ? reject(error) : resolve()));
  }));

const scenarios = {
  async example_job(client) {
    checkExample(await client.get('p', EXAMPLE));
  },

  async entity_shapes(client) {
    const expected = table('entities.txt').map((line) => line.split(/ (.*)/s).slice(0, 2));
    assert.deepEqual({ ...(await client.get('p', 'entities')).entities }, Object.fromEntries(expected));
  },

  async field_presence(client) {
    const found = [];
    for (const name of ['absent', 'blank', 'nested']) {
      const job = await client.get('p', name);
      const fields = [job.begin_time, job.end_time, job.error_code, job.fail_reason];
      found.push(fields.map((field) => field != null));
    }
    assert.deepEqual(found, [false, false, true].map((set) => Array(4).fill(set)));
  },

  async sub_jobs(client) {
    const job = await client.get('p', 'nested');
    assert.deepEqual([job.status, job.error_code, job.fail_reason],
      ['JOB_STATUS_FAIL', 'VolumeBackup.0064', 'no room']);
    const [first, second, ...more] = job.sub_jobs;
    assert.deepEqual(more, []);
    assert.deepEqual([first.job_id, first.status], ['first', 'JOB_STATUS_SUCCESS']);
    assert.deepEqual([second.job_id, second.status], ['second', 'JOB_STATUS_FAIL']);
    const [third] = second.sub_jobs;
    assert.deepEqual([third.job_id, third.status, third.status_text],
      ['third', 'JOB_STATUS_UNSPECIFIED', 'PENDING_PAYMENT']);
  },

  async large_job(client) {
    checkLarge(await client.get('p', 'large'));
  },

  async error_codes() {
    for (const line of table('errors.txt')) {
      const [job, code] = line.split(' ');
      checkError(await fails(code, plain(`${TOKEN}-get-${job}`).get('p', job)), line);
      const watch = watchOnce(plain(`${TOKEN}-watch-${job}`), job);
      checkError(await fails(code, read(watch)), line);
    }
  },

  async credentials_missing() {
    const client = plain();
    client.metadata = new grpc.Metadata();
    const error = await fails('UNAUTHENTICATED', client.get('p', EXAMPLE));
    assert.equal(reason(error), 'CREDENTIALS_MISSING');
  },

  async call_credentials() {
    const client = tls(env.JOBGATE_TLS_ADDRESS, TOKEN, env.JOBGATE_CA);
    checkExample(await client.get('p', EXAMPLE));
  },

  async special_message(client) {
    const error = await fails('ABORTED', client.get('p', 'message'));
    assert.ok(error.details.includes(table('message.txt')[0]), error.details);
  },

  async pushback() {
    // The policy's own waits are short, so that a long one was the server's wish.
    const [{ name, retryPolicy }] = SERVICE_CONFIG.methodConfig;
    const hasty = { ...retryPolicy, initialBackoff: '0.05s', maxBackoff: '0.1s' };
    const config = { methodConfig: [{ name, retryPolicy: hasty }] };
    const begun = performance.now();
    await plaintext(ADDRESS, `${TOKEN}-pushback`, config).get('p', 'pushback');
    assert.ok(performance.now() - begun > 1900, 'did not wait');
  },

  async deadline(client) {
    await fails('DEADLINE_EXCEEDED', client.get('p', 'slow', 300));
    const responses = [];
    const watch = watchOnce(client, 'endless', '', { deadline: Date.now() + 2000 });
    watch.on('data', (response) => responses.push(response));
    await fails('DEADLINE_EXCEEDED', new Promise((resolve, reject) => {
      watch.on('error', reject);
      watch.on('end', resolve);
    }));
    assert.equal(responses[0].job.status_text, 'RUNNING');
    await noneLeft();
  },

  async cancel_after_begin(client) {
    const watch = watchOnce(client, 'slow');
    // Not in the same breath: grpc-js 1.14 then sends the call all the same, and never resets its stream.
    setTimeout(() => watch.cancel(), 100);
    await fails('CANCELLED', read(watch));
    await noneLeft();
    return '100 ms after the begin: grpc-js sends a call that is cancelled at once, and does not reset it';
  },

  async cancel_after_first_response(client) {
    const watch = watchOnce(client, 'endless');
    watch.once('data', () => watch.cancel());
    await fails('CANCELLED', new Promise((resolve, reject) => {
      watch.on('error', reject);
      watch.on('end', resolve);
    }));
    await noneLeft();
  },

  async watch_to_end(client) {
    const responses = await read(client.watch('p', await ask('backup')));
    const states = responses.filter(({ event }) => event === 'job').map(({ job }) => job.status_text);
    assert.equal(states.at(-1), 'SUCCESS');
    assert.deepEqual(states, ['INIT', 'RUNNING', 'SUCCESS'].filter((state) => states.includes(state)));
    const times = responses.map(({ observe_time }) => time(observe_time));
    assert.deepEqual(times, times.toSorted((a, b) => a - b));
    assert.ok(responses.every(({ resume_token }) => resume_token));
    await noneLeft();
  },

  async watch_resume(client) {
    await takenUp(client, 'restart');
    const [last] = await read(client.watch('p', EXAMPLE));
    assert.deepEqual(await read(watchOnce(client, EXAMPLE, last.resume_token)), []);
    await noneLeft();
  },

  async watch_resume_killed(client) {
    await takenUp(client, 'kill');
  },

  async watch_silent() {
    await takenUp(plaintext(env.JOBGATE_RELAY_ADDRESS, TOKEN), 'silence');
  },

  async watch_pushback() {
    const watch = plain(`${TOKEN}-watch-pushback`).watch('p', 'pushback');
    const begun = performance.now();
    const { value } = await watch.next();
    assert.equal(value.job.status_text, 'RUNNING');
    assert.ok(performance.now() - begun > 1900, 'did not wait');
    await watch.return();
  },

  async gzip() {
    const client = plain();
    const { gzip } = grpc.compressionAlgorithms;
    client.stub = new JobService(ADDRESS, grpc.credentials.createInsecure(),
      { 'grpc.default_compression_algorithm': gzip });
    assert.equal((await client.get('p', 'z'.repeat(128))).status_text, 'RUNNING');
    checkLarge(await client.get('p', 'large'));
  },

  async unimplemented_method() {
    const error = await unknown('/jobgate.v1.JobService/NoSuchMethod');
    assert.equal(reason(error), 'METHOD_NOT_IMPLEMENTED');
  },

  async unimplemented_service() {
    await unknown('/jobgate.v1.NoSuchService/GetJob');
  },

  async metadata() {
    const metadata = new grpc.Metadata();
    metadata.set('authorization', `Bearer ${TOKEN}`);
    metadata.set('x-request-id', 'interop');
    metadata.set('x-long', 'l'.repeat(4000));
    metadata.set('x-odd-bin', Buffer.from([0x00, 0xff, 0xab]));
    const { stub } = plain();
    const [job, headers] = await new Promise((resolve, reject) => {
      let headers;
      stub.GetJob({ project_id: 'p', job_id: EXAMPLE }, metadata,
        (error, job) => (error ? reject(error) : resolve([job, headers])))
        .on('metadata', (found) => { headers = found; });
    });
    checkExample(job);
    assert.deepEqual(headers.get('x-request-id'), ['interop']);
  },

  async goaway() {
    const client = plain(TOKEN, AGING);
    for (const end = performance.now() + 3000; performance.now() < end;) {
      checkExample(await client.get('p', EXAMPLE));
    }
  },

  async soak() {
    const client = plain();
    for (let round = 0; round < 100; round += 1) {
      const calls = Array.from({ length: 10 }, () => client.get('p', EXAMPLE));
      (await Promise.all(calls)).forEach(checkExample);
    }
  },

  async health() {
    const definition = loader.loadSync('grpc/health/v1/health.proto', { includeDirs: [PROTO], enums: String });
    const { Health } = grpc.loadPackageDefinition(definition).grpc.health.v1;
    const stub = new Health(ADDRESS, grpc.credentials.createInsecure());
    const check = (service) => new Promise((resolve, reject) => {
      stub.Check({ service }, (error, answer) => (error ? reject(error) : resolve(answer)));
    });
    assert.equal((await check('jobgate.v1.JobService')).status, 'SERVING');
    const watch = stub.Watch({ service: 'jobgate.v1.JobService' });
    watch.on('error', () => {});
    const [first] = await new Promise((resolve) => watch.once('data', (answer) => resolve([answer])));
    assert.equal(first.status, 'SERVING');
    watch.cancel();
    await fails('NOT_FOUND', check('no.such'));
  },

  async reflection() {
    // grpc/reflection/v1/reflection.proto, as far as it is needed.
    const { root } = protobuf.parse(`
      syntax = "proto3";
      package grpc.reflection.v1;
      service ServerReflection { rpc ServerReflectionInfo(stream Ask) returns (stream Answer); }
      message Ask { oneof message_request { string list_services = 7; } }
      message Answer { ListServices list_services_response = 6; }
      message ListServices { repeated Service service = 1; }
      message Service { string name = 1; }
    `, { keepCase: true });
    const definition = loader.fromJSON(root.toJSON(), { keepCase: true });
    const { ServerReflection } = grpc.loadPackageDefinition(definition).grpc.reflection.v1;
    const call = new ServerReflection(ADDRESS, grpc.credentials.createInsecure()).ServerReflectionInfo();
    call.end({ list_services: '' });
    const [answer] = await read(call);
    const names = answer.list_services_response.service.map(({ name }) => name);
    assert.ok(names.includes('jobgate.v1.JobService'), names);
  },
};

async function main([...names]) {
  if (names[0] === 'version') {
    console.log(`${require('@grpc/grpc-js/package.json').version} on Node ${process.versions.node}`);
    return;
  }
  const client = plaintext(ADDRESS, TOKEN);
  for (const name of names) {
    try {
      const note = await scenarios[name](client);
      console.log(`ok ${name}` + (note ? `: ${note}` : ''));
    } catch (error) {
      console.log(`failed ${name}: ${String(error.stack).replace(/\s+/g, ' ')}`);
    }
  }
  // What is still open would keep the process alive.
  process.exit();
}

main(process.argv.slice(2));
