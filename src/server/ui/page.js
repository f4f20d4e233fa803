// The page: a form, a watch, and what is seen of it.
//
// Tokens stay in their fields. Nothing is stored; the address gets project and job, so that a watch
// can be shown to others, who need tokens of their own.

import { element, ended, look, rows, steps } from './tree.js';
import { CallError, follow } from './watch.js';
import { explain, took } from './words.js';

const at = (id) => document.getElementById(id);
const [form, button, result] = ['form', 'button', 'result'].map(at);

let gateway = '';
/** What stops the watch; none if there is none. */
let stop;
/** Moves the bars to a time. */
let move;
/** How far the gateway's clock is ahead of this one, in milliseconds. */
let ahead = 0;

const now = () => Date.now() + ahead;
const clock = (time) => new Date(time).toLocaleTimeString();

async function begin() {
  [at('project').value, at('job').value] = location.hash.slice(1).split('/').concat('');
  const told = await fetch('ui/gateway.json');
  const { gateway: address, origins } = await told.json();
  if (!address) {
    return setUp('It is not known where the gateway is.', '--admin-ui-gateway URL');
  }
  gateway = address;
  at('gateway').replaceChildren(element('code', {}, gateway));
  if (!origins.includes('*') && !origins.includes(location.origin)) {
    return setUp(
      `The gateway at ${gateway} takes no calls from this page, which comes from ${location.origin}.`,
      `--grpc-web-allow-origin ${[...origins, location.origin].join(',')}`);
  }
  button.disabled = false;
}

/** Says what the gateway must be started with before this page can do anything. */
function setUp(problem, flag) {
  at('setup').replaceChildren(
    element('h2', {}, 'This page can’t call the gateway yet'),
    element('p', {}, problem),
    element('p', {}, 'Whoever runs it can allow it: start it with ', element('code', {}, flag), '.'));
  at('setup').hidden = false;
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (stop) stop.abort();
  else watch();
});

async function watch() {
  const [project, job, token, caller] =
    ['project', 'job', 'token', 'caller'].map((id) => at(id).value.trim());
  clear();
  history.replaceState(null, '', `#${project}/${job}`);
  const headers = {};
  if (token) headers['x-auth-token'] = token;
  if (caller) headers.authorization = `Bearer ${caller}`;
  if (!Object.values(headers).every((value) => /^[\x20-\x7e]*$/.test(value))) {
    return show({ title: 'This is no token', message: 'It has characters that no token has.' });
  }
  stop = new AbortController();
  button.textContent = 'Stop';
  button.className = 'stop';
  say('Asking …');
  const tick = setInterval(() => move?.(now()), 1000);
  try {
    for await (const step of follow(gateway, { project, job }, headers, stop.signal)) {
      if (step.event) heard(step.event);
      else interrupted(step.error, step.wait);
    }
    say('The job has ended.');
  } catch (error) {
    if (stop.signal.aborted) {
      say('Stopped.');
    } else {
      if (!(error instanceof CallError)) throw error;
      show(explain(error, gateway));
      say(result.hidden ? '' : 'The watch has ended.');
    }
  } finally {
    clearInterval(tick);
    stop = undefined;
    button.textContent = 'Watch';
    button.className = '';
  }
}

function clear() {
  result.hidden = true;
  move = undefined;
  for (const id of ['error', 'failure', 'steps', 'facts', 'news', 'state', 'heard']) {
    at(id).replaceChildren();
  }
}

function heard({ job, heartbeat, observeTime }) {
  if (job && observeTime) ahead = observeTime - Date.now();
  if (job) draw(job);
  const error = heartbeat?.upstreamError;
  at('heard').textContent = error ? '' : `Last heard at ${clock(Date.now())}.`;
  if (error) {
    const { title, codes } = explain(error, gateway);
    const of = clock(observeTime - ahead);
    const what = `${title} (${codes.slice(0, 2).join(', ')}).`;
    say(`${what} The gateway goes on trying; what you see is from ${of}.`, 'odd');
  } else {
    say('Live.');
  }
}

function interrupted(error, wait) {
  const { title } = explain(error, gateway);
  say(`${title}. Reconnecting in ${took(wait)} …`, 'odd');
}

/** Says how the watch stands. Screen readers say it aloud, so only when it is news. */
function say(text, tone = '') {
  if (at('state').textContent !== text) at('state').textContent = text;
  at('line').className = `help ${tone}`;
}

function show({ title, message, advice = '', codes = [] }) {
  at('error').replaceChildren(panel('h2', title, message, advice, codes));
}

function panel(heading, title, message, advice, codes) {
  return element('div', { class: 'panel bad' },
    element(heading, {}, title),
    message ? element('p', {}, message) : '',
    advice ? element('p', {}, advice) : '',
    codes.length ? element('p', { class: 'codes' }, codes.join(' · ')) : '');
}

function draw(job) {
  result.hidden = false;
  const { tone, word } = look(job);
  result.className = tone;
  at('title').replaceChildren(job.jobType || 'Job', ' ', element('small', {}, job.jobId ?? ''));
  const all = steps(job);
  const over = all.filter(ended).length;
  const have = all.length === 1 ? 'step has' : 'steps have';
  const news = all.length ? `${word}: ${over} of ${all.length} ${have} ended.` : `${word}.`;
  if (at('news').textContent !== news) at('news').textContent = news;
  progress(job, over, all.length);
  at('failure').replaceChildren(...failure(job));
  const drawn = rows(job);
  at('steps').replaceChildren(...drawn.rows);
  move = drawn.move;
  move(now());
  facts(job);
  document.title = `${word} · ${job.jobType || 'job'} · jobgate`;
}

function progress(job, over, all) {
  const bar = at('progress');
  bar.hidden = !all;
  if (all) bar.value = ended(job) ? 1 : over / all;
}

function failure(job) {
  if (look(job).tone !== 'bad') return [];
  const reason = job.failReason || 'The cloud says no more.';
  return [panel('h3', 'The job has failed', reason, '', job.errorCode ? [job.errorCode] : [])];
}

function facts(job) {
  const time = (value) => value === undefined ? undefined : new Date(value).toLocaleString();
  const all = [
    ['begun', time(job.beginTime)],
    ['ended', time(job.endTime)],
    ['status of the cloud', job.statusText],
    ...(job.entities ?? []),
  ];
  at('facts').replaceChildren(...all.filter(([, value]) => value).flatMap(([name, value]) =>
    [element('dt', {}, name), element('dd', {}, value)]));
}

begin().catch((error) => setUp(`This page could not be set up: ${error.message}.`, '--admin-ui'));
