// WatchJob over gRPC-Web, and a watch that is taken up again when it breaks.

import { status, texts, watchJobResponse } from './messages.js';

const PATH = '/jobgate.v1.JobService/WatchJob';
const UNKNOWN = 2;
const RESOURCE_EXHAUSTED = 8;
const UNAVAILABLE = 14;

/** The bit of a frame's first byte that says that trailers are in it. */
const TRAILERS = 0x80;

/** What a call ended with, if not well. `lost` is set if nothing of the gateway says so. */
export class CallError extends Error {
  constructor({ code, message, ...details }) {
    super(message);
    Object.assign(this, { code, ...details });
  }

  /** Whether another try may do better. */
  get mayPass() {
    return this.code === UNAVAILABLE || this.code === RESOURCE_EXHAUSTED && this.retry;
  }
}

/**
 * Watches a job until it ends. Yields `{ event }` for what the gateway says, and `{ error, wait }`
 * when the watch broke and is taken up again after so many milliseconds. Before the first event an
 * error is the answer; later, one that no repeat can mend.
 */
export async function* follow(gateway, { project, job }, headers, signal) {
  let resumeToken = '';
  let begun = false;
  let failures = 0;
  for (;;) {
    try {
      for await (const event of watch(gateway, [project, job, resumeToken], headers, signal)) {
        resumeToken = event.resumeToken || resumeToken;
        begun = true;
        failures = 0;
        yield { event };
      }
      return;
    } catch (error) {
      if (!(begun && error instanceof CallError && error.mayPass)) throw error;
      // Up to ten seconds, with chance in it, so that many pages do not come at once.
      const own = Math.min(250 * 2 ** failures++, 10_000) * (0.5 + Math.random() / 2);
      const wait = error.retry?.delay ?? own;
      yield { error, wait };
      await sleep(wait, signal);
    }
  }
}

function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => { clearTimeout(timer); reject(signal.reason); };
    const timer = setTimeout(() => { signal.removeEventListener('abort', stop); resolve(); }, ms);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
  });
}

async function* watch(gateway, request, headers, signal) {
  const message = texts(...request);
  const body = new Uint8Array(5 + message.length);
  new DataView(body.buffer).setUint32(1, message.length);
  body.set(message, 5);
  const response = await unlessLost(signal, () => fetch(gateway + PATH, {
    method: 'POST',
    headers: {
      ...headers,
      'content-type': 'application/grpc-web+proto',
      'x-grpc-web': '1',
      'x-user-agent': 'jobgate-page',
    },
    body,
    signal,
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
    referrerPolicy: 'no-referrer',
  }));
  if (!response.ok) {
    const said = `HTTP ${response.status} in place of an answer`;
    throw new CallError({ code: UNKNOWN, message: said, http: response.status });
  }
  // A call that has no messages may end with its head.
  if (response.headers.has('grpc-status')) return end(response.headers);
  for await (const [flags, bytes] of frames(response.body, signal)) {
    if (flags & TRAILERS) return end(trailers(bytes));
    yield watchJobResponse(bytes);
  }
  throw lost('the connection broke');
}

const lost = (message) => new CallError({ code: UNAVAILABLE, message, lost: true });

/** The outcome of something that the network may fail. */
async function unlessLost(signal, attempt) {
  try {
    return await attempt();
  } catch (error) {
    throw signal.aborted ? signal.reason : lost(error.message);
  }
}

/** The frames of a body: their first bytes, and what they hold. */
async function* frames(body, signal) {
  const reader = body.getReader();
  let kept = new Uint8Array();
  try {
    for (;;) {
      while (kept.length >= 5) {
        const whole = 5 + new DataView(kept.buffer, kept.byteOffset).getUint32(1);
        if (kept.length < whole) break;
        yield [kept[0], kept.subarray(5, whole)];
        kept = kept.subarray(whole);
      }
      const { done, value } = await unlessLost(signal, () => reader.read());
      if (done) return;
      const joined = new Uint8Array(kept.length + value.length);
      joined.set(kept);
      joined.set(value, kept.length);
      kept = joined;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function trailers(bytes) {
  const lines = new TextDecoder().decode(bytes).split('\r\n').filter(Boolean);
  return new Headers(lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
  }));
}

/** Ends a call as its trailers say. */
function end(trailers) {
  const code = Number(trailers.get('grpc-status') ?? UNKNOWN);
  if (code === 0) return;
  const details = trailers.get('grpc-status-details-bin');
  const said = details ? status(base64(details)) : { message: decoded(trailers.get('grpc-message')) };
  throw new CallError({ ...said, code });
}

function base64(text) {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

function decoded(text) {
  try {
    return decodeURIComponent(text ?? '');
  } catch {
    return text;
  }
}
