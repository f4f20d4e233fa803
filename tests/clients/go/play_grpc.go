// What grpc-go does in its own way.

package main

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	jobgate "jobgate.dev/gen/jobgate/v1"
)

type grpcStack struct{}

func (grpcStack) version() string { return moduleVersion("google.golang.org/grpc") }

func connection(address string, options ...grpc.DialOption) *grpc.ClientConn {
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	connection, err := grpc.NewClient(address, options...)
	must(err)
	opened = append(opened, func() { must(connection.Close()) })
	return connection
}

func newClient(connection *grpc.ClientConn) *Client {
	return &Client{connection, jobgate.NewJobServiceClient(connection)}
}

func kept(client *Client, err error) *Client {
	must(err)
	opened = append(opened, func() { must(client.Close()) })
	return client
}

func (grpcStack) dial(address, secret string, retries bool) client {
	if retries && secret != "" {
		return kept(Dial(address, secret, insecure.NewCredentials()))
	}
	var options []grpc.DialOption
	if secret != "" {
		options = append(options, grpc.WithPerRPCCredentials(token(secret)))
	}
	return newClient(connection(address, options...))
}

func (grpcStack) dialTLS(address, secret, authority string) client {
	tls, err := credentials.NewClientTLSFromFile(authority, "")
	must(err)
	return kept(Dial(address, secret, tls))
}

func (c *Client) watchOnce(
	ctx context.Context, job, resumeToken string,
) iter.Seq2[*jobgate.WatchJobResponse, error] {
	return func(yield func(*jobgate.WatchJobResponse, error) bool) {
		request := &jobgate.WatchJobRequest{ProjectId: "p", JobId: job, ResumeToken: resumeToken}
		stream, err := c.stub.WatchJob(ctx, request)
		for err == nil {
			var response *jobgate.WatchJobResponse
			response, err = stream.Recv()
			if errors.Is(err, io.EOF) || !yield(response, err) {
				return
			}
		}
	}
}

func (grpcStack) failure(err error) failure {
	found := status.Convert(err)
	result := failure{codeName(found.Code()), found.Message(), nil}
	for _, detail := range found.Details() {
		result.details = append(result.details, detail.(proto.Message))
	}
	return result
}

// codeName is the name in gRPC's documents.
func codeName(code codes.Code) string {
	for _, name := range []string{
		"CANCELLED", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
		"INTERNAL", "UNAVAILABLE", "UNAUTHENTICATED",
	} {
		var named codes.Code
		must(named.UnmarshalJSON([]byte(`"` + name + `"`)))
		if named == code {
			return name
		}
	}
	return code.String()
}

func (grpcStack) pushback() (string, error) {
	// The policy's own waits are short, so that a long one was the server's wish.
	hasty := strings.NewReplacer("0.2s", "0.05s", "5s", "0.1s").Replace(serviceConfig)
	client := newClient(connection(address,
		grpc.WithPerRPCCredentials(token(secret+"-pushback")),
		grpc.WithDefaultServiceConfig(hasty)))
	_, err := client.Get(always, "p", "pushback")
	return "", err
}

// encodings notes how answers are compressed.
type encodings []string

func (*encodings) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*encodings) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*encodings) HandleConn(context.Context, stats.ConnStats)                       {}

func (e *encodings) HandleRPC(_ context.Context, event stats.RPCStats) {
	if header, ok := event.(*stats.InHeader); ok {
		*e = append(*e, header.Compression)
	}
}

func (grpcStack) gzip(job string) (*jobgate.Job, error) {
	var seen encodings
	stub := jobgate.NewJobServiceClient(connection(address,
		grpc.WithPerRPCCredentials(token(secret)), grpc.WithStatsHandler(&seen)))
	request := &jobgate.GetJobRequest{ProjectId: "p", JobId: job}
	answer, err := stub.GetJob(always, request, grpc.UseCompressor(gzip.Name))
	if err == nil {
		same(seen, encodings{gzip.Name})
	}
	return answer, err
}

func (grpcStack) unknown(path string) error {
	empty := &emptypb.Empty{}
	return connection(address, grpc.WithPerRPCCredentials(token(secret))).Invoke(always, path, empty, empty)
}

func (s grpcStack) metadata(headers map[string]string, binary []byte) (*jobgate.Job, string, error) {
	ctx := metadata.NewOutgoingContext(always, metadata.New(headers))
	ctx = metadata.AppendToOutgoingContext(ctx, "x-odd-bin", string(binary))
	var answered metadata.MD
	request := &jobgate.GetJobRequest{ProjectId: "p", JobId: example}
	client := s.dial(address, "", true).(*Client)
	job, err := client.stub.GetJob(ctx, request, grpc.Header(&answered))
	return job, strings.Join(answered["x-request-id"], " "), err
}

func (grpcStack) health(service string) (string, string, error) {
	stub := healthpb.NewHealthClient(connection(address))
	request := &healthpb.HealthCheckRequest{Service: service}
	checked, err := stub.Check(always, request)
	if err != nil {
		return "", "", err
	}
	ctx, cancel := context.WithCancel(always)
	defer cancel()
	watch, err := stub.Watch(ctx, request)
	if err != nil {
		return "", "", err
	}
	watched, err := watch.Recv()
	return checked.Status.String(), watched.GetStatus().String(), err
}

func (grpcStack) services() ([]string, error) {
	stream, err := reflectionpb.NewServerReflectionClient(connection(address)).ServerReflectionInfo(always)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(listServices()); err != nil {
		return nil, err
	}
	answer, err := stream.Recv()
	return serviceNames(answer), err
}

func listServices() *reflectionpb.ServerReflectionRequest {
	return &reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
	}
}

func serviceNames(answer *reflectionpb.ServerReflectionResponse) (names []string) {
	for _, service := range answer.GetListServicesResponse().GetService() {
		names = append(names, service.Name)
	}
	return names
}
