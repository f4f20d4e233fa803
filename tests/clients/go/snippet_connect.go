// DOCS> Go, by connect-go in its gRPC mode: `go get connectrpc.com/connect google.golang.org/genproto/googleapis/rpc`, `go get -tool google.golang.org/protobuf/cmd/protoc-gen-go connectrpc.com/connect/cmd/protoc-gen-connect-go`
// How to call jobgate with connect-go, which speaks gRPC as well. Copy what you need, and
// maxFailures and pause of snippet.go.

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"iter"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	jobgate "jobgate.dev/gen/jobgate/v1"
	"jobgate.dev/gen/jobgate/v1/jobgatev1connect"
)

// maxAttempts of a call; a watch has maxFailures.
const maxAttempts = 4

// ConnectClient is JobService over HTTP. Make one and keep it: it connects again by itself.
type ConnectClient struct {
	http *http.Client
	stub jobgatev1connect.JobServiceClient
}

// sendToken is an interceptor that sends a token with each call.
type sendToken string

func (t sendToken) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		request.Header().Set("x-auth-token", string(t))
		return next(ctx, request)
	}
}

func (t sendToken) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		stream := next(ctx, spec)
		stream.RequestHeader().Set("x-auth-token", string(t))
		return stream
	}
}

func (t sendToken) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// HTTP2 speaks HTTP/2 with TLS and, for http://, without.
func HTTP2(config *tls.Config) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	// How long the gateway may be silent before it is asked whether it is there, and may then take: a
	// net that has forgotten a connection tells nobody.
	alive := &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 10 * time.Second}
	return &http.Client{
		Transport: &http.Transport{Protocols: protocols, TLSClientConfig: config, HTTP2: alive},
	}
}

// DialConnect makes a client for a URL such as http://127.0.0.1:50051.
func DialConnect(url, token string, config *tls.Config) *ConnectClient {
	client := HTTP2(config)
	return &ConnectClient{client, jobgatev1connect.NewJobServiceClient(
		client, url, connect.WithGRPC(), connect.WithInterceptors(sendToken(token)))}
}

// Close ends the connections on which no call is under way.
func (c *ConnectClient) Close() { c.http.CloseIdleConnections() }

// Get returns the job as it is now. connect-go repeats no calls by itself, so this does.
func (c *ConnectClient) Get(ctx context.Context, project, job string) (*jobgate.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request := &jobgate.GetJobRequest{ProjectId: project, JobId: job}
	for failures := 1; ; failures++ {
		answer, err := c.stub.GetJob(ctx, connect.NewRequest(request))
		if err == nil {
			return answer.Msg, nil
		}
		if !passes(ctx, err) || failures == maxAttempts || !wait(ctx, err, failures) {
			return nil, err
		}
	}
}

// Watch gives all that happens to the job, to its end. A watch that breaks is taken up again. A
// response has a job or, while nothing changes, a heartbeat.
func (c *ConnectClient) Watch(
	ctx context.Context, project, job string,
) iter.Seq2[*jobgate.WatchJobResponse, error] {
	return func(yield func(*jobgate.WatchJobResponse, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		request := &jobgate.WatchJobRequest{ProjectId: project, JobId: job}
		failures := 0
		for {
			stream, err := c.stub.WatchJob(ctx, connect.NewRequest(request))
			if err == nil {
				for stream.Receive() {
					request.ResumeToken = stream.Msg().ResumeToken
					failures = 0
					if !yield(stream.Msg(), nil) {
						stream.Close()
						return
					}
				}
				err = stream.Err()
				stream.Close()
				if err == nil { // The job has ended.
					return
				}
			}
			failures++
			if !passes(ctx, err) || failures == maxFailures {
				yield(nil, err)
				return
			}
			wait(ctx, err, failures) // Where the context ends, the next try says so.
		}
	}
}

// passes says whether another try may do better: the gateway says so, or the connection broke, which
// connect-go tells as one of the others.
func passes(ctx context.Context, err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable:
		return true
	case connect.CodeResourceExhausted:
		return ConnectDetail[*errdetails.RetryInfo](err) != nil
	case connect.CodeInternal, connect.CodeUnknown:
		return ctx.Err() == nil && !connect.IsWireError(err)
	default:
		return false
	}
}

// wait waits before another try, and says whether the context lives to see it.
func wait(ctx context.Context, err error, failures int) bool {
	info := ConnectDetail[*errdetails.RetryInfo](err)
	select {
	case <-time.After(pause(info.GetRetryDelay().AsDuration(), info != nil, failures)):
		return true
	case <-ctx.Done():
		return false
	}
}

// ConnectReason says why a call failed, such as JOB_NOT_FOUND; "" if the gateway did not say so itself.
func ConnectReason(err error) string {
	if info := ConnectDetail[*errdetails.ErrorInfo](err); info.GetDomain() == "jobgate" {
		return info.GetReason()
	}
	return ""
}

// ConnectDetail is what an error says in this type, such as *errdetails.ErrorInfo; nil if nothing.
func ConnectDetail[T any](err error) (found T) {
	if failure := (*connect.Error)(nil); errors.As(err, &failure) {
		for _, detail := range failure.Details() {
			if message, err := detail.Value(); err == nil {
				if info, ok := message.(T); ok {
					return info
				}
			}
		}
	}
	return found
}
