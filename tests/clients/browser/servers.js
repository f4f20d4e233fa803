// What the tests need besides a browser: a simulated cloud, gateways, and a site with pages.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import readline from 'node:readline';

const HERE = import.meta.dirname;
const TYPES = { '.js': 'text/javascript', '.html': 'text/html' };

/** The program with these arguments, once it has said where it is. */
async function start(...args) {
  const child = spawn(process.env.JOBGATE_BIN, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const log = [];
  const found = await new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${args} ended with ${code}: ${log.join('\n')}`)));
    for (const input of [child.stdout, child.stderr]) {
      readline.createInterface({ input }).on('line', (text) => {
        log.push(text);
        if (/REST API|"serving"/.test(text)) resolve(text.match(/127\.0\.0\.1:\d+/g));
      });
    }
  });
  const stop = async () => {
    child.removeAllListeners('exit');
    if (child.exitCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  };
  return { found, log, stop };
}

export async function simulate() {
  const script = path.join(HERE, 'script.toml');
  const { found: [address], stop } =
    await start('simulate', '--listen', '127.0.0.1:0', '--script', script);
  return { address, stop };
}

/** A gateway, with an admin port. */
export async function serve(cloud, ...more) {
  const args = ['serve', '--upstream', `http://${cloud.address}`, '--log-format', 'json',
    '--drain-delay', 'off', '--poll-min', '200ms', '--poll-max', '300ms'];
  for (const listen of ['--listen', '--admin-listen']) {
    if (!more.includes(listen)) args.push(listen, '127.0.0.1:0');
  }
  const { found, log, stop } = await start(...args, ...more);
  const serving = JSON.parse(log.find((line) => line.includes('"serving"')));
  const metric = async (name) => {
    const text = await (await fetch(`http://${serving.admin}/metrics`)).text();
    const line = text.split('\n').find((line) => line.startsWith(`${name} `));
    return line && Number(line.split(' ')[1]);
  };
  return { found, log, stop, metric, grpc: `http://${serving.grpc}`, admin: `http://${serving.admin}` };
}

export async function startBackup(cloud) {
  const answer = await fetch(`http://${cloud.address}/v2/p/cloudbackups`, {
    method: 'POST',
    headers: { 'x-auth-token': 'token' },
    body: JSON.stringify({ backup: { volume_id: '7e5fdc5a', name: 'b' } }),
  });
  return (await answer.json()).job_id;
}

/** A site with the page that calls by connect-web. */
export async function site() {
  const server = createServer(async (request, response) => {
    const file = path.join(HERE, path.normalize(new URL(request.url, 'http://x').pathname));
    try {
      const text = await readFile(file);
      response.writeHead(200, { 'content-type': TYPES[path.extname(file)] ?? 'text/plain' });
      response.end(text);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = () => { server.closeAllConnections(); server.close(); };
  return { origin: `http://127.0.0.1:${server.address().port}`, stop };
}

/** A port that is free at this moment. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until something is so. The limit is for what will never be. */
export async function becomes(so, what = so) {
  for (const end = Date.now() + 60_000; Date.now() < end;) {
    if (await so()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`it does not become so: ${what}`);
}
