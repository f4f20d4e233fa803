// DOCS> Go, by grpc-go: `go get google.golang.org/grpc google.golang.org/genproto/googleapis/rpc`, `go get -tool google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc`
// How to call jobgate with grpc-go. Copy what you need.

package main

import (
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	jobgate "jobgate.dev/gen/jobgate/v1"
)

// The library itself repeats what may pass, and waits as long as the gateway says.
const serviceConfig = `{
	"methodConfig": [{
		"name": [{"service": "jobgate.v1.JobService"}],
		"retryPolicy": {
			"maxAttempts": 4,
			"initialBackoff": "0.2s",
			"maxBackoff": "5s",
			"backoffMultiplier": 2,
			"retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
		}
	}]
}`

// maxFailures in a row end a watch, after two minutes or so if the gateway does not say how long.
const maxFailures = 20

// alive: how long the gateway may be silent before it is asked whether it is there, and may then
// take. A net that has forgotten a connection tells nobody.
var alive = keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}

// token is sent with each call.
type token string

func (t token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"x-auth-token": string(t)}, nil
}

// RequireTransportSecurity says no: on the same machine, or within a mesh, there is no TLS.
func (t token) RequireTransportSecurity() bool { return false }

// Client is JobService over a connection. Make one and keep it: it connects again by itself.
type Client struct {
	connection *grpc.ClientConn
	stub       jobgate.JobServiceClient
}

// Dial makes a client; with insecure.NewCredentials() it is one without TLS.
func Dial(address, secret string, tls credentials.TransportCredentials) (*Client, error) {
	connection, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(tls),
		grpc.WithPerRPCCredentials(token(secret)),
		grpc.WithKeepaliveParams(alive),
		grpc.WithDefaultServiceConfig(serviceConfig))
	if err != nil {
		return nil, err
	}
	return &Client{connection, jobgate.NewJobServiceClient(connection)}, nil
}

// Close ends the connection, and the calls that are under way.
func (c *Client) Close() error { return c.connection.Close() }

// Get returns the job as it is now.
func (c *Client) Get(ctx context.Context, project, job string) (*jobgate.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return c.stub.GetJob(ctx, &jobgate.GetJobRequest{ProjectId: project, JobId: job})
}

// Watch gives all that happens to the job, to its end. A watch that breaks is taken up again. A
// response has a job or, while nothing changes, a heartbeat.
func (c *Client) Watch(ctx context.Context, project, job string) iter.Seq2[*jobgate.WatchJobResponse, error] {
	return func(yield func(*jobgate.WatchJobResponse, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		request := &jobgate.WatchJobRequest{ProjectId: project, JobId: job}
		failures := 0
		for {
			var response *jobgate.WatchJobResponse
			stream, err := c.stub.WatchJob(ctx, request)
			for err == nil {
				if response, err = stream.Recv(); err == nil {
					request.ResumeToken = response.ResumeToken
					failures = 0
					if !yield(response, nil) {
						return
					}
				}
			}
			if errors.Is(err, io.EOF) { // The job has ended.
				return
			}
			failures++
			delay, told := RetryDelay(err)
			code := status.Code(err)
			mayPass := code == codes.Unavailable || code == codes.ResourceExhausted && told
			if !mayPass || failures == maxFailures {
				yield(nil, err)
				return
			}
			select {
			case <-time.After(pause(delay, told, failures)):
			case <-ctx.Done(): // The next try says so.
			}
		}
	}
}

// Reason says why a call failed, such as JOB_NOT_FOUND; "" if the gateway did not say so itself.
func Reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.Domain == "jobgate" {
			return info.Reason
		}
	}
	return ""
}

// RetryDelay is the time to wait before another try, if the gateway said so.
func RetryDelay(err error) (time.Duration, bool) {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.RetryDelay.AsDuration(), true
		}
	}
	return 0, false
}

// pause is the time to wait: as the gateway says, a minute at most; else longer with each failure.
func pause(delay time.Duration, told bool, failures int) time.Duration {
	if told {
		return min(delay, time.Minute)
	}
	wait := min(time.Second<<failures/8, 10*time.Second)
	return wait/2 + rand.N(wait/2)
}
