// The simulator as the cloud's Go SDK sees it: EVS asks for jobs at the same path, signed with AK/SK.
package sdk

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	evs "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/evs/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/evs/v2/model"
)

// simulate starts a simulator for one test, since wrong signatures lock a key. It returns its address.
func simulate(t *testing.T) string {
	t.Helper()
	command := exec.Command(os.Getenv("JOBGATE_BIN"), "simulate", "--listen", "127.0.0.1:0")
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := command.Wait(); err != nil {
			t.Error(err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(line)
}

// keys are an access key and its secret key.
type keys struct{ access, secret string }

var good = keys{"DEMOACCESSKEY", "demo-secret-key"}

func show(t *testing.T, address string, with keys, job string) (*model.ShowJobResponse, error) {
	t.Helper()
	credentials, err := basic.NewCredentialsBuilder().
		WithAk(with.access).WithSk(with.secret).WithProjectId("demo").SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	client, err := evs.EvsClientBuilder().WithEndpoint(address).WithCredential(credentials).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	return evs.NewEvsClient(client).ShowJob(&model.ShowJobRequest{JobId: job})
}

// fails checks the error of a call as the SDK reads it.
func fails(t *testing.T, err error, status int, code, text string) {
	t.Helper()
	var refusal *sdkerr.ServiceResponseError
	if !errors.As(err, &refusal) {
		t.Fatalf("%v is no answer of the service", err)
	}
	if refusal.StatusCode != status || refusal.ErrorCode != code ||
		!strings.Contains(refusal.ErrorMessage, text) || refusal.RequestId == "" {
		t.Errorf("%v is not %d %s %q", err, status, code, text)
	}
}

func TestAFinishedJob(t *testing.T) {
	job, err := show(t, simulate(t), good, "finished")
	if err != nil {
		t.Fatal(err)
	}
	if job.Status.Value() != "SUCCESS" || *job.JobType != "bksCreateBackup" ||
		*job.Entities.VolumeId != "7e5fdc5a-5e36-4b22-8bcc-7f17037290cc" || job.ErrorCode != nil {
		t.Error(job)
	}
}

func TestAFailedJobIsNoError(t *testing.T) {
	job, err := show(t, simulate(t), good, "failed")
	if err != nil {
		t.Fatal(err)
	}
	if job.Status.Value() != "FAIL" || *job.ErrorCode != "VolumeBackup.0064" {
		t.Error(job)
	}
}

// The job arrives, but a number where it expects text is too much for the SDK.
func TestAnOddJobIsTooOddForTheSdk(t *testing.T) {
	_, err := show(t, simulate(t), good, "odd")
	fails(t, err, 200, "", "JobType: ReadString")
}

func TestAnUnknownJob(t *testing.T) {
	_, err := show(t, simulate(t), good, "none")
	fails(t, err, 404, "common.0011", "query job fail")
}

func TestAWrongSecretKeyIsRefusedAndLocks(t *testing.T) {
	address := simulate(t)
	for range 5 {
		_, err := show(t, address, keys{good.access, "wrong"}, "finished")
		fails(t, err, 401, "APIGW.0301", "verify aksk signature fail")
	}
	_, err := show(t, address, good, "finished")
	fails(t, err, 401, "APIGW.0301", "AK access failed to reach the limit")
}

func TestAnUnknownAccessKeyIsRefused(t *testing.T) {
	_, err := show(t, simulate(t), keys{"NONE", good.secret}, "finished")
	fails(t, err, 401, "APIGW.0301", "ak NONE not exist")
}
