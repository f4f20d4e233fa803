// What happened, in plain words, and what to do about it.

const CODES = [
  'OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND',
  'ALREADY_EXISTS', 'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'ABORTED',
  'OUT_OF_RANGE', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED',
];

const OPERATOR = 'Tell whoever runs this gateway.';
const LATER = 'It may pass. Try again in a while.';

/** By the reason of an error: what happened, and what to do. */
export const REASONS = {
  JOB_NOT_FOUND: ['There is no such job',
    'Check the job and the project. The cloud forgets finished jobs after a while.'],
  JOB_EXPIRED: ['The job is gone', 'The cloud has forgotten it. Nothing can be done.'],
  CREDENTIALS_MISSING: ['A token is missing', 'Fill in the token that the message asks for.'],
  CREDENTIALS_REJECTED: ['The token is not accepted',
    'It is wrong or has ended. Get a new one and fill it in.'],
  GATEWAY_CREDENTIALS_REJECTED: ['The gateway’s own credentials are not accepted', OPERATOR],
  GATEWAY_CREDENTIALS_UNAVAILABLE: ['The gateway has no credentials at present', LATER],
  PERMISSION_DENIED: ['This is not allowed',
    'The token is good, but not for this project. Check the project, or ask for the right.'],
  UPSTREAM_ROUTE_NOT_FOUND: ['There is no job API where the gateway asks', OPERATOR],
  UPSTREAM_THROTTLED: ['The cloud wants fewer requests', LATER],
  UPSTREAM_QUOTA_EXCEEDED: ['A quota of the cloud is used up',
    'Waiting does not help. Ask for a larger quota.'],
  UPSTREAM_UNAVAILABLE: ['The cloud is out of order at present', LATER],
  UPSTREAM_REDIRECT: ['The cloud sends the gateway elsewhere', OPERATOR],
  UPSTREAM_UNREACHABLE: ['The gateway can’t reach the cloud', LATER],
  UPSTREAM_TIMEOUT: ['The cloud did not answer in time', LATER],
  UPSTREAM_MALFORMED_RESPONSE: ['The cloud’s answer is no job', OPERATOR],
  UPSTREAM_RESPONSE_TOO_LARGE: ['The job is too large to be shown', 'Ask the cloud itself.'],
  OVERLOADED: ['The gateway has too much to do', LATER],
  SERVER_DRAINING: ['This replica of the gateway is about to stop', 'Try again at once.'],
  WATCH_EXPIRED: ['The watch has lived as long as it may', 'Watch again.'],
  INVALID_REQUEST: ['Something in the form is wrong', 'Put right what the message names.'],
  UPSTREAM_REJECTED_REQUEST: ['The cloud calls the request wrong', 'Check the job and the project.'],
  UPSTREAM_CONFLICT: ['The cloud reports a conflict', LATER],
  UPSTREAM_INTERNAL: ['The cloud failed', LATER],
  UPSTREAM_NOT_IMPLEMENTED: ['The cloud can’t do this', OPERATOR],
  UPSTREAM_REFUSED_REQUEST: ['The cloud does not take the gateway’s way of asking', OPERATOR],
  UPSTREAM_OUT_OF_RANGE: ['The cloud calls the request out of range', OPERATOR],
  UPSTREAM_PRECONDITION_FAILED: ['The cloud refuses the request at present', LATER],
  DEADLINE_EXCEEDED: ['There was no answer in time', LATER],
  INTERNAL: ['The gateway failed', OPERATOR],
  METHOD_NOT_IMPLEMENTED: ['This gateway can’t watch jobs', OPERATOR],
};

/** An error: what happened, the message, what to do, and the codes that somebody may ask for. */
export function explain(error, gateway) {
  const { code, message, info, request, retry, bad, http } = error;
  if (error.lost) {
    return {
      title: `No answer from ${gateway}`,
      message: 'Does it run, and can this browser reach it? If the browser does not trust its '
        + 'certificate, open that address once by itself.',
      advice: '', codes: [message],
    };
  }
  if (http) {
    return { title: 'That was no answer of a gateway', message, advice: OPERATOR, codes: [] };
  }
  const [title, advice] = REASONS[info?.reason] ?? ['The watch ended with an error', LATER];
  const upstream = info?.metadata;
  const fields = bad?.violations?.map(({ field, description }) => `${field}: ${description}`) ?? [];
  const wait = retry?.delay ? ` Wait ${took(retry.delay)} first.` : '';
  return {
    title,
    message: sentence(fields.length && !message ? fields.join(', ') : message),
    advice: advice + wait,
    codes: [
      CODES[code] ?? `code ${code}`,
      info?.reason,
      upstream?.get('upstream_http_status') && `HTTP ${upstream.get('upstream_http_status')}`,
      upstream?.get('upstream_code'),
      request?.id && `request ${request.id}`,
    ].filter(Boolean),
  };
}

function sentence(text = '') {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) || !first ? first : `${first}.`;
}

/** A duration, such as `1 min 30 s`. */
export function took(ms) {
  if (ms < 10_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const seconds = Math.floor(ms / 1000);
  const [days, hours] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24];
  const minutes = Math.floor(seconds / 60) % 60;
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  if (minutes) return seconds % 60 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  return `${seconds} s`;
}
