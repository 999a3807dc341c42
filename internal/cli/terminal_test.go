//go:build linux

package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTerminalDefaults prints each kind of answer on a terminal and into a pipe: tables and text for people, JSON for
// machines.
func TestTerminalDefaults(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.must(t, `{"id":"a"}`, "ingest", "video", "--from", "-")
	for _, c := range []struct {
		args           []string
		terminal, pipe string
	}{
		{[]string{"read", "video", "--columns", "id"}, "┌────┐", `{"id":"a"}`},
		{[]string{"resolve", "video/crop"}, "┌────────┬", `{"status":"new"`},
		{[]string{"status"}, "┌──────", `{`},
		{[]string{"graph"}, "project -", `{`},
		{[]string{"explain", "video/crop", "a"}, `video/crop "a" is new`, `{`},
		{[]string{"read", "video", "--columns", "id", "--format", "csv"}, "id", "id"},
	} {
		screen := f.onTerminal(t, c.args...)
		if !strings.HasPrefix(screen, c.terminal) {
			t.Errorf("%q on a terminal begins with %.60q, want %q", c.args, screen, c.terminal)
		}
		if out, _ := f.must(t, "", c.args...); !strings.HasPrefix(out, c.pipe) {
			t.Errorf("%q into a pipe begins with %.60q, want %q", c.args, out, c.pipe)
		}
	}
}

// onTerminal runs a command whose output is a terminal, and returns what the terminal shows.
func (f *fixture) onTerminal(t *testing.T, args ...string) string {
	t.Helper()
	screen, program := openTerminal(t)
	shown := make(chan string)
	go func() {
		all, _ := io.ReadAll(screen) // ends with an error when the program's side is closed
		shown <- string(all)
	}()
	var errs bytes.Buffer
	a := &app{program: f.program, stdin: strings.NewReader(""), stdout: program, stderr: &errs}
	code := a.main(t.Context(), args)
	if err := program.Close(); err != nil || code != ExitOK {
		t.Fatalf("%q: exit %d, %v: %s", args, code, err, errs.String())
	}
	return strings.ReplaceAll(<-shown, "\r\n", "\n")
}

// openTerminal returns the two sides of a pseudo terminal.
func openTerminal(t *testing.T) (screen, program *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	fd := int(screen.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return screen, program
}

// TestDeleteAsks deletes on a terminal, where it says what it would do and waits for an answer.
func TestDeleteAsks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		flags, answer, question string
		code                    int
	}{
		{"", "y\n", "Soft-delete 1 samples of video? [y/N]", ExitOK},
		{"", "\n", "Soft-delete 1 samples of video? [y/N]", ExitFailed},
		{"--hard", "no\n", "Take 2 rows out of the table of video for good? [y/N]", ExitFailed},
		{"--hard", "YES\n", "Take 2 rows out of the table of video for good? [y/N]", ExitOK},
	} {
		f := newFixture()
		f.must(t, `{"id":"a","v":1}`+"\n"+`{"id":"b"}`, "ingest", "video", "--from", "-")
		f.must(t, `{"id":"a","v":2}`, "ingest", "video", "--from", "-")
		args := append([]string{"delete", "video", "--filter", "id = 'a'"}, strings.Fields(c.flags)...)
		screen, program := openTerminal(t)
		shown := make(chan string)
		go func() {
			all, _ := io.ReadAll(screen) // ends with an error when the program's side is closed
			shown <- string(all)
		}()
		if _, err := screen.WriteString(c.answer); err != nil {
			t.Fatal(err)
		}
		a := &app{program: f.program, stdin: program, stdout: program, stderr: program}
		code := a.main(t.Context(), args)
		if err := program.Close(); err != nil || code != c.code {
			t.Errorf("%q answered with %q: exit %d, %v", args, c.answer, code, err)
		}
		if text := <-shown; !strings.Contains(text, c.question) {
			t.Errorf("%q asks %q, want %q", args, text, c.question)
		}
		out, _ := f.must(t, "", "read", "video", "--columns", "id")
		if there := strings.Contains(out, `"a"`); there != (c.code != ExitOK) {
			t.Errorf("%q answered with %q leaves %q", args, c.answer, out)
		}
	}
}
