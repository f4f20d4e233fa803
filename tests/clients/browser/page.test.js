// The page of the admin port, as people have it before them. Screenshots are left to be looked at.

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';

import axe from 'axe-core';

import { launch } from './browser.js';
import { becomes, freePort, serve, simulate, startBackup } from './servers.js';

let browser, cloud, gateway, ports;

before(async () => {
  [browser, cloud] = await Promise.all([launch(), simulate()]);
  ports = [await freePort(), await freePort()];
  gateway = await serveAt(ports, ...allowing());
});

after(async () => {
  await browser?.close();
  await Promise.all([gateway, cloud].map((it) => it?.stop()));
});

const serveAt = ([grpc, admin], ...more) => serve(cloud, '--admin-ui', '--heartbeat', '300ms',
  '--listen', `127.0.0.1:${grpc}`, '--admin-listen', `127.0.0.1:${admin}`, ...more);
const allowing = () => ['--grpc-web-allow-origin', `http://127.0.0.1:${ports[1]}`];

/** The page, whose every complaint fails the test at its end. */
async function open(t, { admin, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1000, height: 800 }, timezoneId: 'UTC', ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on('console', (said) => said.type() === 'error' && page.complaints.push(said.text()));
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  t.after(() => context.close());
  await page.goto(`${admin ?? gateway.admin}/ui`);
  return page;
}

async function watch(page, job, token = 'token') {
  await page.getByLabel('Project').fill('p');
  await page.getByLabel('Job').fill(job);
  await page.getByLabel('Token of the cloud').fill(token);
  await page.getByRole('button', { name: 'Watch' }).click();
}

/** Waits for a text in the page. */
const reads = (page, text) => page.getByText(text).first().waitFor();

const shot = async (page, name) => {
  const folder = process.env.JOBGATE_SCREENSHOTS;
  return page.screenshot({ fullPage: true, ...folder && { path: path.join(folder, `${name}.png`) } });
};

/** The colours of a screenshot at these points. */
async function colours(png, points) {
  const page = await browser.newPage();
  try {
    return await page.evaluate(async ([base64, points]) => {
      const image = new Image();
      image.src = `data:image/png;base64,${base64}`;
      await image.decode();
      const canvas = new OffscreenCanvas(image.width, image.height);
      const context = canvas.getContext('2d');
      context.drawImage(image, 0, 0);
      return points.map(([x, y]) => [...context.getImageData(x, y, 1, 1).data.slice(0, 3)]);
    }, [png.toString('base64'), points]);
  } finally {
    await page.close();
  }
}

test('a backup is watched to its end', async (t) => {
  const page = await open(t);
  await watch(page, await startBackup(cloud));
  await reads(page, /^Running: \d of \d steps? ha/);
  await shot(page, 'running');
  await reads(page, 'Done: 2 of 2 steps have ended.');
  await reads(page, /^The job has ended\./);
  const rows = await page.locator('tbody tr').allInnerTexts();
  assert.equal(rows.length, 3);
  assert.ok(rows.every((row) => /Done/.test(row)), rows);
  assert.equal(await page.title(), 'Done · bksCreateBackup · jobgate');
  assert.equal(await page.getByRole('button').textContent(), 'Watch');
  assert.deepEqual(page.complaints, []);
});

test('bars stand where their time is, in light and dark', async (t) => {
  for (const [colorScheme, good, track] of [
    ['light', [26, 127, 75], [237, 240, 243]], ['dark', [76, 195, 138], [42, 48, 56]],
  ]) {
    const page = await open(t, { colorScheme });
    await watch(page, 'whole');
    await reads(page, 'Done: 5 of 5 steps have ended.');
    await reads(page, /^The job has ended\./);
    await page.locator('summary').click();
    const png = await shot(page, `whole-${colorScheme}`);
    const tracks = await page.locator('.track').evaluateAll((all) => all.map((it) => {
      const { x, y, width, height } = it.getBoundingClientRect();
      return { x: x + scrollX, y: y + scrollY, width, height };
    }));
    const expected = [[0, 1], [0, 0.1], [0.1, 0.9], [0.1, 0.5], [0.5, 0.9], [0.9, 1]];
    assert.equal(tracks.length, expected.length);
    const points = [];
    tracks.forEach(({ x, y, width, height }, index) => {
      const [from, to] = expected[index];
      for (const [part, colour] of [
        [from + 0.03, good], [(from + to) / 2, good], [to - 0.03, good],
        ...from > 0 ? [[from - 0.03, track]] : [], ...to < 1 ? [[to + 0.03, track]] : [],
      ]) {
        points.push({ index, part, colour, at: [x + part * width, y + height / 2] });
      }
    });
    const seen = await colours(png, points.map(({ at }) => at));
    points.forEach(({ index, part, colour }, point) => {
      const near = colour.every((value, it) => Math.abs(value - seen[point][it]) < 12);
      assert.ok(near, `${colorScheme}: bar ${index} at ${part}: ${seen[point]}, not ${colour}`);
    });
    assert.deepEqual(page.complaints, []);
  }
});

test('axe finds nothing that keeps people out', async (t) => {
  for (const colorScheme of ['light', 'dark']) {
    for (const job of ['whole', 'failed', 'nobody']) {
      const page = await open(t, { colorScheme, bypassCSP: true });
      await watch(page, job);
      await becomes(() => page.getByRole('button', { name: 'Watch' }).isVisible());
      await page.evaluate(axe.source);
      const { violations } = await page.evaluate(() => window.axe.run());
      const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html)}`);
      assert.deepEqual(told, [], `${colorScheme} ${job}`);
    }
  }
});

test('who does not see it is told the same', async (t) => {
  const page = await open(t);
  await watch(page, 'whole');
  await reads(page, /^The job has ended\./);
  const told = await page.locator('table').ariaSnapshot();
  assert.match(told, /rowheader "bksCreateBackup"/);
  assert.match(told, /rowheader "Level 3: bksUploadPart step-2-2"/);
  assert.match(told, /cell "Done"/);
  assert.match(told, /cell "4 min"/);
  assert.doesNotMatch(told, /Time line/);
  assert.equal(await page.getByRole('progressbar').getAttribute('aria-label'), 'Steps that have ended');
  const live = await page.locator('[role=status]').allInnerTexts();
  assert.match(live.join(), /Done: 5 of 5 steps have ended\./);
});

test('a job that has failed says why, and its texts are texts', async (t) => {
  for (const colorScheme of ['light', 'dark']) {
    const page = await open(t, { colorScheme });
    await watch(page, 'failed');
    await reads(page, 'Failed: 2 of 3 steps have ended.');
    await reads(page, /backup status is error <img id='ill' src='x'>\./);
    await reads(page, 'No room is left in the bucket. (VolumeBackup.0064)');
    await page.locator('summary').click();
    await reads(page, "<script>document.title = 'ill'</script>");
    assert.equal(await page.locator('#ill').count(), 0);
    assert.equal(await page.title(), 'Failed · bksCreateBackup · jobgate');
    await shot(page, `failed-${colorScheme}`);
    assert.deepEqual(page.complaints, []);
  }
});

test('an error says in plain words what to do', async (t) => {
  const page = await open(t);
  await watch(page, 'whole', 'no-good');
  await reads(page, 'The token is not accepted');
  await reads(page, /Get a new one and fill it in\./);
  await reads(page, /UNAUTHENTICATED · CREDENTIALS_REJECTED · HTTP 401/);
  await shot(page, 'wrong-token');
  await watch(page, 'nobody');
  await reads(page, 'There is no such job');
  assert.equal(await page.getByText('The token is not accepted').count(), 0);
  await watch(page, 'whole', '');
  await reads(page, 'A token is missing');
  await watch(page, 'whole', 'ü');
  await reads(page, 'This is no token');
  // And after all that it still works.
  await watch(page, 'odd');
  await reads(page, 'PENDING_PAYMENT.');
});

test('the token stays in its field', async (t) => {
  const page = await open(t);
  const secret = 'of watchJob';
  await watch(page, 'whole', secret);
  await reads(page, /^The job has ended\./);
  const kept = await page.evaluate(async () => JSON.stringify([
    location.href, document.cookie, { ...localStorage }, { ...sessionStorage },
    await indexedDB.databases(), await caches.keys().catch(() => []), document.body.innerText, history.state,
  ]));
  assert.ok(kept.includes('#p/whole') && !kept.includes(secret), kept);
  assert.equal(await page.getByLabel('Token of the cloud').getAttribute('type'), 'password');
  // A reload begins with the job, and without the token.
  await page.reload();
  assert.equal(await page.getByLabel('Job').inputValue(), 'whole');
  assert.equal(await page.getByLabel('Token of the cloud').inputValue(), '');
  // If the script is gone, the form goes nowhere.
  await page.evaluate(() => document.getElementById('form').submit());
  assert.equal(new URL(page.url()).search, '');
});

test('all goes by keyboard, and a watch can be stopped', async (t) => {
  const page = await open(t);
  await page.getByRole('button', { name: 'Watch' }).isEnabled();
  for (const text of ['p', 'endless', 'token']) {
    await page.keyboard.press('Tab');
    await page.keyboard.type(text);
  }
  await becomes(() => page.getByRole('button').isEnabled());
  await page.keyboard.press('Enter');
  await reads(page, 'Running.');
  await reads(page, /^Live\./);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Stop');
  await page.keyboard.press('Space');
  await reads(page, 'Stopped.');
  await becomes(async () => await gateway.metric('jobgate_watchers') === 0);
});

test('trouble of the cloud is told while the watch goes on', async (t) => {
  const page = await open(t);
  await watch(page, 'shaky', 'of shaky');
  await reads(page, 'Running.');
  await reads(page, /^The cloud wants fewer requests \(RESOURCE_EXHAUSTED, UPSTREAM_THROTTLED.*goes on trying/);
  await shot(page, 'trouble');
  assert.equal(await page.getByRole('button').textContent(), 'Stop');
});

test('a watch that breaks is taken up again', async (t) => {
  const page = await open(t);
  await watch(page, 'endless');
  await reads(page, 'Running.');
  await gateway.stop();
  await reads(page, /Reconnecting in/);
  await reads(page, /^No answer from http:\/\/127\.0\.0\.1:\d+\. Reconnecting in/);
  await shot(page, 'reconnecting');
  gateway = await serveAt(ports, ...allowing());
  await reads(page, /^Live\./);
  assert.equal(await page.locator('tbody tr').count(), 1);
});

test('a page that may not call says what is missing', async (t) => {
  const strict = await serve(cloud, '--admin-ui', '--grpc-web-allow-origin', 'https://jobs.example.com');
  t.after(() => strict.stop());
  const page = await open(t, { admin: strict.admin });
  await reads(page, `--grpc-web-allow-origin https://jobs.example.com,${strict.admin}`);
  assert.ok(await page.getByRole('button').isDisabled());
  await shot(page, 'not-allowed');
});

test('a small screen has all but the bars', async (t) => {
  const page = await open(t, { viewport: { width: 390, height: 800 } });
  await watch(page, 'whole');
  await reads(page, 'Done: 5 of 5 steps have ended.');
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.equal(wide, 390);
  await shot(page, 'small');
});
