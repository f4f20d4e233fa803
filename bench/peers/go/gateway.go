package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "jobgate.dev/bench/gateway/jobgatev1"
)

const (
	maxBody        = 4 << 20
	attemptTimeout = 8 * time.Second
)

var id = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

type gateway struct {
	pb.UnimplementedJobServiceServer
	upstream string
	client   *http.Client
}

func newGateway(upstream string) *gateway {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// The default keeps two connections to a host, and would dial for almost every call.
	transport.MaxIdleConns = 1024
	transport.MaxIdleConnsPerHost = 1024
	transport.DisableCompression = true
	transport.Proxy = nil
	client := &http.Client{
		Transport: transport,
		// The token must not go to wherever the upstream points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &gateway{upstream: upstream, client: client}
}

func (g *gateway) GetJob(ctx context.Context, request *pb.GetJobRequest) (*pb.Job, error) {
	if !id.MatchString(request.ProjectId) || !id.MatchString(request.JobId) {
		return nil, status.Error(codes.InvalidArgument, "an id has 1 to 128 characters of A-Z a-z 0-9 _ -")
	}
	tokens := metadata.ValueFromIncomingContext(ctx, "x-auth-token")
	if len(tokens) == 0 {
		return nil, status.Error(codes.Unauthenticated, "no x-auth-token")
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	url := g.upstream + "/v1/" + request.ProjectId + "/jobs/" + request.JobId
	call, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, status.Error(codes.Internal, "the request can't be made")
	}
	call.Header.Set("X-Auth-Token", tokens[0])
	call.Header.Set("Accept", "application/json")
	response, err := g.client.Do(call)
	if err != nil {
		return nil, unreachable(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, unreachable(err)
	}
	if len(body) > maxBody {
		return nil, status.Error(codes.ResourceExhausted, "the job is over 4 MiB")
	}
	if response.StatusCode != http.StatusOK {
		return nil, failure(response, body)
	}
	var answer job
	if err := json.Unmarshal(body, &answer); err != nil || answer.Status == "" {
		return nil, status.Error(codes.Internal, "the upstream's answer is no job")
	}
	return answer.message(), nil
}

func unreachable(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "the upstream took too long")
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the caller went away")
	default:
		return status.Error(codes.Unavailable, "the upstream can't be reached")
	}
}
