package main

import (
	"encoding/json"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "jobgate.dev/bench/gateway/jobgatev1"
)

// A job as the upstream writes it.
type job struct {
	Status     string            `json:"status"`
	Entities   map[string]string `json:"entities"`
	JobID      string            `json:"job_id"`
	JobType    string            `json:"job_type"`
	BeginTime  string            `json:"begin_time"`
	EndTime    string            `json:"end_time"`
	ErrorCode  *string           `json:"error_code"`
	FailReason *string           `json:"fail_reason"`
	SubJobs    subJobs           `json:"sub_jobs"`
}

// The page of the API says that it may be left blank.
type subJobs []job

func (s *subJobs) UnmarshalJSON(text []byte) error {
	if string(text) == `""` || string(text) == "null" {
		return nil
	}
	return json.Unmarshal(text, (*[]job)(s))
}

var statuses = map[string]pb.JobStatus{
	"INIT":    pb.JobStatus_JOB_STATUS_INIT,
	"RUNNING": pb.JobStatus_JOB_STATUS_RUNNING,
	"SUCCESS": pb.JobStatus_JOB_STATUS_SUCCESS,
	"FAIL":    pb.JobStatus_JOB_STATUS_FAIL,
}

func (j *job) message() *pb.Job {
	message := &pb.Job{
		JobId:      j.JobID,
		JobType:    j.JobType,
		Status:     statuses[strings.ToUpper(j.Status)],
		StatusText: j.Status,
		Entities:   j.Entities,
		BeginTime:  moment(j.BeginTime),
		EndTime:    moment(j.EndTime),
		ErrorCode:  j.ErrorCode,
		FailReason: j.FailReason,
	}
	if len(j.SubJobs) > 0 {
		message.SubJobs = make([]*pb.Job, len(j.SubJobs))
		for i := range j.SubJobs {
			message.SubJobs[i] = j.SubJobs[i].message()
		}
	}
	return message
}

func moment(text string) *timestamppb.Timestamp {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil
	}
	return timestamppb.New(at)
}
