// The page's side of calls.test.js: calls by connect-web, and what comes of them as plain data.

import { toJson } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';

import { ErrorInfoSchema, RequestInfoSchema, RetryInfoSchema } from './generated/google/rpc/error_details_pb.js';
import { JobSchema, JobService, WatchJobResponseSchema } from './generated/jobgate/v1/jobs_pb.js';

const client = (baseUrl) => createClient(JobService, createGrpcWebTransport({ baseUrl }));
const options = ({ token = 'token', ...more }) => ({ headers: { 'x-auth-token': token }, ...more });

async function outcome(call) {
  try {
    return await call();
  } catch (error) {
    const told = ConnectError.from(error);
    const [info] = told.findDetails(ErrorInfoSchema);
    const [retry] = told.findDetails(RetryInfoSchema);
    const [request] = told.findDetails(RequestInfoSchema);
    return {
      error: Code[told.code],
      message: told.rawMessage,
      reason: info?.reason,
      metadata: info?.metadata,
      retry: retry && Number(retry.retryDelay.seconds),
      request: request?.requestId,
    };
  }
}

window.getJob = (gateway, request, more = {}) => outcome(async () =>
  toJson(JobSchema, await client(gateway).getJob(request, options(more))));

/** Watches to the end, or goes after so many events. */
window.watchJob = (gateway, request, { goAfter, ...more } = {}) => outcome(async () => {
  const events = [];
  const leaving = new AbortController();
  const watching = client(gateway).watchJob(request, options({ signal: leaving.signal, ...more }));
  for await (const event of watching) {
    events.push(toJson(WatchJobResponseSchema, event));
    if (events.length === goAfter) leaving.abort();
  }
  return { events };
});
window.ready = true;
