// DOCS> Node, by @grpc/grpc-js: `npm install @grpc/grpc-js @grpc/proto-loader protobufjs`
// How to call jobgate with @grpc/grpc-js. Copy what you need.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const protobuf = require('protobufjs');

// Where jobgate/v1/jobs.proto is: in the folder proto of jobgate's repository. Name the place of your copy.
const PROTO = path.join(__dirname, '..', '..', '..', 'proto');

const { JobService } = grpc.loadPackageDefinition(
  loader.loadSync('jobgate/v1/jobs.proto', {
    includeDirs: [PROTO], defaults: true, enums: String, keepCase: true, longs: String, oneofs: true,
  }),
).jobgate.v1;

// The library itself repeats what may pass, and waits as long as the gateway says.
const SERVICE_CONFIG = {
  methodConfig: [{
    name: [{ service: 'jobgate.v1.JobService' }],
    retryPolicy: {
      maxAttempts: 4,
      initialBackoff: '0.2s',
      maxBackoff: '5s',
      backoffMultiplier: 2,
      retryableStatusCodes: ['UNAVAILABLE', 'RESOURCE_EXHAUSTED'],
    },
  }],
};

// How long the gateway may be silent before it is asked whether it is there, and may then take: a net that has
// forgotten a connection tells nobody.
const KEEPALIVE = { 'grpc.keepalive_time_ms': 30_000, 'grpc.keepalive_timeout_ms': 10_000 };

// A watch gives up after so many failures in a row, two minutes or so if the gateway does not say how long.
const MAX_FAILURES = 20;

/** JobService over a channel. Make one and keep it: a channel connects again by itself. */
class Client {
  constructor(address, credentials, metadata, config = SERVICE_CONFIG) {
    const options = { 'grpc.service_config': JSON.stringify(config), ...KEEPALIVE };
    this.stub = new JobService(address, credentials, options);
    this.metadata = metadata;
  }

  /** The job as it is now. */
  get(project_id, job_id, timeout = 10_000) {
    const options = { deadline: Date.now() + timeout };
    return new Promise((resolve, reject) => {
      this.stub.GetJob({ project_id, job_id }, this.metadata, options,
        (error, job) => (error ? reject(error) : resolve(job)));
    });
  }

  /** All that happens to the job, to its end. A watch that breaks is taken up again. */
  async *watch(project_id, job_id) {
    let resume_token = '';
    for (let failures = 0; ;) {
      const call = this.stub.WatchJob({ project_id, job_id, resume_token }, this.metadata);
      call.on('error', () => {}); // The loop gets it as well.
      let wait;
      try {
        for await (const response of call) {
          resume_token = response.resume_token;
          failures = 0;
          yield response; // response.job, else response.heartbeat
        }
        return;
      } catch (error) {
        failures += 1;
        if (!mayPass(error) || failures === MAX_FAILURES) throw error;
        wait = pause(error, failures);
      } finally {
        call.cancel(); // Whoever reads no further leaves nothing open.
      }
      await sleep(wait);
    }
  }
}

/** A client without TLS: on the same machine, or within a mesh. */
function plaintext(address, token, config) {
  const metadata = new grpc.Metadata();
  metadata.set('x-auth-token', token);
  return new Client(address, grpc.credentials.createInsecure(), metadata, config);
}

/** A client with TLS, which sends the token as call credentials. `ca`: a file, for a private one. */
function tls(address, token, ca, config) {
  const sendToken = grpc.credentials.createFromMetadataGenerator((_, send) => {
    const metadata = new grpc.Metadata();
    metadata.set('x-auth-token', token);
    send(null, metadata);
  });
  const channel = grpc.credentials.createSsl(ca ? fs.readFileSync(ca) : null);
  const credentials = grpc.credentials.combineChannelCredentials(channel, sendToken);
  return new Client(address, credentials, new grpc.Metadata(), config);
}

// google/rpc/status.proto and error_details.proto, as far as jobgate uses them.
const { root: rpc } = protobuf.parse(`
  syntax = "proto3";
  package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }
  message RequestInfo { string request_id = 1; string serving_data = 2; }
  message ResourceInfo {
    string resource_type = 1; string resource_name = 2; string owner = 3; string description = 4;
  }
  message BadRequest {
    message FieldViolation { string field = 1; string description = 2; }
    repeated FieldViolation field_violations = 1;
  }
`, { keepCase: true });

/** What an error says besides code and text, by the name of the type: ErrorInfo, RetryInfo... */
function details(error) {
  const [bytes] = error.metadata?.get('grpc-status-details-bin') ?? [];
  const found = {};
  try {
    for (const { type_url, value } of bytes ? rpc.lookupType('google.rpc.Status').decode(bytes).details : []) {
      const name = type_url.split('/').pop();
      const type = name.startsWith('google.rpc.') && rpc.lookup(name);
      if (!(type instanceof protobuf.Type)) continue; // One of others.
      found[type.name] = type.toObject(type.decode(value), { longs: Number, defaults: true });
    }
  } catch {
    // A proxy has changed the error.
  }
  return found;
}

/** Why a call failed, such as "JOB_NOT_FOUND", if the gateway said so itself. */
function reason(error) {
  const info = details(error).ErrorInfo;
  return info?.domain === 'jobgate' ? info.reason : undefined;
}

/** The milliseconds to wait before another try, if the gateway said so. */
function retryDelay(error) {
  const delay = details(error).RetryInfo?.retry_delay;
  return delay && delay.seconds * 1000 + delay.nanos / 1e6;
}

/** Whether another try may do better. */
function mayPass(error) {
  return error.code === grpc.status.UNAVAILABLE
    || (error.code === grpc.status.RESOURCE_EXHAUSTED && retryDelay(error) != null);
}

/** The milliseconds to wait: as the gateway says, a minute at most; else longer with each failure. */
function pause(error, failures) {
  const wait = Math.min(2 ** failures * 125, 10_000) * (0.5 + Math.random() / 2);
  return Math.min(retryDelay(error) ?? wait, 60_000);
}

module.exports = { JobService, PROTO, SERVICE_CONFIG, Client, plaintext, tls, details, reason, retryDelay };
