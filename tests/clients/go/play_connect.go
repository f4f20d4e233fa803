// What connect-go does in its own way.

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"iter"
	"os"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	jobgate "jobgate.dev/gen/jobgate/v1"
	"jobgate.dev/gen/jobgate/v1/jobgatev1connect"
)

type connectStack struct{}

func (connectStack) version() string { return moduleVersion("connectrpc.com/connect") }

// once is a client that repeats no calls.
type once struct{ *ConnectClient }

func (c once) Get(ctx context.Context, project, job string) (*jobgate.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request := &jobgate.GetJobRequest{ProjectId: project, JobId: job}
	answer, err := c.stub.GetJob(ctx, connect.NewRequest(request))
	if err != nil {
		return nil, err
	}
	return answer.Msg, nil
}

func keptConnect(client *ConnectClient) *ConnectClient {
	opened = append(opened, client.Close)
	return client
}

func (connectStack) dial(address, secret string, retries bool) client {
	url := "http://" + address
	if secret == "" {
		over := HTTP2(nil)
		stub := jobgatev1connect.NewJobServiceClient(over, url, connect.WithGRPC())
		return keptConnect(&ConnectClient{over, stub})
	}
	client := keptConnect(DialConnect(url, secret, nil))
	if !retries {
		return once{client}
	}
	return client
}

func (connectStack) dialTLS(address, secret, authority string) client {
	pem, err := os.ReadFile(authority)
	must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return keptConnect(DialConnect("https://"+address, secret, &tls.Config{RootCAs: roots}))
}

func (c *ConnectClient) watchOnce(
	ctx context.Context, job, resumeToken string,
) iter.Seq2[*jobgate.WatchJobResponse, error] {
	return func(yield func(*jobgate.WatchJobResponse, error) bool) {
		request := &jobgate.WatchJobRequest{ProjectId: "p", JobId: job, ResumeToken: resumeToken}
		stream, err := c.stub.WatchJob(ctx, connect.NewRequest(request))
		if err != nil {
			yield(nil, err)
			return
		}
		defer stream.Close()
		for stream.Receive() {
			if !yield(stream.Msg(), nil) {
				return
			}
		}
		if err := stream.Err(); err != nil {
			yield(nil, err)
		}
	}
}

func (connectStack) failure(err error) failure {
	found := failure{code: codeName(codes.Code(connect.CodeOf(err)))}
	if failed := (*connect.Error)(nil); errors.As(err, &failed) {
		found.message = failed.Message()
		for _, detail := range failed.Details() {
			message, err := detail.Value()
			must(err)
			found.details = append(found.details, message.(proto.Message))
		}
	}
	return found
}

func (s connectStack) pushback() (string, error) {
	_, err := s.dial(address, secret+"-pushback", true).Get(always, "p", "pushback")
	return "connect-go itself repeats no calls; the snippet does, as RetryInfo says", err
}

func (connectStack) gzip(job string) (*jobgate.Job, error) {
	stub := jobgatev1connect.NewJobServiceClient(HTTP2(nil), "http://"+address,
		connect.WithGRPC(), connect.WithSendGzip(), connect.WithInterceptors(sendToken(secret)))
	request := &jobgate.GetJobRequest{ProjectId: "p", JobId: job}
	answer, err := stub.GetJob(always, connect.NewRequest(request))
	if err != nil {
		return nil, err
	}
	return answer.Msg, nil
}

// caller calls methods of which there is no generated code.
func caller[Q, A any](path string) *connect.Client[Q, A] {
	return connect.NewClient[Q, A](HTTP2(nil), "http://"+address+path,
		connect.WithGRPC(), connect.WithInterceptors(sendToken(secret)))
}

func (connectStack) unknown(path string) error {
	_, err := caller[emptypb.Empty, emptypb.Empty](path).CallUnary(
		always, connect.NewRequest(&emptypb.Empty{}))
	return err
}

func (s connectStack) metadata(headers map[string]string, binary []byte) (*jobgate.Job, string, error) {
	request := connect.NewRequest(&jobgate.GetJobRequest{ProjectId: "p", JobId: example})
	for name, value := range headers {
		request.Header().Set(name, value)
	}
	request.Header().Set("x-odd-bin", connect.EncodeBinaryHeader(binary))
	answer, err := s.dial(address, "", true).(*ConnectClient).stub.GetJob(always, request)
	if err != nil {
		return nil, "", err
	}
	return answer.Msg, answer.Header().Get("x-request-id"), nil
}

func (connectStack) health(service string) (string, string, error) {
	message := connect.NewRequest(&healthpb.HealthCheckRequest{Service: service})
	checked, err := caller[healthpb.HealthCheckRequest, healthpb.HealthCheckResponse](
		healthpb.Health_Check_FullMethodName).CallUnary(always, message)
	if err != nil {
		return "", "", err
	}
	ctx, cancel := context.WithCancel(always)
	defer cancel()
	watch, err := caller[healthpb.HealthCheckRequest, healthpb.HealthCheckResponse](
		healthpb.Health_Watch_FullMethodName).CallServerStream(ctx, message)
	if err != nil {
		return "", "", err
	}
	watch.Receive()
	return checked.Msg.Status.String(), watch.Msg().Status.String(), watch.Err()
}

func (connectStack) services() ([]string, error) {
	stream := caller[reflectionpb.ServerReflectionRequest, reflectionpb.ServerReflectionResponse](
		reflectionpb.ServerReflection_ServerReflectionInfo_FullMethodName).CallBidiStream(always)
	if err := stream.Send(listServices()); err != nil {
		return nil, err
	}
	answer, err := stream.Receive()
	return serviceNames(answer), err
}
