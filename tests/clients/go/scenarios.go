// The scenarios, for every stack; those of watches are in watches.go.

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	jobgate "jobgate.dev/gen/jobgate/v1"
)

const example = "4010b39b5281d3590152874bfa3b1604"

var (
	address, aging = os.Getenv("JOBGATE_ADDRESS"), os.Getenv("JOBGATE_AGING_ADDRESS")
	relay          = os.Getenv("JOBGATE_RELAY_ADDRESS")
	secret         = os.Getenv("JOBGATE_TOKEN")
	always         = context.Background()
)

var scenarios = map[string]func(stack){
	"example_job":                 func(s stack) { checkExample(get(s, example)) },
	"entity_shapes":               entityShapes,
	"field_presence":              fieldPresence,
	"sub_jobs":                    subJobs,
	"large_job":                   func(s stack) { checkLarge(get(s, "large")) },
	"error_codes":                 errorCodes,
	"pushback":                    pushback,
	"deadline":                    deadline,
	"watch_to_end":                watchToEnd,
	"watch_resume":                watchResume,
	"watch_pushback":              watchPushback,
	"gzip":                        gzipped,
	"metadata":                    customMetadata,
	"goaway":                      goaway,
	"soak":                        soak,
	"health":                      health,
	"reflection":                  reflection,
	"cancel_after_begin":          cancelAfterBegin,
	"cancel_after_first_response": cancelAfterFirstResponse,
	"watch_resume_killed":         watchResumeKilled,
	"watch_silent":                watchSilent,
	"credentials_missing": func(s stack) {
		_, err := s.dial(address, "", true).Get(always, "p", example)
		fails(s, err, "UNAUTHENTICATED", "CREDENTIALS_MISSING")
	},
	"call_credentials": func(s stack) {
		client := s.dialTLS(os.Getenv("JOBGATE_TLS_ADDRESS"), secret, os.Getenv("JOBGATE_CA"))
		job, err := client.Get(always, "p", example)
		must(err)
		checkExample(job)
	},
	"special_message": func(s stack) {
		_, err := s.dial(address, secret, true).Get(always, "p", "message")
		found := fails(s, err, "ABORTED", "UPSTREAM_CONFLICT").message
		if !strings.Contains(found, table("message.txt")[0]) {
			panic(found)
		}
	},
	"unimplemented_method": func(s stack) {
		err := s.unknown("/jobgate.v1.JobService/NoSuchMethod")
		fails(s, err, "UNIMPLEMENTED", "METHOD_NOT_IMPLEMENTED")
	},
	"unimplemented_service": func(s stack) {
		fails(s, s.unknown("/jobgate.v1.NoSuchService/GetJob"), "UNIMPLEMENTED", "")
	},
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func same[T any](found, expected T) {
	if fmt.Sprintf("%#v", found) != fmt.Sprintf("%#v", expected) {
		panic(fmt.Sprintf("%#v is not %#v", found, expected))
	}
}

func get(s stack, job string) *jobgate.Job {
	found, err := s.dial(address, secret, true).Get(always, "p", job)
	must(err)
	return found
}

func checkExample(job *jobgate.Job) {
	same(job.JobId, example)
	same(job.JobType, "bksCreateBackup")
	same(job.Status, jobgate.JobStatus_JOB_STATUS_SUCCESS)
	same(job.StatusText, "SUCCESS")
	same(job.Entities, map[string]string{
		"bks_create_volume_name": "autobk_volume",
		"backup_id":              "ba5401a2-7cd2-4c01-8c0d-c936ab412d6d",
		"volume_id":              "7e5fdc5a-5e36-4b22-8bcc-7f17037290cc",
		"snapshot_id":            "a77a96bf-dd18-40bf-a446-fdcefc1719ec",
	})
	same(job.BeginTime.AsTime().Format(time.RFC3339Nano), "2016-01-28T16:14:09.466Z")
	same(job.EndTime.AsTime().Format(time.RFC3339Nano), "2016-01-28T16:25:27.69Z")
	same(job.ErrorCode == nil && job.FailReason == nil && len(job.SubJobs) == 0, true)
}

func checkLarge(job *jobgate.Job) {
	same(fmt.Sprint(len(job.Entities["text"])), job.Entities["length"])
	same(strings.Trim(job.Entities["text"], "x"), "")
	same(len(job.Entities["text"]) > 4_000_000, true)
}

func entityShapes(s stack) {
	expected := map[string]string{}
	for _, line := range table("entities.txt") {
		name, value, _ := strings.Cut(line, " ")
		expected[name] = value
	}
	same(get(s, "entities").Entities, expected)
}

func fieldPresence(s stack) {
	for name, expected := range map[string]bool{"absent": false, "blank": false, "nested": true} {
		job := get(s, name)
		times := []bool{job.BeginTime != nil, job.EndTime != nil}
		texts := []bool{job.ErrorCode != nil, job.FailReason != nil}
		same(append(times, texts...), []bool{expected, expected, expected, expected})
	}
}

func subJobs(s stack) {
	job := get(s, "nested")
	same(job.Status, jobgate.JobStatus_JOB_STATUS_FAIL)
	same(job.GetErrorCode()+" "+job.GetFailReason(), "VolumeBackup.0064 no room")
	same(len(job.SubJobs), 2)
	first, second := job.SubJobs[0], job.SubJobs[1]
	same(first.JobId+" "+first.Status.String(), "first JOB_STATUS_SUCCESS")
	same(second.JobId+" "+second.Status.String(), "second JOB_STATUS_FAIL")
	same(len(second.SubJobs), 1)
	third := second.SubJobs[0]
	same(third.JobId+" "+third.StatusText, "third PENDING_PAYMENT")
	same(third.Status, jobgate.JobStatus_JOB_STATUS_UNSPECIFIED)
}

// fails checks the code and, if there is one, the reason.
func fails(s stack, err error, code, reason string) failure {
	if err == nil {
		panic("no error")
	}
	found := s.failure(err)
	same(found.code, code)
	for _, detail := range found.details {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && reason != "" {
			same(info.Domain+" "+info.Reason, "jobgate "+reason)
			reason = ""
		}
	}
	same(reason, "")
	return found
}

func errorCodes(s stack) {
	for _, line := range table("errors.txt") {
		job := strings.Fields(line)[0]
		_, err := s.dial(address, secret+"-get-"+job, false).Get(always, "p", job)
		checkError(s, err, line)
		watch := s.dial(address, secret+"-watch-"+job, false).watchOnce(always, job, "")
		err = nil
		for response, end := range watch {
			same(response == nil, true)
			err = end
		}
		checkError(s, err, line)
	}
}

func checkError(s stack, err error, line string) {
	columns := strings.Fields(line)
	job, http := columns[0], "-"
	var names []string
	for _, detail := range fails(s, err, columns[1], columns[2]).details {
		names = append(names, string(proto.MessageName(detail).Name()))
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			names = names[:len(names)-1]
			if given, ok := detail.Metadata["upstream_http_status"]; ok {
				http = given
			}
		case *errdetails.BadRequest:
			same(detail.FieldViolations[0].Field, "job_id")
		case *errdetails.ResourceInfo:
			same(detail.ResourceName, "projects/p/jobs/"+job)
		case *errdetails.RequestInfo:
			same(detail.RequestId != "", true)
		case *errdetails.RetryInfo:
			same(detail.RetryDelay.AsDuration() > 5*time.Second, true)
		}
	}
	slices.Sort(names)
	same(job+" "+http+" "+strings.Join(names, ","), job+" "+columns[3]+" "+columns[4])
}

func pushback(s stack) {
	begun := time.Now()
	said, err := s.pushback()
	must(err)
	note = said
	waitedSince(begun)
}

// waitedSince says no where the upstream's pause of two seconds was not obeyed.
func waitedSince(begun time.Time) {
	if waited := time.Since(begun); waited < 1900*time.Millisecond {
		panic(fmt.Sprintf("waited only %s", waited))
	}
}

func gzipped(s stack) {
	job, err := s.gzip(strings.Repeat("z", 128))
	must(err)
	same(job.StatusText, "RUNNING")
	job, err = s.gzip("large")
	must(err)
	checkLarge(job)
}

func customMetadata(s stack) {
	headers := map[string]string{
		"authorization": "Bearer " + secret,
		"x-request-id":  "interop",
		"x-long":        strings.Repeat("l", 4000),
	}
	job, id, err := s.metadata(headers, []byte{0x00, 0xff, 0xab})
	must(err)
	checkExample(job)
	same(id, "interop")
}

func goaway(s stack) {
	client := s.dial(aging, secret, false)
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		job, err := client.Get(always, "p", example)
		must(err)
		checkExample(job)
	}
}

func soak(s stack) {
	client := s.dial(address, secret, false)
	failed := make([]error, 10)
	var workers sync.WaitGroup
	for worker := range failed {
		workers.Go(func() {
			for range 100 {
				if _, err := client.Get(always, "p", example); err != nil {
					failed[worker] = err
				}
			}
		})
	}
	workers.Wait()
	for _, err := range failed {
		must(err)
	}
}

func health(s stack) {
	check, watch, err := s.health("jobgate.v1.JobService")
	must(err)
	same(check+" "+watch, "SERVING SERVING")
	_, _, err = s.health("no.such")
	fails(s, err, "NOT_FOUND", "")
}

func reflection(s stack) {
	names, err := s.services()
	must(err)
	same(slices.Contains(names, "jobgate.v1.JobService"), true)
}
