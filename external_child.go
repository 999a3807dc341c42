package metaxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

const (
	maxLine     = 64 << 20         // of an answer
	maxLogLine  = 16 << 10         // of stderr
	exitGrace   = 10 * time.Second // from the end of the input to SIGTERM
	termGrace   = 2 * time.Second  // from SIGTERM to SIGKILL
	outputGrace = time.Second      // from a child's exit to the end of its output, which its own children may hold open
)

// errAnswer reports output of an external processor that is not an answer.
var errAnswer = errors.New("the external processor gave a wrong answer")

// A child is a running external processor, with everything it has started in one process group. One goroutine at a time
// asks it.
type child struct {
	cmd    *exec.Cmd
	stdin  *os.File
	stdout *os.File
	lines  *bufio.Reader
	log    *slog.Logger
	exited chan struct{} // closed when err is set and stderr is read to its end
	err    error
	killed atomic.Bool

	mu   sync.Mutex
	last string // line of stderr

	// For Arrow streams; nil until the first batch.
	writer *ipc.Writer
	reader *ipc.Reader
	schema *arrow.Schema
}

// startChild runs a command with the environment that childEnv gives it.
func startChild(args, env []string, log *slog.Logger) (*child, error) {
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, inR.Close(), inW.Close())
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, inR.Close(), inW.Close(), outR.Close(), outW.Close())
	}
	c := &child{cmd: exec.Command(args[0], args[1:]...), stdin: inW, stdout: outR, lines: bufio.NewReaderSize(outR, 64<<10),
		log: log, exited: make(chan struct{})}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = inR, outW, errW
	c.cmd.Env = childEnv(os.Environ(), env)
	err = startInGroup(c.cmd)
	for _, f := range []*os.File{inR, outW, errW} {
		f.Close() // the child has them now
	}
	if err != nil {
		return nil, errors.Join(err, inW.Close(), outR.Close(), errR.Close())
	}
	go c.watch(errR)
	return c, nil
}

// storeVars begin the names of variables that configure stores, and may hold their keys.
const storeVars = "METAXY_STORES__"

// childEnv is the environment of an external processor: the variables whose names match one of the patterns, as path.Match
// has them; without patterns all but those that are for this process alone. What Dagster Pipes has left for this process
// is never among them, since a child that opened a session by it would mix its messages with ours.
func childEnv(environ, patterns []string) []string {
	var out []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		wanted := patterns == nil && !strings.HasPrefix(name, storeVars)
		for _, p := range patterns {
			if ok, err := path.Match(p, name); ok && err == nil {
				wanted = true
			}
		}
		if wanted && !isPipesVar(name) {
			out = append(out, kv)
		}
	}
	return out
}

// watch waits for the child's exit. What its own children hold open is not waited for.
func (c *child) watch(stderr *os.File) {
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		c.logLines(stderr)
		stderr.Close()
	}()
	c.err = c.cmd.Wait()
	end := time.Now().Add(outputGrace)
	stderr.SetReadDeadline(end)
	c.stdout.SetReadDeadline(end)
	<-logged
	close(c.exited)
}

// logLines puts stderr into the log, line by line. An overlong line comes in pieces.
func (c *child) logLines(stderr io.Reader) {
	r := bufio.NewReaderSize(stderr, maxLogLine)
	for {
		line, err := r.ReadSlice('\n')
		if text := strings.TrimRight(strings.ToValidUTF8(string(line), "\ufffd"), "\r\n"); text != "" {
			c.log.Info(text, "pid", c.cmd.Process.Pid)
			c.mu.Lock()
			c.last = text
			c.mu.Unlock()
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// gone reports whether the child has exited.
func (c *child) gone() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}

// death waits for the exit of a child whose output has ended, and says how it died.
func (c *child) death() error {
	select {
	case <-c.exited:
	case <-time.After(termGrace):
		c.kill()
		<-c.exited
		return errors.New("the external processor closed its output while it held the sample")
	}
	how := "exit status 0"
	if c.err != nil {
		how = c.err.Error()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != "" {
		how += "; its last words: " + shorten(c.last, 300)
	}
	return fmt.Errorf("the external processor exited while it held the sample: %s", how)
}

// kill ends the child and all that it has started.
func (c *child) kill() {
	if c.killed.CompareAndSwap(false, true) {
		signalGroup(c.cmd, syscall.SIGKILL)
		c.stdin.Close()
	}
}

// end closes the child's input and waits for its exit, ever less patiently.
func (c *child) end() {
	if c.writer != nil {
		c.writer.Close()
	}
	c.stdin.Close()
	for _, step := range []struct {
		grace time.Duration
		sig   syscall.Signal
	}{{exitGrace, syscall.SIGTERM}, {termGrace, syscall.SIGKILL}} {
		select {
		case <-c.exited:
		case <-time.After(step.grace):
			c.log.Warn("the external processor does not exit at the end of its input", "signal", step.sig.String())
			signalGroup(c.cmd, step.sig)
		}
	}
	<-c.exited
	if c.err != nil {
		c.log.Warn("the external processor exited", "error", c.err)
	}
	c.stdout.Close()
}

// readLine returns the next line of output without its end.
func (c *child) readLine() ([]byte, error) {
	var line []byte
	for {
		part, err := c.lines.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			if len(bytes.TrimSpace(line)) > 0 {
				return line, nil // the last line may lack its end
			}
			return nil, io.EOF
		case len(line) > maxLine:
			return nil, fmt.Errorf("%w: a line of more than %d MiB", errAnswer, maxLine>>20)
		}
	}
}
