"""The gateway's own password credentials, by a real Keystone."""

import itertools
import threading
import time
import unittest

from cloud import Cloud
from gateway import VARIABLE, Gateway
from iam import Keystone
from jobgate.v1 import jobs_pb2
from waiting import until

CALLERS = 32
OK = "OK"
REJECTED = "UNAVAILABLE GATEWAY_CREDENTIALS_REJECTED"
KEYSTONE = None


def setUpModule():
    global KEYSTONE
    KEYSTONE = Keystone()
    unittest.addModuleCleanup(KEYSTONE.close)
    KEYSTONE.bootstrap()


class Case(unittest.TestCase):
    def setUp(self):
        if KEYSTONE.process is None:
            KEYSTONE.start()
        KEYSTONE.set()
        self.project = KEYSTONE.project()
        self.user = KEYSTONE.user(self.project)
        self.cloud = Cloud(KEYSTONE)
        self.addCleanup(self.cloud.close)
        self.numbers = itertools.count(1)

    def serve(self, *flags, user=None, password=None, **more):
        user = user or self.user
        if not flags:
            flags = ("--iam-user-id", user.id, "--iam-project-id", self.project.id)
        self.gateway = Gateway(KEYSTONE, self.cloud, password or user.password, *flags, **more)
        self.addCleanup(self.gateway.stop)

    def job(self, state="done"):
        """Another id each time: calls for the same job at the same time would share a fetch."""
        return f"{state}-{next(self.numbers)}"

    def outcome(self):
        return self.gateway.outcome(self.project, self.job())

    def answers(self):
        self.assertEqual(self.outcome(), OK)

    def outcomes_at_once(self):
        outcomes, barrier = [], threading.Barrier(CALLERS)

        def call():
            barrier.wait()
            outcomes.append(self.outcome())

        callers = [threading.Thread(target=call) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        return outcomes

    def requests(self):
        return KEYSTONE.requests(self.user)

    def one_at_a_time(self, since=0):
        for earlier, later in itertools.pairwise(self.requests()[since:]):
            self.assertLessEqual(earlier["end"], later["begin"])


class Credentials(Case):
    def test_user_and_project_are_found_by_name_or_id(self):
        user = ("--iam-user", self.user.name, "--iam-domain", "Default")
        for flags in [
            (*user, "--iam-project", self.project.name),
            (*user, "--iam-project-id", self.project.id),
            (
                "--iam-user", self.user.name, "--iam-domain-id", "default",
                "--iam-project", self.project.name,
            ),
            (
                "--iam-user-id", self.user.id,
                "--iam-project", self.project.name, "--iam-project-domain", "Default",
            ),
            ("--iam-user-id", self.user.id, "--iam-project-id", self.project.id),
        ]:
            with self.subTest(flags=flags):
                before = len(self.requests())
                self.serve(*flags)
                done = self.gateway.get(self.project, self.job())
                self.assertEqual(done.status, jobs_pb2.JOB_STATUS_SUCCESS)
                running = self.gateway.get(self.project, self.job("running"))
                self.assertEqual(running.status, jobs_pb2.JOB_STATUS_RUNNING)
                self.assertEqual(len(self.requests()), before + 1)

    def test_the_project_may_be_in_another_domain(self):
        theirs = KEYSTONE.domain()
        user = KEYSTONE.user(self.project, theirs.id)
        self.serve(
            "--iam-user", user.name, "--iam-domain", theirs.name,
            "--iam-project", self.project.name, "--iam-project-domain", "Default",
            user=user,
        )
        self.answers()

    def test_the_password_may_be_in_a_variable(self):
        self.serve(source=VARIABLE)
        self.answers()

    def test_a_callers_own_token_is_neither_needed_nor_used(self):
        self.serve()
        self.answers()
        for metadata in [
            (("x-auth-token", "callers-own"),),
            (("authorization", "Bearer callers-own"),),
        ]:
            self.gateway.get(self.project, self.job(), metadata=metadata)
        self.assertEqual(list(self.cloud.tokens), [self.cloud.latest])
        self.assertEqual(len(self.requests()), 1)

    def test_another_project_is_denied_without_a_renewal(self):
        self.serve()
        self.answers()
        outcome = self.gateway.outcome(KEYSTONE.project(), self.job())
        self.assertEqual(outcome, "PERMISSION_DENIED PERMISSION_DENIED")
        self.assertEqual(len(self.requests()), 1)


class Renewal(Case):
    def test_the_first_calls_wait_for_one_token(self):
        KEYSTONE.set(latency=1)
        self.serve()
        self.assertEqual(self.outcomes_at_once(), [OK] * CALLERS)
        self.assertEqual(len(self.requests()), 1)

    def test_a_revoked_token_is_renewed_within_the_call(self):
        self.serve()
        self.answers()
        revoked = self.cloud.latest
        KEYSTONE.revoke(revoked)
        self.answers()
        self.assertNotEqual(self.cloud.latest, revoked)
        self.assertEqual(self.cloud.rejections, 1)
        self.assertEqual(len(self.requests()), 2)

    def test_a_token_that_is_revoked_before_its_first_use_is_renewed_within_the_call(self):
        self.serve()
        until(self.gateway.ready, "there is a token")
        # To disable a user ends all his tokens.
        KEYSTONE.update(self.user, enabled=False)
        KEYSTONE.update(self.user, enabled=True)
        KEYSTONE.settled(self.user, self.project)
        self.answers()

    def test_many_calls_renew_a_revoked_token_once(self):
        self.serve()
        self.answers()
        for latency in (1, 0):
            with self.subTest(latency=latency):
                before = len(self.requests())
                KEYSTONE.set(latency=latency)
                KEYSTONE.revoke(self.cloud.latest)
                self.assertEqual(self.outcomes_at_once(), [OK] * CALLERS)
                self.assertEqual(len(self.requests()), before + 1)

    def test_a_watch_outlives_its_token(self):
        self.serve(
            "--iam-user-id", self.user.id, "--iam-project-id", self.project.id,
            "--poll-min", "100ms",
        )
        job = self.job("running")
        events = self.gateway.watch(self.project, job)
        self.assertEqual(next(events).job.status, jobs_pb2.JOB_STATUS_RUNNING)
        revoked = self.cloud.latest
        KEYSTONE.revoke(revoked)
        renewed = lambda: self.cloud.latest != revoked or not events.is_active()
        until(renewed, "the watch has another token, or has ended")
        self.cloud.finish(job)
        states = [event.job.status for event in events if event.HasField("job")]
        self.assertEqual(states, [jobs_pb2.JOB_STATUS_SUCCESS])
        self.assertEqual(len(self.requests()), 2)

    def test_tokens_that_end_are_renewed_and_nobody_notices(self):
        lifetime = 5
        KEYSTONE.set(lifetime=lifetime)
        self.serve()
        begin = time.monotonic()
        while len(self.requests()) < 4:
            self.answers()
        self.rarely(begin, lifetime)

    def test_calls_of_many_go_on_through_slow_renewals(self):
        # Longer than any request takes: a call can't meet the ends of two.
        lifetime = 10
        KEYSTONE.set(lifetime=lifetime, latency=0.5)
        self.serve()
        begin = time.monotonic()
        enough, failures, calls = threading.Event(), [], []

        def call():
            while not enough.is_set():
                outcome = self.outcome()
                (calls if outcome == OK else failures).append(outcome)

        callers = [threading.Thread(target=call) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        try:
            until(lambda: failures or len(self.requests()) >= 4, "three renewals")
        finally:
            enough.set()
            for caller in callers:
                caller.join()
        self.assertEqual(failures, [])
        self.assertGreaterEqual(len(calls), CALLERS)
        self.one_at_a_time()
        self.rarely(begin, lifetime)

    def rarely(self, begin, lifetime):
        """Keystone cuts an end to whole seconds; a renewal ahead may halve what is left."""
        most = 2 + (time.monotonic() - begin) / ((lifetime - 1) / 2)
        self.assertLessEqual(len(self.requests()), most)


class Refusal(Case):
    def refused_gently(self, calls):
        """However many calls fail, Keystone hears little of it."""
        begin, before = time.monotonic(), len(self.requests())
        self.assertEqual({self.outcome() for _ in range(calls)}, {REJECTED})
        # Whatever the back-off: it begins with about a second, and does not shrink.
        most = 2 + (time.monotonic() - begin)
        self.assertLessEqual(len(self.requests()) - before, most)
        self.one_at_a_time(since=before)

    def recovers(self):
        """By itself: no call is needed."""
        until(self.gateway.ready, "the gateway is ready")
        self.answers()
        self.assertEqual(self.requests()[-1]["status"], 201)

    def test_a_wrong_password_is_said_and_not_tried_again_and_again(self):
        self.serve(password="wrong-password")
        self.refused_gently(300)
        self.assertFalse(self.gateway.ready())
        self.assertEqual(self.gateway.page("/healthz")[0], 200)
        self.assertEqual(self.cloud.requests, 0)
        self.assertEqual({request["status"] for request in self.requests()}, {401})
        self.gateway.write(self.user.password)
        self.recovers()

    def test_a_new_password_is_taken_from_the_file(self):
        self.serve()
        self.answers()
        self.user.password = "another-password"
        KEYSTONE.update(self.user, password=self.user.password)
        KEYSTONE.settled(self.user, self.project)
        self.refused_gently(20)
        self.gateway.write(self.user.password)
        self.recovers()

    def test_a_disabled_user_is_said(self):
        self.serve()
        self.answers()
        KEYSTONE.update(self.user, enabled=False)
        self.refused_gently(100)
        self.assertFalse(self.gateway.ready())
        KEYSTONE.update(self.user, enabled=True)
        KEYSTONE.settled(self.user, self.project)
        # The gateway waits for minutes, since a wrong password locks its user; told so, it does not.
        self.gateway.hang_up()
        self.recovers()


class Absence(Case):
    def nobody_is_there(self):
        outcome = self.outcome()
        self.assertTrue(outcome.startswith("UNAVAILABLE "), outcome)
        self.assertNotEqual(outcome, REJECTED)

    def test_keystone_is_missed_only_when_the_token_has_ended(self):
        # The cloud goes on as well: it remembers the token to its end.
        self.cloud.remember = 3600
        KEYSTONE.set(lifetime=8)
        self.serve()
        self.answers()
        KEYSTONE.stop()
        end = self.cloud.tokens[self.cloud.latest].ends
        while time.time() < end:
            outcome = self.outcome()
            # A call may come too late in the token's last second, and no earlier.
            if time.time() < end - 1:
                self.assertEqual(outcome, OK)
        until(lambda: self.outcome() != OK, "the token has ended")
        self.nobody_is_there()
        KEYSTONE.start()
        until(lambda: self.outcome() == OK, "a call succeeds again")
        self.assertTrue(self.gateway.ready())

    def test_a_keystone_that_comes_later_is_waited_for(self):
        KEYSTONE.stop()
        self.serve()
        self.nobody_is_there()
        self.assertFalse(self.gateway.ready())
        KEYSTONE.start()
        until(self.gateway.ready, "the gateway is ready")
        self.answers()


if __name__ == "__main__":
    unittest.main()
