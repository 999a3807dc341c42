//go:build unix

package pipes_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// captureVar names the variable that makes this test program the one whose output is forwarded.
const captureVar = "PIPES_TEST_CAPTURE"

func TestMain(m *testing.M) {
	if how := os.Getenv(captureVar); how != "" {
		os.Exit(writeOutput(how))
	}
	os.Exit(m.Run())
}

// writeOutput writes to both streams, by itself and by a child, in a session and after it.
func writeOutput(how string) int {
	err := pipes.Run(context.Background(), nil, func(ctx context.Context, s *pipes.Session) error {
		fmt.Println("from Go, é🎈")
		child := exec.CommandContext(ctx, "sh", "-c", "echo from a child; echo its error >&2")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Run(); err != nil {
			return err
		}
		for i := range 2000 {
			fmt.Fprintf(os.Stderr, "line %d %s\n", i, strings.Repeat("ü", 50))
		}
		if how == "panic" {
			panic("broken")
		}
		return nil
	})
	fmt.Println("after the session")
	if err != nil {
		return 1
	}
	return 0
}

func TestOutputIsForwardedBeforeClosed(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"return", "panic"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			params, path := messagesFile(t, "")
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), captureVar+"="+how,
				pipes.ContextVar+"="+pack(t, `{"data": {}}`),
				pipes.MessagesVar+"="+pack(t, strings.Replace(params, "false", "true", 1)))
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			err := cmd.Run()
			if (err != nil) != (how == "panic") {
				t.Fatalf("%v\n%s", err, stderr.String())
			}
			messages := readMessages(t, path)
			if last := messages[len(messages)-1]; messages[0].Method != pipes.MethodOpened || last.Method != pipes.MethodClosed {
				t.Errorf("first %s, last %s", messages[0].Method, last.Method)
			}
			forwarded := map[string]string{}
			for _, m := range messages {
				var p struct{ Stream, Text string }
				if m.Method == pipes.MethodExternalStream {
					if err := json.Unmarshal(m.Params, &p); err != nil {
						t.Fatal(err)
					}
					forwarded[p.Stream] += p.Text
				}
			}
			if want := "from Go, é🎈\nfrom a child\n"; forwarded["stdout"] != want {
				t.Errorf("forwarded of stdout: %q, want %q", forwarded["stdout"], want)
			}
			if text := forwarded["stderr"]; !strings.HasPrefix(text, "its error\nline 0 ") || strings.Count(text, "\n") < 2001 {
				t.Errorf("forwarded of stderr: %d lines", strings.Count(text, "\n"))
			}
			if !strings.HasPrefix(stdout.String(), forwarded["stdout"]) || !strings.HasPrefix(stderr.String(), forwarded["stderr"]) {
				t.Error("what was forwarded is not what the process's own streams got")
			}
			if how == "return" && stdout.String() != forwarded["stdout"]+"after the session\n" {
				t.Errorf("stdout %q", stdout.String())
			}
			if how == "panic" && !strings.Contains(stderr.String(), "panic: broken") {
				t.Errorf("the trace of the panic is not on stderr: %q", stderr.String()[max(0, stderr.Len()-300):])
			}
		})
	}
}
