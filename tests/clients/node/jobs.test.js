// GetJob and WatchJob as @grpc/grpc-js sees them.
'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const { after, before, test } = require('node:test');

const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const { simulate, serve, startBackup } = require('./servers');

const PROTO = path.join(__dirname, '..', '..', '..', 'proto');
const types = grpc.loadPackageDefinition(
  loader.loadSync('jobgate/v1/jobs.proto', { includeDirs: [PROTO], enums: String, keepCase: true }),
);

// google.rpc.Status and ErrorInfo, as far as these tests need them.
const rpc = grpc.loadPackageDefinition(
  loader.fromJSON({
    nested: {
      Any: { fields: { type_url: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
      Status: {
        fields: {
          code: { type: 'int32', id: 1 },
          message: { type: 'string', id: 2 },
          details: { rule: 'repeated', type: 'Any', id: 3 },
        },
      },
      ErrorInfo: {
        fields: { reason: { type: 'string', id: 1 }, domain: { type: 'string', id: 2 } },
      },
      Decode: {
        methods: {
          Status: { requestType: 'Status', responseType: 'Status' },
          ErrorInfo: { requestType: 'ErrorInfo', responseType: 'ErrorInfo' },
        },
      },
    },
  }),
);

function reason(error) {
  const decode = rpc.Decode.service;
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  const status = decode.Status.responseDeserialize(bytes);
  assert.equal(status.code, error.code);
  const info = status.details.find((any) => any.type_url.endsWith('google.rpc.ErrorInfo'));
  return decode.ErrorInfo.responseDeserialize(info.value).reason;
}

function metadata(headers = { 'x-auth-token': 'node-token' }) {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
  return metadata;
}

let simulator, gateway, client;

before(async () => {
  simulator = await simulate();
  gateway = await serve(simulator.address, '--poll-min', '100ms', '--heartbeat', '200ms');
  client = new types.jobgate.v1.JobService(gateway.address, grpc.credentials.createInsecure());
});

after(async () => {
  client.close();
  assert.equal(await gateway.stop(), 0);
  assert.equal(await simulator.stop(), 0);
});

const get = (job_id, headers) =>
  new Promise((resolve, reject) => {
    const request = { project_id: 'p', job_id };
    client.GetJob(request, metadata(headers), (error, job) => (error ? reject(error) : resolve(job)));
  });

const watch = (job_id, { resume_token = '', headers, ...options } = {}) =>
  client.WatchJob({ project_id: 'p', job_id, resume_token }, metadata(headers), options);

/** All events of a watch, and its status. */
async function all(call) {
  const events = [];
  call.on('data', (event) => events.push(event));
  const status = await new Promise((resolve) => {
    call.on('error', () => {});
    call.on('status', resolve);
  });
  return { events, status };
}

/** The first events of a watch, which is cancelled then. */
async function first(call, count) {
  const events = [];
  call.on('error', () => {});
  for await (const event of call) {
    events.push(event);
    if (events.length === count) break;
  }
  call.cancel();
  return events;
}

test('a job comes through whole', async () => {
  const job = await get('whole');
  assert.equal(job.status, 'JOB_STATUS_SUCCESS');
  assert.deepEqual({ ...job.entities }, { backup_id: 'b', size: '40', list: '[1,2]', flag: 'true' });
  assert.equal(job.sub_jobs[0].sub_jobs[0].status_text, 'weird');
});

test('a bearer token is taken', async () => {
  await get('whole', { authorization: 'Bearer t' });
});

test('errors have a code and a reason', async () => {
  for (const [job, headers, code, expected] of [
    ['none', undefined, grpc.status.NOT_FOUND, 'JOB_NOT_FOUND'],
    ['whole', {}, grpc.status.UNAUTHENTICATED, 'CREDENTIALS_MISSING'],
    ['../x', undefined, grpc.status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
  ]) {
    const unary = await get(job, headers).then(() => assert.fail('no error'), (error) => error);
    const { status } = await all(watch(job, { headers }));
    for (const error of [unary, status]) {
      assert.equal(error.code, code);
      assert.equal(reason(error), expected);
    }
  }
});

test('a watch goes to the end of the job', async () => {
  const { events, status } = await all(watch(await startBackup(simulator.address)));
  assert.equal(status.code, grpc.status.OK);
  const states = events.filter((event) => event.job).map((event) => event.job.status_text);
  assert.equal(states.at(-1), 'SUCCESS');
  assert.equal(new Set(states).size, states.length);
});

test('a known state is not repeated', async () => {
  const [event] = await first(watch('endless'), 1);
  const [resumed] = await first(watch('endless', { resume_token: event.resume_token }), 1);
  assert.ok(resumed.heartbeat && !resumed.job);
});

test('a cancelled watch ends', async () => {
  const call = watch('endless');
  const ended = all(call);
  call.once('data', () => call.cancel());
  assert.equal((await ended).status.code, grpc.status.CANCELLED);
});

test('a deadline is kept', async () => {
  const { status } = await all(watch('endless', { deadline: Date.now() + 500 }));
  assert.equal(status.code, grpc.status.DEADLINE_EXCEEDED);
});
