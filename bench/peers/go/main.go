// A gateway as a competent team writes it in a day: grpc-go, net/http, encoding/json.
//
// The caller's token is forwarded, the answer is mapped to the contract's types with its sub jobs,
// errors are mapped to codes with details, connections upstream are kept.
package main

import (
	"crypto/tls"
	"flag"
	"log"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	pb "jobgate.dev/bench/gateway/jobgatev1"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:50051", "where gRPC is served")
	upstream := flag.String("upstream", "", "the REST API")
	certificate := flag.String("tls-cert", "", "the certificate, in PEM")
	key := flag.String("tls-key", "", "its key, in PEM")
	flag.Parse()

	options := []grpc.ServerOption{
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
		grpc.MaxRecvMsgSize(64 << 10),
	}
	if *certificate != "" {
		pair, err := tls.LoadX509KeyPair(*certificate, *key)
		if err != nil {
			log.Fatal(err)
		}
		options = append(options, grpc.Creds(credentials.NewServerTLSFromCert(&pair)))
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(options...)
	pb.RegisterJobServiceServer(server, newGateway(*upstream))
	log.Fatal(server.Serve(listener))
}
