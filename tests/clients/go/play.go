// Plays the scenarios with one of the stacks; see ../interop/scenarios.md.

package main

import (
	"bufio"
	"context"
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

	// pushback gets the job, and has something to note of how.
	pushback() (string, error)
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

var input = bufio.NewScanner(os.Stdin)

// What the scenario under way has to close, and what is to be noted of it.
var (
	opened []func()
	note   string
)

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
		for _, end := range opened {
			end()
		}
		opened = nil
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
		note = ""
		if err := play(scenarios[name], with); err != nil {
			fmt.Printf("failed %s: %s\n", name, strings.Join(strings.Fields(err.Error()), " "))
		} else if note != "" {
			fmt.Printf("ok %s: %s\n", name, note)
		} else {
			fmt.Println("ok", name)
		}
	}
}
