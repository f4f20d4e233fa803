// Plays the scenarios with one of the stacks; see ../interop/scenarios.md.

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"google.golang.org/protobuf/proto"

	jobgate "jobgate.dev/gen/jobgate/v1"
)

// A client as the scenarios need it: the snippet's, and more.
type client interface {
	Get(ctx context.Context, project, job string) (*jobgate.Job, error)
	Watch(ctx context.Context, project, job string) iter.Seq2[*jobgate.WatchJobResponse, error]
	// watchOnce takes nothing up again.
	watchOnce(ctx context.Context, job, resumeToken string) iter.Seq2[*jobgate.WatchJobResponse, error]
}

// A stack, and what each does in its own way.
type stack interface {
	version() string
	// dial makes a client without TLS; without a token it sends none.
	dial(address, token string, retries bool) client
	dialTLS(address, token, authority string) client
	failure(err error) failure

	pushback() error
	gzip(job string) (*jobgate.Job, error)
	unknown(path string) error
	metadata(headers map[string]string, binary []byte) (*jobgate.Job, string, error)
	health(service string) (check, watch string, err error)
	services() ([]string, error)
}

// A failure is an error of a call, whatever the stack makes of it.
type failure struct {
	code, message string
	details       []proto.Message
}

var stacks = map[string]stack{"grpc-go": grpcStack{}, "connect-go": connectStack{}}

// unsupported is for what the stack can't do, whoever uses it.
type unsupported string

func (u unsupported) Error() string { return string(u) }

var input = bufio.NewScanner(os.Stdin)

// ask asks the runner something.
func ask(line string) string {
	fmt.Println(line)
	input.Scan()
	return input.Text()
}

// table is the lines of a table.
func table(name string) []string {
	text, err := os.ReadFile(filepath.Join(os.Getenv("JOBGATE_TABLES"), name))
	if err != nil {
		panic(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// moduleVersion is the version that go.mod has.
func moduleVersion(path string) string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == path {
			return fmt.Sprintf("%s on %s", module.Version, info.GoVersion)
		}
	}
	return "unknown"
}

// play calls a scenario, which panics where something is wrong.
func play(scenario func(stack), with stack) (err error) {
	defer func() {
		switch problem := recover().(type) {
		case nil:
		case error:
			err = problem
		default:
			err = fmt.Errorf("%v", problem)
		}
	}()
	scenario(with)
	return nil
}

func main() {
	with := stacks[os.Args[1]]
	if os.Args[2] == "version" {
		fmt.Println(with.version())
		return
	}
	for _, name := range os.Args[2:] {
		err := play(scenarios[name], with)
		text := strings.Join(strings.Fields(fmt.Sprint(err)), " ")
		if err == nil {
			fmt.Println("ok", name)
		} else if missing := unsupported(""); errors.As(err, &missing) {
			fmt.Printf("unsupported %s: %s\n", name, text)
		} else {
			fmt.Printf("failed %s: %s\n", name, text)
		}
	}
}
