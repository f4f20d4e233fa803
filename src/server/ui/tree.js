// A job as rows of a table: its steps below it, each with a bar on one time line.

import { JobStatus } from './messages.js';
import { took } from './words.js';

/** By the status: its look, its mark, its word. */
const LOOKS = {
  UNSPECIFIED: ['odd', '?', ''],
  INIT: ['idle', '○', 'Waiting'],
  RUNNING: ['busy', '●', 'Running'],
  SUCCESS: ['good', '✓', 'Done'],
  FAIL: ['bad', '✕', 'Failed'],
};

/** How a job stands, in a word and a look. */
export function look({ status = 0, statusText }) {
  const [tone, mark, word] = LOOKS[JobStatus[status]] ?? LOOKS.UNSPECIFIED;
  return { tone, mark, word: word || statusText || 'No status' };
}

/** Whether a job has ended. */
export function ended({ status }) {
  return ['SUCCESS', 'FAIL'].includes(JobStatus[status]);
}

/** All steps of a job, and theirs, without itself. */
export function steps(job) {
  return (job.subJobs ?? []).flatMap((step) => [step, ...steps(step)]);
}

/** An element with these attributes and children. Texts stay texts. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== undefined && child !== ''));
  return made;
}

/**
 * Rows for a job and its steps. What is returned beside them moves the bars of what is under way
 * to a time.
 */
export function rows(job) {
  const all = [];
  collect(job, 1, all);
  const made = all.map(({ job, level }) => row(job, level));
  const move = (now) => {
    // Of a job that has ended nothing goes on, whatever its steps say.
    const until = ended(job) ? job.endTime : now;
    const spans = all.map(({ job }) => span(job, until));
    const known = spans.filter(Boolean);
    const begin = Math.min(...known.map(([from]) => from));
    const whole = Math.max(...known.map(([, to]) => to)) - begin;
    made.forEach(({ bar, length }, index) => {
      bar.hidden = !spans[index];
      const [from, to] = spans[index] ?? [0, 0];
      length.textContent = spans[index] ? took(to - from) : '';
      if (!spans[index]) return;
      bar.style.left = `${whole ? Math.min((from - begin) / whole * 100, 99) : 0}%`;
      bar.style.width = `${whole ? (to - from) / whole * 100 : 100}%`;
    });
  };
  return { rows: made.map(({ row }) => row), move };
}

function collect(job, level, all) {
  all.push({ job, level });
  for (const step of job.subJobs ?? []) collect(step, level + 1, all);
}

/** From when to when a job ran. Clocks that contradict each other give nothing. */
function span(job, until) {
  const { beginTime: from, endTime } = job;
  const to = endTime ?? (ended(job) ? undefined : until);
  return from !== undefined && to >= from ? [from, to] : undefined;
}

function row(job, level) {
  const { tone, mark, word } = look(job);
  const bar = element('div', { class: 'bar' });
  const length = element('td', { class: 'number' });
  const name = element('th', { scope: 'row' },
    level > 1 ? element('span', { class: 'unseen' }, `Level ${level}: `) : '',
    ...breakable(job.jobType || job.jobId || '(no name)'),
    level > 1 && job.jobId && job.jobType ? element('span', { class: 'id' }, job.jobId) : '',
    level > 1 ? wrong(job) : '');
  name.style.setProperty('--level', Math.min(level, 12));
  const row = element('tr', { class: level > 1 ? tone : `${tone} top` },
    name,
    element('td', { class: 'status tone' },
      element('span', { class: 'mark', 'aria-hidden': 'true' }, mark), ` ${word}`),
    element('td', { class: 'chart', 'aria-hidden': 'true' }, element('div', { class: 'track' }, bar)),
    length);
  return { row, bar, length };
}

/** A name that may be broken before its capitals. */
function breakable(name) {
  return name.split(/(?=[A-Z])/).flatMap((part, index) => index ? [element('wbr'), part] : [part]);
}

/** Why a step failed, in the cloud's words. */
function wrong({ errorCode, failReason }) {
  const text = [failReason, errorCode && `(${errorCode})`].filter(Boolean).join(' ');
  return text ? element('span', { class: 'wrong' }, text) : '';
}
