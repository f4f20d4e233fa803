"""The simulator as the cloud's Python SDK sees it: EVS asks for jobs at the same path, signed with AK/SK."""

import unittest

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.auth.internal import MetadataAccessor
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkevs.v2 import EvsClient, ShowJobRequest

from servers import start, stop


class ShowJob(unittest.TestCase):
    def setUp(self):
        # One for each test: wrong signatures lock a key.
        self.simulator, self.address = start("simulate", "--listen", "127.0.0.1:0")

    def tearDown(self):
        self.assertEqual(stop(self.simulator)[0], 0)

    def show(self, job, access_key="DEMOACCESSKEY", secret_key="demo-secret-key", security_token=None):
        credentials = BasicCredentials(access_key, secret_key, "demo")
        if security_token:
            credentials = credentials.with_security_token(security_token)
        builder = EvsClient.new_builder().with_credentials(credentials)
        client = builder.with_endpoint(f"http://{self.address}").build()
        return client.show_job(ShowJobRequest(job_id=job))

    def fails(self, status, code, text, *args, **more):
        with self.assertRaises(ClientRequestException) as caught:
            self.show(*args, **more)
        error = caught.exception
        self.assertEqual((error.status_code, error.error_code), (status, code), error)
        self.assertIn(text, error.error_msg)
        self.assertTrue(error.request_id)

    def test_a_finished_job(self):
        job = self.show("finished")
        self.assertEqual((job.status, job.job_id, job.job_type), ("SUCCESS", "finished", "bksCreateBackup"))
        self.assertEqual(job.begin_time, "2016-01-28T16:14:09.466Z")
        self.assertEqual(job.entities.volume_id, "7e5fdc5a-5e36-4b22-8bcc-7f17037290cc")
        self.assertIsNone(job.error_code)

    def test_a_failed_job_is_no_error(self):
        job = self.show("failed")
        self.assertEqual((job.status, job.error_code), ("FAIL", "VolumeBackup.0064"))

    def test_an_odd_job(self):
        job = self.show("odd")
        self.assertEqual((job.status, job.entities.size), ("PENDING_PAYMENT", 40))
        self.assertEqual(job.entities.sub_jobs[0].job_id, "step")

    def test_an_unknown_job(self):
        self.fails(404, "common.0011", "query job fail", "none")

    def test_a_wrong_secret_key_is_refused_and_locks(self):
        for _ in range(5):
            self.fails(401, "APIGW.0301", "verify aksk signature fail", "finished", secret_key="wrong")
        self.fails(401, "APIGW.0301", "AK access failed to reach the limit", "finished")

    def test_an_unknown_access_key_is_refused(self):
        self.fails(401, "APIGW.0301", "ak NONE not exist", "finished", access_key="NONE")

    def test_temporary_keys_of_the_metadata_service(self):
        class Accessor(MetadataAccessor):
            _METADATA_ENDPOINT = f"http://{self.address}"

        keys = Accessor().get_credential()
        job = self.show("finished", keys.access, keys.secret, keys.security_token)
        self.assertEqual(job.status, "SUCCESS")
        self.fails(401, "APIGW.0301", "decrypt token fail", "finished", keys.access, keys.secret, "another")
