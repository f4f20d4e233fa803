// DOCS> Go, by connect-go in its gRPC mode: `go get connectrpc.com/connect`
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

// ConnectClient is JobService over HTTP. It repeats no call by itself.
type ConnectClient struct {
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
	return &http.Client{Transport: &http.Transport{Protocols: protocols, TLSClientConfig: config}}
}

// DialConnect makes a client for a URL such as http://127.0.0.1:50051.
func DialConnect(url, token string, config *tls.Config) *ConnectClient {
	return &ConnectClient{jobgatev1connect.NewJobServiceClient(
		HTTP2(config), url, connect.WithGRPC(), connect.WithInterceptors(sendToken(token)))}
}

// Get returns the job as it is now.
func (c *ConnectClient) Get(ctx context.Context, project, job string) (*jobgate.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request := &jobgate.GetJobRequest{ProjectId: project, JobId: job}
	answer, err := c.stub.GetJob(ctx, connect.NewRequest(request))
	if err != nil {
		return nil, err
	}
	return answer.Msg, nil
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
						return
					}
				}
				if err = stream.Err(); err == nil { // The job has ended.
					return
				}
			}
			failures++
			if !passes(ctx, err) || failures == maxFailures {
				yield(nil, err)
				return
			}
			info := ConnectDetail[*errdetails.RetryInfo](err)
			select {
			case <-time.After(pause(info.GetRetryDelay().AsDuration(), info != nil, failures)):
			case <-ctx.Done(): // The next try says so.
			}
		}
	}
}

// passes says whether another try may do better: the gateway says so, or the connection broke, which
// connect-go tells as one of the others.
func passes(ctx context.Context, err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable:
		return true
	case connect.CodeInternal, connect.CodeUnknown:
		return ctx.Err() == nil && !connect.IsWireError(err)
	default:
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
