// `jobgate simulate` and `jobgate serve`, started for a test.
'use strict';

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const readline = require('node:readline');

const SCRIPT = path.join(__dirname, '..', 'script.toml');

async function start(...args) {
  const child = spawn(process.env.JOBGATE_BIN, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines = [child.stdout, child.stderr].map((input) => readline.createInterface({ input }));
  const address = await new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${args} ended with ${code}`)));
    for (const line of lines) {
      line.on('line', (text) => {
        const found = /REST API|serving/.test(text) && /127\.0\.0\.1:\d+/.exec(text);
        if (found) resolve(found[0]);
      });
    }
  });
  const stop = async () => {
    child.removeAllListeners('exit');
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    return code;
  };
  return { address, stop };
}

const simulate = () => start('simulate', '--listen', '127.0.0.1:0', '--script', SCRIPT);

const serve = (rest, ...more) =>
  start('serve', '--upstream', `http://${rest}`, '--listen', '127.0.0.1:0',
    '--admin-listen', 'off', '--log-format', 'json', '--drain-delay', 'off', ...more);

async function startBackup(rest) {
  const volume_id = '7e5fdc5a-5e36-4b22-8bcc-7f17037290cc';
  const answer = await fetch(`http://${rest}/v2/p/cloudbackups`, {
    method: 'POST',
    headers: { 'x-auth-token': 'node-token' },
    body: JSON.stringify({ backup: { volume_id, name: 'b' } }),
  });
  return (await answer.json()).job_id;
}

module.exports = { simulate, serve, startBackup };
