// The messages of the contract that this page sends and reads, and no more of protobuf than they
// need. Unknown fields are skipped, so a newer gateway is understood.

/** The statuses of a job, by number. */
export const JobStatus = ['UNSPECIFIED', 'INIT', 'RUNNING', 'SUCCESS', 'FAIL'];

const text = new TextDecoder();
const utf8 = new TextEncoder();

// Kinds of fields: how what is on the wire becomes a value.
const string = (bytes) => text.decode(bytes);
const number = (value) => Number(BigInt.asIntN(64, value));
const raw = (bytes) => bytes;

// A message: by a field's number, its name, its kind, and how it adds up if there are many.
const message = (fields) => (bytes) => read(bytes, fields);
const list = (name, kind) => [name, kind, (all = [], one) => [...all, one]];
const map = (name) => {
  const entry = message({ 1: ['key', string], 2: ['value', string] });
  return [name, entry, (all = new Map(), { key = '', value = '' }) => all.set(key, value)];
};

// Times and durations are numbers of milliseconds.
const time = (bytes) => {
  const { seconds = 0, nanos = 0 } = read(bytes, { 1: ['seconds', number], 2: ['nanos', number] });
  return seconds * 1e3 + nanos / 1e6;
};

const job = (bytes) => read(bytes, JOB);
const JOB = {
  1: ['jobId', string],
  2: ['jobType', string],
  3: ['status', number],
  4: ['statusText', string],
  5: map('entities'),
  6: ['beginTime', time],
  7: ['endTime', time],
  8: ['errorCode', string],
  9: ['failReason', string],
  10: list('subJobs', job),
};

const DETAILS = {
  'google.rpc.ErrorInfo': ['info', message({
    1: ['reason', string], 2: ['domain', string], 3: map('metadata'),
  })],
  'google.rpc.RetryInfo': ['retry', message({ 1: ['delay', time] })],
  'google.rpc.RequestInfo': ['request', message({ 1: ['id', string] })],
  'google.rpc.BadRequest': ['bad', message({
    1: list('violations', message({ 1: ['field', string], 2: ['description', string] })),
  })],
};

/** A `google.rpc.Status`, with the details that are known here by their names. */
export function status(bytes) {
  const any = message({ 1: ['url', string], 2: ['value', raw] });
  const { code = 0, message: said = '', details = [] } = read(bytes, {
    1: ['code', number], 2: ['message', string], 3: list('details', any),
  });
  const known = {};
  for (const { url = '', value = new Uint8Array() } of details) {
    const [name, kind] = DETAILS[url.slice(url.lastIndexOf('/') + 1)] ?? [];
    if (name) known[name] = kind(value);
  }
  return { code, message: said, ...known };
}

/** A `Job`. */
export { job };

/** A `WatchJobResponse`. */
export const watchJobResponse = message({
  1: ['job', job],
  2: ['heartbeat', message({ 1: ['upstreamError', status] })],
  3: ['resumeToken', string],
  4: ['observeTime', time],
});

/** The bytes of a message whose fields are all texts: of a `WatchJobRequest`. */
export function texts(...values) {
  return new Uint8Array(values.flatMap((value, index) => {
    const bytes = utf8.encode(value);
    return bytes.length ? [(index + 1) << 3 | 2, ...varint(bytes.length), ...bytes] : [];
  }));
}

function varint(value) {
  const bytes = [];
  for (; value > 127; value >>>= 7) bytes.push(value & 127 | 128);
  return [...bytes, value];
}

function read(bytes, fields) {
  const result = {};
  let at = 0;
  const next = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      if (at >= bytes.length || shift > 63n) throw new RangeError('the message is cut');
      const byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const take = (length) => {
    if (length > bytes.length - at) throw new RangeError('the message is cut');
    return bytes.subarray(at, at += length);
  };
  while (at < bytes.length) {
    const tag = Number(next());
    let value;
    switch (tag & 7) {
      case 0: value = next(); break;
      case 1: value = take(8); break;
      case 2: value = take(Number(next())); break;
      case 5: value = take(4); break;
      default: throw new RangeError('the message is none');
    }
    const [name, kind, add = (_, one) => one] = fields[tag >>> 3] ?? [];
    if (name) result[name] = add(result[name], kind(value));
  }
  return result;
}
