// How to call jobgate with connect-go, which speaks gRPC as well. Copy what you need.

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"iter"
	"math/rand/v2"
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
		wait := 250 * time.Millisecond
		for {
			stream, err := c.stub.WatchJob(ctx, connect.NewRequest(request))
			if err == nil {
				for stream.Receive() {
					request.ResumeToken = stream.Msg().ResumeToken
					wait = 250 * time.Millisecond
					if !yield(stream.Msg(), nil) {
						return
					}
				}
				if err = stream.Err(); err == nil { // The job has ended.
					return
				}
			}
			if connect.CodeOf(err) != connect.CodeUnavailable {
				yield(nil, err)
				return
			}
			pause := wait/2 + rand.N(wait/2)
			if info := ConnectDetail[*errdetails.RetryInfo](err); info != nil {
				pause = info.RetryDelay.AsDuration()
			}
			wait = min(2*wait, 10*time.Second)
			select {
			case <-time.After(pause):
			case <-ctx.Done(): // The next try says so.
			}
		}
	}
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
